// SPDX-License-Identifier: GPL-2.0-only
#include "readings.h"

#include <algorithm>
#include <cstring>
#include <iostream>
#include <memory>
#include <stdexcept>

#include "ns3/log.h"
#include "ns3/nstime.h"
#include "ns3/simulator.h"

#include "held-array.h"
#include "participant-time.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamReadings");

namespace {

constexpr std::size_t inline_bytes = 4096;                   ///< larger readings travel in the arena
constexpr std::int64_t longest_ns = 100'000'000'000'000'000; ///< 3 years: keeps sums of times within 64 bits

/// Tell a trace whether to keep what happens.
/// \return why it cannot, empty if it does
std::string Record(const Observable& trace, bool whether) {
    const std::string who = "observable '" + trace.name + "': ";
    try {
        trace.record(whether);
        return {};
    } catch (const std::exception& error) {
        return who + error.what();
    } catch (...) {
        return who + "its function threw something that is no std::exception, and so has no text";
    }
}

} // namespace

Readings::Readings(ClockHost& clock, Registry& registry) : m_clock(clock), m_registry(registry) {
    m_registry.memory().Connect(&clock.host().arena());
    m_registry.OnAnnounce([this](std::size_t observable) { Announced(observable); });
}

Readings::~Readings() {
    m_registry.OnAnnounce(nullptr);
    m_registry.memory().Connect(nullptr);
}

void Readings::Read(int p, const bridge::ReadObservable& read) {
    if (read.observable >= m_registry.observables().size()) {
        Refuse(p, read.request,
               "there is no observable " + std::to_string(read.observable) +
                   "; observables: " + m_registry.ObservableNames());
    } else if (read.period_ns < 0 || read.period_ns > longest_ns) {
        Refuse(p, read.request, "period " + std::to_string(read.period_ns) + " ns; legal are 0 (once) to 1e17 ns");
    } else if (read.period_ns == 0) {
        ReadOnce(p, read.request, read.observable);
    } else if (m_subscriptions.contains({p, read.request})) {
        Refuse(p, read.request, "subscription " + std::to_string(read.request) + " exists already");
    } else {
        Subscribe(p, read);
    }
}

void Readings::Unsubscribe(int p, const bridge::Unsubscribe& unsubscribe) {
    const auto subscription = m_subscriptions.find({p, unsubscribe.request});
    if (subscription != m_subscriptions.end()) {
        Ended(subscription->second);
        m_subscriptions.erase(subscription);
        m_clock.RequestSync();
    }
}

void Readings::ReadOnce(int p, std::uint64_t request, std::size_t observable) {
    if (m_registry.observables()[observable].record && !Recorded(observable)) {
        return Refuse(p, request,
                      "'" + m_registry.observables()[observable].name +
                          "' is a trace: nothing is kept of it before it is subscribed to");
    }
    Reading reading;
    bridge::ObservableValue value{request, NowNs(), 0, 0, {}};
    try {
        reading = m_registry.Read(observable);
        if (reading.block && reading.block->ref().size_bytes == 0) { // from before the arena was there
            const auto bytes = reading.block->bytes();
            reading.bytes.assign(bytes.begin(), bytes.end());
            reading.block = nullptr;
        }
        if (reading.bytes.size() > inline_bytes) {
            const auto block = m_clock.host().arena().Allocate(reading.bytes.size(), value.value);
            std::memcpy(block.data(), reading.bytes.data(), reading.bytes.size());
            reading.bytes.clear();
        }
    } catch (const std::exception& error) {
        return Refuse(p, request, error.what());
    }
    value.num_dims = static_cast<std::uint32_t>(reading.shape.size());
    if (reading.block) {
        value.value = reading.block->ref();
        m_clock.Notify(p, [p, value, block = reading.block, tail = Pack(reading.shape)](bridge::Host& host) {
            host.Hold(value.value, p + 1, 1);
            host.Send(p, value, std::string_view(tail));
        });
        return;
    }
    const auto array = std::make_shared<HeldArray>(m_clock.host(), value.value);
    m_clock.Notify(p, [p, value, array, tail = Pack(reading.shape) + Pack(reading.bytes)](bridge::Host& host) {
        array->ShareWith(p);
        host.Send(p, value, std::string_view(tail));
    });
}

void Readings::Subscribe(int p, const bridge::ReadObservable& read) {
    const Observable& observable = m_registry.observables()[read.observable];
    const Key key{p, read.request};
    NS_LOG_INFO("participant " << p << " subscribes to " << observable.name << " every " << read.period_ns << " ns");
    const bool aside = read.aside != 0 || observable.record;
    if (observable.record) {
        if (Recorded(read.observable)) {
            return Refuse(p, read.request,
                          "'" + observable.name + "' is subscribed to already; a trace has one subscription at a time");
        }
        if (const std::string reason = Record(observable, true); !reason.empty()) {
            return Refuse(p, read.request, reason);
        }
    }
    if (observable.periodNs == 0) {
        m_subscriptions[key] = {read.observable, read.period_ns, aside, {}};
        return Sample(key);
    }
    if (read.period_ns % observable.periodNs != 0) {
        return Refuse(p, read.request,
                      "period " + std::to_string(read.period_ns) + " ns of '" + observable.name +
                          "'; its values come every " + std::to_string(observable.periodNs) +
                          " ns: legal are whole multiples of that");
    }
    Subscription subscription{read.observable, read.period_ns, aside, {}, read.period_ns / observable.periodNs, 0};
    const bool atOnce = observable.announcedNs == NowNs();
    subscription.skip = atOnce ? subscription.every - 1 : 0;
    m_subscriptions[key] = subscription;
    if (atOnce) {
        ReadOnce(p, read.request, read.observable);
    }
}

void Readings::Ended(Subscription& subscription) {
    NS_LOG_INFO("a subscription to " << m_registry.observables()[subscription.observable].name << " ends");
    subscription.event.Cancel();
    if (const auto& observable = m_registry.observables()[subscription.observable]; observable.record) {
        if (const std::string reason = Record(observable, false); !reason.empty()) {
            std::cerr << reason << std::endl; // nobody is left to be refused
        }
    }
}

bool Readings::Recorded(std::size_t observable) const {
    return std::any_of(m_subscriptions.begin(), m_subscriptions.end(),
                       [observable](const auto& entry) { return entry.second.observable == observable; });
}

void Readings::Announced(std::size_t observable) {
    for (auto& [key, subscription] : m_subscriptions) {
        if (subscription.observable == observable && subscription.skip-- == 0) {
            subscription.skip = subscription.every - 1;
            ReadOnce(key.first, key.second, observable);
        }
    }
}

void Readings::Sample(Key key) {
    Subscription& subscription = m_subscriptions.at(key);
    subscription.event =
        ns3::Simulator::Schedule(ns3::NanoSeconds(subscription.periodNs), [this, key] { Sample(key); });
    ReadOnce(key.first, key.second, subscription.observable);
}

void Readings::Detached(int p) {
    for (auto& [key, subscription] : m_subscriptions) {
        if (key.first == p) {
            Ended(subscription);
        }
    }
    std::erase_if(m_subscriptions, [p](const auto& entry) { return entry.first.first == p; });
}

bool Readings::Outstanding() const {
    return std::any_of(m_subscriptions.begin(), m_subscriptions.end(),
                       [](const auto& entry) { return !entry.second.aside; });
}

void Readings::Refuse(int p, std::uint64_t request, const std::string& reason) {
    m_clock.Refuse<bridge::ReadObservable>(p, request, reason);
}

} // namespace edgelam
