// SPDX-License-Identifier: GPL-2.0-only
//
//   +-------------- room --------------+
//   | gnb0 on the wall, faces +x       |     backhaulDelay         cloudDelay
//   |  |) ~ ~ ~ ue0   o   ue1 --------------------------- UPF --------------- cloud0
//   |         o       ue2      o       |          (N3)       | edgeDelay
//   |   people (o) walk and block rays |                   edge1, ...
//   |              edge0, ... ---------+- edgeDelay, at the site
//   +----------------------------------+
//
// A hot spot above 100 GHz in a room of 20 m x 10 m: one NR cell at 140 GHz with 2 GHz at 960 kHz (4 GHz and more are
// options), TDD of 23 downlink slots, a special one and 8 of uplink, TR 38.901 InH-Open, absorption of air, people who
// block rays (TR 38.901 7.6.4.2), phase noise as a ceiling of SINR, and interference between subcarriers at speed. The
// floor has its middle at the origin. There is no standard for radio above 71 GHz, nor for its channel above 100 GHz:
// what is extrapolated stands in docs/sub-thz.md.
//
// Try:     nr-subthz-hotspot --numUe=1 --bytes=2e7 --speed=0 --los=Always --blockers=0
// Expect:  20 MB up at 1.66 Gb/s and down at 3.87 Gb/s: slow start, then the air. In the default room, of 4 UEs 1 MB
//          each goes up to edge0 and gnb0 at 0.7 Gb/s (the others have longer wires), and with --blockers=40 at 0.4
//          Gb/s.

#include <cmath>
#include <memory>
#include <numbers>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/node-container.h"
#include "ns3/random-variable-stream.h"
#include "ns3/string.h"

#include "blockers.h"
#include "nr-helper.h"
#include "nr-reports.h"
#include "nr-servers.h"
#include "scenario.h"
#include "ue-motion.h"

using namespace ns3;

namespace {

class NrSubThzHotspot {
  public:
    explicit NrSubThzHotspot(edgelam::Scenario& scenario) : m_scenario(scenario) {
        auto& options = scenario.options();
        options.Section("Room");
        options.Integer("numUe", m_numUe, "UEs ue0, ue1, ...", 1, 100);
        options.Real("roomLength", m_lengthM, "m", "of the room, along x", 4, 150);
        options.Real("roomWidth", m_widthM, "m", "of the room, along y", 4, 150);
        options.Real("speed", m_speedMps, "m/s",
                     "speed of each UE; the seed decides its heading; it turns round at the walls", 0,
                     edgelam::UeMotion::fastest_mps);
        options.Real("gnbHeight", m_gnbHeightM, "m", "height of the gNB's antennas", 1.1, 25);
        options.Real("ueHeight", m_ueHeightM, "m", "height of the UEs' antennas", 0.5, 10);
        m_channel.Set("Deployment", "InH-Open");
        m_channel.Set("WindowLength", window_m);
        options.AttributeChoice("deployment", m_channel, "Deployment", {"InH-Open", "InH-Mixed"});
        options.AttributeChoice("los", m_channel, "LosState", {"Probability", "Always", "Never"});
        m_blockers.AddOptions(options);
        m_nr.CarrierValues().Set("Frequency", 140e9);
        m_nr.CellValues().Set("Bandwidth", 2e9);
        m_nr.CellValues().Set("Numerology", 6);
        m_nr.CellValues().Set("Pattern", "DDDDDDDDDDDDDDDDDDDDDDDSUUUUUUUU");
        m_nr.CellValues().Set("PhaseNoise", phase_noise_db);
        m_nr.CellValues().Set("Intercarrier", "true");
        m_nr.AddOptions(options);
        m_servers.AddOptions(options);
        m_motion.AddOptions(options);
    }

    void Build() {
        auto channel = CreateObject<edgelam::RadioChannel>();
        m_channel.Apply(channel);
        std::int64_t stream = 1 + m_nr.AssignStreams(1);
        const double mostX = m_lengthM / 2 - wall_gap_m, mostY = m_widthM / 2 - wall_gap_m;
        NodeContainer nodes(1 + m_numUe);
        auto gnb = CreateObject<ConstantPositionMobilityModel>();
        gnb->SetPosition({-m_lengthM / 2, 0, m_gnbHeightM});
        nodes.Get(0)->AggregateObject(gnb);
        m_nr.InstallGnb(nodes.Get(0), channel);
        const Rectangle floor{-mostX, mostX, -mostY, mostY};
        stream += m_blockers.Install(channel, floor, stream);

        auto random = CreateObject<UniformRandomVariable>();
        random->SetStream(stream++);
        m_motion.AssignStreams(stream);
        const auto inside = [floor](const Vector& p) { return floor.IsInside(p); };
        m_motion.SetArea({inside, {0, 0, m_ueHeightM}, floor}, m_numUe, m_speedMps);
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            const double x = random->GetValue(-mostX, mostX), y = random->GetValue(-mostY, mostY);
            m_motion.Add(nodes.Get(1 + i), {x, y, m_ueHeightM}, m_speedMps,
                         random->GetValue(-std::numbers::pi, std::numbers::pi));
            m_nr.InstallUe(nodes.Get(1 + i));
        }
        m_servers.Install(m_nr, m_scenario);
        m_reports = std::make_unique<edgelam::NrReports>(m_nr, m_scenario.registry());
        m_blockers.Start(m_scenario.registry(), m_nr);
        m_motion.Start(m_scenario.registry(), "the middle of the room's floor is the origin");
    }

  private:
    static constexpr double wall_gap_m = 1;       ///< UEs and bodies keep this away from the walls
    static constexpr double window_m = 0.05;      ///< 23 wavelengths at 140 GHz
    static constexpr double phase_noise_db = -26; ///< an assumption: about 5 % of error vector magnitude

    edgelam::Scenario& m_scenario;
    edgelam::NrHelper m_nr{{.powerDbm = 20, .rows = 8, .columns = 8, .downtiltDeg = 0}};
    std::unique_ptr<edgelam::NrReports> m_reports;
    edgelam::Blockers m_blockers{4};
    edgelam::NrServers m_servers;
    edgelam::UeMotion m_motion;
    std::uint32_t m_numUe = 4;
    double m_lengthM = 20, m_widthM = 10, m_speedMps = 3 / 3.6, m_gnbHeightM = 3, m_ueHeightM = 1;
    edgelam::AttributeValues m_channel{"edgelam::RadioChannel"};
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("nr-subthz-hotspot",
                               "an NR cell above 100 GHz in a room, edge servers at its site and in the core");
    NrSubThzHotspot room(scenario);
    return scenario.Main(argc, argv, [&] { room.Build(); });
}
