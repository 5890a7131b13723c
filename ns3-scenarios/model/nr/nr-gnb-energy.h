// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The energy of a gNB, slot by slot.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "nr-carrier.h"
#include "nr-power-account.h"
#include "nr-power-model.h"

namespace edgelam::nr {

/// In the downlink symbols of a slot with data, the gNB sends with as much of its power as resource blocks are used; in
/// a slot that has grants for uplink only, in its control symbols. In the uplink symbols of a slot in which somebody
/// sends a block it receives, and with short PUCCH alone in two of them. All other symbols are micro sleep. In FDD,
/// receiving while sending takes nothing more, as TR 38.864 5.1 has it.
///
/// GnbSleep allows deeper sleep: the gNB enters light and deep sleep when it has had nothing to do for as long as they
/// take to enter and leave. It wakes in no time: no packet waits for that. SSB, paging and broadcast are not counted.
class GnbEnergy {
  public:
    using Trace = PowerAccount::Trace;
    GnbEnergy(const Carrier& carrier, std::size_t elements, const Trace& trace);

    /// It sends a block on these groups of a slot; several UEs may share groups.
    void SendBlock(std::uint64_t slot, const std::vector<std::uint32_t>& groups);
    /// It sends a grant for an uplink block.
    void SendGrant(std::uint64_t slot, unsigned cces) { At(slot).cces += cces; }
    void ReceiveBlock(std::uint64_t slot) { At(slot).receives = 2; }
    void ReceiveShort(std::uint64_t slot) {
        Mark& mark = At(slot);
        mark.receives = std::max<std::uint8_t>(mark.receives, 1);
    }
    /// Account for all slots before this one.
    void Advance(std::uint64_t slot);
    double Joules(Direction direction) const { return m_account.Joules(direction); }

  private:
    struct Mark {
        std::uint64_t slot;
        std::uint64_t groups = 0; ///< bits
        unsigned cces = 0;
        std::uint8_t receives = 0; ///< 1: short PUCCH, 2: blocks
    };
    Mark& At(std::uint64_t slot);
    void BusySlot(const Mark& mark);
    void Idle(std::uint64_t end);

    const Carrier& m_carrier;
    const GnbPowerModel m_model;
    const SleepState m_deepest;
    PowerAccount m_account;
    std::uint64_t m_idle = 0; ///< idle slots so far
    std::deque<Mark> m_marks; ///< by slot
};

} // namespace edgelam::nr
