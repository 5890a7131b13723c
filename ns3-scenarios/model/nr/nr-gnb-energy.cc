// SPDX-License-Identifier: GPL-2.0-only
#include "nr-gnb-energy.h"

#include <algorithm>
#include <cmath>

namespace edgelam::nr {

namespace {

constexpr unsigned short_symbols = 2; ///< of an uplink slot, for short PUCCH

SleepState SleepOf(const std::string& name) {
    return name == "deep" ? SleepState::Deep : name == "light" ? SleepState::Light : SleepState::Micro;
}

} // namespace

GnbEnergy::GnbEnergy(const Carrier& carrier, std::size_t elements, const Trace& trace)
    : m_carrier(carrier),
      m_model(carrier.settings, carrier.range, carrier.pattern.IsFdd(), elements, carrier.settings.gnbPowerDbm),
      m_deepest(SleepOf(carrier.settings.gnbSleep)), m_account(carrier, carrier.settings.gnbPowerUnitW, -1, 0, trace) {}

GnbEnergy::Mark& GnbEnergy::At(std::uint64_t slot) {
    auto place = m_marks.end();
    while (place != m_marks.begin() && std::prev(place)->slot >= slot) {
        --place;
    }
    return place == m_marks.end() || place->slot != slot ? *m_marks.insert(place, {slot}) : *place;
}

void GnbEnergy::SendBlock(std::uint64_t slot, const std::vector<std::uint32_t>& groups) {
    Mark& mark = At(slot);
    for (const auto g : groups) {
        mark.groups |= std::uint64_t{1} << g;
    }
}

void GnbEnergy::Advance(std::uint64_t end) {
    while (m_account.Next() < end) {
        if (!m_marks.empty() && m_marks.front().slot == m_account.Next()) {
            BusySlot(m_marks.front());
            m_marks.pop_front();
        } else {
            Idle(m_marks.empty() ? end : std::min(end, m_marks.front().slot));
        }
    }
}

void GnbEnergy::BusySlot(const Mark& mark) {
    m_idle = 0;
    const auto& slot = m_carrier.pattern.At(static_cast<std::int64_t>(m_account.Next()));
    unsigned prbs = 0;
    for (unsigned g = 0; g < m_carrier.numGroups; ++g) {
        prbs += (mark.groups >> g & 1U) != 0 ? m_carrier.PrbsOf(g) : 0;
    }
    unsigned sends = 0;
    double load = 0;
    if (prbs > 0) {
        sends = slot.downlink.count;
        load = static_cast<double>(prbs) / m_carrier.numPrbs;
    } else if (mark.cces > 0 && m_carrier.settings.controlSymbols > 0) {
        sends = m_carrier.settings.controlSymbols;
        load = std::min(1.0, static_cast<double>(mark.cces) / m_carrier.control.NumCces());
    }
    const unsigned receives = mark.receives == 0 || (m_carrier.pattern.IsFdd() && sends > 0) ? 0
                              : mark.receives == 2 ? slot.uplink.count
                                                   : std::min(short_symbols, slot.uplink.count);
    const double micro = m_model.micro();
    const double down = (m_model.Down(load) - micro) * sends / symbols_per_slot,
                 up = (m_model.Up() - micro) * receives / symbols_per_slot;
    m_account.Count(1,
                    prbs > 0    ? PowerRecord::data
                    : sends > 0 ? PowerRecord::control
                                : PowerRecord::micro_sleep,
                    mark.receives, micro + down, up);
}

/// Each state begins at a slot boundary.
void GnbEnergy::Idle(std::uint64_t end) {
    const auto slotsFor = [&](SleepState state) {
        return state < m_deepest
                   ? UINT64_MAX
                   : static_cast<std::uint64_t>(std::ceil(m_model.Of(state).leastMs / m_account.SlotMs()));
    };
    while (m_account.Next() < end) {
        const std::uint64_t light = slotsFor(SleepState::Light), deep = slotsFor(SleepState::Deep);
        const SleepState state = m_idle >= deep    ? SleepState::Deep
                                 : m_idle >= light ? SleepState::Light
                                                   : SleepState::Micro;
        const std::uint64_t changes = state == SleepState::Deep    ? UINT64_MAX
                                      : state == SleepState::Light ? deep
                                                                   : light;
        const std::uint64_t slots = std::min(end - m_account.Next(), changes - m_idle);
        const bool enters = m_idle == (state == SleepState::Deep ? deep : light) && state != SleepState::Micro;
        m_account.Count(slots, static_cast<PowerRecord::State>(state), 0, m_model.Of(state).units, 0,
                        enters ? m_model.Of(state).transition : 0);
        m_idle += slots;
    }
}

} // namespace edgelam::nr
