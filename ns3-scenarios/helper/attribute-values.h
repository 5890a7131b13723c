// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Values for the attributes of an ns-3 object that is made later, and what the attributes themselves say about them.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "ns3/object.h"
#include "ns3/string.h"
#include "ns3/type-id.h"

namespace edgelam {

/// The values that a scenario's command line, or the defaults of a kind of site, give the attributes of one type. What
/// nobody gives is the attribute's own default. Default, help and range stand at the attribute and nowhere else
/// (Options::Attribute).
class AttributeValues {
  public:
    /// What an attribute says about itself.
    struct About {
        std::string help;
        std::string kind;  ///< name of its value's class: ns3::DoubleValue
        std::string legal; ///< as its checker says it: "double 0:100"
        std::optional<double> smallest, largest;
    };

    /// \param type name of its TypeId
    explicit AttributeValues(const std::string& type);

    const std::string& type() const { return m_type; }
    /// Throws std::logic_error for an attribute that the type does not have.
    About Of(const std::string& attribute) const;
    void Set(const std::string& attribute, const std::string& value);
    void Set(const std::string& attribute, double value);
    /// A time, to the nearest ns.
    void SetSeconds(const std::string& attribute, double seconds);
    /// A data rate, whole bit/s.
    void SetBitsPerSecond(const std::string& attribute, double bps);
    std::string Text(const std::string& attribute) const;
    double Number(const std::string& attribute) const;
    double Seconds(const std::string& attribute) const;
    double BitsPerSecond(const std::string& attribute) const;
    /// For helpers that take attributes one by one.
    ns3::StringValue Value(const std::string& attribute) const { return ns3::StringValue(Text(attribute)); }
    /// Set the given values in an object of the type.
    void Apply(const ns3::Ptr<ns3::Object>& object) const;
    /// Make the given values the defaults of the type, for objects that ns-3 makes itself.
    void ApplyAsDefaults() const;

  private:
    ns3::TypeId::AttributeInformation Find(const std::string& attribute) const;

    std::string m_type;
    std::map<std::string, std::string> m_given;
};

} // namespace edgelam
