// SPDX-License-Identifier: GPL-2.0-only
//
//   +------------- hall -------------+
//   |   gnb0 at the ceiling          |     backhaulDelay         cloudDelay
//   |   ~ ~ ~ ~ ~ --------------------------------------- UPF --------------- cloud0
//   |  ue0    ue1    ue2 ...         |          (N3)       | edgeDelay
//   |   machines (clutter)           |                   edge1, ...
//   |              edge0, ... -------+- edgeDelay, at the site: the gNB's switch
//   +--------------------------------+
//
// One 5G NR cell in a factory hall: TR 38.901 InF, by default dense clutter and a gNB above it (InF-DH) at the middle
// of the ceiling of a hall of 120 m x 60 m x 10 m; automated guided vehicles (AGVs) that go about at 1 m/s. The hall's
// floor has its middle at the origin. 3.5 GHz, 100 MHz at 30 kHz, TDD DDDSU: local 5G. Edge servers stand at the site
// (IP traffic breaks out there) and behind the user plane function (UPF).
//
// Try:     nr-indoor --numUe=1 --bytes=1e7 --speed=0 --los=Always
// Expect:  10 MB up at 103 Mb/s (one layer in 16 of 70 symbols) and down at 766 Mb/s: slow start, then the air. Without
//          --los=Always most of the hall is behind machines: of 4 UEs, 1 MB each goes up at 14 to 27 Mb/s.

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/node-container.h"
#include "ns3/random-variable-stream.h"
#include "ns3/string.h"

#include "blockers.h"
#include "indoor-factory-statistics.h"
#include "nr-helper.h"
#include "nr-reports.h"
#include "nr-servers.h"
#include "scenario.h"
#include "surfaces.h"
#include "ue-motion.h"

using namespace ns3;

namespace {

constexpr double ue_height_m = 1.5;
constexpr double wall_gap_m = 1; ///< UEs keep this away from the walls

class NrIndoor {
  public:
    explicit NrIndoor(edgelam::Scenario& scenario) : m_scenario(scenario) {
        auto& options = scenario.options();
        options.Section("Hall");
        options.Integer("numUe", m_numUe, "UEs ue0, ue1, ...", 1, 300);
        options.Real("speed", m_speedMps, "m/s",
                     "speed of each UE; the seed decides its heading; it turns round at the walls", 0,
                     edgelam::UeMotion::fastest_mps);
        m_channel.Set("Deployment", "InF-DH");
        options.AttributeChoice("factory", m_channel, "Deployment", {"InF-SL", "InF-DL", "InF-SH", "InF-DH", "InF-HH"});
        options.Attribute("hallLength", m_channel, "HallLength");
        options.Attribute("hallWidth", m_channel, "HallWidth");
        options.Attribute("hallHeight", m_channel, "HallHeight");
        options.Attribute("clutterSize", m_channel, "ClutterSize");
        options.Attribute("clutterDensity", m_channel, "ClutterDensity");
        options.Attribute("clutterHeight", m_channel, "ClutterHeight");
        options.Choice("gnbMount", m_mount,
                       "the gNB's array looks down from the middle of the ceiling, or along +x from the wall at "
                       "x = -hallLength / 2",
                       {"ceiling", "wall"});
        options.Real("gnbHeight", m_gnbHeightM, "m", "height of the gNB's antennas", 1, 25);
        options.AttributeChoice("los", m_channel, "LosState", {"Probability", "Always", "Never"});
        m_nr.AddOptions(options);
        m_surfaces.AddOptions(options);
        m_blockers.AddOptions(options);
        m_servers.AddOptions(options);
        m_motion.AddOptions(options);
    }

    void Build() {
        CheckHeights();
        BuildCell();
    }

  private:
    void CheckHeights() {
        const std::string factory = m_channel.Text("Deployment");
        m_hall = {m_channel.Number("HallLength"),     m_channel.Number("HallWidth"),
                  m_channel.Number("HallHeight"),     m_channel.Number("ClutterSize"),
                  m_channel.Number("ClutterDensity"), m_channel.Number("ClutterHeight")};
        const auto hall = edgelam::CompleteHall(edgelam::DeploymentOf(factory), m_hall);
        const bool low = factory.ends_with('L');
        const double least = low ? 1 : hall.clutterHeightM, most = low ? hall.clutterHeightM : hall.heightM;
        if (m_gnbHeightM < least || m_gnbHeightM > most) {
            throw std::invalid_argument("option --gnbHeight=" + Text(m_gnbHeightM) + " is not legal: with " + factory +
                                        " and machines of " + Text(hall.clutterHeightM) + " it takes " + Text(least) +
                                        " to " + Text(most));
        }
        if (std::min(hall.lengthM, hall.widthM) <= 2 * wall_gap_m) {
            throw std::invalid_argument("a hall of " + Text(hall.lengthM) + " x " + Text(hall.widthM) +
                                        " has no room for UEs 1 m away from the walls");
        }
    }

