// SPDX-License-Identifier: GPL-2.0-only
#include "nr-component.h"

#include <algorithm>
#include <stdexcept>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrComponent");

namespace edgelam::nr {

ns3::TypeId ComponentType(const std::string& kind, const std::string& name, const ns3::TypeId& parent,
                          std::span<const ShortName> shortNames) {
    const auto known =
        std::find_if(shortNames.begin(), shortNames.end(), [&](const ShortName& each) { return name == each.name; });
    ns3::TypeId type;
    if (ns3::TypeId::LookupByNameFailSafe(known == shortNames.end() ? name : known->type, &type) &&
        type.IsChildOf(parent) && type.HasConstructor()) {
        NS_LOG_INFO(kind << " " << type.GetName());
        return type;
    }
    std::string legal;
    for (const auto& each : shortNames) {
        legal += std::string(each.name) + ", ";
    }
    throw std::invalid_argument(kind + " '" + name + "'; legal are " + legal +
                                "or the TypeId of a class derived from " + parent.GetName() +
                                " that has a constructor");
}

} // namespace edgelam::nr
