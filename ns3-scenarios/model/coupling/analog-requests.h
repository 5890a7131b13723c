// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The analog transfers that participants request, from the request to the record.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "analog-transfer.h"
#include "clock-host.h"
#include "exposed-node.h"

namespace edgelam {

class AnalogRequests {
  public:
    AnalogRequests(ClockHost& clock, const std::vector<ExposedNode>& nodes) : m_clock(clock), m_nodes(nodes) {}
    AnalogRequests(const AnalogRequests&) = delete;
    AnalogRequests& operator=(const AnalogRequests&) = delete;

    /// A request with its tail.
    void Start(int p, const Request& frame);
    /// \return false if there is no such transfer
    bool Cancel(int p, std::uint64_t id);
    /// True while a transfer is in progress.
    bool Outstanding() const { return !m_running.empty(); }

  private:
    using Key = std::pair<int, std::uint64_t>; ///< participant and the number it gave
    void Ended(Key key, std::size_t senders, const AnalogOutcome& outcome);

    ClockHost& m_clock;
    const std::vector<ExposedNode>& m_nodes;
    std::map<Key, std::function<void()>> m_running; ///< what cancels them
};

} // namespace edgelam
