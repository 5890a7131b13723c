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
// Expect:  10 MB up at 117 Mb/s: one layer in 16 of 70 symbols, all resource blocks; and down at 766 Mb/s: 49 ms at the
//          air's 1.64 Gb/s, the rest is setting up the connection and slow start, round trips of 7.5 ms.

#include <cmath>
#include <memory>
#include <numbers>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/node-container.h"
#include "ns3/random-variable-stream.h"
#include "ns3/string.h"

#include "nr-helper.h"
#include "nr-reports.h"
#include "nr-servers.h"
#include "scenario.h"
#include "ue-motion.h"

using namespace ns3;

namespace {

class NrUrbanMicro {
  public:
    explicit NrUrbanMicro(edgelam::Scenario& scenario) : m_scenario(scenario) {
        auto& options = scenario.options();
        options.Section("Street");
        options.Integer("numUe", m_numUe, "UEs ue0, ue1, ...", 1, 300);
        options.Real("minDistance", m_minDistance, "m", "smallest distance of a UE from the gNB on the ground", 10,
                     5000);
        options.Real("maxDistance", m_maxDistance, "m", "largest distance of a UE from the gNB on the ground", 10,
                     5000);
        options.Real("sector", m_sector, "degrees", "UEs stay within this angle around the x axis", 1, 360);
        options.Real("speed", m_speedMps, "m/s",
                     "speed of each UE; the seed decides its heading; it turns round at the edges", 0,
                     edgelam::UeMotion::fastest_mps);
        options.Real("gnbHeight", m_gnbHeightM, "m", "height of the gNB's antennas", 3, 100);
        options.AttributeChoice("los", m_channel, "LosState", {"Probability", "Always", "Never"});
        options.Attribute("indoorFraction", m_channel, "IndoorFraction");
        m_channel.Set("Deployment", "UMi");
        options.AttributeChoice("deployment", m_channel, "Deployment", {"UMi", "Rayleigh"},
                                "the street of TR 38.901, or independent Rayleigh fading with free-space loss");
        m_nr.AddOptions(options);
        m_servers.AddOptions(options);
        m_motion.AddOptions(options);
    }

    void Build() {
        if (m_minDistance > m_maxDistance) {
            m_scenario.Refuse("option --minDistance=" + std::to_string(m_minDistance) +
                              " is not legal: it takes at most --maxDistance, " + std::to_string(m_maxDistance));
        }
        auto channel = CreateObject<edgelam::RadioChannel>();
        m_channel.Apply(channel);
        std::int64_t stream = 1 + m_nr.AssignStreams(1);
        NodeContainer nodes(1 + m_numUe);
        auto gnb = CreateObject<ConstantPositionMobilityModel>();
        gnb->SetPosition({0, 0, m_gnbHeightM});
        nodes.Get(0)->AggregateObject(gnb);
        m_nr.InstallGnb(nodes.Get(0), channel);

        auto random = CreateObject<UniformRandomVariable>();
        random->SetStream(stream++);
        stream += m_motion.AssignStreams(stream);
        const double pi = std::numbers::pi;
        const double side = m_maxDistance;
        m_motion.SetArea({[this](const Vector& p) { return Inside(p); },
                          {0.5 * (m_minDistance + m_maxDistance), 0, ue_height_m},
                          {-side, side, -side, side}},
                         m_numUe, m_speedMps);
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            // Uniformly over the area of the ring's sector.
            const double distance =
                std::sqrt(random->GetValue(m_minDistance * m_minDistance, m_maxDistance * m_maxDistance));
            const double azimuth = random->GetValue(-0.5, 0.5) * m_sector * pi / 180;
            m_motion.Add(nodes.Get(1 + i), {distance * std::cos(azimuth), distance * std::sin(azimuth), ue_height_m},
                         m_speedMps, random->GetValue(-pi, pi));
            m_nr.InstallUe(nodes.Get(1 + i));
        }
        m_servers.Install(m_nr, m_scenario);
        m_reports = std::make_unique<edgelam::NrReports>(m_nr, m_scenario.registry());
        m_motion.Start(m_scenario.registry(), "gnb0 stands at the origin and faces +x");
    }

  private:
    bool Inside(const Vector& p) const {
        const double distance = std::hypot(p.x, p.y);
        return distance >= m_minDistance && distance <= m_maxDistance &&
               std::abs(std::atan2(p.y, p.x)) <= 0.5 * m_sector * std::numbers::pi / 180;
    }

    static constexpr double ue_height_m = 1.5; // TR 38.901 table 7.2-1, UMi: gNB at 10 m, UEs at 1.5 m, 10 m away

    edgelam::Scenario& m_scenario;
    edgelam::NrHelper m_nr;
    std::unique_ptr<edgelam::NrReports> m_reports;
    edgelam::NrServers m_servers;
    edgelam::UeMotion m_motion;
    std::uint32_t m_numUe = 4;
    double m_minDistance = 20, m_maxDistance = 150, m_sector = 120, m_speedMps = 3 / 3.6, m_gnbHeightM = 10;
    edgelam::AttributeValues m_channel{"edgelam::RadioChannel"};
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("nr-urban-micro", "a 5G NR cell in a street, edge servers at its site and in the core");
    NrUrbanMicro street(scenario);
    return scenario.Main(argc, argv, [&] { street.Build(); });
}
