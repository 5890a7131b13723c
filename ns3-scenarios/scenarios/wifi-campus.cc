// SPDX-License-Identifier: GPL-2.0-only
//
//   ue0 ~~~ )                            edgeDelay     /--- edge0, edge1, ...
//   ue1 ~~~ ) ap0 ---\  backhaul         -------------
//   ...     )         gateway ----------
//   ue9 ~~~ ) ap1 ---/                   cloudDelay    \--- cloud0
//
// Wi-Fi on a campus: 802.11ax access points of one network in a row, all on one channel, so that they defer to one
// another; Ethernet bridges them to a gateway, with edge servers and a cloud behind it. Stations scan, associate with
// the access point they hear best, and look for another when they lose its beacons. Path loss grows with the distance
// to the power of pathLossExponent, from 46.7 dB at 1 m (free space at 5.15 GHz); no fading. ns-3's ideal rate control
// selects the fastest rate that the SNR of the last frame allows.
//
// Participants begin after the warm-up, when stations have associated and know the gateway's address, as after DHCP
// (and the gateway knows theirs). Ethernet frames have no header here.
//
// Try:     wifi-campus --numUe=4 --bytes=1e6
// Expect:  uploads at 60 to 80 Mb/s (edge) and 20 (cloud, 20 ms further away), downloads at 80 to 110 and 25: all
//          stations share one channel, and 1 MB to the cloud is mostly slow start. A station alone moves 10 MB at
//          200 Mb/s up and 270 down.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ns3/arp-cache.h"
#include "ns3/boolean.h"
#include "ns3/bridge-helper.h"
#include "ns3/constant-position-mobility-model.h"
#include "ns3/data-rate.h"
#include "ns3/double.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-address-helper.h"
#include "ns3/ipv4-interface.h"
#include "ns3/ipv4-l3-protocol.h"
#include "ns3/ipv4-static-routing-helper.h"
#include "ns3/simple-net-device-helper.h"
#include "ns3/ssid.h"
#include "ns3/sta-wifi-mac.h"
#include "ns3/string.h"
#include "ns3/uinteger.h"
#include "ns3/wifi-net-device.h"
#include "ns3/yans-wifi-helper.h"

#include "scenario.h"
#include "ue-motion.h"
#include "wired-servers.h"

using namespace ns3;

namespace {

constexpr double ap_height_m = 3, ue_height_m = 1.5;
constexpr std::int64_t motion_stream = 1 << 20; // beyond those of ns-3's models
constexpr double noise_figure_db = 7;
constexpr double fast_bps = 300e6; ///< what a station alone gets near its access point

class WifiCampus {
  public:
    explicit WifiCampus(edgelam::Scenario& scenario) : m_scenario(scenario) {
        auto& options = scenario.options();
        options.Section("Wi-Fi");
        options.Integer("numUe", m_numUe, "stations ue0, ue1, ...", 1, 100);
        options.Integer("numAp", m_numAp, "access points ap0, ap1, ..., in a row", 1, 20);
        options.Real("spacing", m_spacingM, "m", "distance between neighbouring access points", 5, 500);
        options.Real("speed", m_speedMps, "m/s",
                     "speed of each station; the seed decides its direction; it turns round at the edge", 0,
                     edgelam::UeMotion::fastest_mps);
        options.Choice("bandwidth", m_bandwidth, "bandwidth of the channel, MHz", {"20", "40", "80"});
        m_apPhy.Set("TxPowerEnd", 20);
        options.Attribute("apPower", m_apPhy, "TxPowerEnd",
                          {.help = "transmit power of an access point", .smallest = 0, .largest = 30, .unit = "dBm"});
        m_uePhy.Set("TxPowerEnd", 15);
        options.Attribute("uePower", m_uePhy, "TxPowerEnd",
                          {.help = "transmit power of a station", .smallest = 0, .largest = 30, .unit = "dBm"});
        options.Attribute("pathLossExponent", m_loss, "Exponent",
                          {.help = "exponent of the path loss over distance", .smallest = 2, .largest = 5});
        options.Time("warmUp", m_warmUpS, "length of the warm-up, in which stations associate", 0, 1000);
        options.Section("Backhaul and servers");
        m_backhaul.SetBitsPerSecond("DataRate", 1e9);
        options.Attribute(
            "backhaulRate", m_backhaul, "DataRate",
            {.help = "rate of the Ethernet between an access point and the gateway", .smallest = 1e6, .largest = 1e12});
        m_cable.SetSeconds("Delay", 1e-4);
        options.Attribute("backhaulDelay", m_cable, "Delay",
                          {.help = "delay of this Ethernet, one way", .smallest = 0, .largest = 1});
        m_servers.AddOptions(options, "gateway");
        m_motion.AddOptions(options);
        options.Sets("ns3::WifiPhy", {{"ChannelSettings", "bandwidth"}, {"RxNoiseFigure", ""}});
        options.Sets("ns3::WifiPhy", {{"TxPowerStart", "uePower"}});
    }

