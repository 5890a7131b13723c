// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Modulation and coding schemes and channel quality indicators: the tables of TS 38.214.
#pragma once

#include <cstdint>

namespace edgelam::nr {

/// TS 38.214 tables 5.1.3.1-1 to -4, for downlink, and for uplink without transform precoding (6.1.4.1), where table 4
/// does not exist.
enum class McsTable : std::uint8_t { Qam64 = 1, Qam256 = 2, Qam64LowEfficiency = 3, Qam1024 = 4 };

/// TS 38.214 tables 5.2.2.1-2 to -5; each belongs to the MCS table with the same number.
enum class CqiTable : std::uint8_t { Qam64 = 1, Qam256 = 2, Qam64LowEfficiency = 3, Qam1024 = 4 };

/// Modulation and code rate. Tables 2 and 4 have halves in R x 1024, hence the unit.
struct Mcs {
    std::uint8_t bitsPerSymbol; ///< Q_m: 2, 4, 6, 8 or 10
    std::uint16_t rate2048;     ///< R x 2048
    constexpr double CodeRate() const { return rate2048 / 2048.0; }
    constexpr double Efficiency() const { return bitsPerSymbol * CodeRate(); } ///< bit/s/Hz of one layer
    constexpr bool operator==(const Mcs&) const = default;
};

/// 1 to 4. Throws std::invalid_argument for another number.
McsTable McsTableOf(unsigned number);

/// Number of schemes with a code rate: 29, 28, 29 and 27. (The rows after these are for retransmissions.)
unsigned NumMcs(McsTable table);
/// Throws std::invalid_argument for an index from NumMcs(table) on.
const Mcs& McsAt(McsTable table, unsigned index);

/// Throws std::invalid_argument unless index is 1 to 15; 0 means out of range.
const Mcs& CqiAt(CqiTable table, unsigned index);

/// The MCS with the highest index whose efficiency is at most this; 0 if none is that low.
unsigned HighestMcs(McsTable table, double efficiency);
/// The same for the efficiency of a CQI. CQI 0 gives 0.
unsigned McsOfCqi(McsTable table, CqiTable cqiTable, unsigned cqi);
/// The highest CQI whose efficiency is at most this; 0 if none is that low.
unsigned HighestCqi(CqiTable table, double efficiency);
/// What the gNB learns about the CQI of a sub-band, which is reported in two bits relative to that of the whole band
/// (TS 38.214 table 5.2.2.1-1): equal, one more, two or more (read as two more), or less (read as one less).
unsigned ReportedCqi(unsigned subband, unsigned wideband);

} // namespace edgelam::nr
