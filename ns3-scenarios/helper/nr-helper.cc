// SPDX-License-Identifier: GPL-2.0-only
#include "nr-helper.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "ns3/data-rate.h"
#include "ns3/double.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-list-routing-helper.h"
#include "ns3/ipv4-static-routing-helper.h"
#include "ns3/log.h"
#include "ns3/string.h"
#include "ns3/uinteger.h"

#include "planar-array.h"
#include "wired-servers.h"

NS_LOG_COMPONENT_DEFINE("NrHelper");

using namespace ns3;

namespace edgelam {

namespace {

constexpr const char* ue_network = "10.45.0.0";
constexpr const char* site_network = "10.46.0.0";
constexpr const char* n3_network = "10.48.0.0";
constexpr const char* mask_16 = "255.255.0.0";
constexpr const char* mask_30 = "255.255.255.252";

constexpr std::uint32_t queue_packets = 20000;
constexpr double tunnel_bits = 8 * 36; ///< IPv4, UDP and GTP-U headers on the N3 link
/// IPv4 header 20 bytes, TCP header with time stamps 32, UDP header 8.
constexpr std::uint32_t mtu = 1500, tcp_headers = 52, udp_headers = 28;
/// Of a TCP acknowledgement with its scheduling request, and some waiting, in slots: for the size of buffers. The UE's
/// own times come in addition.
constexpr double radio_round_trip_slots = 22;

InternetStackHelper Stack(const Ipv4RoutingHelper& routing) {
    InternetStackHelper stack;
    stack.SetIpv6StackInstall(false);
    stack.SetRoutingHelper(routing);
    return stack;
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
    : m_antennas({.rows = defaults.rows, .columns = defaults.columns, .tiltDeg = defaults.downtiltDeg}),
      m_ueAddresses(ue_network, mask_16), m_siteAddresses(site_network, mask_30), m_upfAddresses("10.47.0.0", mask_30) {
    m_settings.Set("MaxLayers", 0.0);
    m_carrier.Set("Frequency", m_carrier.Number("Frequency"));
    if (defaults.powerDbm) {
        m_settings.Set("GnbPower", *defaults.powerDbm);
    }
}

void NrHelper::AddOptions(Options& options) {
    options.Section("Radio");
    options.Attribute("frequency", m_carrier, "Frequency",
                      {.help = "carrier frequency: FR1, 7 to 24 GHz (FR3), FR2, above 71 GHz",
                       .smallest = smallest_carrier_hz,
                       .largest = largest_carrier_hz,
                       .unit = "Hz"});
    options.AttributeChoice("waves", m_carrier, "Waves", {"Plane", "Spherical"});
    options.Attribute("bandwidth", m_settings, "Bandwidth", {.scale = {"Hz", "MHz", 1e6}});
    options.Attribute("numerology", m_settings, "Numerology");
    options.Attribute("pattern", m_settings, "Pattern");
    options.AttributeChoice("scheduler", m_settings, "Scheduler",
                            With({"rr", "pf", "max-rate", "external"}, m_settings.Text("Scheduler")));
    options.AttributeChoice(
        "beams", m_settings, "Beams",
        With({"eigen", "codebook", "direct", "zf", "rzf", "external", "analog"}, m_settings.Text("Beams")));
    options.AttributeChoice(
        "selection", m_settings, "Selection",
        With({"auto", "none", "greedy", "semi-orthogonal", "external"}, m_settings.Text("Selection")));
    options.AttributeChoice("csi", m_settings, "Csi", {"band", "subband", "etype2"});
    options.AttributeChoice("uplinkSelection", m_settings, "UplinkSelection",
                            With({"none", "greedy", "semi-orthogonal"}, m_settings.Text("UplinkSelection")));
    options.Attribute("mcsTable", m_settings, "McsTable");
    const std::string automatic = "as many as the antennas allow";
    options.Attribute("maxLayers", m_settings, "MaxLayers", {.zero = automatic});
    options.Attribute("maxUplinkLayers", m_settings, "MaxUplinkLayers", {.zero = automatic});
    options.Choice("rlc", m_rlc, "radio link control: am sends data again that HARQ lost, um leaves this to TCP",
                   {"am", "um"});
    options.Attribute("gnbPower", m_settings, "GnbPower");
    options.Attribute("uePower", m_settings, "UePower");
    options.Attribute("gnbNoiseFigure", m_settings, "GnbNoiseFigure");
    options.Attribute("ueNoiseFigure", m_settings, "UeNoiseFigure");
    options.Attribute("phaseNoise", m_settings, "PhaseNoise");
    options.Attribute("intercarrier", m_settings, "Intercarrier");
    options.Text("bearers", m_bearers,
                 "bearers of each UE: 5QI, DSCPs, guaranteed rate down and up, as 1/46+40/128kbps,2/34/5Mbps/1Mbps,9; "
                 "one has no DSCPs");
    options.Attribute("slices", m_settings, "Slices");
    options.Attribute("drxCycle", m_settings, "DrxCycle", {.smallest = 0, .largest = 10.24});
    options.Attribute("drxOnDuration", m_settings, "DrxOnDuration", {.smallest = 0, .largest = 1.6});
    options.Attribute("drxInactivity", m_settings, "DrxInactivity", {.smallest = 0, .largest = 2.56});
    m_antennas.AddOptions(options);
    options.Attribute("uePanels", m_settings, "UePanels",
                      {.help = "with --beams=analog: panels of a UE, evenly around it, of ueAntennas elements of 90 "
                               "degrees and 5 dBi each (TR 38.802 table A.2.1-8); 0: one, of isotropic elements"});
    options.Integer("rfChains", m_rfChains,
                    "RF chains of the gNB behind phase shifters, for precoders from outside: the control "
                    "analog_precoder; 0: each element has its own",
                    0, 64);
    options.Choice("rfStructure", m_rfStructure, "whether each RF chain is connected to all elements or to its part",
                   {"fully", "partly"});
    m_csi.AddOptions(options);
    options.Section("Core");
    options.Time("backhaulDelay", m_backhaulDelayS, "delay of the N3 link between gNB and UPF, one way", 0, 1);
    options.Rate("backhaulRate", m_backhaulRate, "rate of the N3 link", 1e6, 1e12);
    options.Integer("joined", m_joined,
                    "packets of 1500 bytes of one transfer that are simulated as one: cheaper, and less exact. 2 and 5 "
                    "keep TCP's initial window",
                    1, nr::NrNetDevice::largest_mtu / mtu);
    SetsWires(options, "backhaulRate", "backhaulDelay");
    options.Sets("edgelam::WiredDevice", {{"InterframeGap", ""}});
}

std::int64_t NrHelper::AssignStreams(std::int64_t stream) {
    m_stream = stream;
    return 2;
}

void NrHelper::AddChannel(Ptr<RadioChannel> channel) {
    if (std::ranges::find(m_channels, channel) != m_channels.end()) {
        return;
    }
    if (m_channels.empty()) {
        m_carrier.Apply(channel);
    } else { // its frequency is its own
        channel->SetAttribute("Waves", StringValue(m_carrier.Text("Waves")));
    }
    channel->AssignStreams(m_stream); // what is around a UE is the same for all
    m_channels.push_back(channel);
}

Ptr<nr::Cell> NrHelper::MakeCell(Ptr<Node> gnb, Ptr<RadioChannel> channel, double bearingRad,
                                 std::optional<double> powerDbm) {
    const ArrayLayout antennas = m_antennas.Gnb(m_mountingDeg);
    if (UesHavePanels() && !HasAnalogBeams()) {
        throw std::invalid_argument("option --uePanels=" + std::to_string(Whole(m_settings, "UePanels")) +
                                    " is not legal with --beams=" + m_settings.Text("Beams") +
                                    ": it takes 0, or --beams=analog");
    }
    m_ueArray = m_antennas.MakeUe(UesHavePanels());
    m_gnbArray = MakeArray(antennas);
    const std::uint32_t ports = NumLayers(antennas);
    LimitLayers("MaxLayers", "maxLayers", ports);
    LimitLayers("MaxUplinkLayers", "maxUplinkLayers", ports);
    m_quality = NrQuality::Parse(m_bearers);
    for (auto& bearer : m_quality.bearers) {
        bearer.settings.acknowledged = m_rlc == "am";
    }
    m_gnb = gnb;
    AddChannel(channel);

    m_cell = CreateObject<nr::Cell>();
    m_settings.Apply(m_cell);
    if (powerDbm) {
        m_cell->SetAttribute("GnbPower", DoubleValue(*powerDbm));
    }
    m_cell->AssignStreams(m_stream + 1);
    m_gnbArray->SetAlpha(bearingRad);
    m_cell->SetGnb(channel, gnb->GetObject<MobilityModel>(), m_gnbArray);
    return m_cell;
}

void NrHelper::InstallGnb(Ptr<Node> gnb, Ptr<RadioChannel> channel) {
    MakeCell(gnb, channel, 0);
    m_gnbDevice = CreateObject<nr::GnbNetDevice>();
    gnb->AddDevice(m_gnbDevice);
    AllowTrains(*m_gnbDevice);
    m_gnbDevice->SetCell(m_cell);
    m_gnbDevice->SetBearers(m_quality.bearerOf);
    Stack(Ipv4StaticRoutingHelper()).Install(gnb);
    m_ueAddresses.Assign(NetDeviceContainer(m_gnbDevice));
    InstallBackhaul();
    if (!m_cell->HasAnalogBeams()) {
        m_multicast = std::make_shared<NrMulticast>(m_gnbDevice);
    }
    NS_LOG_INFO("gNB at node " << gnb->GetId());
}

std::uint32_t NrHelper::NumLayers(const ArrayLayout& gnb) const {
    const std::uint32_t ue = m_antennas.NumUeAntennas();
    return HasAnalogBeams() // a port for each polarisation, and for each panel of the gNB
               ? std::min({gnb.polarisations * gnb.panelRows * gnb.panelColumns, std::min(ue, 2U), nr::max_layers})
               : std::min({gnb.NumPorts(), ue, nr::max_layers});
}

/// 0 becomes what the antennas allow.
void NrHelper::LimitLayers(const std::string& attribute, const std::string& option, std::uint32_t ports) {
    const std::uint32_t layers = Whole(m_settings, attribute);
    if (layers > ports) {
        throw std::invalid_argument("option --" + option + "=" + std::to_string(layers) +
                                    " is not legal: the antennas allow 1 to " + std::to_string(ports));
    }
    m_settings.Set(attribute, layers == 0 ? ports : layers);
}

std::uint32_t NrHelper::InstallUe(Ptr<Node> node) {
    Ue ue{CreateObject<nr::UeNetDevice>(), node->GetObject<MobilityModel>(),
          UesHavePanels() ? m_antennas.MakeUe(true) : m_ueArray};
    const std::uint32_t number = m_cell->AddUe(ue.mobility, ue.array, m_quality.bearers);
    ue.device->SetBearers(m_quality.bearerOf);
    node->AddDevice(ue.device);
    AllowTrains(*ue.device);
    Ipv4ListRoutingHelper list; // static routing alone does not hand multicast up at its destination
    list.Add(Ipv4StaticRoutingHelper(), 0);
    Stack(list).Install(node);
    const auto interfaces = m_ueAddresses.Assign(NetDeviceContainer(ue.device));
    RoutingOf(node)->SetDefaultRoute(Ipv4Address("10.45.0.1"), interfaces.Get(0).second);
    m_gnbDevice->AddUe(number, ue.device, interfaces.GetAddress(0));
    m_ues.push_back(ue);
    NS_LOG_INFO("UE " << number << " at node " << node->GetId() << ", " << interfaces.GetAddress(0));
    return number;
}

Ptr<Node> NrHelper::AddServer(Place place, double rateBps, double delayS) {
    const bool site = place == Place::Site;
    return edgelam::AddServer(site ? m_gnb : m_upf, {rateBps, delayS, queue_packets, 0, m_joined},
                              Stack(Ipv4StaticRoutingHelper()), site ? m_siteAddresses : m_upfAddresses);
}

/// Packets that are simulated as one are no larger than the largest that PDCP takes.
void NrHelper::AllowTrains(nr::NrNetDevice& device) const {
    if (m_joined > 1) {
        device.SetAttribute("PacketSize", UintegerValue(mtu));
        device.SetMtu(static_cast<std::uint16_t>(m_joined * mtu));
    }
}

void NrHelper::InstallBackhaul() {
    m_upf = CreateObject<Node>();
    Stack(Ipv4StaticRoutingHelper()).Install(m_upf);
    Ipv4AddressHelper addresses(n3_network, mask_30);
    const auto interfaces = addresses.Assign(Connect(
        m_gnb, m_upf, {m_backhaulRate, m_backhaulDelayS, queue_packets, tunnel_bits / m_backhaulRate, m_joined}));
    RoutingOf(m_gnb)->SetDefaultRoute(interfaces.GetAddress(1), interfaces.Get(0).second);
    for (const char* network : {ue_network, site_network}) {
        RoutingOf(m_upf)->AddNetworkRouteTo(network, mask_16, interfaces.GetAddress(0), interfaces.Get(1).second);
    }
}

Ptr<ChannelLink> NrHelper::GetLink(std::uint32_t ue) const {
    return m_channels.front()->GetLink(m_gnb->GetObject<MobilityModel>(), m_gnbArray, m_ues.at(ue).mobility,
                                       m_ues.at(ue).array);
}

double NrHelper::PeakRateBps(bool uplink) const {
    return m_cell->PeakBps(uplink ? Direction::Uplink : Direction::Downlink);
}

void NrHelper::Tune(TransferApplication& application, bool atUe, double farthestDelayS) const {
    application.Suggest("SegmentSize", UintegerValue(mtu - tcp_headers));
    application.Suggest("DatagramSize", UintegerValue(mtu - udp_headers));
    application.Suggest("Joined", UintegerValue(m_joined));
    // What the fastest UE's path holds and what waits unsent; more would only wait in the bearers, which hold 10 MB.
    const nr::Numerology& numerology = m_cell->GetNumerology();
    const double slots = radio_round_trip_slots +
                         std::ceil(static_cast<double>(numerology.DecodingSymbols()) / nr::symbols_per_slot) +
                         std::ceil(static_cast<double>(numerology.PreparationSymbols()) / nr::symbols_per_slot);
    const double roundTripS = 2 * farthestDelayS + slots * 1e-9 * static_cast<double>(numerology.MeanSlotNs());
    const double bytes = PeakRateBps(atUe) / 8 * roundTripS + (128 << 10);
    application.Suggest("SndBufSize", UintegerValue(static_cast<std::uint32_t>(std::clamp(bytes, 512.0 * 1024, 8e6))));
    if (m_multicast) {
        application.SetGroupFunction([groups = m_multicast](const auto& source, const auto& receivers) {
            return groups->Find(source, receivers);
        });
    }
    application.Suggest("UdpRate", DataRateValue(DataRate("20Mbps")));
}

} // namespace edgelam
