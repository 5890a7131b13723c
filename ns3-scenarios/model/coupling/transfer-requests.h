// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The transfers that participants request, from the request to the reports about each receiver.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ns3/ptr.h"

#include "clock-host.h"
#include "exposed-node.h"
#include "held-array.h"

namespace edgelam {

class TransferRequests {
  public:
    TransferRequests(ClockHost& clock, const std::vector<ExposedNode>& nodes) : m_clock(clock), m_nodes(nodes) {}
    ~TransferRequests();
    TransferRequests(const TransferRequests&) = delete;
    TransferRequests& operator=(const TransferRequests&) = delete;

    /// A request with its tail.
    void Start(int p, const Request& frame);
    void Cancel(int p, const bridge::CancelTransfer& cancel);
    void Claim(int p, const bridge::ClaimNode& claim);
    /// Participant p has left: what arrives at the nodes that it had claimed is reported to participant 0.
    void Detached(int p);
    /// True while a transfer is in progress.
    bool Outstanding() const { return !m_running.empty(); }

  private:
    using Key = std::pair<int, std::uint64_t>; ///< participant and the number it gave
    struct Running {
        ns3::Ptr<Transfer> transfer; ///< null until Send has returned
        std::shared_ptr<HeldArray> payload;
        std::string meta;
    };

    /// The application of a node; null, with the reason, if there is no such node or it has no application.
    ns3::Ptr<TransferApplication> ApplicationOf(std::uint32_t node, std::string& reason) const;
    void DeliveredAt(Key key, Transfer& transfer, std::size_t share);
    void EndedAt(Key key, Transfer& transfer, std::size_t share);
    const ExposedNode* Find(std::uint32_t id) const;
    /// The text that there is no such node, and which nodes exist.
    std::string Unknown(std::uint32_t id) const;

    ClockHost& m_clock;
    const std::vector<ExposedNode>& m_nodes;
    std::map<std::uint32_t, int> m_claims; ///< node -> participant, where not 0
    std::map<Key, Running> m_running;
};

} // namespace edgelam
