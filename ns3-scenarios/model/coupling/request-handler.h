// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Carries out what participants ask for: transfers, readings of observables, settings of controls, posts.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ns3/event-id.h"
#include "ns3/node.h"
#include "ns3/ptr.h"

#include "clock-host.h"
#include "registry.h"
#include "transfer-application.h"

namespace edgelam {

/// A node that participants see. Its number on the bridge is its ns-3 node id.
struct ExposedNode {
    ns3::Ptr<ns3::Node> node;
    std::string name;
    std::string role;
    ns3::Ptr<TransferApplication> application; ///< null without IPv4: nothing can be sent from it or to it
};

class RequestHandler : public RequestSink {
  public:
    RequestHandler(ClockHost& clock, const std::vector<ExposedNode>& nodes, Registry& registry);
    ~RequestHandler() override;

    /// What participants get at attach.
    static std::string Catalogue(const std::string& scenario, int participants, const std::vector<ExposedNode>& nodes,
                                 const Registry& registry);

    void Handle(int participant, const Request& request) override;
    void Detached(int participant) override;
    bool Outstanding() const override;

  private:
    /// One hold of the host on an array.
    class HeldArray;
    using Key = std::pair<int, std::uint64_t>; ///< participant and the number it gave
    struct Running {
        ns3::Ptr<Transfer> transfer; ///< null until Send has returned
        std::shared_ptr<HeldArray> payload;
        std::string meta;
    };
    struct Subscription {
        std::size_t observable;
        std::int64_t periodNs;
        bool aside; ///< it keeps no run alive
        ns3::EventId event;
        std::int64_t every = 0; ///< where the observable has its own period: this period in terms of that
        std::int64_t skip = 0;  ///< and how many announcements to let pass
    };

    void StartTransfer(int p, const bridge::TransferRequest& request, const Request& frame);
    void DeliveredAt(Key key, Transfer& transfer, std::size_t share);
    void EndedAt(Key key, Transfer& transfer, std::size_t share);
    void ReadOnce(int p, std::uint64_t request, std::size_t observable);
    void Sample(Key key);
    void Subscribe(int p, const bridge::ReadObservable& read);
    /// A subscription has ended.
    void Ended(Subscription& subscription);
    bool Recorded(std::size_t observable) const;
    void Announced(std::size_t observable);
    void Refuse(int p, std::uint64_t id, std::uint16_t type, const std::string& reason);
    const ExposedNode* Find(std::uint32_t id) const;
    std::string NodeNames() const;

    ClockHost& m_clock;
    const std::vector<ExposedNode>& m_nodes;
    Registry& m_registry;
    std::map<std::uint32_t, int> m_claims; ///< node -> participant, where not 0
    std::map<Key, Running> m_transfers;
    std::map<Key, Subscription> m_subscriptions;
};

} // namespace edgelam
