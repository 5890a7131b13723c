// SPDX-License-Identifier: GPL-2.0-only
//
//   ue0 ~~~ )                                        edgeDelay   /--- edge0, edge1, ...
//   ue1 ~~~ ) enb0, enb1, ... --- S-GW --- P-GW ----------------
//   ...       (macro cells)   coreDelay          \  cloudDelay   \--- cloud0
//
// The 4G baseline: ns-3's LTE stack with its evolved packet core. Macro cells on a hexagonal grid; devices placed and
// moving by seed; path loss and shadowing of urban macro cells (TR 38.901 table 7.4.1-1, UMa; whether a device sees a
// base station is drawn once for each pair). FDD in band 1 (2.1 GHz). Bearers use RLC acknowledged mode. Several cells
// are joined by X2 with A3 handover (TS 36.331 5.5.4.4).
//
// Devices attach in the first tens of milliseconds; a TCP connection asked for earlier is set up on a later try, UDP
// datagrams are lost.
//
// Try:     lte-macro --numUe=2 --bytes=1e6
// Expect:  uploads at about 11 Mb/s, downloads at 33 (edge) and 15 (cloud, 20 ms further away) Mb/s: 1 MB is mostly
//          slow start. With --bytes=1e7, 14 up and 27 down for each of two. The devices' power limits the uplink.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ns3/channel-condition-model.h"
#include "ns3/config.h"
#include "ns3/constant-position-mobility-model.h"
#include "ns3/data-rate.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-static-routing-helper.h"
#include "ns3/lte-enb-net-device.h"
#include "ns3/lte-enb-phy.h"
#include "ns3/lte-helper.h"
#include "ns3/lte-ue-net-device.h"
#include "ns3/lte-ue-phy.h"
#include "ns3/lte-ue-rrc.h"
#include "ns3/net-device-container.h"
#include "ns3/node-container.h"
#include "ns3/point-to-point-epc-helper.h"
#include "ns3/pointer.h"
#include "ns3/random-variable-stream.h"
#include "ns3/string.h"
#include "ns3/three-gpp-propagation-loss-model.h"
#include "ns3/uinteger.h"

#include "scenario.h"
#include "ue-motion.h"
#include "wired-servers.h"

using namespace ns3;

namespace {

constexpr double enb_height_m = 25; // TR 38.901 table 7.2-1, UMa
constexpr double ue_height_m = 1.5;
constexpr std::int64_t motion_stream = 1 << 20; // beyond those of ns-3's models
constexpr double nearest_m = 35; // smallest distance of a device to a base station on the ground, same table

class LteMacro {
  public:
    explicit LteMacro(edgelam::Scenario& scenario) : m_scenario(scenario) {
        auto& options = scenario.options();
        options.Section("Radio");
        options.Integer("numUe", m_numUe, "devices ue0, ue1, ...", 1, 200);
        options.Integer("numEnb", m_numEnb, "base stations, one in the middle and rings around it", 1, 19);
        options.Real("interSite", m_interSiteM, "m", "distance between neighbouring base stations", 100, 5000);
        options.Real("speed", m_speedMps, "m/s",
                     "speed of each device; the seed decides its direction; it turns round at the edge", 0,
                     edgelam::UeMotion::fastest_mps);
        options.Choice("bandwidth", m_bandwidth, "bandwidth of the carrier, each way, MHz", {"5", "10", "15", "20"});
        m_enbPhy.Set("TxPower", 46); // TR 36.814 table A.2.1.1-2
        options.Attribute("enbPower", m_enbPhy, "TxPower",
                          {.help = "transmit power of a base station", .smallest = 0, .largest = 60, .unit = "dBm"});
        m_enbAntenna.Set("Gain", 11); // of a usual omnidirectional panel; a sector's would be 14
        options.Attribute("enbGain", m_enbAntenna, "Gain",
                          {.help = "gain of a base station's antenna, the same in all directions",
                           .smallest = 0,
                           .largest = 20,
                           .unit = "dBi"});
        m_uePhy.Set("TxPower", 23);
        options.Attribute(
            "uePower", m_uePhy, "TxPower",
            {.help = "largest transmit power of a device", .smallest = -40, .largest = 33, .unit = "dBm"});
        options.Choice("rlc", m_rlc, "radio link control: am sends lost data again, um leaves this to TCP",
                       {"am", "um"});
        options.Attribute("shadowing", m_pathLoss, "ShadowingEnabled", {.help = "log-normal shadowing"});
        options.Section("Core and servers");
        m_core.SetSeconds("S1uLinkDelay", 2e-3);
        options.Attribute("coreDelay", m_core, "S1uLinkDelay",
                          {.help = "delay between base stations and core, one way", .smallest = 0, .largest = 1});
        m_servers.AddOptions(options, "core");
        m_motion.AddOptions(options);
        options.Sets("ns3::LteEnbNetDevice", {{"DlBandwidth", "bandwidth"}, {"UlBandwidth", "bandwidth"}});
        options.Sets("ns3::LteEnbRrc", {{"EpsBearerToRlcMapping", "rlc"}, {"SrsPeriodicity", ""}});
        options.Sets("ns3::LteRlcAm", {{"MaxTxBufferSize", ""}});
        options.Sets("ns3::LteRlcUm", {{"MaxTxBufferSize", ""}});
    }

