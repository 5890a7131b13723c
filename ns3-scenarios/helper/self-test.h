// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The traffic that a scenario makes if nobody is attached: every device sends to a server and gets an answer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "request-handler.h"

namespace edgelam {

struct SelfTestOptions {
    std::string traffic = "transfers"; ///< or "bulk-send": ns-3's own applications, the baseline for speed; "none"
    std::string protocol = "tcp";
    std::uint64_t bytes = 1'000'000; ///< each way
    std::string format = "table";    ///< or "json"
};

/// Sends `bytes` from every node of role ue to a server (roles edge and cloud, in turn) and, when they have arrived,
/// as many back. "bulk-send", only over TCP, lets ns-3's BulkSend and PacketSink move the same bytes, only upwards,
/// with the same TCP settings. Runs the simulation (at most `stopTimeS` of simulated time) and prints a result table.
/// \return the exit status: 0 if everything arrived
int RunSelfTest(const SelfTestOptions& options, const std::vector<ExposedNode>& nodes, double stopTimeS);

} // namespace edgelam
