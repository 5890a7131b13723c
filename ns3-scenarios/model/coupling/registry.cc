// SPDX-License-Identifier: GPL-2.0-only
#include "registry.h"

#include <algorithm>
#include <stdexcept>

#include "ns3/log.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamRegistry");

namespace {

const std::string thrown_of_another_kind = "its function threw something that is no std::exception, and so has no text";

template<class Items>
void RefuseTaken(const Items& items, const std::string& name) {
    if (std::any_of(items.begin(), items.end(), [&](const auto& item) { return item.name == name; })) {
        throw std::invalid_argument("'" + name + "' is published twice");
    }
}

template<class Items>
std::string Names(const Items& items) {
    std::string names;
    for (const auto& item : items) {
        names += (names.empty() ? "" : ", ") + item.name;
    }
    return names.empty() ? "none" : names;
}

std::string ShapeText(const std::vector<std::int64_t>& shape) {
    std::vector<std::string> sizes;
    for (const auto size : shape) {
        sizes.push_back(std::to_string(size));
    }
    return json::List(sizes);
}

std::vector<std::int64_t> Sizes(const std::vector<Axis>& axes) {
    std::vector<std::int64_t> sizes;
    for (const auto& axis : axes) {
        sizes.push_back(axis.size);
    }
    return sizes;
}

} // namespace

json::Object Described::ToObject(std::size_t id) const {
    std::vector<std::string> names;
    for (const auto& axis : axes) {
        names.push_back(json::Quote(axis.name));
    }
    return json::Object()
        .Add("id", static_cast<std::int64_t>(id))
        .Add("name", name)
        .Raw("dtype", dtype)
        .Raw("shape", ShapeText(Sizes(axes)))
        .Raw("axes", json::List(names))
        .Add("unit", unit)
        .Add("help", help);
}

std::string Described::Json(std::size_t id) const {
    return ToObject(id).Text();
}

std::string Observable::Json(std::size_t id) const {
    return ToObject(id).Add("period_ns", periodNs).Text();
}

void Registry::SetPeriod(std::size_t id, std::int64_t periodNs) {
    if (periodNs <= 0) {
        throw std::invalid_argument("period " + std::to_string(periodNs) + " ns of '" + m_observables.at(id).name +
                                    "'; legal is at least 1 ns");
    }
    m_observables.at(id).periodNs = periodNs;
}

void Registry::Announce(std::size_t id, std::int64_t nowNs) {
    m_observables.at(id).announcedNs = nowNs;
    if (m_listener) {
        m_listener(id);
    }
}

void Registry::Add(Observable observable) {
    RefuseTaken(m_observables, observable.name);
    NS_LOG_INFO("observable " << observable.name);
    m_observables.push_back(std::move(observable));
}

void Registry::Add(Controllable control) {
    RefuseTaken(m_controls, control.name);
    NS_LOG_INFO("control " << control.name);
    if (std::count_if(control.axes.begin(), control.axes.end(), [](const Axis& axis) { return axis.size < 0; }) > 1) {
        throw std::invalid_argument("control '" + control.name + "': at most one dimension may vary");
    }
    m_controls.push_back(std::move(control));
}

Reading Registry::Read(std::size_t id) const {
    const Observable& observable = m_observables.at(id);
    NS_LOG_LOGIC("read " << observable.name);
    Reading reading;
    try {
        reading = observable.read();
    } catch (const std::exception& error) {
        throw std::runtime_error("observable '" + observable.name + "': " + error.what());
    } catch (...) {
        throw std::runtime_error("observable '" + observable.name + "': " + thrown_of_another_kind);
    }
    bool fits = reading.shape.size() == observable.axes.size();
    std::size_t count = 1;
    for (std::size_t i = 0; fits && i < reading.shape.size(); ++i) {
        fits = observable.axes[i].size < 0 || observable.axes[i].size == reading.shape[i];
        count *= static_cast<std::size_t>(reading.shape[i]);
    }
    if (!fits || count * observable.itemsize != reading.size_bytes()) {
        throw std::runtime_error("observable '" + observable.name + "' gave shape " + ShapeText(reading.shape) +
                                 " and " + std::to_string(reading.size_bytes()) + " bytes; announced is shape " +
                                 ShapeText(Sizes(observable.axes)) + " of items of " +
                                 std::to_string(observable.itemsize) + " bytes");
    }
    return reading;
}

std::string Registry::Set(std::size_t id, std::span<const std::byte> bytes) const {
    const Controllable& control = m_controls.at(id);
    NS_LOG_INFO("set " << control.name << " from " << bytes.size() << " bytes");
    std::size_t known = control.itemsize;
    std::int64_t* varying = nullptr;
    std::vector<std::int64_t> shape = Sizes(control.axes);
    for (auto& size : shape) {
        if (size < 0) {
            varying = &size;
        } else {
            known *= static_cast<std::size_t>(size);
        }
    }
    if (varying ? known == 0 || bytes.size() % known != 0 : bytes.size() != known) {
        return "control '" + control.name + "' takes shape " + ShapeText(Sizes(control.axes)) + " of items of " +
               std::to_string(control.itemsize) + " bytes; " + std::to_string(bytes.size()) + " bytes were given";
    }
    if (varying) {
        *varying = static_cast<std::int64_t>(bytes.size() / known);
    }
    try {
        return control.set(shape, bytes.data(), bytes.size() / control.itemsize);
    } catch (const std::exception& error) {
        return "control '" + control.name + "': " + error.what();
    } catch (...) {
        return "control '" + control.name + "': " + thrown_of_another_kind;
    }
}

std::string Registry::ObservableNames() const {
    return Names(m_observables);
}
std::string Registry::ControlNames() const {
    return Names(m_controls);
}

} // namespace edgelam
