// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Observables (what Python may read) and controls (what Python may set) of a scenario: named and typed once, here.
///
///     registry.Publish<double>("queue/bytes", "byte", "backlog of the hub", [&] { return hub.Backlog(); });
///     registry.Publish<std::vector<State>>("ue/state", "", "...", [&] { return states; }, {{"ue", numUe}});
///     registry.Control<double>("link/rate", "bit/s", "rate of every device link, 1e3 to 1e12", [&](double rate) {
///         if (rate < 1e3 || rate > 1e12) return "rate " + std::to_string(rate) + " bit/s; legal are 1e3 to 1e12";
///         SetRate(rate);
///         return std::string();
///     });
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "json.h"
#include "shared-memory.h"
#include "value.h"

namespace edgelam {

/// The common part of observables and controls.
struct Described {
    std::string name;
    std::string dtype; ///< JSON: a NumPy dtype string, or the description of a struct
    std::size_t itemsize;
    std::vector<Axis> axes;
    std::string unit;
    std::string help;

    /// {"id", "name", "dtype", "shape", "axes", "unit", "help"}
    std::string Json(std::size_t id) const;

  protected:
    json::Object ToObject(std::size_t id) const;
};

struct Observable : Described {
    std::function<Reading()> read;
    std::int64_t periodNs = 0;        ///< above 0: values come at this period, see Registry::SetPeriod
    std::int64_t announcedNs = -1;    ///< time of the newest of them; -1: none yet
    std::function<void(bool)> record; ///< a trace: whether to keep what happens, see Registry::PublishTrace

    /// As Described::Json, and "period_ns".
    std::string Json(std::size_t id) const;
};

struct Controllable : Described {
    /// Takes effect, or returns the reason for refusing it.
    std::function<std::string(const std::vector<std::int64_t>& shape, const std::byte* bytes, std::size_t count)> set;
};

class Registry {
  public:
    /// Add an observable. T: a number, a struct listed with EDGELAM_MESSAGE, std::array, std::vector, Array or
    /// SharedArray of these. `function` reads it without changing the simulation, and may throw std::runtime_error with
    /// the reason why it cannot be read now. `axes` names the dimensions; those of a std::array or std::vector may be
    /// left out. Throws std::invalid_argument for a name that exists.
    /// \return its number, for SetPeriod and Announce
    template<class T, std::invocable F>
    std::size_t Publish(std::string name, std::string unit, std::string help, F function, std::vector<Axis> axes = {}) {
        Observable observable{Describe<T>(std::move(name), std::move(unit), std::move(help), std::move(axes)), {}};
        observable.read = [function = std::move(function)] { return ValueTraits<T>::Write(function()); };
        Add(std::move(observable));
        return m_observables.size() - 1;
    }

    /// Add a trace: an observable of everything that happened since it was last read, oldest first. Events are kept
    /// only during a subscription, of which there may be one at a time: `record` is called with true when it begins and
    /// with false when it ends. `take` returns what was kept, which is then forgotten. Reading is refused at other
    /// times. Unlike others, such a subscription does not keep a run alive in which nothing else is outstanding.
    template<class T, std::invocable F>
    void PublishTrace(std::string name, std::string help, F take, std::function<void(bool)> record) {
        const auto id =
            Publish<std::vector<T>>(std::move(name), "", std::move(help), std::move(take), {{"record", -1}});
        m_observables[id].record = std::move(record);
    }

    /// Observable `id` has a new value every `periodNs` (above 0), which Announce reports. A subscription has this
    /// period or a multiple of it, and gets one value per period of its own, each exactly once. Its first value is the
    /// one announced at the time at which it begins, if there is one, otherwise the next one.
    void SetPeriod(std::size_t id, std::int64_t periodNs);
    /// Observable `id` has its next value.
    void Announce(std::size_t id, std::int64_t nowNs);
    /// The function that is told of announcements (empty: none).
    void OnAnnounce(std::function<void(std::size_t id)> listener) { m_listener = std::move(listener); }

    /// The memory of values that are SharedArrays.
    SharedMemory& memory() { return m_memory; }

    /// Add a control. `function` takes a T, and returns the reason for refusing it as text, empty once it has taken
    /// effect; the reason names the value and what is legal. At most one dimension may vary.
    template<class T, std::invocable<T> F>
    void Control(std::string name, std::string unit, std::string help, F function, std::vector<Axis> axes = {}) {
        Controllable control{Describe<T>(std::move(name), std::move(unit), std::move(help), std::move(axes)), {}};
        control.set = [function = std::move(function)](const std::vector<std::int64_t>& shape, const std::byte* bytes,
                                                       std::size_t count) -> std::string {
            return function(ValueTraits<T>::Read(shape, bytes, count));
        };
        Add(std::move(control));
    }

    /// For types known only at run time; Publish and Control call them for types that the compiler knows.
    void Add(Observable observable);
    void Add(Controllable control);

    const std::vector<Observable>& observables() const { return m_observables; }
    const std::vector<Controllable>& controls() const { return m_controls; }

    /// Read observable `id`. Throws std::runtime_error where the function gave another shape than was announced.
    Reading Read(std::size_t id) const;
    /// Set control `id` from bytes in C order.
    /// \return the reason for refusing it; empty if it has taken effect
    std::string Set(std::size_t id, std::span<const std::byte> bytes) const;

    /// The names as "a, b, c", for refusals.
    std::string ObservableNames() const;
    std::string ControlNames() const;

  private:
    template<class T>
    static Described Describe(std::string name, std::string unit, std::string help, std::vector<Axis> axes) {
        using Traits = ValueTraits<T>;
        if constexpr (Traits::dims == 1) {
            if (axes.empty()) {
                axes.push_back({"item", -1});
            }
            if constexpr (bridge::detail::IsStdArray<T>::value) {
                axes[0].size = static_cast<std::int64_t>(std::tuple_size_v<T>);
            }
        }
        if (Traits::dims != SIZE_MAX && axes.size() != Traits::dims) {
            throw std::invalid_argument("'" + name + "' has " + std::to_string(Traits::dims) + " dimensions, but " +
                                        std::to_string(axes.size()) + " axes are named");
        }
        using Element = typename Traits::Element;
        return {std::move(name), bridge::DescribeJson<Element>(), sizeof(Element), std::move(axes), std::move(unit),
                std::move(help)};
    }
    std::vector<Observable> m_observables;
    std::vector<Controllable> m_controls;
    SharedMemory m_memory;
    std::function<void(std::size_t)> m_listener;
};

} // namespace edgelam
