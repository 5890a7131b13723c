// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The energy that the radio of a UE or a gNB has taken, slot after slot.
#pragma once

#include <array>
#include <cstdint>

#include "ns3/traced-callback.h"

#include "nr-carrier.h"
#include "nr-records.h"

namespace edgelam::nr {

/// Sums the energy of slots in their order, and tells the trace of each stretch of slots.
class PowerAccount {
  public:
    using Trace = ns3::TracedCallback<const PowerRecord&>;
    /// \param unitW the power of one unit \param ue of the records; -1: the gNB \param slot the first that counts
    PowerAccount(const Carrier& carrier, double unitW, std::int32_t ue, std::uint64_t slot, const Trace& trace);

    /// The first slot that has not been accounted for.
    std::uint64_t Next() const { return m_next; }
    /// Of a slot.
    double SlotMs() const { return m_slotMs; }
    bool IsTraced() const { return !m_trace.IsEmpty(); }
    /// Account for the next `slots` slots. \param down, up units of power \param transition units x ms, once
    void Count(std::uint64_t slots, PowerRecord::State state, std::uint8_t uplink, double down, double up,
               double transition = 0);
    /// The same for slots that no trace tells of. \param units the sum over these slots, all of downlink
    void CountSum(std::uint64_t slots, double units);
    double Joules(Direction direction) const { return m_joules[static_cast<std::size_t>(direction)]; }

  private:
    const Carrier& m_carrier;
    const Trace& m_trace;
    const double m_unitW, m_slotMs;
    const std::int32_t m_ue;
    std::uint64_t m_next;
    std::array<double, 2> m_joules{};
};

} // namespace edgelam::nr
