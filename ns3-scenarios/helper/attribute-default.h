// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Defaults of ns-3 attributes from a command line, where a mistake must not end in ns-3's abort.
#pragma once

#include <cstddef>
#include <string>

namespace edgelam {

/// Change the default of an ns-3 attribute, as ns3::Config::SetDefault does.
/// \param name the attribute, ns3::Type::Attribute
/// Throws OptionError naming what is legal: for a name that ns-3 does not have (with the nearest one), an attribute
/// that cannot be set, a value of the wrong form or range, and an empty value where no text is meant.
void SetAttributeDefault(const std::string& name, const std::string& value);

/// The attributes whose default can be changed, of types whose names begin with `prefix`: one line for each, by type.
std::string DescribeAttributes(const std::string& prefix);

/// Edit distance without regard to case, to guess what was meant by a name.
std::size_t EditDistance(const std::string& a, const std::string& b);

} // namespace edgelam
