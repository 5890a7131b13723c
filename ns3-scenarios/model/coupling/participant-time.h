// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Simulated time as participants know it. It is ns-3's time minus the scenario's warm-up: 0 when they begin.
#pragma once

#include <cstdint>

namespace edgelam {

/// Now, ns; negative during the warm-up.
std::int64_t NowNs();

/// A time of ns-3, ns since its start, as participants know it.
std::int64_t ParticipantNs(std::int64_t simulatorNs);

/// From now on, participants' time is ns-3's time minus this.
void SetWarmUpNs(std::int64_t warmUpNs);

} // namespace edgelam
