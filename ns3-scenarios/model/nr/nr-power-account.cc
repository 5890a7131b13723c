// SPDX-License-Identifier: GPL-2.0-only
#include "nr-power-account.h"

namespace edgelam::nr {

PowerAccount::PowerAccount(const Carrier& carrier, double unitW, std::int32_t ue, std::uint64_t slot,
                           const Trace& trace)
    : m_carrier(carrier), m_trace(trace), m_unitW(unitW),
      m_slotMs(1e-6 * static_cast<double>(carrier.numerology.MeanSlotNs())), m_ue(ue), m_next(slot) {}

void PowerAccount::Count(std::uint64_t slots, PowerRecord::State state, std::uint8_t uplink, double down, double up,
                         double transition) {
    const double unitJ = 1e-3 * m_unitW; // of a unit in one ms
    const double ms = static_cast<double>(slots) * m_slotMs;
    const double downJ = (down * ms + transition) * unitJ, upJ = up * ms * unitJ;
    m_joules[0] += downJ;
    m_joules[1] += upJ;
    if (!m_trace.IsEmpty()) {
        m_trace({.time_ns = m_carrier.numerology.SlotStartNs(static_cast<std::int64_t>(m_next)),
                 .slot = m_next,
                 .slots = static_cast<std::uint32_t>(slots),
                 .ue = m_ue,
                 .state = static_cast<std::uint8_t>(state),
                 .uplink = uplink,
                 .power_w = (down + up) * m_unitW,
                 .down_j = downJ,
                 .up_j = upJ});
    }
    m_next += slots;
}

void PowerAccount::CountSum(std::uint64_t slots, double units) {
    m_joules[0] += units * m_slotMs * 1e-3 * m_unitW;
    m_next += slots;
}

} // namespace edgelam::nr
