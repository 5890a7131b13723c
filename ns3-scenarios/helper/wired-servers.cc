// SPDX-License-Identifier: GPL-2.0-only
#include "wired-servers.h"

#include "ns3/data-rate.h"
#include "ns3/ipv4-static-routing-helper.h"
#include "ns3/nstime.h"
#include "ns3/point-to-point-helper.h"
#include "ns3/string.h"

using namespace ns3;

namespace edgelam {

namespace {

constexpr std::uint32_t queue_packets = 5000;

} // namespace

NetDeviceContainer Connect(Ptr<Node> a, Ptr<Node> b, const WiredLink& link) {
    PointToPointHelper helper;
    helper.DisableFlowControl(); // the device's queue is the only one
    helper.SetDeviceAttribute("DataRate", DataRateValue(DataRate(static_cast<std::uint64_t>(link.rateBps))));
    if (link.gapS > 0) {
        helper.SetDeviceAttribute("InterframeGap", TimeValue(Seconds(link.gapS)));
    }
    helper.SetChannelAttribute("Delay", TimeValue(Seconds(link.delayS)));
    helper.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue(std::to_string(link.queuePackets) + "p"));
    return helper.Install(a, b);
}

Ptr<Node> AddServer(Ptr<Node> router, const WiredLink& link, const InternetStackHelper& stack,
                    Ipv4AddressHelper& addresses) {
    auto server = CreateObject<Node>();
    stack.Install(server);
    const auto interfaces = addresses.Assign(Connect(router, server, link));
    addresses.NewNetwork();
    Ipv4StaticRoutingHelper()
        .GetStaticRouting(server->GetObject<Ipv4>())
        ->SetDefaultRoute(interfaces.GetAddress(0), interfaces.Get(1).second);
    return server;
}

void ServerLinks::AddOptions(Options& options, const std::string& router) {
    options.Time("edgeDelay", edgeDelayS, "delay of each edge server's link, one way", 0, 1);
    options.Rate("edgeRate", edgeRate, "rate of each edge server's link", 1e6, 1e12);
    options.Time("cloudDelay", cloudDelayS, "delay between " + router + " and cloud0, one way", 0, 1);
    options.Rate("cloudRate", cloudRate, "rate of the cloud's link", 1e6, 1e12);
    options.Sets("ns3::PointToPointNetDevice", {{"DataRate", "edgeRate"}});
    options.Sets("ns3::PointToPointChannel", {{"Delay", "edgeDelay"}});
}

void WiredServers::AddOptions(Options& options, const std::string& router) {
    options.Integer("numEdge", m_numEdge, "edge servers edge0, ... behind the " + router, 0, 100);
    m_links.AddOptions(options, router);
}

void WiredServers::Install(Ptr<Node> router, const Ipv4Address& network, const Expose& expose) const {
    InternetStackHelper stack;
    stack.SetIpv6StackInstall(false);
    Ipv4AddressHelper addresses(network, "255.255.255.252");
    const auto add = [&](const std::string& name, const std::string& role, double rateBps, double delayS) {
        expose(AddServer(router, {rateBps, delayS, queue_packets}, stack, addresses), name, role, delayS);
    };
    for (std::uint32_t i = 0; i < m_numEdge; ++i) {
        add("edge" + std::to_string(i), "edge", m_links.edgeRate, m_links.edgeDelayS);
    }
    add("cloud0", "cloud", m_links.cloudRate, m_links.cloudDelayS);
}

} // namespace edgelam
