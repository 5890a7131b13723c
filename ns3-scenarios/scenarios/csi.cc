// SPDX-License-Identifier: GPL-2.0-only
//
//        gnb0  at (0, 0), facing +x                 ue1 ->
//         |\                               ue0 ->              each ue walks or drives in a straight line
//         | \___ minDistance ... maxDistance, within sector degrees
//
// One base station and users that move in straight lines, and nothing but their channel: H(t, f) of every user's link
// as observables csi/ue0, csi/ue1, ... (helper/csi-publisher.h). The defaults are the channel-prediction data of
// LLM4CP (arXiv 2406.14440, section V): UMa without line of sight, 2.4 GHz, a 4 x 4 dual-polarised array at 30 m, users
// 150 to 200 m away at 10 to 100 km/h, 20 snapshots 0.5 ms apart, 96 tones of 180 kHz. After each block every user is
// put elsewhere, in an environment of its own: blocks are independent samples (--redraw=0: users go on through one).
//
// Try:     edgelam csi record --out csi.npz --samples 100
// Expect:  csi of shape [100, 20, 32, 1, 96]: the uplink, from one antenna to 2 x 16

#include <cmath>
#include <memory>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/constant-velocity-mobility-model.h"
#include "ns3/node-container.h"
#include "ns3/random-variable-stream.h"

#include "csi-publisher.h"
#include "planar-array.h"
#include "radio-channel.h"
#include "scenario.h"

using namespace ns3;

