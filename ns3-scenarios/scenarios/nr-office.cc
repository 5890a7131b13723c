// SPDX-License-Identifier: GPL-2.0-only
//
//   +------------------- office, 50 m wide -------------------+
//   |  gnb3 *        gnb4 *        gnb5 *       rows at .3    |
//   |      ~ ue0         ~ ue2                  and .7 of     |     N3
//   |  gnb0 *   ~ ue1 gnb1 *        gnb2 *      the width ----+---------- UPF --- edge servers, cloud0
//   +---------- 20 m from one gNB to the next ----------------+
//
// A 5G NR network in an office floor: TR 38.901 table 7.2-2 (indoor - office), cells at the ceiling in two rows that
// look down, people who walk. All cells share one carrier and hear one another (docs/cells.md), so UEs change cells
// every few metres, by event A3 (docs/mobility.md). Each gNB has edge servers of its own. The hall's corner is the
// origin.
//
// Try:     nr-office --numUe=4 --bytes=1e6
// Expect:  1 MB up at 42 to 71 Mb/s and down at 54 to 73 Mb/s: a cell of 20 MHz each, setting up, and slow start.
//          With --speed=2 each of the four changes cells three times in the first 30 s.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/random-variable-stream.h"
#include "ns3/string.h"

#include "nr-network-helper.h"
#include "scenario.h"
#include "site-layout.h"
#include "ue-motion.h"

using namespace ns3;

namespace {

constexpr double ue_height_m = 1; // TR 38.901 table 7.2-2
constexpr double wall_gap_m = 1;  ///< UEs keep this away from the walls

class NrOffice {
  public:
    explicit NrOffice(edgelam::Scenario& scenario) : m_scenario(scenario) {
        auto& options = scenario.options();
        options.Section("Office");
        options.Integer("perRow", m_perRow, "gNBs gnb0, gnb1, ... in each of the two rows", 1, 20);
        options.Real("siteDistance", m_distanceM, "m", "from a gNB to the next one in its row", 5, 200);
        options.Real("hallWidth", m_widthM, "m", "width of the office; it is as long as its rows", 10, 500);
        options.Real("gnbHeight", m_gnbHeightM, "m", "height of the ceiling, from where the gNBs look down", 2, 20);
        options.Integer("numUe", m_numUe, "UEs ue0, ue1, ...", 1, 300);
        options.Real("speed", m_speedMps, "m/s", "speed of each UE", 0, edgelam::UeMotion::fastest_mps);
        m_channel.Set("Deployment", "InH-Open");
        options.AttributeChoice("office", m_channel, "Deployment", {"InH-Open", "InH-Mixed", "InH-A"});
        options.AttributeChoice("los", m_channel, "LosState", {"Probability", "Always", "Never"});
        m_nr.AddOptions(options);
        m_motion.AddOptions(options, "waypoints");
    }

    void Build() {
        auto channel = CreateObject<edgelam::RadioChannel>();
        m_channel.Apply(channel);
        std::int64_t stream = 1 + m_nr.AssignStreams(1);
        m_nr.Radio().SetMountingDeg(90); // at the ceiling
        const auto layout = edgelam::SiteLayout::Office(m_distanceM, m_perRow, m_widthM, 1, m_gnbHeightM);
        for (const auto& cell : layout.Cells()) {
            auto node = CreateObject<Node>();
            auto mobility = CreateObject<ConstantPositionMobilityModel>();
            mobility->SetPosition(cell.place);
            node->AggregateObject(mobility);
            m_nr.AddGnb(node, channel, {{cell.bearingDeg}});
        }
        const double mostX = m_perRow * m_distanceM - wall_gap_m, mostY = m_widthM - wall_gap_m;
        const auto inside = [mostX, mostY](const Vector& p) {
            return p.x >= wall_gap_m && p.x <= mostX && p.y >= wall_gap_m && p.y <= mostY;
        };
        stream += m_motion.AssignStreams(stream);
        m_motion.SetArea({inside,
                          {0.5 * (mostX + wall_gap_m), 0.5 * (mostY + wall_gap_m), ue_height_m},
                          {wall_gap_m, mostX, wall_gap_m, mostY}},
                         m_numUe, m_speedMps);
        auto random = CreateObject<UniformRandomVariable>();
        random->SetStream(stream);
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            auto node = CreateObject<Node>();
            const double x = random->GetValue(wall_gap_m, mostX), y = random->GetValue(wall_gap_m, mostY);
            m_motion.Add(node, {x, y, ue_height_m}, m_speedMps, random->GetValue(-std::numbers::pi, std::numbers::pi));
            m_nr.AddUe(node);
        }
        m_nr.Install(m_scenario);
        m_motion.Start(m_scenario.registry(), "a corner of the office is the origin");
    }

  private:
    edgelam::Scenario& m_scenario;
    /// TS 38.104 6.2.1: at most 24 dBm of a local area base station. A panel of 4 x 4 places, two polarisations each.
    edgelam::NrNetworkHelper m_nr{{.powerDbm = 24, .rows = 4, .columns = 4, .downtiltDeg = 0}};
    edgelam::UeMotion m_motion;
    std::uint32_t m_perRow = 3, m_numUe = 6;
    double m_distanceM = 20, m_widthM = 50, m_gnbHeightM = 3, m_speedMps = 3 / 3.6;
    edgelam::AttributeValues m_channel{"edgelam::RadioChannel"};
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("nr-office",
                               "5G NR cells at the ceiling of an office floor, edge servers at each of them");
    NrOffice office(scenario);
    return scenario.Main(argc, argv, [&] { office.Build(); });
}
