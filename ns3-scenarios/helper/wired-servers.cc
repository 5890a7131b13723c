// SPDX-License-Identifier: GPL-2.0-only
#include "wired-servers.h"

#include <algorithm>

#include "ns3/data-rate.h"
#include "ns3/ipv4-static-routing-helper.h"
#include "ns3/nstime.h"
#include "ns3/uinteger.h"

#include "wired-device.h"

using namespace ns3;

namespace edgelam {

namespace {

constexpr std::uint32_t queue_packets = 5000;
constexpr std::uint32_t largest_mtu = 65535;

} // namespace

NetDeviceContainer Connect(Ptr<Node> a, Ptr<Node> b, const WiredLink& link) {
    NetDeviceContainer devices;
    for (const auto& node : {a, b}) {
        const auto device = CreateObject<WiredDevice>();
        device->SetAttribute("DataRate", DataRateValue(DataRate(static_cast<std::uint64_t>(link.rateBps))));
        device->SetAttribute("QueueSize", UintegerValue(link.queuePackets));
        if (link.joined > 1) {
            device->SetAttribute("Mtu", UintegerValue(std::min(link.joined * link.packetBytes, largest_mtu)));
            device->SetAttribute("PacketSize", UintegerValue(link.packetBytes));
        }
        if (link.gapS > 0) {
            device->SetAttribute("InterframeGap", TimeValue(Seconds(link.gapS)));
        }
        node->AddDevice(device);
        devices.Add(device);
    }
    const auto channel = CreateObject<WiredChannel>();
    channel->SetAttribute("Delay", TimeValue(Seconds(link.delayS)));
    channel->Connect(DynamicCast<WiredDevice>(devices.Get(0)), DynamicCast<WiredDevice>(devices.Get(1)));
    return devices;
}

void SetsWires(Options& options, const std::string& rate, const std::string& delay) {
    const std::string device = "edgelam::WiredDevice";
    options.Sets(device, {{"DataRate", rate}, {"QueueSize", ""}});
    options.Sets("edgelam::WiredChannel", {{"Delay", delay}});
    options.Sets("ns3::PointToPointNetDevice",
                 {{"DataRate", rate}, {"InterframeGap", device + "::InterframeGap"}, {"Mtu", device + "::Mtu"}});
    options.Sets("ns3::PointToPointChannel", {{"Delay", delay}});
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
    SetsWires(options, "edgeRate", "edgeDelay");
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
