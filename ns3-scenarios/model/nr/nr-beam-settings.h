// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Settings of analog beams, with defaults and names of TS 38.331 where there are any.
#pragma once

#include "ns3/nstime.h"

namespace edgelam::nr {

/// Attributes of a cell with analog beams; nr-cell-beams.cc explains what they mean.
struct BeamSettings {
    unsigned ssbRows = 0, ssbColumns = 0; ///< 0: as many as there is room for
    unsigned beamOversampling = 2, uePanels = 0, reportedBeams = 4, qclSymbols = 14;
    ns3::Time ssbPeriod = ns3::MilliSeconds(20), csiRsPeriod = ns3::MilliSeconds(40);
    double beamMarginDb = 1;
    unsigned beamFailureMaxCount = 3, beamFailureTimer = 4; ///< in measurements
    double beamCandidateDbm = -110;
    ns3::Time beamRecoveryTimer = ns3::MilliSeconds(100);
    /// Throws std::invalid_argument naming the attribute, the value and what is legal.
    void CheckBeams() const;
};

} // namespace edgelam::nr
