// SPDX-License-Identifier: GPL-2.0-only
#include "nr-drx.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrDrx");

namespace edgelam::nr {

namespace {

// TS 38.331, DRX-Config, in ms.
constexpr std::array long_cycles{10,  20,  32,  40,  60,   64,   70,   80,   128,  160,
                                 256, 320, 512, 640, 1024, 1280, 2048, 2560, 5120, 10240};
constexpr std::array short_cycles{2,  3,  4,  5,  6,  7,   8,   10,  14,  16,  20, 30,
                                  32, 35, 40, 64, 80, 128, 160, 256, 320, 512, 640};
constexpr std::array on_durations{1,  2,  3,   4,   5,   6,   8,   10,  20,  30,   40,   50,
                                  60, 80, 100, 200, 300, 400, 500, 600, 800, 1000, 1200, 1600};
constexpr std::array inactivities{0,  1,  2,  3,   4,   5,   6,   8,   10,   20,   30,  40,
                                  50, 60, 80, 100, 200, 300, 500, 750, 1280, 1920, 2560};
constexpr std::array retransmissions{0U, 1U, 2U, 4U, 6U, 8U, 16U, 24U, 33U, 40U, 64U, 80U, 96U, 112U, 128U, 160U, 320U};
constexpr unsigned most_short_cycles = 16;
constexpr std::uint64_t most_round_trip = 4; ///< slots: drx-HARQ-RTT-Timer has at most 56 symbols

std::string Ms(ns3::Time time) {
    std::ostringstream text;
    text << static_cast<double>(time.GetNanoSeconds()) * 1e-6 << " ms";
    return text.str();
}

template<class List>
std::string Listed(const List& list) {
    std::string text;
    for (const auto each : list) {
        text += (text.empty() ? "" : ", ") + std::to_string(each);
    }
    return text;
}

template<class List>
bool In(const List& list, ns3::Time time) {
    return std::any_of(list.begin(), list.end(), [&](int ms) { return ns3::MilliSeconds(ms) == time; });
}

[[noreturn]] void Refuse(const std::string& name, const std::string& value, const std::string& legal) {
    throw std::invalid_argument("NR cell: " + name + " " + value + "; legal is " + legal);
}

} // namespace

void DrxSettings::CheckDrx() const {
    if (drxCycle.IsZero()) {
        if (!drxShortCycle.IsZero()) {
            Refuse("DrxShortCycle", Ms(drxShortCycle) + " without DrxCycle", "0, or a DrxCycle beside it");
        }
        return;
    }
    if (!In(long_cycles, drxCycle)) {
        Refuse("DrxCycle", Ms(drxCycle), "one of " + Listed(long_cycles) + " ms (TS 38.331), or 0 for no DRX");
    }
    const std::int64_t parts = 32 * drxOnDuration.GetNanoSeconds();
    const bool subMs = parts > 0 && parts % 1'000'000 == 0 && drxOnDuration < ns3::MilliSeconds(1);
    if (!subMs && !In(on_durations, drxOnDuration)) {
        Refuse("DrxOnDuration", Ms(drxOnDuration),
               "1/32 to 31/32 ms or one of " + Listed(on_durations) + " ms (TS 38.331)");
    }
    if (!In(inactivities, drxInactivity)) {
        Refuse("DrxInactivity", Ms(drxInactivity), "one of " + Listed(inactivities) + " ms (TS 38.331)");
    }
    if (std::find(retransmissions.begin(), retransmissions.end(), drxRetransmission) == retransmissions.end()) {
        Refuse("DrxRetransmission", std::to_string(drxRetransmission) + " slots",
               "one of " + Listed(retransmissions) + " (TS 38.331)");
    }
    if (!drxShortCycle.IsZero()) {
        if (!In(short_cycles, drxShortCycle)) {
            Refuse("DrxShortCycle", Ms(drxShortCycle),
                   "one of " + Listed(short_cycles) + " ms (TS 38.331), or 0 for none");
        }
        if (drxCycle.GetNanoSeconds() % drxShortCycle.GetNanoSeconds() != 0) {
            Refuse("DrxShortCycle", Ms(drxShortCycle), "one of which DrxCycle, " + Ms(drxCycle) + ", is a multiple");
        }
        if (drxShortCycles < 1 || drxShortCycles > most_short_cycles) {
            Refuse("DrxShortCycles", std::to_string(drxShortCycles), "1 to " + std::to_string(most_short_cycles));
        }
    }
    const ns3::Time shortest = drxShortCycle.IsZero() ? drxCycle : drxShortCycle;
    if (drxOnDuration > shortest) {
        Refuse("DrxOnDuration", Ms(drxOnDuration), "at most a cycle, " + Ms(shortest));
    }
}

DrxTimes::DrxTimes(const DrxSettings& settings, const Numerology& numerology, unsigned gnbDelay)
    : retransmission(settings.drxRetransmission),
      roundTrip(std::min<std::uint64_t>(1 + 2 * gnbDelay, most_round_trip)) {
    const auto slots = [&](ns3::Time time) { // rounded up
        const std::int64_t scaled = time.GetNanoSeconds() * numerology.SlotsPerSubframe();
        return static_cast<std::uint64_t>((scaled + subframe_ns - 1) / subframe_ns);
    };
    cycle = slots(settings.drxCycle);
    onDuration = slots(settings.drxOnDuration);
    inactivity = slots(settings.drxInactivity);
    shortCycle = slots(settings.drxShortCycle);
    shortTime = shortCycle * settings.drxShortCycles;
}

std::uint64_t Drx::LastStart(std::uint64_t slot, std::uint64_t cycle) const {
    const std::uint64_t offset = m_offset % cycle, since = (slot % cycle + cycle - offset) % cycle;
    return since > slot ? std::numeric_limits<std::uint64_t>::max() : slot - since;
}

bool Drx::IsShort(std::uint64_t slot) const {
    return std::any_of(m_short.begin(), m_short.end(),
                       [&](const Span& each) { return each.from <= slot && slot < each.to; });
}

bool Drx::Active(std::uint64_t slot) const {
    if (!Used()) {
        return true;
    }
    constexpr auto none = std::numeric_limits<std::uint64_t>::max();
    if (const std::uint64_t start = LastStart(slot, m_times.cycle);
        start != none && slot - start < m_times.onDuration) {
        return true;
    }
    if (std::any_of(m_active.begin(), m_active.end(),
                    [&](const Span& each) { return each.from <= slot && slot < each.to; })) {
        return true;
    }
    if (m_short.empty()) {
        return false;
    }
    const std::uint64_t start = LastStart(slot, m_times.shortCycle);
    return start != none && slot - start < m_times.onDuration && IsShort(start);
}

std::uint64_t Drx::NextActive(std::uint64_t slot, std::uint64_t known) const {
    if (Active(slot)) {
        return slot;
    }
    const auto nextStart = [&](std::uint64_t from, std::uint64_t cycle) {
        return from + (m_offset % cycle + cycle - from % cycle) % cycle;
    };
    std::uint64_t next = nextStart(slot, m_times.cycle);
    for (const auto& each : m_active) {
        if (each.known <= known && each.from >= slot && each.from < each.to) {
            next = std::min(next, each.from);
        }
    }
    for (const auto& each : m_short) {
        if (const std::uint64_t start = nextStart(std::max(slot, each.from), m_times.shortCycle);
            each.known <= known && start < each.to) {
            next = std::min(next, start);
        }
    }
    return next;
}

void Drx::Stop(std::uint32_t cause, std::uint64_t slot) {
    for (auto& each : m_active) {
        if (each.cause == cause) {
            each.to = std::min(each.to, slot);
        }
    }
}

void Drx::Grant(std::uint64_t slot, Direction direction, unsigned harq, bool fresh) {
    if (!Used()) {
        return;
    }
    Stop(CauseOf(direction, harq), slot + 1);
    if (direction == Direction::Uplink) {
        Stop(by_request, slot + 1);
    }
    if (!fresh) {
        return;
    }
    const std::uint64_t end = slot + 1 + m_times.inactivity;
    const auto running = std::find_if(m_active.begin(), m_active.end(), [&](const Span& each) {
        return each.cause == by_grant && each.from <= slot && slot <= each.to;
    });
    if (running != m_active.end()) {
        running->to = std::max(running->to, end);
    } else {
        m_active.push_back({slot, end, slot, by_grant});
    }
    if (m_times.shortCycle > 0) {
        std::erase_if(m_short, [&](const Span& each) { return each.from > slot; }); // the timer has not run out
        m_short.push_back({end, end + m_times.shortTime, slot, by_grant});
    }
    NS_LOG_LOGIC("a grant in slot " << slot << ": awake until slot " << end);
}

void Drx::Request(std::uint64_t slot) {
    if (Used()) {
        Stop(by_request, slot);
        m_active.push_back({slot, std::numeric_limits<std::uint64_t>::max(), slot, by_request});
    }
}

void Drx::AwaitRetransmission(std::uint64_t slot, Direction direction, unsigned harq, std::uint64_t known) {
    if (Used() && m_times.retransmission > 0) {
        const std::uint64_t from = slot + m_times.roundTrip;
        m_active.push_back({from, from + m_times.retransmission, known, CauseOf(direction, harq)});
    }
}

void Drx::Reset(std::uint64_t slot) {
    for (auto* spans : {&m_active, &m_short}) {
        for (auto& each : *spans) {
            each.to = std::min(each.to, slot);
        }
    }
}

void Drx::Forget(std::uint64_t slot) {
    std::erase_if(m_active, [&](const Span& each) { return each.to <= slot || each.from >= each.to; });
    // An on-duration that began in the short cycle may still go on.
    std::erase_if(m_short,
                  [&](const Span& each) { return each.to + m_times.onDuration <= slot || each.from >= each.to; });
}

} // namespace edgelam::nr