    void Build() {
        m_aps.Create(m_numAp);
        m_ues.Create(m_numUe);
        m_gateway = CreateObject<Node>();
        Place();
        InstallWifi();
        InternetStackHelper stack;
        stack.SetIpv6StackInstall(false);
        stack.Install(m_gateway);
        stack.Install(m_ues);
        InstallLan();
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            Expose(m_ues.Get(i), "ue" + std::to_string(i), "ue", m_servers.CloudDelayS());
        }
        m_servers.Install(m_gateway, "10.2.0.0",
                          [this](const auto& node, const auto& name, const auto& role, double delayS) {
                              Expose(node, name, role, delayS);
                          });
        for (std::uint32_t i = 0; i < m_numAp; ++i) {
            m_scenario.ExposeWithoutIp(m_aps.Get(i), "ap" + std::to_string(i), "ap");
        }
        Publish();
        m_motion.Start(m_scenario.registry(), "the row of access points begins at (0, 0, 3) and goes along x");
        m_scenario.WarmUp(m_warmUpS);
    }

  private:
    bool Inside(const Vector& p) const {
        return p.x >= -m_spacingM / 2 && p.x <= (m_numAp - 0.5) * m_spacingM && std::abs(p.y) <= m_spacingM / 2;
    }

    /// Access points in a row; stations uniformly in the rectangle around it, station i in the square around access
    /// point i mod numAp.
    void Place() {
        for (std::uint32_t i = 0; i < m_numAp; ++i) {
            auto mobility = CreateObject<ConstantPositionMobilityModel>();
            mobility->SetPosition({i * m_spacingM, 0, ap_height_m});
            m_aps.Get(i)->AggregateObject(mobility);
        }
        m_motion.AssignStreams(motion_stream);
        m_motion.SetArea({[this](const Vector& p) { return Inside(p); },
                          {0, 0, ue_height_m},
                          {-m_spacingM / 2, (m_numAp - 0.5) * m_spacingM, -m_spacingM / 2, m_spacingM / 2}},
                         m_numUe, m_speedMps);
        auto uniform = CreateObject<UniformRandomVariable>();
        uniform->SetStream(m_stream++);
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            const double x = uniform->GetValue(-0.5, 0.5), y = uniform->GetValue(-0.5, 0.5);
            const double heading = uniform->GetValue(0, 2 * std::numbers::pi);
            m_motion.Add(m_ues.Get(i), {(i % m_numAp + x) * m_spacingM, y * m_spacingM, ue_height_m}, m_speedMps,
                         heading);
        }
    }

    void InstallWifi() {
        YansWifiChannelHelper channel;
        channel.SetPropagationDelay("ns3::ConstantSpeedPropagationDelayModel");
        channel.AddPropagationLoss("ns3::LogDistancePropagationLossModel", "Exponent", m_loss.Value("Exponent"));
        YansWifiPhyHelper phy;
        phy.SetChannel(channel.Create());
        phy.Set("ChannelSettings", StringValue("{0, " + m_bandwidth + ", BAND_5GHZ, 0}"));
        phy.Set("RxNoiseFigure", DoubleValue(noise_figure_db));
        WifiHelper wifi;
        wifi.SetStandard(WIFI_STANDARD_80211ax);
        wifi.SetRemoteStationManager("ns3::IdealWifiManager");
        WifiMacHelper mac;
        const Ssid ssid("campus");
        const auto power = [&](const edgelam::AttributeValues& values) {
            phy.Set("TxPowerStart", values.Value("TxPowerEnd"));
            phy.Set("TxPowerEnd", values.Value("TxPowerEnd"));
        };
        mac.SetType("ns3::ApWifiMac", "Ssid", SsidValue(ssid));
        power(m_apPhy);
        m_apDevices = wifi.Install(phy, mac, m_aps);
        mac.SetType("ns3::StaWifiMac", "Ssid", SsidValue(ssid), "ActiveProbing", BooleanValue(false));
        power(m_uePhy);
        m_ueDevices = wifi.Install(phy, mac, m_ues);
        m_stream += WifiHelper::AssignStreams(m_apDevices, m_stream);
        m_stream += WifiHelper::AssignStreams(m_ueDevices, m_stream);
    }

    /// One LAN: the air and the Ethernet of every access point are bridged, and all Ethernets at the gateway.
    void InstallLan() {
        SimpleNetDeviceHelper ethernet; // both ways at once, which ns-3's CSMA cannot; frames without a header
        ethernet.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue("5000p"));
        ethernet.SetDeviceAttribute("DataRate", m_backhaul.Value("DataRate"));
        ethernet.SetChannelAttribute("Delay", m_cable.Value("Delay"));
        BridgeHelper bridge;
        NetDeviceContainer gatewayPorts;
        for (std::uint32_t i = 0; i < m_numAp; ++i) {
            const NetDeviceContainer ends = ethernet.Install(NodeContainer(m_aps.Get(i), m_gateway));
            bridge.Install(m_aps.Get(i), NetDeviceContainer(m_apDevices.Get(i), ends.Get(0)));
            gatewayPorts.Add(ends.Get(1));
        }
        NetDeviceContainer lan = bridge.Install(m_gateway, gatewayPorts);
        lan.Add(m_ueDevices);
        m_lan = Ipv4AddressHelper("10.1.0.0", "255.255.0.0").Assign(lan);
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            Ipv4StaticRoutingHelper()
                .GetStaticRouting(m_ues.Get(i)->GetObject<Ipv4>())
                ->SetDefaultRoute(m_lan.GetAddress(0), 1);
        }
        Simulator::Schedule(Seconds(m_warmUpS), &WifiCampus::LearnAddresses, this);
    }

    Ptr<Ipv4Interface> LanInterface(std::uint32_t i) const {
        return DynamicCast<Ipv4L3Protocol>(m_lan.Get(i).first)->GetInterface(m_lan.Get(i).second);
    }

    /// Gateway and stations know one another's addresses, as from DHCP. (Whoever associates later forgets them.)
    void LearnAddresses() {
        for (std::uint32_t i = 0; i < m_lan.GetN(); ++i) {
            for (std::uint32_t j = 0; j < m_lan.GetN(); ++j) {
                const auto cache = LanInterface(i)->GetArpCache();
                if (i != j && !cache->Lookup(m_lan.GetAddress(j))) {
                    ArpCache::Entry* entry = cache->Add(m_lan.GetAddress(j));
                    entry->SetMacAddress(LanInterface(j)->GetDevice()->GetAddress());
                    entry->MarkPermanent();
                }
            }
        }
    }

    void Expose(Ptr<Node> node, const std::string& name, const std::string& role, double farthestDelayS) {
        auto& application = m_scenario.Expose(node, name, role);
        // What the path holds, with some milliseconds for the air, and what waits unsent; more would only queue.
        const double roundTripS = 2 * (farthestDelayS + m_cable.Seconds("Delay")) + 5e-3;
        application.Suggest("SndBufSize",
                            UintegerValue(static_cast<std::uint32_t>(fast_bps / 8 * roundTripS) + (128 << 10)));
        application.Suggest("UdpRate", DataRateValue(DataRate("20Mbps")));
    }

    Ptr<StaWifiMac> Mac(std::uint32_t ue) const {
        return DynamicCast<StaWifiMac>(DynamicCast<WifiNetDevice>(m_ueDevices.Get(ue))->GetMac());
    }

    /// Number of the station's access point; -1 when it has none.
    std::int32_t Ap(std::uint32_t ue) const {
        for (std::uint32_t i = 0; Mac(ue)->IsAssociated() && i < m_numAp; ++i) {
            if (m_apDevices.Get(i)->GetAddress() == Mac(ue)->GetBssid(SINGLE_LINK_OP_ID)) {
                return static_cast<std::int32_t>(i);
            }
        }
        return -1;
    }

    /// Power of the newest frame from the station's access point, dBm; nan when it has none.
    double Rssi(std::uint32_t ue) const {
        const auto rssi =
            Ap(ue) < 0
                ? std::nullopt
                : Mac(ue)->GetWifiRemoteStationManager()->GetMostRecentRssi(Mac(ue)->GetBssid(SINGLE_LINK_OP_ID));
        return rssi ? static_cast<double>(*rssi) : std::nan("");
    }

    /// Thermal noise over the channel, and the receiver's, dBm.
    double NoiseDbm() const { return -174 + 10 * std::log10(std::stod(m_bandwidth) * 1e6) + noise_figure_db; }

    template<class T, class F>
    void PublishEach(const std::string& name, const std::string& unit, const std::string& help, F function) {
        m_scenario.registry().Publish<std::vector<T>>(name, unit, help,
                                                      [this, function] {
                                                          std::vector<T> values;
                                                          for (std::uint32_t ue = 0; ue < m_numUe; ++ue) {
                                                              values.push_back(function(ue));
                                                          }
                                                          return values;
                                                      },
                                                      {{"ue", m_numUe}});
    }

    void Publish() {
        PublishEach<std::uint8_t>("ue_associated", "", "1 when the station is associated, otherwise 0",
                                  [this](auto ue) { return Mac(ue)->IsAssociated() ? 1 : 0; });
        PublishEach<std::int32_t>("ue_ap", "", "number of the station's access point, from 0; -1 when it has none",
                                  [this](auto ue) { return Ap(ue); });
        PublishEach<double>("ue_rssi_dbm", "dBm",
                            "power of the newest frame from the station's access point; nan before the first",
                            [this](auto ue) { return Rssi(ue); });
        PublishEach<double>("ue_snr_db", "dB", "ue_rssi_dbm over the noise of the whole channel",
                            [this](auto ue) { return Rssi(ue) - NoiseDbm(); });
    }

    edgelam::Scenario& m_scenario;
    edgelam::AttributeValues m_apPhy{"ns3::WifiPhy"}, m_uePhy{"ns3::WifiPhy"};
    edgelam::AttributeValues m_loss{"ns3::LogDistancePropagationLossModel"};
    edgelam::AttributeValues m_backhaul{"ns3::SimpleNetDevice"}, m_cable{"ns3::SimpleChannel"};
    edgelam::WiredServers m_servers;
    std::uint32_t m_numUe = 4, m_numAp = 2;
    double m_spacingM = 50, m_speedMps = 1, m_warmUpS = 1;
    std::string m_bandwidth = "80";
    NodeContainer m_aps, m_ues;
    Ptr<Node> m_gateway;
    NetDeviceContainer m_apDevices, m_ueDevices;
    Ipv4InterfaceContainer m_lan; ///< the gateway's, the stations'
    edgelam::UeMotion m_motion;
    std::int64_t m_stream = 1;
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("wifi-campus", "Wi-Fi stations, access points on an Ethernet, edge servers and a cloud");
    WifiCampus campus(scenario);
    return scenario.Main(argc, argv, [&] { campus.Build(); });
}
