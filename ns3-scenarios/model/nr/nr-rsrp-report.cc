// SPDX-License-Identifier: GPL-2.0-only
#include "nr-rsrp-report.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <numeric>

namespace edgelam::nr {

namespace {

constexpr double lower_edge_dbm = -157; ///< of RSRP_0, as if the range of layer 3 went on below
constexpr double least_value = 16, most_value = 113;
constexpr unsigned rsrp_bits = 7, difference_bits = 4; ///< table 6.3.1.1.2-6 of TS 38.212

} // namespace

unsigned ReportedRsrp(double dbm) {
    return static_cast<unsigned>(std::clamp(std::floor(dbm - lower_edge_dbm), least_value, most_value));
}

unsigned ReportedDifference(double belowDb) {
    return static_cast<unsigned>(std::clamp(std::floor(belowDb / 2), 0.0, 15.0));
}

std::vector<ReportedBeam> ReportBeams(std::span<const double> rsrpDbm, unsigned most) {
    std::vector<std::uint32_t> order(rsrpDbm.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::greater<>(), [&](std::uint32_t beam) { return rsrpDbm[beam]; });
    order.resize(std::min<std::size_t>(order.size(), most));
    std::vector<ReportedBeam> report;
    for (const auto beam : order) {
        const double strongest = rsrpDbm[order.front()];
        report.push_back(
            {beam, lower_edge_dbm + ReportedRsrp(strongest) - 2.0 * ReportedDifference(strongest - rsrpDbm[beam])});
    }
    return report;
}

unsigned BeamReportBits(unsigned beams, unsigned most) {
    const unsigned reported = std::min(beams, most), indicator = static_cast<unsigned>(std::bit_width(beams - 1));
    return reported * indicator + rsrp_bits + (reported - 1) * difference_bits;
}

} // namespace edgelam::nr
