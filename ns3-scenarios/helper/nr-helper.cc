// SPDX-License-Identifier: GPL-2.0-only
#include "nr-helper.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "ns3/data-rate.h"
#include "ns3/double.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-list-routing-helper.h"
#include "ns3/ipv4-static-routing-helper.h"
#include "ns3/log.h"
#include "ns3/point-to-point-helper.h"
#include "ns3/string.h"
#include "ns3/uinteger.h"

#include "planar-array.h"

NS_LOG_COMPONENT_DEFINE("NrHelper");

using namespace ns3;

namespace edgelam {

namespace {

constexpr const char* ue_network = "10.45.0.0";
constexpr const char* site_network = "10.46.0.0";
constexpr const char* n3_network = "10.48.0.0";
constexpr const char* mask_16 = "255.255.0.0";
constexpr const char* mask_30 = "255.255.255.252";

constexpr double tunnel_bits = 8 * 36; ///< IPv4, UDP and GTP-U headers on the N3 link
/// IPv4 header 20 bytes, TCP header with time stamps 32, UDP header 8.
constexpr std::uint32_t mtu = 1500, tcp_headers = 52, udp_headers = 28;
/// Of a TCP acknowledgement with its scheduling request, and some waiting, in slots: for the size of buffers.
constexpr double radio_round_trip_slots = 24;

DataRate RateOf(double bps) {
    return DataRate(static_cast<std::uint64_t>(bps));
}

/// Names, and one of the user's own.
std::vector<std::string> With(std::vector<std::string> names, const std::string& own) {
    if (std::find(names.begin(), names.end(), own) == names.end()) {
        names.push_back(own);
    }
    return names;
}

Ptr<Ipv4StaticRouting> RoutingOf(const Ptr<Node>& node) {
    return Ipv4StaticRoutingHelper().GetStaticRouting(node->GetObject<Ipv4>());
}

} // namespace

NrHelper::NrHelper(const NrGnbDefaults& defaults)
    : m_gnbRows(defaults.rows), m_gnbColumns(defaults.columns), m_downtiltDeg(defaults.downtiltDeg),
      m_ueAddresses(ue_network, mask_16), m_siteAddresses(site_network, mask_30), m_upfAddresses("10.47.0.0", mask_30) {
    if (defaults.powerDbm) {
        m_settings.Set("GnbPower", *defaults.powerDbm);
    }
}

void NrHelper::AddOptions(Options& options) {
    options.Section("Radio");
    options.Real("frequency", m_carrierHz, "Hz", "carrier frequency: FR1, 7 to 24 GHz (FR3), FR2", 500e6, 71e9);
    options.Attribute("bandwidth", m_settings, "Bandwidth", {"Hz", "MHz", 1e6});
    options.Attribute("numerology", m_settings, "Numerology");
    options.Attribute("pattern", m_settings, "Pattern");
    options.AttributeChoice("scheduler", m_settings, "Scheduler",
                            With({"rr", "pf", "max-rate", "external"}, m_settings.Text("Scheduler")));
    options.AttributeChoice("beams", m_settings, "Beams",
                            With({"eigen", "codebook", "direct", "external"}, m_settings.Text("Beams")));
    options.Attribute("mcsTable", m_settings, "McsTable");
    options.Integer("maxLayers", m_maxLayers,
                    "greatest number of spatial layers of a downlink block; 0: as many as the antennas allow, up to 4",
                    0, nr::max_layers);
    options.Integer("maxUplinkLayers", m_maxUplinkLayers,
                    "greatest number of spatial layers of an uplink block; 0: as many as the antennas allow, up to 4",
                    0, nr::max_layers);
    options.Choice("rlc", m_rlc, "radio link control: am sends data again that HARQ lost, um leaves this to TCP",
                   {"am", "um"});
    options.Attribute("gnbPower", m_settings, "GnbPower");
    options.Attribute("uePower", m_settings, "UePower");
    options.Attribute("gnbNoiseFigure", m_settings, "GnbNoiseFigure");
    options.Attribute("ueNoiseFigure", m_settings, "UeNoiseFigure");
    options.Section("Antennas");
    options.Integer("gnbRows", m_gnbRows, "rows of the gNB's array, elements of TR 38.901 7.3", 1, 64);
    options.Integer("gnbColumns", m_gnbColumns, "columns of the gNB's array; each place has two polarisations", 1, 64);
    options.Real("downtilt", m_downtiltDeg, "degrees",
                 "tilt of the gNB's array towards the ground, beyond its mounting", -90, 90);
    options.Integer("ueAntennas", m_ueAntennas, "isotropic antennas of a UE: 1, or 2, 4, ... in pairs of polarisations",
                    1, 16);
    options.Section("Core");
    options.Time("backhaulDelay", m_backhaulDelayS, "delay of the N3 link between gNB and UPF, one way", 0, 1);
    options.Rate("backhaulRate", m_backhaulRate, "rate of the N3 link", 1e6, 1e12);
    options.Sets("edgelam::nr::Cell", {{"MaxLayers", "maxLayers"}, {"MaxUplinkLayers", "maxUplinkLayers"}});
    options.Sets("edgelam::RadioChannel", {{"Frequency", "frequency"}});
    options.Sets("ns3::UniformPlanarArray", {{"NumRows", "gnbRows"},
                                             {"NumColumns", "gnbColumns"},
                                             {"DowntiltAngle", "downtilt"},
                                             {"IsDualPolarized", "ueAntennas"},
                                             {"PolSlantAngle", ""}});
    options.Sets("ns3::PhasedArrayModel", {{"AntennaElement", ""}});
    options.Sets("ns3::PointToPointNetDevice", {{"DataRate", "backhaulRate"}, {"InterframeGap", ""}});
    options.Sets("ns3::PointToPointChannel", {{"Delay", "backhaulDelay"}});
}

std::int64_t NrHelper::AssignStreams(std::int64_t stream) {
    m_stream = stream;
    return 2;
}

void NrHelper::InstallGnb(Ptr<Node> gnb, Ptr<RadioChannel> channel) {
    if (m_ueAntennas > 1 && m_ueAntennas % 2 != 0) {
        throw std::invalid_argument("option --ueAntennas=" + std::to_string(m_ueAntennas) +
                                    " is not legal: it takes 1 or an even number");
    }
    const std::uint32_t ports = std::min({2 * m_gnbRows * m_gnbColumns, m_ueAntennas, nr::max_layers});
    if (m_maxLayers > ports) {
        throw std::invalid_argument("option --maxLayers=" + std::to_string(m_maxLayers) +
                                    " is not legal: the antennas allow 1 to " + std::to_string(ports));
    }
    if (m_maxUplinkLayers > ports) {
        throw std::invalid_argument("option --maxUplinkLayers=" + std::to_string(m_maxUplinkLayers) +
                                    " is not legal: the antennas allow 1 to " + std::to_string(ports));
    }
    m_maxLayers = m_maxLayers == 0 ? ports : m_maxLayers;
    m_maxUplinkLayers = m_maxUplinkLayers == 0 ? ports : m_maxUplinkLayers;
    m_gnb = gnb;
    m_channel = channel;
    channel->SetAttribute("Frequency", DoubleValue(m_carrierHz));
    channel->AssignStreams(m_stream);
    m_gnbArray = MakePlanarArray(m_gnbRows, m_gnbColumns, true, ElementPattern::Sector,
                                 (m_mountingDeg + m_downtiltDeg) * std::numbers::pi / 180);
    m_ueArray = MakePlanarArray(1, std::max(1u, m_ueAntennas / 2), m_ueAntennas > 1, ElementPattern::Isotropic);

    m_cell = CreateObject<nr::Cell>();
    m_settings.Set("MaxLayers", m_maxLayers);
    m_settings.Set("MaxUplinkLayers", m_maxUplinkLayers);
    m_settings.Apply(m_cell);
    m_cell->AssignStreams(m_stream + 1);
    m_cell->SetGnb(channel, gnb->GetObject<MobilityModel>(), m_gnbArray);

    m_gnbDevice = CreateObject<nr::GnbNetDevice>();
    gnb->AddDevice(m_gnbDevice);
    m_gnbDevice->SetCell(m_cell);
    InstallStack(gnb, Ipv4StaticRoutingHelper());
    m_ueAddresses.Assign(NetDeviceContainer(m_gnbDevice));
    InstallBackhaul();
    m_multicast = std::make_shared<NrMulticast>(m_gnbDevice);
    NS_LOG_INFO("gNB at node " << gnb->GetId());
}

std::uint32_t NrHelper::InstallUe(Ptr<Node> node) {
    nr::BearerSettings bearer;
    bearer.acknowledged = m_rlc == "am";
    Ue ue{CreateObject<nr::UeNetDevice>(), node->GetObject<MobilityModel>()};
    const std::uint32_t number = m_cell->AddUe(ue.mobility, m_ueArray, bearer);
    node->AddDevice(ue.device);
    Ipv4ListRoutingHelper list; // static routing alone does not hand multicast up at its destination
    list.Add(Ipv4StaticRoutingHelper(), 0);
    InstallStack(node, list);
    const auto interfaces = m_ueAddresses.Assign(NetDeviceContainer(ue.device));
    RoutingOf(node)->SetDefaultRoute(Ipv4Address("10.45.0.1"), interfaces.Get(0).second);
    m_gnbDevice->AddUe(number, ue.device, interfaces.GetAddress(0));
    m_ues.push_back(ue);
    NS_LOG_INFO("UE " << number << " at node " << node->GetId() << ", " << interfaces.GetAddress(0));
    return number;
}

Ptr<Node> NrHelper::AddServer(Place place, double rateBps, double delayS) {
    auto server = CreateObject<Node>();
    InstallStack(server, Ipv4StaticRoutingHelper());
    auto& addresses = place == Place::Site ? m_siteAddresses : m_upfAddresses;
    const auto interfaces = addresses.Assign(Connect(place == Place::Site ? m_gnb : m_upf, server, rateBps, delayS, 0));
    addresses.NewNetwork();
    RoutingOf(server)->SetDefaultRoute(interfaces.GetAddress(0), interfaces.Get(1).second);
    return server;
}

void NrHelper::InstallBackhaul() {
    m_upf = CreateObject<Node>();
    InstallStack(m_upf, Ipv4StaticRoutingHelper());
    Ipv4AddressHelper addresses(n3_network, mask_30);
    const auto interfaces =
        addresses.Assign(Connect(m_gnb, m_upf, m_backhaulRate, m_backhaulDelayS, tunnel_bits / m_backhaulRate));
    RoutingOf(m_gnb)->SetDefaultRoute(interfaces.GetAddress(1), interfaces.Get(0).second);
    for (const char* network : {ue_network, site_network}) {
        RoutingOf(m_upf)->AddNetworkRouteTo(network, mask_16, interfaces.GetAddress(0), interfaces.Get(1).second);
    }
}

NetDeviceContainer NrHelper::Connect(Ptr<Node> a, Ptr<Node> b, double rateBps, double delayS, double gapS) const {
    PointToPointHelper link;
    link.DisableFlowControl(); // the device's queue is the only one
    link.SetDeviceAttribute("DataRate", DataRateValue(RateOf(rateBps)));
    link.SetDeviceAttribute("InterframeGap", TimeValue(Seconds(gapS)));
    link.SetChannelAttribute("Delay", TimeValue(Seconds(delayS)));
    link.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue("20000p"));
    return link.Install(a, b);
}