namespace {

constexpr double pi = 3.14159265358979323846;

double Radians(double degrees) {
    return degrees * pi / 180;
}

class CsiScenario {
  public:
    explicit CsiScenario(edgelam::Scenario& scenario) : m_scenario(scenario) {
        auto& options = scenario.options();
        options.Section("Channel");
        m_radio.Set("Frequency", 2.4e9);
        m_radio.Set("LosState", "Never");
        options.AttributeChoice("deployment", m_radio, "Deployment",
                                {"RMa", "UMa", "UMi", "InH-Mixed", "InH-Open", "InF-SL", "InF-DL", "InF-SH", "InF-DH",
                                 "InF-HH", "RMa-LMLC", "InH-A", "Clarke", "Rayleigh"},
                                "TR 38.901 deployment, Clarke's isotropic scattering, or independent Rayleigh fading");
        options.Attribute("frequency", m_radio, "Frequency",
                          {.help = "carrier frequency; above 100 GHz the statistics are extrapolated",
                           .smallest = edgelam::smallest_carrier_hz,
                           .largest = edgelam::largest_carrier_hz,
                           .unit = "Hz"});
        options.AttributeChoice("los", m_radio, "LosState", {"Never", "Always", "Probability"});
        options.Attribute("indoorFraction", m_radio, "IndoorFraction");
        options.Attribute("shadowing", m_radio, "Shadowing");
        options.AttributeChoice("angles", m_radio, "Angles", {"Frozen", "Drifting"},
                                "directions of rays within a window: frozen, or exact and slower");
        options.Flag("redraw", m_redraw, "after each block, a new place and an independent channel for every user");
        options.Section("Base station");
        options.Attribute("gnbRows", m_array, "NumRows", {.help = "rows of the base station's array", .largest = 256});
        options.Attribute("gnbColumns", m_array, "NumColumns",
                          {.help = "columns of the base station's array", .largest = 256});
        options.Integer("gnbPolarisations", m_gnbPolarisations, "1: vertical; 2: slanted by 45 and -45 degrees", 1, 2);
        options.Real("gnbHeight", m_gnbHeight, "m", "height of the base station's array", 1, 1000);
        m_array.Set("DowntiltAngle", Radians(7));
        options.Attribute("downtilt", m_array, "DowntiltAngle",
                          {.help = "tilt of the base station's array towards the ground",
                           .smallest = -90,
                           .largest = 90,
                           .unit = "degrees",
                           .scale = {"radians", "degrees", pi, 180}});
        options.Section("Users");
        options.Integer("numUe", m_numUe, "users ue0, ue1, ...", 1, 2000);
        options.Integer("ueAntennas", m_ueAntennas, "1: one isotropic antenna; 2: two, cross-polarised", 1, 2);
        options.Real("ueHeight", m_ueHeight, "m", "height of the users' antennas", 0.5, 100);
        options.Real("minDistance", m_minDistance, "m", "smallest distance on the ground from the base station", 1,
                     1e5);
        options.Real("maxDistance", m_maxDistance, "m", "largest distance, when a user is placed", 1, 1e5);
        options.Real("sector", m_sector, "degrees", "users are placed within this angle around the x axis", 0, 360);
        options.Real("minSpeed", m_minSpeed, "km/h", "smallest speed", 0, 1000);
        options.Real("maxSpeed", m_maxSpeed, "km/h", "largest speed", 0, 1000);
        options.Section("Snapshots");
        options.Choice("direction", m_direction, "who transmits", {"uplink", "downlink"});
        options.Integer("tones", m_tones, "subcarriers, centred on the carrier", 1, 100'000);
        options.Real("toneSpacing", m_toneSpacing, "Hz", "spacing of the subcarriers", 1, 1e9);
        m_publisher.Set("Snapshots", 20);
        options.Attribute("snapshots", m_publisher, "Snapshots",
                          {.help = "snapshots in each block; 1: live", .smallest = 1, .largest = 100'000});
        options.Attribute("period", m_publisher, "Period",
                          {.help = "time between snapshots", .smallest = 1e-6, .largest = 1000});
        options.Attribute("rays", m_publisher, "Rays");
        options.Section("SNR");
        options.Attribute("txPower", m_publisher, "TransmitPower");
        options.Attribute("noiseFigure", m_publisher, "NoiseFigure");
        options.Sets(m_array.type(), {{"IsDualPolarized", "gnbPolarisations"}, {"PolSlantAngle", ""}});
        options.Sets("ns3::PhasedArrayModel", {{"AntennaElement", ""}});
    }

    void Build() {
        Check("minDistance", m_minDistance, "maxDistance", m_maxDistance);
        Check("minSpeed", m_minSpeed, "maxSpeed", m_maxSpeed);
        try {
            BuildChannel();
        } catch (const std::invalid_argument& error) { // a combination of options that the channel does not take
            m_scenario.Refuse(error.what());
        }
    }

  private:
    void Check(const char* low, double lowValue, const char* high, double highValue) const {
        if (lowValue > highValue) {
            m_scenario.Refuse(std::string("option --") + low + "=" + std::to_string(lowValue) +
                              " is not legal: it takes at most --" + high + ", " + std::to_string(highValue));
        }
    }

    void BuildChannel() {
        m_random = CreateObject<UniformRandomVariable>();
        m_random->SetStream(1);
        m_channel = CreateObject<edgelam::RadioChannel>();
        m_radio.Apply(m_channel);
        m_channel->AssignStreams(2);

        NodeContainer nodes(1 + m_numUe);
        m_scenario.ExposeWithoutIp(nodes.Get(0), "gnb0", "gnb");
        auto gnb = CreateObject<ConstantPositionMobilityModel>();
        nodes.Get(0)->AggregateObject(gnb);
        gnb->SetPosition({0, 0, m_gnbHeight});
        using edgelam::ElementPattern;
        const auto rows = static_cast<std::uint32_t>(m_array.Number("NumRows"));
        const auto columns = static_cast<std::uint32_t>(m_array.Number("NumColumns"));
        const auto gnbArray = edgelam::MakePlanarArray(rows, columns, m_gnbPolarisations == 2, ElementPattern::Sector,
                                                       m_array.Number("DowntiltAngle"));
        const auto ueArray = edgelam::MakePlanarArray(1, 1, m_ueAntennas == 2, ElementPattern::Isotropic);

        m_csi = CreateObject<edgelam::CsiPublisher>();
        m_publisher.Apply(m_csi);
        const auto tones = edgelam::Tones(m_tones, m_toneSpacing);
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            const std::string name = "ue" + std::to_string(i);
            m_scenario.ExposeWithoutIp(nodes.Get(1 + i), name, "ue");
            auto ue = CreateObject<ConstantVelocityMobilityModel>();
            nodes.Get(1 + i)->AggregateObject(ue);
            m_ues.push_back(ue);
            Place(*ue);
            if (m_direction == "uplink") {
                m_csi->AddLink(name, m_channel, ue, ueArray, gnb, gnbArray, tones);
            } else {
                m_csi->AddLink(name, m_channel, gnb, gnbArray, ue, ueArray, tones);
            }
            m_channel->GetLink(gnb, gnbArray, ue, ueArray)->GetState(); // refuses what cannot be, before the run begins
        }
        if (m_redraw) {
            m_csi->TraceConnectWithoutContext("BlockFinished", MakeCallback(&CsiScenario::Redraw, this));
        }
        m_csi->Start(m_scenario.registry());
    }

    /// After the last snapshot of a block: every user elsewhere, in another environment.
    void Redraw(std::uint64_t blocks) {
        for (const auto& ue : m_ues) {
            Place(*ue);
            m_channel->Redraw(ue);
        }
    }

    /// Uniformly over the area of a ring's sector, heading anywhere.
    void Place(ConstantVelocityMobilityModel& ue) {
        const double distance =
            std::sqrt(m_random->GetValue(m_minDistance * m_minDistance, m_maxDistance * m_maxDistance));
        const double azimuth = Radians(m_random->GetValue(-0.5, 0.5) * m_sector);
        const double heading = m_random->GetValue(-pi, pi), speed = m_random->GetValue(m_minSpeed, m_maxSpeed) / 3.6;
        ue.SetPosition({distance * std::cos(azimuth), distance * std::sin(azimuth), m_ueHeight});
        ue.SetVelocity({speed * std::cos(heading), speed * std::sin(heading), 0});
    }

    edgelam::Scenario& m_scenario;
    std::string m_direction = "uplink";
    double m_gnbHeight = 30, m_ueHeight = 1.5;
    double m_minDistance = 150, m_maxDistance = 200, m_sector = 120, m_minSpeed = 10, m_maxSpeed = 100;
    double m_toneSpacing = 180e3;
    bool m_redraw = true;
    std::uint32_t m_gnbPolarisations = 2, m_numUe = 1, m_ueAntennas = 1, m_tones = 96;
    edgelam::AttributeValues m_radio{"edgelam::RadioChannel"}, m_array{"ns3::UniformPlanarArray"},
        m_publisher{"edgelam::CsiPublisher"};
    Ptr<UniformRandomVariable> m_random;
    Ptr<edgelam::RadioChannel> m_channel;
    Ptr<edgelam::CsiPublisher> m_csi;
    std::vector<Ptr<ConstantVelocityMobilityModel>> m_ues;
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("csi", "a base station, moving users, and their channel as observables");
    CsiScenario csi(scenario);
    return scenario.Main(argc, argv, [&] { csi.Build(); });
}
