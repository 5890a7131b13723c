// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Path loss outdoors, TR 38.901 table 7.4.1-1, as functions without steps.
///
/// ns-3's own loss models are the reference they are tested against, and no more: their formulas are private, RMa's
/// asserts above 30 GHz, UMa's draws at random on every call, UMi's takes whichever end is exactly 10 m high for the
/// base station, and each call makes objects.
#pragma once

#include "channel-statistics.h"

namespace edgelam {

// Loss in dB. Horizontal distances below 10 m count as 10 m, terminals below 1 m (RMa) or 1.5 m (UMa, UMi) as that
// high, base stations below 10 m (RMa) or 1.5 m likewise. Frequencies in GHz.

/// Buildings 5 m high, streets 20 m wide (the table's defaults). Beyond the breakpoint the loss starts from the
/// straight distance there; the table has the horizontal one, and so a step of up to 0.04 dB.
double RmaPathLossDb(bool los, const LinkGeometry& geometry, double frequencyGHz);

/// d_BP of note 5, m.
double RmaBreakpointM(const LinkGeometry& geometry, double frequencyGHz);

/// `environmentHeightUniform` in [0, 1): see ChannelStatistics::PathLossDb.
double UmaPathLossDb(bool los, const LinkGeometry& geometry, double frequencyGHz, double environmentHeightUniform);

double UmiPathLossDb(bool los, const LinkGeometry& geometry, double frequencyGHz);

} // namespace edgelam
