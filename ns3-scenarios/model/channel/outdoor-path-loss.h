// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Outdoor path loss, TR 38.901 table 7.4.1-1, as functions without steps.
///
/// ns-3's own loss models serve only as the reference in tests: their formulas are private, the RMa model asserts above
/// 30 GHz, the UMa model draws a random number on every call, the UMi model takes the end that is exactly 10 m high as
/// the base station, and each call makes objects.
#pragma once

#include "channel-statistics.h"

namespace edgelam {

// Losses are in dB, frequencies in GHz. Horizontal distances below 10 m count as 10 m, terminal heights below 1 m (RMa)
// or 1.5 m (UMa, UMi) as this height, and base station heights below 10 m (RMa) or 1.5 m (UMa, UMi) likewise.

/// Buildings are 5 m high and streets 20 m wide (the defaults of the table). Beyond the breakpoint the loss starts from
/// the straight distance there; the table uses the horizontal distance, which gives a step of up to 0.04 dB.
/// \param lessDb of the loss without line of sight, which stays at least that with it
double RmaPathLossDb(bool los, const LinkGeometry& geometry, double frequencyGHz, double lessDb = 0);

/// d_BP of note 5, m.
double RmaBreakpointM(const LinkGeometry& geometry, double frequencyGHz);

/// `environmentHeightUniform` in [0, 1): see ChannelStatistics::PathLossDb.
double UmaPathLossDb(bool los, const LinkGeometry& geometry, double frequencyGHz, double environmentHeightUniform);

double UmiPathLossDb(bool los, const LinkGeometry& geometry, double frequencyGHz);

} // namespace edgelam
