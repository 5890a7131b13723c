// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Readings of observables: once, periodically, and at the period that an observable itself has.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "ns3/event-id.h"

#include "clock-host.h"
#include "registry.h"

namespace edgelam {

class Readings {
  public:
    Readings(ClockHost& clock, Registry& registry);
    ~Readings();
    Readings(const Readings&) = delete;
    Readings& operator=(const Readings&) = delete;

    void Read(int p, const bridge::ReadObservable& read);
    void Unsubscribe(int p, const bridge::Unsubscribe& unsubscribe);
    void Detached(int p);
    /// True while a subscription may still bring somebody something.
    bool Outstanding() const;

  private:
    using Key = std::pair<int, std::uint64_t>; ///< participant and the number it gave
    struct Subscription {
        std::size_t observable;
        std::int64_t periodNs;
        bool aside; ///< it keeps no run alive
        ns3::EventId event;
        std::int64_t every = 0; ///< where the observable has its own period: this period in terms of that
        std::int64_t skip = 0;  ///< and how many announcements to let pass
    };

    void ReadOnce(int p, std::uint64_t request, std::size_t observable);
    void Sample(Key key);
    void Subscribe(int p, const bridge::ReadObservable& read);
    /// A subscription has ended.
    void Ended(Subscription& subscription);
    bool Recorded(std::size_t observable) const;
    void Announced(std::size_t observable);
    void Refuse(int p, std::uint64_t request, const std::string& reason);

    ClockHost& m_clock;
    Registry& m_registry;
    std::map<Key, Subscription> m_subscriptions;
};

} // namespace edgelam