    void BuildCell() {
        auto channel = CreateObject<edgelam::RadioChannel>();
        m_channel.Apply(channel);
        std::int64_t stream = 1 + m_nr.AssignStreams(1);
        const bool wall = m_mount == "wall";
        const double mostX = m_hall.lengthM / 2 - wall_gap_m, mostY = m_hall.widthM / 2 - wall_gap_m;
        NodeContainer nodes(1 + m_numUe);
        auto gnb = CreateObject<ConstantPositionMobilityModel>();
        gnb->SetPosition({wall ? -m_hall.lengthM / 2 : 0, 0, m_gnbHeightM});
        nodes.Get(0)->AggregateObject(gnb);
        m_nr.SetMountingDeg(wall ? 0 : 90);
        m_nr.InstallGnb(nodes.Get(0), channel);
        const Box hall(-m_hall.lengthM / 2, m_hall.lengthM / 2, -m_hall.widthM / 2, m_hall.widthM / 2, 0,
                       m_hall.heightM);
        m_surfaces.Install(channel, gnb->GetPosition(), hall, OnTheWalls(m_surfaces.Count()));

        auto random = CreateObject<UniformRandomVariable>();
        random->SetStream(stream++);
        stream += m_motion.AssignStreams(stream);
        m_blockers.Install(channel, {-mostX, mostX, -mostY, mostY}, stream);
        const auto inside = [mostX, mostY](const Vector& p) {
            return std::abs(p.x) <= mostX && std::abs(p.y) <= mostY;
        };
        m_motion.SetArea({inside, {0, 0, ue_height_m}, {-mostX, mostX, -mostY, mostY}}, m_numUe, m_speedMps);
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            const double x = random->GetValue(-mostX, mostX), y = random->GetValue(-mostY, mostY);
            m_motion.Add(nodes.Get(1 + i), {x, y, ue_height_m}, m_speedMps,
                         random->GetValue(-std::numbers::pi, std::numbers::pi));
            m_nr.InstallUe(nodes.Get(1 + i));
        }
        m_servers.Install(m_nr, m_scenario);
        m_reports = std::make_unique<edgelam::NrReports>(m_nr, m_scenario.registry());
        m_surfaces.Publish(m_scenario.registry(), m_nr);
        m_blockers.Start(m_scenario.registry(), m_nr);
        m_motion.Start(m_scenario.registry(), "the middle of the hall's floor is the origin");
    }

    /// Surfaces on the long walls in turn, evenly along x, halfway between the UEs and the gNB.
    std::vector<edgelam::SurfacePlace> OnTheWalls(std::uint32_t count) const {
        std::vector<edgelam::SurfacePlace> places;
        for (std::uint32_t i = 0; i < count; ++i) {
            const double side = i % 2 == 0 ? 1 : -1;
            places.push_back({{m_hall.lengthM * ((i + 0.5) / count - 0.5), side * m_hall.widthM / 2,
                               (m_gnbHeightM + ue_height_m) / 2},
                              -90 * side});
        }
        return places;
    }

    static std::string Text(double metres) { return edgelam::WithUnit(metres, {{"m", 1}}); }

    edgelam::Scenario& m_scenario;
    /// TS 38.104 6.2.1: at most 24 dBm of a local area base station. A panel of 4 x 4 places, two polarisations each.
    edgelam::NrHelper m_nr{{.powerDbm = 24, .rows = 4, .columns = 4, .downtiltDeg = 0}};
    std::unique_ptr<edgelam::NrReports> m_reports;
    edgelam::Surfaces m_surfaces;
    edgelam::Blockers m_blockers{0};
    edgelam::NrServers m_servers;
    edgelam::UeMotion m_motion;
    edgelam::FactoryHall m_hall;
    std::uint32_t m_numUe = 4;
    double m_speedMps = 1, m_gnbHeightM = 8; // TR 38.901 table 7.8-7: gNB at 8 m in InF-SH and InF-DH
    std::string m_mount = "ceiling";
    edgelam::AttributeValues m_channel{"edgelam::RadioChannel"};
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("nr-indoor", "a 5G NR cell in a factory hall, edge servers at its site and in the core");
    NrIndoor hall(scenario);
    return scenario.Main(argc, argv, [&] { hall.Build(); });
}
