// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Discontinuous reception of a connected UE (TS 38.321 5.7): the slots in which it listens to PDCCH.
#pragma once

#include <cstdint>
#include <vector>

#include "ns3/nstime.h"

#include "channel-link.h"
#include "nr-frame.h"

namespace edgelam::nr {

/// Settings of DRX, named as in TS 38.331 (DRX-Config).
struct DrxSettings {
    ns3::Time drxCycle = ns3::MilliSeconds(0);        ///< drx-LongCycle; 0: the UE always listens
    ns3::Time drxOnDuration = ns3::MilliSeconds(8);   ///< drx-onDurationTimer
    ns3::Time drxInactivity = ns3::MilliSeconds(100); ///< drx-InactivityTimer
    ns3::Time drxShortCycle = ns3::MilliSeconds(0);   ///< drx-ShortCycle; 0: none
    unsigned drxShortCycles = 4;                      ///< drx-ShortCycleTimer, in short cycles
    unsigned drxRetransmission = 16;                  ///< drx-RetransmissionTimerDL and UL, slots

    /// Throws std::invalid_argument naming the attribute, the value and what TS 38.331 allows.
    void CheckDrx() const;
};

/// The same in slots.
struct DrxTimes {
    DrxTimes(const DrxSettings& settings, const Numerology& numerology, unsigned gnbDelay);

    std::uint64_t cycle, onDuration, inactivity, shortCycle, shortTime, retransmission;
    /// Slots from a HARQ feedback, or an uplink block, until the gNB may send the grant that follows: the HARQ RTT
    /// timers have this length, and at most the 56 symbols of the standard.
    std::uint64_t roundTrip;
};

/// When one UE listens. The UE and its gNB agree on it: the gNB sends grants in active time only.
///
/// Active time is the on-duration at the beginning of each cycle, the inactivity timer after each grant of a new block,
/// the retransmission timers, and the time from a scheduling request to its grant. After the inactivity timer the short
/// cycle holds for drxShortCycles short cycles, if there is one. Without a cycle, a UE always listens.
///
/// Times are whole slots: a timer that begins with a grant runs in all slots after that of the grant.
class Drx {
  public:
    /// \param offset drx-StartOffset, slots
    Drx(const DrxTimes& times, std::uint64_t offset) : m_times(times), m_offset(offset) {}

    bool Used() const { return m_times.cycle > 0; }
    /// Whether the UE listens in a slot, as far as is known now.
    bool Active(std::uint64_t slot) const;
    /// The first slot from this one on in which it listens, as far as is known now, or was known in slot `known`.
    std::uint64_t NextActive(std::uint64_t slot, std::uint64_t known = UINT64_MAX) const;

    /// A grant for a HARQ process comes in this slot. \param fresh it is for a new block
    void Grant(std::uint64_t slot, Direction direction, unsigned harq, bool fresh);
    /// A scheduling request is sent in this slot.
    void Request(std::uint64_t slot);
    /// A block is sent again at the earliest a round trip after this slot, in which its feedback (downlink) or itself
    /// (uplink) is sent. \param known the slot since which the UE knows that
    void AwaitRetransmission(std::uint64_t slot, Direction direction, unsigned harq, std::uint64_t known);
    /// The UE resets its MAC: timers stop.
    void Reset(std::uint64_t slot);
    /// Nobody will ask about slots before this one.
    void Forget(std::uint64_t slot);

  private:
    /// Slots [from, to); the UE knows of it since slot `known`.
    struct Span {
        std::uint64_t from, to, known;
        std::uint32_t cause; ///< the HARQ process that a retransmission timer runs for, or one of the constants below
    };
    static constexpr std::uint32_t by_grant = UINT32_MAX, by_request = UINT32_MAX - 1;
    static std::uint32_t CauseOf(Direction direction, unsigned harq) {
        return 2 * harq + (direction == Direction::Uplink ? 1 : 0);
    }
    void Stop(std::uint32_t cause, std::uint64_t slot);
    std::uint64_t LastStart(std::uint64_t slot, std::uint64_t cycle) const;
    bool IsShort(std::uint64_t slot) const;

    DrxTimes m_times;
    std::uint64_t m_offset;
    std::vector<Span> m_active; ///< beside on-durations
    std::vector<Span> m_short;  ///< in which the short cycle holds
};

} // namespace edgelam::nr
