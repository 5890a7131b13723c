// SPDX-License-Identifier: GPL-2.0-only
#include "nr-network-helper.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <utility>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-list-routing-helper.h"
#include "ns3/ipv4-routing-table-entry.h"
#include "ns3/ipv4-static-routing-helper.h"
#include "ns3/mobility-model.h"
#include "ns3/simulator.h"

#include "link-budget.h"
#include "nr-analog.h"

using namespace ns3;

namespace edgelam {

namespace {

constexpr std::uint32_t queue_packets = 20000;
constexpr double tunnel_bits = 8 * 36; ///< IPv4, UDP and GTP-U headers on the N3 links

InternetStackHelper Stack(const Ipv4RoutingHelper& routing) {
    InternetStackHelper stack;
    stack.SetIpv6StackInstall(false);
    stack.SetRoutingHelper(routing);
    return stack;
}

/// A /24 of 10.46.0.0/16; of more than 256 sites, of 10.64.0.0/10.
Ipv4Address SiteNetwork(std::uint32_t site) {
    constexpr std::uint32_t few = 256;
    return Ipv4Address(site < few ? Ipv4Address("10.46.0.0").Get() + (site << 8)
                                  : Ipv4Address("10.64.0.0").Get() + ((site - few) << 8));
}

Ptr<Ipv4StaticRouting> RoutingOf(const Ptr<Node>& node) {
    return Ipv4StaticRoutingHelper().GetStaticRouting(node->GetObject<Ipv4>());
}

} // namespace

void NrNetworkHelper::AddOptions(Options& options) {
    m_radio.AddOptions(options);
    options.Section("Interference and received power");
    options.Attribute("explicitInterferers", m_networkValues, "ExplicitInterferers");
    options.Attribute("relevance", m_networkValues, "Relevance", {.unit = "dB"});
    AddReceivedPowerOptions(options, m_networkValues);
    options.Section("Handover");
    options.Choice("handover", m_decision,
                   "who decides: the gNB, when event A3 is reported, or a participant through the control handover",
                   {"a3", "external"});
    options.Real("a3Offset", m_offsetDb, "dB", "Off of event A3", -15, 15);
    options.Real("a3Hysteresis", m_hysteresisDb, "dB", "Hys of event A3", 0, 15);
    options.Time("timeToTrigger", m_timeToTriggerS, "time-to-trigger of event A3, one of TS 38.331 TimeToTrigger", 0,
                 5.12);
    options.Integer("filterCoefficient", m_filter, "k of layer 3 filtering", 0, 19);
    options.Time("t304", m_t304S, "longest time from a handover command to random access in the new cell", 0.05, 10);
    options.Integer("contentionPreambles", m_settings.access.preambles,
                    "of 64 preambles, those that UEs draw; the others are given to one UE each in a handover", 1, 63);
    options.Integer("preambleTransMax", m_settings.access.transmissions,
                    "preambles that may fail before a random access problem is counted", 3, 200);
    options.Time("preambleBackoff", m_backoffS, "longest wait before the next preamble, after contention", 0, 1.92);
    options.Flag("noForwarding", m_noForwarding, "packets that the old gNB has are lost in a handover");
    options.Section("Tiers");
    options.Integer("numSiteEdge", m_numSiteEdge, "edge servers at each gNB: edge0, ...", 0, 20);
    options.Integer("numUpfEdge", m_numUpfEdge, "edge servers behind the UPF, whose numbers follow those at the gNBs",
                    0, 100);
    options.Integer("numEdge", m_numEdge, "edge servers at least: those that are missing are added behind the UPF", 0,
                    1000);
    m_links.AddOptions(options, "UPF");
}

std::int64_t NrNetworkHelper::AssignStreams(std::int64_t stream) {
    m_stream = stream;
    return m_radio.AssignStreams(stream) + 2;
}

void NrNetworkHelper::MakeUpf() {
    m_upf = CreateObject<Node>();
    Stack(Ipv4StaticRoutingHelper()).Install(m_upf);
    m_network = CreateObject<nr::Network>();
    m_networkValues.Apply(m_network);
    m_network->AssignStreams(m_stream + 2);
    m_ues->network = m_network;
    m_backhaul = std::make_unique<NrBackhaul>(m_upf, [this](std::uint32_t ue, std::uint32_t gnb) { RouteTo(ue, gnb); });
}

std::uint32_t NrNetworkHelper::AddGnb(Ptr<Node> node, Ptr<RadioChannel> channel, const std::vector<Sector>& sectors) {
    if (!m_upf) {
        MakeUpf();
    }
    const std::uint32_t number = NumGnbs();
    for (const Sector& sector : sectors) {
        m_network->AddCell(m_radio.MakeCell(node, sector.channel ? sector.channel : channel,
                                            sector.bearingDeg * std::numbers::pi / 180, sector.powerDbm));
        m_gnbOf.push_back(number);
    }
    Stack(Ipv4StaticRoutingHelper()).Install(node);
    const auto devices = Connect(
        node, m_upf,
        {m_radio.BackhaulRateBps(), m_radio.BackhaulDelayS(), queue_packets, tunnel_bits / m_radio.BackhaulRateBps()});
    const auto interfaces = m_n3.Assign(devices);
    m_n3.NewNetwork();
    RoutingOf(node)->SetDefaultRoute(interfaces.GetAddress(1), interfaces.Get(0).second);
    RoutingOf(m_upf)->AddNetworkRouteTo(SiteNetwork(number), Ipv4Mask("255.255.255.0"), interfaces.GetAddress(0),
                                        interfaces.Get(1).second);
    Gnb gnb{node,
            CreateObject<NrNetworkGnbDevice>(),
            interfaces.GetAddress(0),
            interfaces.GetAddress(1),
            interfaces.Get(0).second,
            interfaces.Get(1).second,
            Ipv4AddressHelper(SiteNetwork(number), "255.255.255.252")};
    node->AddDevice(gnb.device);
    gnb.device->Set(m_ues, number);
    gnb.device->SetBearers(m_radio.Quality().bearerOf);
    // All gNBs are in the network of the UEs; a packet from a UE of another gNB comes over the N3 links.
    gnb.ueSideAddress = m_ueNetwork.Assign(NetDeviceContainer(gnb.device)).GetAddress(0);
    RoutingOf(m_upf)->AddHostRouteTo(gnb.ueSideAddress, gnb.address, gnb.upfInterface);
    for (const Gnb& other : m_gnbs) {
        RoutingOf(node)->AddHostRouteTo(other.ueSideAddress, gnb.upfAddress, interfaces.Get(0).second);
        RoutingOf(other.node)->AddHostRouteTo(gnb.ueSideAddress, other.upfAddress, other.n3Interface);
    }
    m_backhaul->AddGnb(node, gnb.address, gnb.upfAddress);
    m_gnbs.push_back(std::move(gnb));
    return number;
}

void NrNetworkHelper::AddGnbs(const std::vector<SiteCell>& cells, Carriers& carriers, const std::string& deployment) {
    const Ptr<RadioChannel> first = carriers.Of({}); // that of --frequency, also if no cell has it
    m_radio.AddChannel(first);
    for (std::size_t begin = 0, end = 0; begin < cells.size(); begin = end) {
        auto node = CreateObject<Node>();
        auto mobility = CreateObject<ConstantPositionMobilityModel>();
        mobility->SetPosition(cells[begin].place);
        node->AggregateObject(mobility);
        const std::string& own = cells[begin].deployment;
        std::vector<Sector> sectors;
        for (; end < cells.size() && cells[end].site == cells[begin].site; ++end) {
            const auto channel = carriers.Of(cells[end]);
            // Also if it is the same: UEs on high floors are above the gNB, which is the base station all the same.
            channel->SetDeploymentAt(mobility, own.empty() ? deployment : own);
            sectors.push_back({cells[end].bearingDeg, cells[end].powerDbm, channel});
        }
        AddGnb(node, first, sectors);
    }
}

std::uint32_t NrNetworkHelper::AddUe(Ptr<Node> node) {
    const std::uint32_t number =
        m_network->AddUe(node->GetObject<MobilityModel>(), m_radio.GetUeArray(), m_radio.Quality().bearers);
    auto device = CreateObject<NrNetworkUeDevice>();
    node->AddDevice(device);
    Ipv4ListRoutingHelper list; // static routing alone does not hand multicast up at its destination
    list.Add(Ipv4StaticRoutingHelper(), 0);
    Stack(list).Install(node);
    const auto interfaces = m_ueNetwork.Assign(NetDeviceContainer(device));
    RoutingOf(node)->SetDefaultRoute(Ipv4Address("10.45.0.1"), interfaces.Get(0).second);
    device->Set(m_ues, number);
    device->SetBearers(m_radio.Quality().bearerOf);
    m_ues->ueOf.emplace(interfaces.GetAddress(0).Get(), number);
    m_ueNodes.push_back(node);
    m_ueDevices.push_back(device);
    m_ueAddresses.push_back(interfaces.GetAddress(0));
    return number;
}

void NrNetworkHelper::RouteTo(std::uint32_t ue, std::uint32_t gnb) {
    const auto routing = RoutingOf(m_upf);
    for (std::uint32_t i = 0; i < routing->GetNRoutes(); ++i) {
        if (routing->GetRoute(i).IsHost() && routing->GetRoute(i).GetDest() == m_ueAddresses[ue]) {
            routing->RemoveRoute(i);
            break;
        }
    }
    routing->AddHostRouteTo(m_ueAddresses[ue], m_gnbs[gnb].address, m_gnbs[gnb].upfInterface);
}

void NrNetworkHelper::Install(Scenario& scenario) {
    if (m_radio.Joined() > 1) {
        throw std::invalid_argument("option --joined=" + std::to_string(m_radio.Joined()) +
                                    " is not legal with several gNBs; legal is 1");
    }
    m_settings.measurements.event.offDb = m_offsetDb;
    m_settings.measurements.event.hysteresisDb = m_hysteresisDb;
    m_settings.measurements.event.timeToTrigger =
        NanoSeconds(static_cast<std::int64_t>(std::round(1e9 * m_timeToTriggerS)));
    m_settings.measurements.filterCoefficient = m_filter;
    m_settings.t304 = Seconds(m_t304S);
    m_settings.access.backoff = Seconds(m_backoffS);
    m_settings.path.forwarding = !m_noForwarding;
    m_settings.automatic = m_decision == "a3";
    m_settings.Check();
    m_network->SetDeliver([this](std::uint32_t ue, Ptr<Packet> packet) { m_ueDevices[ue]->Take(packet); },
                          [this](std::uint32_t ue, Ptr<Packet> packet) {
                              m_gnbs[m_gnbOf[m_network->ServingCell(ue).value()]].device->Take(packet);
                          });
    for (std::uint32_t ue = 0; ue < NumUes(); ++ue) {
        const std::uint32_t cell = m_network->FirstCell(ue);
        m_network->Attach(ue, cell);
        RouteTo(ue, m_gnbOf[cell]);
    }
    auto random = CreateObject<UniformRandomVariable>();
    random->SetStream(m_stream + 3);
    m_ues->handover = std::make_unique<nr::Handover>(*m_network, *m_backhaul, m_gnbOf, m_settings, random);
    InstallServers(scenario);
    m_reports = std::make_unique<NrReports>(m_radio, NrCells(m_network, m_gnbOf), scenario.registry());
    PublishCells(scenario.registry());
    PublishHandovers(scenario.registry());
    PublishTiers(scenario.registry());
    AddControls(scenario.registry());
}

void NrNetworkHelper::InstallServers(Scenario& scenario) {
    const double farthestS = 2 * m_radio.BackhaulDelayS() + m_links.cloudDelayS;
    for (std::uint32_t ue = 0; ue < NumUes(); ++ue) {
        m_radio.Tune(scenario.Expose(m_ueNodes[ue], "ue" + std::to_string(ue), "ue"), true, farthestS);
    }
    const auto add = [&](Ptr<Node> router, Ipv4AddressHelper& addresses, const std::string& name,
                         const std::string& role, double rateBps, double delayS) {
        const auto server =
            AddServer(router, {rateBps, delayS, queue_packets}, Stack(Ipv4StaticRoutingHelper()), addresses);
        m_radio.Tune(scenario.Expose(server, name, role), false, 2 * m_radio.BackhaulDelayS() + delayS);
    };
    for (std::uint32_t gnb = 0; gnb < NumGnbs(); ++gnb) {
        for (std::uint32_t i = 0; i < m_numSiteEdge; ++i) {
            add(m_gnbs[gnb].node, m_gnbs[gnb].siteAddresses, "edge" + std::to_string(m_edges.size()), "edge",
                m_links.edgeRate, m_links.edgeDelayS);
            m_edges.push_back({gnb});
        }
    }
    const std::uint32_t atSites = NumGnbs() * m_numSiteEdge;
    const std::uint32_t missing = m_numEdge > atSites ? m_numEdge - atSites : 0;
    for (std::uint32_t i = 0; i < std::max(m_numUpfEdge, missing); ++i) {
        add(m_upf, m_upfAddresses, "edge" + std::to_string(m_edges.size()), "edge", m_links.edgeRate,
            m_links.edgeDelayS);
        m_edges.push_back({-1});
    }
    add(m_upf, m_upfAddresses, "cloud0", "cloud", m_links.cloudRate, m_links.cloudDelayS);
    for (std::uint32_t gnb = 0; gnb < NumGnbs(); ++gnb) {
        auto& application = scenario.Expose(m_gnbs[gnb].node, "gnb" + std::to_string(gnb), "gnb");
        m_radio.Tune(application, false, farthestS);
        TakeAnalog(application, m_ueNodes,
                   [network = m_network, gnbOf = m_gnbOf, gnb](std::uint32_t ue) -> Ptr<nr::Cell> {
                       const auto cell = network->ServingCell(ue);
                       return cell && gnbOf[*cell] == gnb ? network->GetCell(*cell) : nullptr;
                   });
    }
}

} // namespace edgelam
