// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Parts of a cell that are chosen by name: schedulers and beamformers.
#pragma once

#include <span>
#include <string>

#include "ns3/object-factory.h"
#include "ns3/object.h"

namespace edgelam::nr {

/// A short name of a class that is part of edgelam.
struct ShortName {
    const char* name;
    const char* type; ///< name of the TypeId
};

/// \param kind "scheduler": for the text of a refusal
/// \param name one of `shortNames`, or the name of the TypeId of a class derived from `parent` that has a constructor
/// Throws std::invalid_argument for another name; the text says what is legal.
ns3::TypeId ComponentType(const std::string& kind, const std::string& name, const ns3::TypeId& parent,
                          std::span<const ShortName> shortNames);

/// An object of that type.
template<class T>
ns3::Ptr<T> MakeComponent(const std::string& kind, const std::string& name, std::span<const ShortName> shortNames) {
    ns3::ObjectFactory factory;
    factory.SetTypeId(ComponentType(kind, name, T::GetTypeId(), shortNames));
    return factory.Create<T>();
}

} // namespace edgelam::nr
