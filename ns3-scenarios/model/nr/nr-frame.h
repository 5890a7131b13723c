// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Time in NR: numerologies, slots and symbols (TS 38.211 4.2 to 4.3, 5.3.1), and what the symbols of a slot carry.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace edgelam::nr {

constexpr unsigned symbols_per_slot = 14; ///< normal cyclic prefix
constexpr std::int64_t subframe_ns = 1'000'000;
constexpr unsigned subframes_per_frame = 10;

/// Subcarrier spacing 2^mu x 15 kHz with normal cyclic prefix, and the times that follow from it. mu = 4 (240 kHz) is
/// for synchronisation signals only and is not supported here.
class Numerology {
  public:
    /// Throws std::invalid_argument unless mu is 0, 1, 2, 3, 5 or 6.
    explicit Numerology(unsigned mu);

    unsigned Mu() const { return m_mu; }
    std::int64_t SubcarrierSpacingHz() const { return std::int64_t{15'000} << m_mu; }
    unsigned SlotsPerSubframe() const { return 1U << m_mu; }
    unsigned SlotsPerFrame() const { return subframes_per_frame * SlotsPerSubframe(); }
    /// 1 ms / 2^mu, in ns: the mean length of the slots in half a subframe; if mu is 0 or 1, every slot has this
    /// length.
    std::int64_t MeanSlotNs() const { return subframe_ns >> m_mu; }

    /// Symbols from the end of a downlink block until a UE of processing capability 1 has decoded it (N1 of TS 38.214
    /// table 5.3-1, with front-loaded DMRS alone), and from the end of a grant until its uplink block is prepared (N2
    /// of table 6.4-1).
    unsigned DecodingSymbols() const;
    unsigned PreparationSymbols() const;
    /// Slots by which message 3 of random access comes later than K2 after its grant (TS 38.214 table 6.1.2.1.1-5).
    unsigned MessageThreeSlots() const;

    /// Start of a symbol after the start of its subframe, ns, rounded to the nearest; symbolInSubframe may be anything
    /// from 0 to 14 x 2^mu, where the last value is the end of the subframe. The first symbol of each half subframe has
    /// a cyclic prefix 16 Ts = 0.52 us longer than the others (TS 38.211 5.3.1).
    std::int64_t SymbolStartNs(unsigned symbolInSubframe) const;

    /// Start of slot `slot` since time 0, ns. All slots of a subframe together last 1 ms exactly; for mu of 2 and more
    /// the first slot of each half subframe is 0.52 us longer than the others.
    std::int64_t SlotStartNs(std::int64_t slot) const;
    std::int64_t SlotNs(std::int64_t slot) const { return SlotStartNs(slot + 1) - SlotStartNs(slot); }
    /// Start of a symbol of a slot since time 0, ns.
    std::int64_t SymbolStartNs(std::int64_t slot, unsigned symbolInSlot) const;
    std::int64_t SymbolNs(std::int64_t slot, unsigned symbolInSlot) const;

    /// The slot at this time. \param timeNs since time 0, >= 0
    std::int64_t SlotAt(std::int64_t timeNs) const;

  private:
    unsigned m_mu;
};

/// Symbols first, ..., first + count - 1 of a slot.
struct SymbolRange {
    unsigned first = 0;
    unsigned count = 0;
    bool operator==(const SymbolRange&) const = default;
};

enum class SlotKind : std::uint8_t {
    Downlink,
    Uplink,
    Special, ///< downlink, then guard, then uplink
    Paired   ///< FDD: downlink and uplink at the same time, each in its band
};

/// What the symbols of a slot carry; a range with count 0 means none.
struct SlotFormat {
    SlotKind kind = SlotKind::Downlink;
    SymbolRange downlink, uplink;
};

/// Slots that repeat for ever (as tdd-UL-DL-ConfigurationCommon of TS 38.213 11.1 does).
class SlotPattern {
  public:
    /// "FDD"; or, for TDD, one letter for each slot, D (downlink), U (uplink) or S (special), then the split of the
    /// special slots in symbols of downlink, guard and uplink: "DDDSU:10,2,2". Without a split, 10,2,2 is used.
    ///
    /// Throws std::invalid_argument for an unknown letter, no symbol of downlink or of uplink, a split that does not
    /// add up to 14 or has no guard, a split without a special slot, uplink after downlink without a guard between
    /// them, or more than 320 slots (maxNrofSlots of TS 38.331).
    static SlotPattern Parse(std::string_view text);

    /// Check that TS 38.213 11.1 (tdd-UL-DL-ConfigurationCommon) allows this pattern with this numerology. Throws
    /// std::invalid_argument, with the legal periods, for any other TDD pattern. A legal one is one part (downlink
    /// slots, at most one special slot, uplink slots) with a legal period, or two such parts, or a repetition of these.
    void CheckPeriod(const Numerology& numerology) const;

    bool IsFdd() const { return m_slots.front().kind == SlotKind::Paired; }
    std::size_t NumSlots() const { return m_slots.size(); }
    const SlotFormat& At(std::int64_t slot) const { return m_slots[static_cast<std::size_t>(slot) % m_slots.size()]; }

    /// Symbols of one period.
    unsigned DownlinkSymbols() const;
    unsigned UplinkSymbols() const;
    /// The first slot from `slot` on with at least `symbols` symbols of uplink (or downlink); -1 if no slot of the
    /// pattern has that many.
    std::int64_t NextUplink(std::int64_t slot, unsigned symbols = 1) const;
    std::int64_t NextDownlink(std::int64_t slot, unsigned symbols = 1) const;

  private:
    std::vector<SlotFormat> m_slots;
};

} // namespace edgelam::nr