void NrHelper::InstallStack(Ptr<Node> node, const Ipv4RoutingHelper& routing) {
    InternetStackHelper stack;
    stack.SetIpv6StackInstall(false);
    stack.SetRoutingHelper(routing);
    stack.Install(node);
}

Ptr<ChannelLink> NrHelper::GetLink(std::uint32_t ue) const {
    return m_channel->GetLink(m_gnb->GetObject<MobilityModel>(), m_gnbArray, m_ues.at(ue).mobility, m_ueArray);
}

double NrHelper::PeakRateBps(bool uplink) const {
    const auto pattern = nr::SlotPattern::Parse(m_settings.Text("Pattern"));
    const double symbols = (uplink ? pattern.UplinkSymbols() : pattern.DownlinkSymbols()) /
                           (1e-9 * static_cast<double>(m_cell->GetNumerology().MeanSlotNs() * pattern.NumSlots()));
    const auto table = nr::McsTableOf(static_cast<unsigned>(m_settings.Number("McsTable")));
    const unsigned layers = uplink ? m_maxUplinkLayers : m_maxLayers;
    return 12 * m_cell->NumPrbs() * symbols * layers * nr::McsAt(table, nr::NumMcs(table) - 1).Efficiency();
}

void NrHelper::Tune(TransferApplication& application, bool atUe, double farthestDelayS) const {
    application.Suggest("SegmentSize", UintegerValue(mtu - tcp_headers));
    application.Suggest("DatagramSize", UintegerValue(mtu - udp_headers));
    // What the fastest UE's path holds and what waits unsent; more would only wait in the bearers, which hold 10 MB.
    const double roundTripS =
        2 * farthestDelayS + radio_round_trip_slots * 1e-9 * static_cast<double>(m_cell->GetNumerology().MeanSlotNs());
    const double bytes = PeakRateBps(atUe) / 8 * roundTripS + (128 << 10);
    application.Suggest("SndBufSize", UintegerValue(static_cast<std::uint32_t>(std::clamp(bytes, 512.0 * 1024, 8e6))));
    application.SetGroupFunction(
        [groups = m_multicast](const auto& source, const auto& receivers) { return groups->Find(source, receivers); });
    application.Suggest("UdpRate", DataRateValue(DataRate("20Mbps")));
}

} // namespace edgelam
