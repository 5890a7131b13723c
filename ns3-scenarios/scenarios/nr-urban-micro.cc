// SPDX-License-Identifier: GPL-2.0-only
//
//   ue0 ~~~ )                  backhaulDelay         cloudDelay
//   ue1 ~~~ )  gnb0 -------------------------- UPF --------------- cloud0
//   ...     )    | edgeDelay      (N3)          | edgeDelay
//              edge0, ...                      edge1, ...
//              at the site                     behind the core
//
// One 5G NR cell in a street: TR 38.901 UMi, gNB at (0, 0, 10) facing +x, pedestrians in front of it. By default 3.5
// GHz, 100 MHz at 30 kHz, TDD DDDSU; with --frequency=28e9 --numerology=3 --bandwidth=400 a cell in FR2. Edge servers
// stand at the site (IP traffic breaks out there) and behind the user plane function (UPF).
//
// Try:     nr-urban-micro --numUe=1 --bytes=1e7 --speed=0 --los=Always --minDistance=30 --maxDistance=31
// Expect:  10 MB up at 117 Mb/s: one layer in 16 of 70 symbols, all resource blocks; and down at 770 Mb/s: 55 ms at the
//          air's 1.45 Gb/s, the rest is setting up the connection and slow start, round trips of about 8 ms.

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/constant-velocity-mobility-model.h"
#include "ns3/double.h"
#include "ns3/node-container.h"
#include "ns3/random-variable-stream.h"
#include "ns3/simulator.h"
#include "ns3/string.h"

#include "nr-helper.h"
#include "nr-reports.h"
#include "scenario.h"

using namespace ns3;
using edgelam::NrHelper;

namespace {

constexpr double fastest_mps = 150;

class NrUrbanMicro {
  public:
    explicit NrUrbanMicro(edgelam::Scenario& scenario) : m_scenario(scenario) {
        auto& options = scenario.options();
        options.Section("Street");
        options.Integer("numUe", m_numUe, "UEs ue0, ue1, ...", 1, 300);
        options.Real("minDistance", m_minDistance, "m", "of a UE from the gNB on the ground, smallest", 10, 5000);
        options.Real("maxDistance", m_maxDistance, "m", "of a UE from the gNB on the ground, largest", 10, 5000);
        options.Real("sector", m_sector, "degrees", "UEs stay within this angle around the x axis", 1, 360);
        options.Real("speed", m_speedMps, "m/s", "of each UE, heading drawn by seed; they turn round at the edges", 0,
                     fastest_mps);
        options.Real("gnbHeight", m_gnbHeightM, "m", "of the gNB's antennas", 3, 100);
        options.Choice("los", m_los, "line of sight", {"Probability", "Always", "Never"});
        options.Real("indoorFraction", m_indoor, "", "share of places inside a building", 0, 1);
        m_nr.AddOptions(options);
        options.Section("Servers");
        options.Integer("numEdge", m_numEdge, "edge servers at the site: edge0, ...", 0, 100);
        options.Integer("numUpfEdge", m_numUpfEdge, "edge servers behind the UPF, numbered on", 0, 100);
        options.Time("edgeDelay", m_edgeDelayS, "of each edge server's link, one way", 0, 1);
        options.Rate("edgeRate", m_edgeRate, "of each edge server's link", 1e6, 1e12);
        options.Time("cloudDelay", m_cloudDelayS, "between UPF and cloud0, one way", 0, 1);
        options.Rate("cloudRate", m_cloudRate, "of the cloud's link", 1e6, 1e12);
    }

    void Build() {
        if (m_minDistance > m_maxDistance) {
            m_scenario.Refuse("option --minDistance=" + std::to_string(m_minDistance) +
                              " is not legal: it takes at most --maxDistance, " + std::to_string(m_maxDistance));
        }
        try {
            BuildCell();
        } catch (const std::invalid_argument& error) { // settings that do not go together
            m_scenario.Refuse(error.what());
        }
    }

