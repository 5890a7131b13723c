// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// When synchronisation signal blocks are sent (TS 38.213 4.1).
#pragma once

#include <cstdint>
#include <vector>

#include "nr-carrier.h"

namespace edgelam::nr {

constexpr unsigned ssb_prbs = 20; ///< of a block (TS 38.211 7.4.3.1), which has 4 symbols

/// The symbols of a block, in symbols of the carrier.
struct SsbPlace {
    unsigned slot; ///< of the half frame
    unsigned first, count;
    bool operator==(const SsbPlace&) const = default;
};

/// Candidates in a half frame, by index: cases A (15 kHz), C (30 kHz), D (120 kHz, which 60 kHz carriers also use), F
/// (480 kHz) and G (960 kHz): 4 below 3 GHz, otherwise 8 in FR1, and 64 in FR2 and above.
std::vector<SsbPlace> SsbCandidates(const Numerology& numerology, double frequencyHz);

/// Blocks at the beginning of each SS burst set period. Of the candidates, the first are used that lie in downlink
/// symbols in every burst (ssb-PositionsInBurst).
class SsbBurst {
  public:
    /// The number of blocks for which the pattern of a carrier has room.
    static unsigned Room(const Carrier& carrier);
    /// Throws std::invalid_argument, with both numbers, for more blocks than there is room for.
    SsbBurst(const Carrier& carrier, unsigned blocks);

    const std::vector<SsbPlace>& Places() const { return m_places; }
    std::uint64_t PeriodSlots() const { return m_period; }
    /// How many bursts have ended before this slot begins.
    std::uint64_t EndedBefore(std::uint64_t slot) const {
        return slot < Length() ? 0 : (slot - Length()) / m_period + 1;
    }
    /// The slot of the last block of a burst.
    std::uint64_t LastSlot(std::uint64_t burst) const { return burst * m_period + Length() - 1; }
    /// Symbols of a slot that blocks take, on all resource blocks, since they have beams of their own.
    unsigned Symbols(std::uint64_t slot) const {
        const std::uint64_t at = slot % m_period;
        return at < m_symbols.size() ? m_symbols[at] : 0;
    }
    /// The slots until the end of the last block.
    std::uint64_t Length() const { return m_symbols.size(); }

  private:
    static std::vector<SsbPlace> Usable(const Carrier& carrier);
    std::uint64_t m_period;
    std::vector<SsbPlace> m_places;
    std::vector<unsigned> m_symbols; ///< [slot of the burst]
};

} // namespace edgelam::nr
