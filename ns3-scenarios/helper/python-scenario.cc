// SPDX-License-Identifier: GPL-2.0-only
#include "python-scenario.h"

#include <cstring>
#include <stdexcept>

#include "ns3/simulator.h"

namespace edgelam::python {

namespace {

/// Not a std::exception: Scenario::Main lets it through.
struct Raised {};

} // namespace

void Value::Copy(std::uintptr_t address, std::size_t size) {
    bytes.resize(size);
    if (size > 0) {
        std::memcpy(bytes.data(), reinterpret_cast<const void*>(address), size);
    }
}

Described Describe(const std::string& name, const std::string& dtype, std::size_t itemsize,
                   const std::vector<std::string>& axes, const std::vector<std::int64_t>& sizes,
                   const std::string& unit, const std::string& help) {
    Described described{name, dtype, itemsize, {}, unit, help};
    for (std::size_t i = 0; i < axes.size(); ++i) {
        described.axes.push_back({axes[i], sizes.at(i)});
    }
    return described;
}

void Publish(Registry& registry, const Described& described, const std::function<void(Value&)>& read,
             const std::function<void(bool)>& record) {
    Observable observable{described, [read]() -> Reading {
                              Value value;
                              read(value);
                              if (!value.refusal.empty()) {
                                  throw std::runtime_error(value.refusal);
                              }
                              return {std::move(value.shape), std::move(value.bytes)};
                          }};
    observable.record = record;
    registry.Add(std::move(observable));
}

void Control(Registry& registry, const Described& described, const std::function<void(Value&)>& set) {
    registry.Add(Controllable{
        described, [set, itemsize = described.itemsize](const auto& shape, const std::byte* bytes, std::size_t count) {
            Value value{shape, {bytes, bytes + count * itemsize}, {}};
            set(value);
            return value.refusal;
        }});
}

void Schedule(const ns3::Time& delay, const std::function<void(std::uint64_t)>& function, std::uint64_t number) {
    ns3::Simulator::Schedule(delay, [function, number] { function(number); });
}

int Main(Scenario& scenario, const std::vector<std::string>& arguments, const std::function<void(Built&)>& build) {
    std::vector<std::string> kept = arguments;
    std::vector<char*> argv;
    for (auto& argument : kept) {
        argv.push_back(argument.data());
    }
    try {
        return scenario.Main(static_cast<int>(argv.size()), argv.data(), [&] {
            Built built;
            build(built);
            if (built.raised) {
                throw Raised();
            }
            if (!built.refusal.empty()) {
                scenario.Refuse(built.refusal);
            }
        });
    } catch (const Raised&) {
        return status_raised;
    }
}

} // namespace edgelam::python
