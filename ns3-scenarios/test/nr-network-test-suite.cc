// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Devices of an NR cell and the network around it: who reaches whom, drops, multicast, refusals.

#include <map>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/inet-socket-address.h"
#include "ns3/ipv4-header.h"
#include "ns3/ipv4-l3-protocol.h"
#include "ns3/node-container.h"
#include "ns3/simulator.h"
#include "ns3/socket.h"
#include "ns3/string.h"
#include "ns3/udp-socket-factory.h"

#include "channel-testbed.h"
#include "nr-helper.h"
#include "wired-device.h"

using namespace edgelam;
using namespace edgelam::test;
using ns3::Packet;
using ns3::Ptr;

namespace {

constexpr std::uint16_t port = 9;

/// A cell with `numUe` UEs 40 m away in a row, an edge server at the site, one behind the UPF, and a cloud.
class Network {
  public:
    explicit Network(std::uint32_t numUe, const std::vector<const char*>& arguments = {}) {
        Options options("test", "a test");
        helper.AddOptions(options);
        std::vector<const char*> line{"test"};
        line.insert(line.end(), arguments.begin(), arguments.end());
        options.Parse(static_cast<int>(line.size()), line.data());
        helper.AssignStreams(1);
        auto channel = ns3::CreateObject<RadioChannel>();
        channel->SetAttribute("Deployment", ns3::StringValue("UMi"));
        channel->SetAttribute("LosState", ns3::StringValue("Always"));
        nodes.push_back(PlacedNode({0, 0, 10}));
        helper.InstallGnb(nodes[0], channel);
        for (std::uint32_t i = 0; i < numUe; ++i) {
            nodes.push_back(PlacedNode({40, 10.0 * i, 1.5}));
            helper.InstallUe(nodes.back());
        }
        nodes.push_back(helper.AddServer(NrHelper::Place::Site, 10e9, 1e-4));
        nodes.push_back(helper.AddServer(NrHelper::Place::Upf, 10e9, 1e-4));
        nodes.push_back(helper.AddServer(NrHelper::Place::Upf, 1e9, 20e-3));
    }
    ~Network() { ns3::Simulator::Destroy(); }

    static ns3::Ipv4Address AddressOf(const Ptr<ns3::Node>& node) {
        return node->GetObject<ns3::Ipv4>()->GetAddress(1, 0).GetLocal();
    }

    Ptr<ns3::Socket> Socket(const Ptr<ns3::Node>& node) {
        auto socket = ns3::Socket::CreateSocket(node, ns3::UdpSocketFactory::GetTypeId());
        socket->Bind(ns3::InetSocketAddress(ns3::Ipv4Address::GetAny(), port));
        socket->SetRecvCallback(ns3::Callback<void, Ptr<ns3::Socket>>([this](Ptr<ns3::Socket> at) {
            while (const auto packet = at->Recv()) {
                ++received;
                bytes += packet->GetSize();
                lastS = ns3::Simulator::Now().GetSeconds();
            }
        }));
        return socket;
    }

    void Send(const Ptr<ns3::Socket>& from, std::size_t to, std::uint32_t size) {
        from->SendTo(ns3::Create<Packet>(size), 0, ns3::InetSocketAddress(AddressOf(nodes[to]), port));
    }

    void Run(double seconds) {
        ns3::Simulator::Stop(ns3::Seconds(seconds));
        ns3::Simulator::Run();
    }

    NrHelper helper;
    std::vector<Ptr<ns3::Node>> nodes; ///< gNB, UEs, edge at the site, edge behind the UPF, cloud
    std::uint64_t received = 0, bytes = 0;
    double lastS = 0;

