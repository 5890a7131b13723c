// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Text files that a user gives.
#pragma once

#include <string>
#include <vector>

namespace edgelam {

/// The lines of a text file, without a byte order mark and without carriage returns at their ends. \param what it is,
/// before its path in an error: "mobility file ". Throws std::invalid_argument for what is no file or cannot be read.
std::vector<std::string> ReadTextLines(const std::string& path, const std::string& what);

} // namespace edgelam
