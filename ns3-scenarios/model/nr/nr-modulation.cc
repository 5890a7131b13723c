// SPDX-License-Identifier: GPL-2.0-only
#include "nr-modulation.h"

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>
#include <string>

namespace edgelam::nr {

namespace {

/// \param rate R x 1024 as the tables have it
constexpr Mcs Row(unsigned bitsPerSymbol, double rate) {
    return {static_cast<std::uint8_t>(bitsPerSymbol), static_cast<std::uint16_t>(2 * rate)};
}

// TS 38.214 table 5.1.3.1-1
constexpr std::array mcs1{Row(2, 120), Row(2, 157), Row(2, 193), Row(2, 251), Row(2, 308), Row(2, 379),
                          Row(2, 449), Row(2, 526), Row(2, 602), Row(2, 679), Row(4, 340), Row(4, 378),
                          Row(4, 434), Row(4, 490), Row(4, 553), Row(4, 616), Row(4, 658), Row(6, 438),
                          Row(6, 466), Row(6, 517), Row(6, 567), Row(6, 616), Row(6, 666), Row(6, 719),
                          Row(6, 772), Row(6, 822), Row(6, 873), Row(6, 910), Row(6, 948)};
// table 5.1.3.1-2
constexpr std::array mcs2{Row(2, 120), Row(2, 193), Row(2, 308), Row(2, 449), Row(2, 602), Row(4, 378),   Row(4, 434),
                          Row(4, 490), Row(4, 553), Row(4, 616), Row(4, 658), Row(6, 466), Row(6, 517),   Row(6, 567),
                          Row(6, 616), Row(6, 666), Row(6, 719), Row(6, 772), Row(6, 822), Row(6, 873),   Row(8, 682.5),
                          Row(8, 711), Row(8, 754), Row(8, 797), Row(8, 841), Row(8, 885), Row(8, 916.5), Row(8, 948)};
// table 5.1.3.1-3
constexpr std::array mcs3{Row(2, 30),  Row(2, 40),  Row(2, 50),  Row(2, 64),  Row(2, 78),  Row(2, 99),
                          Row(2, 120), Row(2, 157), Row(2, 193), Row(2, 251), Row(2, 308), Row(2, 379),
                          Row(2, 449), Row(2, 526), Row(2, 602), Row(4, 340), Row(4, 378), Row(4, 434),
                          Row(4, 490), Row(4, 553), Row(4, 616), Row(6, 438), Row(6, 466), Row(6, 517),
                          Row(6, 567), Row(6, 616), Row(6, 666), Row(6, 719), Row(6, 772)};
// table 5.1.3.1-4
constexpr std::array mcs4{Row(2, 120),  Row(2, 193),    Row(2, 449), Row(4, 378),   Row(4, 490), Row(4, 616),
                          Row(6, 466),  Row(6, 517),    Row(6, 567), Row(6, 616),   Row(6, 666), Row(6, 719),
                          Row(6, 772),  Row(6, 822),    Row(6, 873), Row(8, 682.5), Row(8, 711), Row(8, 754),
                          Row(8, 797),  Row(8, 841),    Row(8, 885), Row(8, 916.5), Row(8, 948), Row(10, 805.5),
                          Row(10, 853), Row(10, 900.5), Row(10, 948)};

// TS 38.214 tables 5.2.2.1-2 to -5, from index 1
constexpr std::array cqi1{Row(2, 78),  Row(2, 120), Row(2, 193), Row(2, 308), Row(2, 449),
                          Row(2, 602), Row(4, 378), Row(4, 490), Row(4, 616), Row(6, 466),
                          Row(6, 567), Row(6, 666), Row(6, 772), Row(6, 873), Row(6, 948)};
constexpr std::array cqi2{Row(2, 78),  Row(2, 193), Row(2, 449), Row(4, 378), Row(4, 490),
                          Row(4, 616), Row(6, 466), Row(6, 567), Row(6, 666), Row(6, 772),
                          Row(6, 873), Row(8, 711), Row(8, 797), Row(8, 885), Row(8, 948)};
constexpr std::array cqi3{Row(2, 30),  Row(2, 50),  Row(2, 78),  Row(2, 120), Row(2, 193),
                          Row(2, 308), Row(2, 449), Row(2, 602), Row(4, 378), Row(4, 490),
                          Row(4, 616), Row(6, 466), Row(6, 567), Row(6, 666), Row(6, 772)};
constexpr std::array cqi4{Row(2, 78),  Row(2, 193), Row(2, 449), Row(4, 378),  Row(4, 616),
                          Row(6, 567), Row(6, 666), Row(6, 772), Row(6, 873),  Row(8, 711),
                          Row(8, 797), Row(8, 885), Row(8, 948), Row(10, 853), Row(10, 948)};
static_assert(mcs1.size() == 29 && mcs2.size() == 28 && mcs3.size() == 29 && mcs4.size() == 27);
static_assert(cqi1.size() == 15 && cqi2.size() == 15 && cqi3.size() == 15 && cqi4.size() == 15);

std::span<const Mcs> Rows(McsTable table) {
    switch (table) {
    case McsTable::Qam64:
        return mcs1;
    case McsTable::Qam256:
        return mcs2;
    case McsTable::Qam64LowEfficiency:
        return mcs3;
    default:
        return mcs4;
    }
}

std::span<const Mcs> Rows(CqiTable table) {
    switch (table) {
    case CqiTable::Qam64:
        return cqi1;
    case CqiTable::Qam256:
        return cqi2;
    case CqiTable::Qam64LowEfficiency:
        return cqi3;
    default:
        return cqi4;
    }
}

} // namespace

McsTable McsTableOf(unsigned number) {
    if (number < 1 || number > 4) {
        throw std::invalid_argument("MCS table " + std::to_string(number) +
                                    ": must be 1 (64QAM), 2 (256QAM), 3 (64QAM, low efficiency) or 4 (1024QAM)");
    }
    return static_cast<McsTable>(number);
}

unsigned NumMcs(McsTable table) {
    return static_cast<unsigned>(Rows(table).size());
}

const Mcs& McsAt(McsTable table, unsigned index) {
    const auto rows = Rows(table);
    if (index >= rows.size()) {
        throw std::invalid_argument("MCS " + std::to_string(index) + ": table " +
                                    std::to_string(static_cast<unsigned>(table)) + " has 0 to " +
                                    std::to_string(rows.size() - 1));
    }
    return rows[index];
}

const Mcs& CqiAt(CqiTable table, unsigned index) {
    const auto rows = Rows(table);
    if (index < 1 || index > rows.size()) {
        throw std::invalid_argument("CQI " + std::to_string(index) + ": only 1 to 15 have a modulation");
    }
    return rows[index - 1];
}

unsigned HighestMcs(McsTable table, double efficiency) {
    const auto rows = Rows(table);
    unsigned index = NumMcs(table) - 1;
    while (index > 0 && rows[index].Efficiency() > efficiency) {
        --index;
    }
    return index;
}

unsigned McsOfCqi(McsTable table, CqiTable cqiTable, unsigned cqi) {
    return cqi == 0 ? 0 : HighestMcs(table, CqiAt(cqiTable, cqi).Efficiency());
}

unsigned HighestCqi(CqiTable table, double efficiency) {
    const auto rows = Rows(table);
    auto index = static_cast<unsigned>(rows.size());
    while (index > 0 && rows[index - 1].Efficiency() > efficiency) {
        --index;
    }
    return index;
}

unsigned ReportedCqi(unsigned subband, unsigned wideband) {
    return subband < wideband ? wideband - 1 : std::min(subband, wideband + 2);
}

} // namespace edgelam::nr
