// SPDX-License-Identifier: GPL-2.0-only
#include "attribute-values.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "ns3/config.h"
#include "ns3/data-rate.h"
#include "ns3/nstime.h"

namespace edgelam {

using ns3::TypeId;

AttributeValues::AttributeValues(const std::string& type) : m_type(type) {}

TypeId::AttributeInformation AttributeValues::Find(const std::string& attribute) const {
    TypeId::AttributeInformation found;
    if (!TypeId::LookupByName(m_type).LookupAttributeByName(attribute, &found)) {
        throw std::logic_error(m_type + " has no attribute " + attribute);
    }
    return found;
}

AttributeValues::About AttributeValues::Of(const std::string& attribute) const {
    const auto found = Find(attribute);
    About about{.help = found.help, .kind = found.checker->GetValueTypeName()};
    if (found.checker->HasUnderlyingTypeInformation()) {
        about.legal = found.checker->GetUnderlyingTypeInformation();
        const auto space = about.legal.rfind(' '), colon = about.legal.find(':', space);
        if (space != std::string::npos && colon != std::string::npos) { // "double -200:200"
            about.smallest = std::strtod(about.legal.c_str() + space + 1, nullptr);
            about.largest = std::strtod(about.legal.c_str() + colon + 1, nullptr);
        }
    }
    return about;
}

void AttributeValues::Set(const std::string& attribute, const std::string& value) {
    Find(attribute);
    m_given[attribute] = value;
}

void AttributeValues::Set(const std::string& attribute, double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.17g", value);
    Set(attribute, std::string(text));
}

void AttributeValues::SetSeconds(const std::string& attribute, double seconds) {
    Set(attribute, std::to_string(ns3::Seconds(seconds).GetNanoSeconds()) + "ns");
}

void AttributeValues::SetBitsPerSecond(const std::string& attribute, double bps) {
    Set(attribute, std::to_string(static_cast<std::uint64_t>(bps)) + "bps");
}

std::string AttributeValues::Text(const std::string& attribute) const {
    const auto found = Find(attribute);
    const auto given = m_given.find(attribute);
    return given != m_given.end() ? given->second : found.initialValue->SerializeToString(found.checker);
}

double AttributeValues::Number(const std::string& attribute) const {
    return std::strtod(Text(attribute).c_str(), nullptr);
}

double AttributeValues::Seconds(const std::string& attribute) const {
    return static_cast<double>(ns3::Time(Text(attribute)).GetNanoSeconds()) / 1e9;
}

double AttributeValues::BitsPerSecond(const std::string& attribute) const {
    return static_cast<double>(ns3::DataRate(Text(attribute)).GetBitRate());
}

void AttributeValues::Apply(const ns3::Ptr<ns3::Object>& object) const {
    for (const auto& [attribute, value] : m_given) {
        object->SetAttribute(attribute, ns3::StringValue(value));
    }
}

void AttributeValues::ApplyAsDefaults() const {
    for (const auto& [attribute, value] : m_given) {
        ns3::Config::SetDefault(m_type + "::" + attribute, ns3::StringValue(value));
    }
}

} // namespace edgelam
