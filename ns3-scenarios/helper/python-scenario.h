// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What edgelam/scenarios/python.py needs beside Scenario, so that a scenario can be written with ns-3's Python
/// bindings: values whose type is known only at run time, and Python's functions, whose exceptions must not cross ns-3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ns3/nstime.h"

#include "scenario.h"

namespace edgelam::python {

/// The value of an observable or a control on its way from or to Python, in C order.
struct Value {
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;
    std::string refusal; ///< of Python's function; empty: none

    std::uintptr_t Address() const { return reinterpret_cast<std::uintptr_t>(bytes.data()); }
    std::size_t Size() const { return bytes.size(); }
    /// Copy `size` bytes from an address.
    void Copy(std::uintptr_t address, std::size_t size);
};

/// Add an observable: `read` fills a value, or says why it cannot. `dtype` is JSON as Described::dtype; `record`, if it
/// is one, makes it a trace (Registry::PublishTrace).
void Publish(Registry& registry, const Described& described, const std::function<void(Value&)>& read,
             const std::function<void(bool)>& record);
/// Add a control: `set` takes a value, or says why it refuses it.
void Control(Registry& registry, const Described& described, const std::function<void(Value&)>& set);
/// What the two take.
Described Describe(const std::string& name, const std::string& dtype, std::size_t itemsize,
                   const std::vector<std::string>& axes, const std::vector<std::int64_t>& sizes,
                   const std::string& unit, const std::string& help);

/// Call `function` with `number` in an event: one Python function for all, since wrapping each costs milliseconds.
void Schedule(const ns3::Time& delay, const std::function<void(std::uint64_t)>& function, std::uint64_t number);

/// How Python's build function ended.
struct Built {
    bool raised = false; ///< an exception that is not a refusal: Main is left at once
    std::string refusal; ///< settings that are not legal; empty: none
};

constexpr int status_raised = -1;

/// Scenario::Main. \return the exit status, or status_raised
int Main(Scenario& scenario, const std::vector<std::string>& arguments, const std::function<void(Built&)>& build);

} // namespace edgelam::python
