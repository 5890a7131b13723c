// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the scenario and the agent tell each other, a message every 100 ms of simulated time.
#pragma once

#include <cstdint>

/// Of the last 100 ms.
struct Observation {
    double time_s;
    double goodput_bps;
    double mean_delay_s; ///< of the packets that arrived
    std::uint32_t lost_packets;
    std::uint32_t queued_packets; ///< in front of the bottleneck, now
};

/// For the next 100 ms.
struct Action {
    double rate_bps; ///< of the source
};
