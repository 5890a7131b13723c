// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The energy of one UE's radio, slot by slot.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "nr-carrier.h"
#include "nr-drx.h"
#include "nr-power-account.h"
#include "nr-power-model.h"

namespace edgelam::nr {

/// A slot has one power, that of what the UE does in it (nr-power-model): data, listening to PDCCH, sleeping; and
/// sending. The energy of a slot with uplink only belongs to uplink. In a slot with both, what sending takes beyond
/// micro sleep belongs to uplink, and the rest, like all listening and sleeping, to downlink.
///
/// In active time (Drx), the UE listens in each slot with downlink symbols, and is in micro sleep in the others.
/// Outside it, the UE knows when it must be awake again, and takes the deepest sleep for which this time is long
/// enough; the energy of the transitions counts when the sleep begins. A packet that the UE wants to send wakes it at
/// once.
///
/// Slots are accounted for in their order and at the latest when somebody asks: what is told is about slots that have
/// not been accounted for.
class UeEnergy {
  public:
    using Trace = PowerAccount::Trace;
    /// \param slot the first that counts \param trace is called with each stretch of slots
    UeEnergy(const Carrier& carrier, const DrxTimes& drx, std::uint32_t ue, unsigned rxAntennas, std::uint64_t slot,
             const Trace& trace);

    Drx& GetDrx() { return m_drx; }
    /// The UE gets data in this slot.
    void Receive(std::uint64_t slot) { At(slot, slot).receives = true; }
    /// The UE sends a block, or a short PUCCH or sounding. \param known the slot since which it knows that it will
    void SendLong(std::uint64_t slot, double dbm, unsigned layers, std::uint64_t known);
    void SendShort(std::uint64_t slot, double dbm, std::uint64_t known);
    /// Account for all slots before this one.
    void Advance(std::uint64_t slot);
    double Joules(Direction direction) const { return m_account.Joules(direction); }

  private:
    /// What is known to happen in a slot.
    struct Mark {
        std::uint64_t slot, known;
        bool receives = false;
        double longUnits = 0, shortUnits = 0;
    };
    Mark& At(std::uint64_t slot, std::uint64_t known);
    void AwakeSlot(const Mark& mark);
    void AsleepUntil(std::uint64_t end);
    /// \return the number of slots that were accounted for as whole patterns
    std::uint64_t ListenInPatterns(std::uint64_t slots);

    const Carrier& m_carrier;
    const UePowerModel m_model;
    Drx m_drx;
    PowerAccount m_account;
    std::uint32_t m_ue;
    std::deque<Mark> m_marks;          ///< by slot
    std::optional<SleepState> m_sleep; ///< that of the slots before the next
    double m_patternUnits = 0;         ///< of a whole pattern in which the UE only listens
};

} // namespace edgelam::nr