  private:
    void BuildCell() {
        auto channel = CreateObject<edgelam::RadioChannel>();
        channel->SetAttribute("Deployment", StringValue("UMi"));
        channel->SetAttribute("LosState", StringValue(m_los));
        channel->SetAttribute("IndoorFraction", DoubleValue(m_indoor));
        std::int64_t stream = 1 + m_nr.AssignStreams(1);
        NodeContainer nodes(1 + m_numUe);
        auto gnb = CreateObject<ConstantPositionMobilityModel>();
        gnb->SetPosition({0, 0, m_gnbHeightM});
        nodes.Get(0)->AggregateObject(gnb);
        m_nr.InstallGnb(nodes.Get(0), channel);

        auto random = CreateObject<UniformRandomVariable>();
        random->SetStream(stream++);
        const double pi = std::numbers::pi;
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            auto ue = CreateObject<ConstantVelocityMobilityModel>();
            nodes.Get(1 + i)->AggregateObject(ue);
            // Uniformly over the area of the ring's sector.
            const double distance =
                std::sqrt(random->GetValue(m_minDistance * m_minDistance, m_maxDistance * m_maxDistance));
            const double azimuth = random->GetValue(-0.5, 0.5) * m_sector * pi / 180;
            const double heading = random->GetValue(-pi, pi);
            ue->SetPosition({distance * std::cos(azimuth), distance * std::sin(azimuth), ue_height_m});
            ue->SetVelocity({m_speedMps * std::cos(heading), m_speedMps * std::sin(heading), 0});
            m_ues.push_back(ue);
            m_nr.InstallUe(nodes.Get(1 + i));
            m_nr.Tune(m_scenario.Expose(nodes.Get(1 + i), "ue" + std::to_string(i), "ue"), true,
                      m_nr.BackhaulDelayS() + m_cloudDelayS);
        }
        for (std::uint32_t i = 0; i < m_numEdge + m_numUpfEdge; ++i) {
            const bool site = i < m_numEdge;
            AddServer("edge" + std::to_string(i), "edge", site ? NrHelper::Place::Site : NrHelper::Place::Upf,
                      m_edgeRate, m_edgeDelayS);
        }
        AddServer("cloud0", "cloud", NrHelper::Place::Upf, m_cloudRate, m_cloudDelayS);
        m_nr.Tune(m_scenario.Expose(nodes.Get(0), "gnb0", "gnb"), false, m_nr.BackhaulDelayS() + m_cloudDelayS);
        m_reports = std::make_unique<edgelam::NrReports>(m_nr, m_scenario.registry());
        AddVelocityControl();
        Simulator::Schedule(Seconds(1), &NrUrbanMicro::TurnBack, this);
    }

    void AddServer(const std::string& name, const std::string& role, NrHelper::Place place, double rateBps,
                   double delayS) {
        const auto server = m_nr.AddServer(place, rateBps, delayS);
        const double backhaulS = place == NrHelper::Place::Upf ? m_nr.BackhaulDelayS() : 0;
        m_nr.Tune(m_scenario.Expose(server, name, role), false, backhaulS + delayS);
    }

    /// Every second, a UE that has left the ring's sector heads for the middle of it.
    void TurnBack() {
        for (const auto& ue : m_ues) {
            const Vector p = ue->GetPosition(), v = ue->GetVelocity();
            const double distance = std::hypot(p.x, p.y), speed = std::hypot(v.x, v.y);
            const bool outside = distance > m_maxDistance || distance < m_minDistance ||
                                 std::abs(std::atan2(p.y, p.x)) > 0.5 * m_sector * std::numbers::pi / 180;
            if (outside && speed > 0) {
                const double dx = 0.5 * (m_minDistance + m_maxDistance) - p.x, dy = -p.y;
                const double scale = speed / std::max(std::hypot(dx, dy), 1e-9);
                ue->SetVelocity({dx * scale, dy * scale, 0});
            }
        }
        Simulator::Schedule(Seconds(1), &NrUrbanMicro::TurnBack, this);
    }

    void AddVelocityControl() {
        m_scenario.registry().Control<edgelam::Array<double>>(
            "ue_velocity", "m/s", "of the UEs, from now on; at most 150 m/s, on the ground (z = 0)",
            [this](const edgelam::Array<double>& v) -> std::string {
                for (std::uint32_t i = 0; i < m_numUe; ++i) {
                    const double* xyz = &v.values[3 * i];
                    if (!(std::hypot(xyz[0], xyz[1]) <= fastest_mps) || xyz[2] != 0) {
                        return "velocity (" + std::to_string(xyz[0]) + ", " + std::to_string(xyz[1]) + ", " +
                               std::to_string(xyz[2]) + ") m/s of ue" + std::to_string(i) +
                               "; legal are up to 150 m/s with z = 0";
                    }
                }
                for (std::uint32_t i = 0; i < m_numUe; ++i) {
                    m_ues[i]->SetVelocity({v.values[3 * i], v.values[3 * i + 1], 0});
                }
                return {};
            },
            {{"ue", m_numUe}, {"xyz", 3}});
    }

    static constexpr double ue_height_m = 1.5; // TR 38.901 table 7.2-1, UMi: gNB at 10 m, UEs at 1.5 m, 10 m away

    edgelam::Scenario& m_scenario;
    NrHelper m_nr;
    std::unique_ptr<edgelam::NrReports> m_reports;
    std::uint32_t m_numUe = 4, m_numEdge = 1, m_numUpfEdge = 1;
    double m_minDistance = 20, m_maxDistance = 150, m_sector = 120, m_speedMps = 3 / 3.6, m_gnbHeightM = 10;
    double m_indoor = 0, m_edgeDelayS = 1e-4, m_edgeRate = 10e9, m_cloudDelayS = 20e-3, m_cloudRate = 1e9;
    std::string m_los = "Probability";
    std::vector<Ptr<ConstantVelocityMobilityModel>> m_ues;
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("nr-urban-micro", "a 5G NR cell in a street, edge servers at its site and in the core");
    NrUrbanMicro street(scenario);
    return scenario.Main(argc, argv, [&] { street.Build(); });
}