    void Build() {
        SetDefaults();
        m_lte = CreateObject<LteHelper>();
        m_epc = CreateObject<PointToPointEpcHelper>();
        m_core.Apply(m_epc);
        m_lte->SetEpcHelper(m_epc);
        m_lte->SetPathlossModelType(ThreeGppUmaPropagationLossModel::GetTypeId());
        m_lte->SetPathlossModelAttribute("ChannelConditionModel",
                                         PointerValue(CreateObject<ThreeGppUmaChannelConditionModel>()));
        m_lte->SetPathlossModelAttribute("ShadowingEnabled", m_pathLoss.Value("ShadowingEnabled"));
        if (m_numEnb > 1) {
            m_lte->SetHandoverAlgorithmType("ns3::A3RsrpHandoverAlgorithm");
        }
        m_lte->SetEnbAntennaModelType("ns3::IsotropicAntennaModel");
        m_lte->SetEnbAntennaModelAttribute("Gain", m_enbAntenna.Value("Gain"));
        const auto resourceBlocks = static_cast<std::uint16_t>(5 * std::stoi(m_bandwidth)); // TS 36.101 table 5.6-1
        m_lte->SetEnbDeviceAttribute("DlBandwidth", UintegerValue(resourceBlocks));
        m_lte->SetEnbDeviceAttribute("UlBandwidth", UintegerValue(resourceBlocks));

        m_enbs.Create(m_numEnb);
        m_ues.Create(m_numUe);
        Place();
        m_enbDevices = m_lte->InstallEnbDevice(m_enbs);
        m_ueDevices = m_lte->InstallUeDevice(m_ues);
        InternetStackHelper stack;
        stack.SetIpv6StackInstall(false);
        stack.Install(m_ues);
        m_epc->AssignUeIpv4Address(m_ueDevices);
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            Ipv4StaticRoutingHelper()
                .GetStaticRouting(m_ues.Get(i)->GetObject<Ipv4>())
                ->SetDefaultRoute(m_epc->GetUeDefaultGatewayAddress(), 1);
        }
        m_lte->AttachToClosestEnb(m_ueDevices, m_enbDevices);
        if (m_numEnb > 1) {
            m_lte->AddX2Interface(m_enbs);
        }
        m_stream += m_lte->AssignStreams(m_enbDevices, m_stream);
        m_stream += m_lte->AssignStreams(m_ueDevices, m_stream);
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            Expose(m_ues.Get(i), "ue" + std::to_string(i), "ue");
        }
        m_servers.Install(
            m_epc->GetPgwNode(), "10.1.0.0",
            [this](const auto& node, const auto& name, const auto& role, double) { Expose(node, name, role); });
        Publish();
        m_motion.Start(m_scenario.registry(), "enb0 stands at (0, 0, 25)");
    }

  private:
    void SetDefaults() {
        Config::SetDefault("ns3::LteEnbRrc::EpsBearerToRlcMapping",
                           StringValue(m_rlc == "am" ? "RlcAmAlways" : "RlcUmAlways"));
        // Room for a whole TCP window, where ns-3's 10 kB would drop most of it.
        Config::SetDefault("ns3::LteRlcAm::MaxTxBufferSize", UintegerValue(4 << 20));
        Config::SetDefault("ns3::LteRlcUm::MaxTxBufferSize", UintegerValue(4 << 20));
        m_enbPhy.ApplyAsDefaults();
        m_uePhy.ApplyAsDefaults();
        // A cell takes fewer devices than the period of their sounding signals has subframes (TS 36.213 table 8.2-1).
        std::uint32_t period = 40;
        for (const std::uint32_t larger : {80u, 160u, 320u}) {
            period = period < m_numUe + 2 ? larger : period;
        }
        Config::SetDefault("ns3::LteEnbRrc::SrsPeriodicity", UintegerValue(period));
    }

    /// Base stations on a hexagonal grid; devices uniformly in the cells' discs, device i around base station
    /// i mod numEnb.
    void Place() {
        const double pi = std::numbers::pi;
        std::vector<Vector> grid{{0, 0, enb_height_m}};
        for (int ring = 1; grid.size() < m_numEnb; ++ring) {
            for (int side = 0; side < 6; ++side) {
                for (int step = 0; step < ring; ++step) {
                    const double corner = pi / 3 * side, along = pi / 3 * (side + 2);
                    grid.emplace_back(m_interSiteM * (ring * std::cos(corner) + step * std::cos(along)),
                                      m_interSiteM * (ring * std::sin(corner) + step * std::sin(along)), enb_height_m);
                }
            }
        }
        for (std::uint32_t i = 0; i < m_numEnb; ++i) {
            auto mobility = CreateObject<ConstantPositionMobilityModel>();
            mobility->SetPosition(grid[i]);
            m_enbs.Get(i)->AggregateObject(mobility);
            m_radiusM = std::max(m_radiusM, std::hypot(grid[i].x, grid[i].y) + m_interSiteM / 2);
        }
        m_motion.AssignStreams(motion_stream);
        m_motion.SetArea({[this](const Vector& p) { return std::hypot(p.x, p.y) <= m_radiusM; },
                          {0, 0, ue_height_m},
                          {-m_radiusM, m_radiusM, -m_radiusM, m_radiusM}},
                         m_numUe, m_speedMps);
        auto uniform = CreateObject<UniformRandomVariable>();
        uniform->SetStream(m_stream++);
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            const Vector& centre = grid[i % m_numEnb];
            const double largest = m_interSiteM / 2;
            // Uniform in the area of a ring.
            const double distance = std::sqrt(uniform->GetValue(nearest_m * nearest_m, largest * largest));
            const double angle = uniform->GetValue(0, 2 * pi), heading = uniform->GetValue(0, 2 * pi);
            m_motion.Add(m_ues.Get(i),
                         {centre.x + distance * std::cos(angle), centre.y + distance * std::sin(angle), ue_height_m},
                         m_speedMps, heading);
        }
    }

    void Expose(Ptr<Node> node, const std::string& name, const std::string& role) {
        auto& application = m_scenario.Expose(node, name, role);
        // In flight at most: 75 Mb/s over 80 ms. More would only wait in the RLC buffers.
        application.Suggest("SndBufSize", UintegerValue(768 << 10));
        application.Suggest("ConnTimeout", TimeValue(MilliSeconds(100)));
        application.Suggest("UdpRate", DataRateValue(DataRate("5Mbps")));
    }

    Ptr<LteUeNetDevice> Ue(std::uint32_t i) const { return DynamicCast<LteUeNetDevice>(m_ueDevices.Get(i)); }

    template<class T, class F>
    std::vector<T> ForEachUe(F function) const {
        std::vector<T> values;
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            values.push_back(function(i));
        }
        return values;
    }

    void Publish() {
        m_sinrDb.assign(m_numUe, std::nan(""));
        m_rsrpDbm.assign(m_numUe, std::nan(""));
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            auto report = [this, i](std::uint16_t, std::uint16_t, double rsrp, double sinr, std::uint8_t) {
                m_rsrpDbm[i] = 10 * std::log10(rsrp) + 30;
                m_sinrDb[i] = 10 * std::log10(sinr);
            };
            Ue(i)->GetPhy()->TraceConnectWithoutContext(
                "ReportCurrentCellRsrpSinr",
                Callback<void, std::uint16_t, std::uint16_t, double, double, std::uint8_t>(report));
        }
        m_uplinkSinrDb.assign(m_numUe, std::nan(""));
        for (std::uint32_t i = 0; i < m_numEnb; ++i) {
            auto report = [this](std::uint16_t cell, std::uint16_t rnti, double sinr, std::uint8_t) {
                for (std::uint32_t ue = 0; ue < m_numUe; ++ue) {
                    if (Ue(ue)->GetRrc()->GetRnti() == rnti && Ue(ue)->GetRrc()->GetCellId() == cell) {
                        m_uplinkSinrDb[ue] = 10 * std::log10(sinr);
                    }
                }
            };
            DynamicCast<LteEnbNetDevice>(m_enbDevices.Get(i))
                ->GetPhy()
                ->TraceConnectWithoutContext(
                    "ReportUeSinr", Callback<void, std::uint16_t, std::uint16_t, double, std::uint8_t>(report));
        }
        auto& registry = m_scenario.registry();
        const std::vector<edgelam::Axis> perUe{{"ue", m_numUe}};
        registry.Publish<std::vector<std::int32_t>>(
            "ue_serving_cell", "", "number of the device's base station, from 0; -1 when it has none",
            [this] {
                return ForEachUe<std::int32_t>(
                    [this](auto i) { return Attached(i) ? Ue(i)->GetRrc()->GetCellId() - 1 : -1; });
            },
            perUe);
        registry.Publish<std::vector<std::uint8_t>>(
            "ue_attached", "", "1 when the device has a connection to the network (RRC connected), otherwise 0",
            [this] { return ForEachUe<std::uint8_t>([this](auto i) { return Attached(i) ? 1 : 0; }); }, perUe);
        registry.Publish<std::vector<double>>(
            "ue_sinr_db", "dB", "downlink, mean over the band, of the last subframe; nan before the first",
            [this] { return m_sinrDb; }, perUe);
        registry.Publish<std::vector<double>>(
            "ue_uplink_sinr_db", "dB", "uplink, mean over the band, of the last sounding signal; nan before the first",
            [this] { return m_uplinkSinrDb; }, perUe);
        registry.Publish<std::vector<double>>(
            "ue_rsrp_dbm", "dBm", "reference signal received power of the serving cell (TS 36.214 5.1.1)",
            [this] { return m_rsrpDbm; }, perUe);
        registry.Control<std::vector<double>>(
            "enb_power_dbm", "dBm", "transmit power of each base station, 0 to 60",
            [this](const std::vector<double>& powers) -> std::string {
                for (std::uint32_t i = 0; i < m_numEnb; ++i) {
                    if (!(powers[i] >= 0 && powers[i] <= 60)) {
                        return "power " + std::to_string(powers[i]) + " dBm of enb" + std::to_string(i) +
                               "; legal are 0 to 60 dBm";
                    }
                }
                for (std::uint32_t i = 0; i < m_numEnb; ++i) {
                    DynamicCast<LteEnbNetDevice>(m_enbDevices.Get(i))->GetPhy()->SetTxPower(powers[i]);
                }
                return {};
            },
            {{"enb", m_numEnb}});
    }

    bool Attached(std::uint32_t i) const {
        const auto state = Ue(i)->GetRrc()->GetState();
        return state == LteUeRrc::CONNECTED_NORMALLY || state == LteUeRrc::CONNECTED_HANDOVER;
    }

    edgelam::Scenario& m_scenario;
    edgelam::AttributeValues m_enbPhy{"ns3::LteEnbPhy"}, m_uePhy{"ns3::LteUePhy"};
    edgelam::AttributeValues m_enbAntenna{"ns3::IsotropicAntennaModel"};
    edgelam::AttributeValues m_pathLoss{"ns3::ThreeGppPropagationLossModel"};
    edgelam::AttributeValues m_core{"ns3::PointToPointEpcHelper"};
    edgelam::WiredServers m_servers;
    std::uint32_t m_numUe = 2, m_numEnb = 1;
    double m_interSiteM = 500, m_speedMps = 3 / 3.6;
    std::string m_bandwidth = "20", m_rlc = "am";
    double m_radiusM = 0;
    Ptr<LteHelper> m_lte;
    Ptr<PointToPointEpcHelper> m_epc;
    NodeContainer m_enbs, m_ues;
    NetDeviceContainer m_enbDevices, m_ueDevices;
    edgelam::UeMotion m_motion;
    std::vector<double> m_sinrDb, m_uplinkSinrDb, m_rsrpDbm;
    std::int64_t m_stream = 1000;
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("lte-macro", "LTE macro cells with an evolved packet core, edge servers and a cloud");
    LteMacro macro(scenario);
    return scenario.Main(argc, argv, [&] { macro.Build(); });
}
