// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Reports of layer 1 reference signal received power (L1-RSRP): TS 38.214 5.2.1.4.3, TS 38.133 10.1.6 and 10.1.19,
/// TS 38.212 6.3.1.1.2.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace edgelam::nr {

/// RSRP_x of TS 38.133 table 10.1.6.1-1 for layer 1: 16 below -140 dBm, 113 from -44 dBm on, 1 dB each between.
unsigned ReportedRsrp(double dbm);
/// DIFFRSRP_x of table 10.1.6.1-2: 2 dB each, 15 from 30 dB below the strongest on. \param belowDb 0 or more
unsigned ReportedDifference(double belowDb);

/// A beam as the gNB reads it in a report: the lower edge of the strongest value's range, and 2 dB less for each step
/// of a difference.
struct ReportedBeam {
    std::uint32_t beam;
    double rsrpDbm;
};

/// The report of the `most` strongest of these beams, the strongest first; of equal ones the first.
/// \param rsrpDbm [beam]
std::vector<ReportedBeam> ReportBeams(std::span<const double> rsrpDbm, unsigned most);

/// Bits of such a report: for each beam its indicator (CRI or SSBRI), 7 bits for the strongest, 4 for each other one.
/// \param beams that were measured, 1 or more
unsigned BeamReportBits(unsigned beams, unsigned most);

} // namespace edgelam::nr
