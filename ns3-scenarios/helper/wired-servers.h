// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Servers behind a router: edge servers and a cloud, each on its own wired link.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-address-helper.h"
#include "ns3/net-device-container.h"
#include "ns3/node.h"

#include "options.h"

namespace edgelam {

/// A point-to-point link, the same both ways.
struct WiredLink {
    double rateBps, delayS;
    std::uint32_t queuePackets;       ///< drop-tail queue at each end, the only one there
    double gapS = 0;                  ///< after each packet
    std::uint32_t joined = 1;         ///< packets that may be simulated as one (packet-train.h)
    std::uint32_t packetBytes = 1500; ///< the largest of them
};

/// \return the devices at a and at b, which are edgelam::WiredDevice
ns3::NetDeviceContainer Connect(ns3::Ptr<ns3::Node> a, ns3::Ptr<ns3::Node> b, const WiredLink& link);

/// Declare what Connect sets, and that these wires are none of ns-3's point-to-point links.
/// \param rate, delay names of the options to use instead
void SetsWires(Options& options, const std::string& rate, const std::string& delay);

/// A new node with IPv4 of that stack on a link to the router, through which its default route goes.
/// \param addresses of networks of one link each
ns3::Ptr<ns3::Node> AddServer(ns3::Ptr<ns3::Node> router, const WiredLink& link, const ns3::InternetStackHelper& stack,
                              ns3::Ipv4AddressHelper& addresses);

/// The links of edge servers and cloud, as options.
struct ServerLinks {
    double edgeDelayS, edgeRate = 10e9, cloudDelayS = 20e-3, cloudRate = 1e9;

    /// Add edgeDelay, edgeRate, cloudDelay and cloudRate to a scenario's command line.
    /// \param router at which the cloud's link begins, for the help
    void AddOptions(Options& options, const std::string& router);
};

/// Edge servers and a cloud behind one router.
class WiredServers {
  public:
    /// Add numEdge and those of ServerLinks. \param router its name, for the help
    void AddOptions(Options& options, const std::string& router);

    /// Make edge0, ... and cloud0, one after the other, and expose each with its name, role and delay.
    using Expose = std::function<void(ns3::Ptr<ns3::Node> server, const std::string& name, const std::string& role,
                                      double delayS)>;
    void Install(ns3::Ptr<ns3::Node> router, const ns3::Ipv4Address& network, const Expose& expose) const;

    double CloudDelayS() const { return m_links.cloudDelayS; }

  private:
    std::uint32_t m_numEdge = 1;
    ServerLinks m_links{1e-3};
};

} // namespace edgelam