  private:
    static Ptr<ns3::Node> PlacedNode(const ns3::Vector& position) {
        auto node = ns3::CreateObject<ns3::Node>();
        auto mobility = ns3::CreateObject<ns3::ConstantPositionMobilityModel>();
        mobility->SetPosition(position);
        node->AggregateObject(mobility);
        return node;
    }
};

void EverybodyReachesEverybody(Case& test) {
    Network network(3);
    std::vector<Ptr<ns3::Socket>> sockets;
    for (const auto& node : network.nodes) {
        sockets.push_back(network.Socket(node));
    }
    const std::size_t count = sockets.size();
    for (std::size_t from = 0; from < count; ++from) {
        for (std::size_t to = 0; to < count; ++to) {
            if (from != to) {
                network.Send(sockets[from], to, 500);
                network.Send(sockets[from], to, 4000); // in three fragments
            }
        }
    }
    network.Run(1);
    test.True(network.received == 2 * count * (count - 1), "every datagram arrives");
    test.True(network.bytes == 4500 * count * (count - 1), "whole");
}

/// When a datagram from UE 0 to node `to` arrives, s.
double ArrivalS(std::size_t to) {
    Network network(1, {"--backhaulDelay=100ms"});
    const auto source = network.Socket(network.nodes[1]), sink = network.Socket(network.nodes[to]);
    network.Send(source, to, 100);
    network.Run(1);
    return network.lastS;
}

void LocalBreakout(Case& test) {
    const double site = ArrivalS(2), upf = ArrivalS(3), cloud = ArrivalS(4);
    test.True(site > 0 && site < 0.02, "traffic of the site does not cross the backhaul");
    test.Near(upf - site, 0.1, 1e-5, "behind the UPF: the backhaul's delay later");
    test.Near(cloud - upf, 0.0199, 1e-5, "the cloud: its link's");
}

void Drops(Case& test) {
    Network network(1);
    const auto gnb = network.helper.GetGnbDevice();
    std::uint64_t traced = 0;
    gnb->TraceConnectWithoutContext("MacTxDrop",
                                    ns3::Callback<void, Ptr<const Packet>>([&](Ptr<const Packet>) { ++traced; }));
    const auto packetTo = [](ns3::Ipv4Address destination) {
        ns3::Ipv4Header header;
        header.SetDestination(destination);
        header.SetPayloadSize(1480);
        auto packet = ns3::Create<Packet>(1480);
        packet->AddHeader(header);
        return packet;
    };
    const auto send = [&](Ptr<Packet> packet, std::uint16_t protocol = ns3::Ipv4L3Protocol::PROT_NUMBER) {
        return gnb->Send(packet, gnb->GetBroadcast(), protocol);
    };
    const auto ue = Network::AddressOf(network.nodes[1]);
    test.True(!send(packetTo("10.45.9.9")) && !send(ns3::Create<Packet>(10)) && !send(packetTo(ue), 0x86dd),
              "nobody's address, no header, IPv6");
    test.True(gnb->GetCounters().droppedUnknown == 3 && traced == 3, "counted and traced");
    std::uint64_t taken = 0;
    constexpr std::uint64_t many = 8000; // 12 MB
    for (std::uint64_t i = 0; i < many; ++i) {
        taken += send(packetTo(ue));
    }
    const auto& counters = gnb->GetCounters();
    test.True(taken > 6000 && taken < 7000, "the bearer holds 10 MB");
    test.True(counters.sent == taken && counters.droppedFull == many - taken && traced == 3 + many - taken,
              "what does not fit is counted and traced");
    network.Run(2);
    test.True(network.helper.GetUeDevice(0)->GetCounters().received == taken, "the others arrive");
}

void MulticastByReplication(Case& test) {
    Network network(3);
    const auto gnb = network.helper.GetGnbDevice();
    ns3::Ipv4Header header;
    header.SetDestination("239.1.2.3");
    auto packet = ns3::Create<Packet>(100);
    packet->AddHeader(header);
    gnb->Send(packet, gnb->GetBroadcast(), ns3::Ipv4L3Protocol::PROT_NUMBER);
    network.Run(0.1);
    test.True(gnb->GetCounters().sent == 3, "one copy a UE");
    for (std::uint32_t ue = 0; ue < 3; ++ue) {
        test.True(network.helper.GetUeDevice(ue)->GetCounters().received == 1, "each gets it");
    }
}

/// A transfer to three UEs: each datagram crosses each link on its way once, and goes into one bearer of the cell.
void MulticastCrossesEachLinkOnce(Case& test) {
    for (const std::size_t source : {4, 5, 6, 7, 0}) { // UE 3, edge at the site, edge behind the UPF, cloud, gNB
        Network network(4);
        std::vector<Ptr<TransferApplication>> applications;
        for (const auto& node : network.nodes) {
            auto application = ns3::CreateObject<TransferApplication>();
            application->SetAttribute("Address", ns3::Ipv4AddressValue(Network::AddressOf(node)));
            node->AddApplication(application);
            network.helper.Tune(*application, false, 0.02);
            applications.push_back(application);
        }
        std::uint64_t wired = 0;
        const ns3::Callback<void, Ptr<const Packet>> count([&](Ptr<const Packet>) { ++wired; });
        const auto gnb = network.helper.GetGnbDevice();
        for (std::uint32_t i = 0; i < network.nodes[0]->GetNDevices(); ++i) { // at the gNB: from servers there, and N3
            if (const auto link = ns3::DynamicCast<WiredDevice>(network.nodes[0]->GetDevice(i))) {
                link->TraceConnectWithoutContext("MacRx", count);
            }
        }
        std::uint64_t complete = 0;
        ns3::Simulator::Schedule(ns3::Seconds(0.1), [&, source] {
            TransferSpec spec;
            spec.protocol = bridge::TransferProtocol::udp;
            spec.size_bytes = 100 * 1472;
            applications[source]->Send(
                spec, {applications[1], applications[2], applications[3]}, [](Transfer&, std::size_t) {},
                [&](Transfer& transfer, std::size_t i) {
                    complete += transfer.shares[i].record.delivered_bytes == transfer.spec.size_bytes;
                });
        });
        network.Run(2);
        const std::string who = "from node " + std::to_string(source);
        test.True(complete == 3, who + ": everything arrives");
        test.True(gnb->GetCounters().sent == 100, who + ": each datagram into one bearer");
        test.True(wired == (source >= 5 ? 100 : 0), who + ": over the wire to the gNB once");
        test.True(network.helper.GetUeDevice(3)->GetCounters().sent == (source == 4 ? 100 : 0), who + ": up once");
        test.True(network.helper.GetUeDevice(3)->GetCounters().received == 0, who + ": to nobody else");
    }
}

void GroupsOfTheDevice(Case& test) {
    Network network(3);
    const auto gnb = network.helper.GetGnbDevice();
    gnb->AddGroup("239.45.1.1", {0, 2});
    test.Refuses([&] { gnb->AddGroup("239.45.1.1", {0, 1}); }, {"taken"}, "twice");
    test.Refuses([&] { gnb->AddGroup("10.45.0.9", {0, 1}); }, {"no multicast address"}, "unicast");
    test.Refuses([&] { gnb->AddGroup("239.45.1.2", {7}); }, {"UE 7"}, "nobody");
    gnb->AddGroup("239.45.1.2", {1});
    test.True(gnb->RemoveGroup("239.45.1.1"), "removed");
    test.True(gnb->FindUe(Network::AddressOf(network.nodes[2])) == 1u && !gnb->FindUe("10.46.0.2"), "UEs by address");
}

void Refusals(Case& test) {
    const auto refuses = [&](const char* argument, const std::vector<std::string>& texts) {
        test.Refuses([&] { Network network(1, {argument}); }, texts, argument);
    };
    refuses("--bandwidth=33", {"bandwidth 33 MHz", "100 MHz"});
    refuses("--numerology=3", {"numerology 3", "0, 1 or 2"});
    refuses("--pattern=DDDD", {"DDDD", "no uplink"});
    refuses("--ueAntennas=3", {"--ueAntennas=3", "even"});
    test.Refuses<OptionError>([] { Network network(1, {"--maxLayers=5"}); }, {"--maxLayers=5", "0 to 4"}, "layers");
    Network network(2);
    test.Refuses(
        [&] {
            network.helper.GetGnbDevice()->AddUe(2, ns3::CreateObject<nr::UeNetDevice>(),
                                                 Network::AddressOf(network.nodes[1]));
        },
        {"one IPv4 address"}, "an address twice");
    const auto device = network.helper.GetGnbDevice();
    test.True(!device->SetMtu(67) && !device->SetMtu(9001) && device->SetMtu(9000), "MTU of 68 to 9000 bytes");
}

/// A datagram of class CS5 beside thousands of class CS0 that wait: of another UE or of the same one, down and up. It
/// is hardly later than with nobody else there.
void HighPriorityIsNotDelayed(Case& test) {
    for (const bool uplink : {false, true}) {
        for (const std::size_t lowUe : {1, 2}) {
            std::map<std::pair<bool, int>, double> delayS; // [load, class selector]
            for (const bool load : {false, true}) {
                for (const int selector : {0, 5}) {
                    Network network(2, {"--bandwidth=20", "--scheduler=rr"});
                    const auto at = [&](std::size_t ue) { return uplink ? std::size_t{3} : ue; };
                    const auto from = [&](std::size_t ue) { return uplink ? ue : std::size_t{3}; };
                    const auto socket = [&](std::size_t node, std::uint16_t number) {
                        auto made = ns3::Socket::CreateSocket(network.nodes[node], ns3::UdpSocketFactory::GetTypeId());
                        made->Bind(ns3::InetSocketAddress(ns3::Ipv4Address::GetAny(), number));
                        return made;
                    };
                    const auto low = socket(from(lowUe), 7), high = socket(from(2), 8), lowSink = socket(at(lowUe), 10),
                               sink = socket(at(2), 11);
                    high->SetIpTos(static_cast<std::uint8_t>(8 * selector << 2)); // DSCP 8 x class
                    double arrivedS = 0;
                    std::uint64_t lowPackets = 0;
                    sink->SetRecvCallback(ns3::Callback<void, Ptr<ns3::Socket>>([&](Ptr<ns3::Socket> socket) {
                        socket->Recv();
                        arrivedS = ns3::Simulator::Now().GetSeconds();
                    }));
                    lowSink->SetRecvCallback(ns3::Callback<void, Ptr<ns3::Socket>>([&](Ptr<ns3::Socket> socket) {
                        while (socket->Recv()) {
                            ++lowPackets;
                        }
                    }));
                    const auto to = [&](std::size_t ue, std::uint16_t number) {
                        return ns3::InetSocketAddress(Network::AddressOf(network.nodes[at(ue)]), number);
                    };
                    for (int i = 0; load && i < 2000; ++i) {
                        low->SendTo(ns3::Create<Packet>(1400), 0, to(lowUe, 10));
                    }
                    ns3::Simulator::Schedule(ns3::MilliSeconds(20),
                                             [&] { high->SendTo(ns3::Create<Packet>(1000), 0, to(2, 11)); });
                    network.Run(2);
                    test.True(arrivedS > 0 && lowPackets == (load ? 2000 : 0), "everything arrives");
                    delayS[{load, selector}] = arrivedS - 20e-3;
                }
            }
            test.True(delayS[{true, 5}] < delayS[{false, 5}] + 10e-3,
                      "not delayed: " + std::to_string(delayS[{true, 5}]) + " s, alone " +
                          std::to_string(delayS[{false, 5}]) + " s");
            test.True(lowUe == 1 || delayS[{true, 0}] > delayS[{true, 5}] + 30e-3,
                      "behind the others without priority: " + std::to_string(delayS[{true, 0}]));
        }
    }
}

/// What comes over a wire for a UE goes to it without the gNB's IPv4, and arrives as if IPv4 had forwarded it; IPv4
/// has all else.
void Forwarding(Case& test) {
    using ns3::Ipv4L3Protocol;
    Network network(1);
    const auto gnb = network.nodes[0]->GetObject<Ipv4L3Protocol>();
    const auto ue = network.Socket(network.nodes[1]), site = network.Socket(network.nodes[2]),
               upf = network.Socket(network.nodes[3]);
    int forwarded = 0, expired = 0;
    gnb->TraceConnectWithoutContext(
        "UnicastForward", ns3::Callback<void, const ns3::Ipv4Header&, Ptr<const Packet>, std::uint32_t>(
                              [&](const ns3::Ipv4Header&, Ptr<const Packet>, std::uint32_t) { ++forwarded; }));
    gnb->TraceConnectWithoutContext(
        "Drop", ns3::Callback<void, const ns3::Ipv4Header&, Ptr<const Packet>, Ipv4L3Protocol::DropReason,
                              Ptr<ns3::Ipv4>, std::uint32_t>(
                    [&](const ns3::Ipv4Header&, Ptr<const Packet>, Ipv4L3Protocol::DropReason reason, Ptr<ns3::Ipv4>,
                        std::uint32_t) { expired += reason == Ipv4L3Protocol::DROP_TTL_EXPIRED; }));
    std::vector<int> timesToLive;
    network.nodes[1]->GetObject<Ipv4L3Protocol>()->TraceConnectWithoutContext(
        "LocalDeliver", ns3::Callback<void, const ns3::Ipv4Header&, Ptr<const Packet>, std::uint32_t>(
                            [&](const ns3::Ipv4Header& header, Ptr<const Packet>, std::uint32_t) {
                                timesToLive.push_back(header.GetTtl());
                            }));
    network.Send(site, 1, 500);
    network.Run(0.1);
    network.Send(upf, 1, 500);
    network.Run(0.1);
    test.True(network.received == 2 && forwarded == 0, "without the gNB's IPv4");
    test.True(timesToLive == std::vector{63, 62}, "each router takes one from the time to live");
    network.Send(site, 1, 4000);
    network.Run(0.1);
    test.True(network.received == 3 && forwarded == 3, "three fragments");
    site->SetIpTtl(1);
    network.Send(site, 1, 500);
    network.Run(0.1);
    test.True(network.received == 3 && expired == 1, "no time to live left");
    site->SetIpTtl(64);
    gnb->SetDown(1);
    network.Send(site, 1, 500);
    network.Run(0.1);
    test.True(network.received == 3, "the interface is down");
    gnb->SetUp(1);
    network.Send(site, 1, 500);
    network.Run(0.1);
    test.True(network.received == 5, "up again; the other datagram has gone to and fro between gNB and UPF meanwhile");
}

CaseSuite networkTestSuite("edgelam-nr-network", {{"everybody reaches everybody", EverybodyReachesEverybody},
                                                  {"forwarding", Forwarding},
                                                  {"local breakout", LocalBreakout},
                                                  {"drops", Drops},
                                                  {"multicast by replication", MulticastByReplication},
                                                  {"multicast crosses each link once", MulticastCrossesEachLinkOnce},
                                                  {"groups of the device", GroupsOfTheDevice},
                                                  {"high priority is not delayed", HighPriorityIsNotDelayed},
                                                  {"refusals", Refusals}});

} // namespace
