// SPDX-License-Identifier: GPL-2.0-only
//
//         gnb0            gnb1            gnb2             N3               cloudDelay
//        <  |  >         <  |  >         <  |  >  ------------------ UPF ---------------- cloud0
//         edge0           edge1           edge2                       |
//   - - - - - - - - - - - - - - - - - - - - - - - - -               edge3, ...
//    ue0 ->      ue1 ->               <- ue2                   behind the core
//
// A road or a railway along x with gNBs beside it, each with two cells that face along the way, in both directions. An
// edge server stands at each gNB (IP traffic breaks out there), others behind the user plane function (UPF). TR 38.901
// UMa or RMa, by default 3.5 GHz, 100 MHz at 30 kHz. UEs keep to the right, turn round at the ends, and are handed over
// from cell to cell by event A3.
//
// Try:     nr-highway --numUe=2 --bytes=1e5 --speed=30
// Expect:  0.1 MB up at 12 to 13 Mb/s and down at 15 to 16 Mb/s: setting up the connection, and slow start.
//          docs/mobility.md has a drive past all gNBs.

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "ns3/node.h"
#include "ns3/random-variable-stream.h"

#include "nr-network-helper.h"
#include "scenario.h"
#include "sites-file.h"
#include "ue-drop.h"
#include "ue-motion.h"

using namespace ns3;

namespace {

constexpr double ue_height_m = 1.5;

class NrHighway {
  public:
    explicit NrHighway(edgelam::Scenario& scenario) : m_scenario(scenario) {
        auto& options = scenario.options();
        options.Section("Way");
        options.Choice("way", m_way, "road: lanes of 3.75 m; railway: two tracks, 4.5 m apart", {"road", "railway"});
        options.Integer("numUe", m_numUe, "UEs ue0, ue1, ...", 1, 300);
        options.Integer("numGnb", m_numGnb, "gNBs along the way, gnb0 at x = 0", 1, 50);
        options.Real("spacing", m_spacingM, "m", "distance of neighbouring gNBs", 50, 5000);
        options.Real("setback", m_setbackM, "m", "distance of the gNBs from the middle of the way", 10, 500);
        options.Real("gnbHeight", m_gnbHeightM, "m", "height of the gNBs' antennas", 10, 150);
        options.Text("sitesFile", m_sitesFile,
                     std::string("CSV of cells along the way instead of these gNBs; columns ") +
                         edgelam::sites_columns + " in m, degrees, dBm, TR 38.901 deployment, Hz");
        options.Integer("lanes", m_numLanes, "lanes of a road in each direction", 1, 8);
        options.Real("speed", m_speedMps, "m/s", "mean speed of UEs; 139 is 500 km/h", 0,
                     edgelam::UeMotion::fastest_mps);
        m_channel.Set("Deployment", "UMa");
        options.AttributeChoice("deployment", m_channel, "Deployment", {"UMa", "RMa", "UMi", "RMa-LMLC"});
        options.AttributeChoice("los", m_channel, "LosState", {"Probability", "Always", "Never"});
        m_drop.AddCarOptions(options);
        m_nr.AddOptions(options);
        m_motion.AddOptions(options, "road");
    }

    void Build() {
        edgelam::Carriers carriers([this] {
            auto channel = CreateObject<edgelam::RadioChannel>();
            m_channel.Apply(channel);
            return channel;
        });
        std::int64_t stream = 1 + m_nr.AssignStreams(1);
        const auto cells = Cells();
        m_nr.AddGnbs(cells, carriers, m_channel.Text("Deployment"));
        const bool railway = m_way == "railway";
        const double laneM = railway ? 4.5 : 3.75;
        const std::uint32_t lanes = railway ? 1 : m_numLanes;
        std::vector<double> lanesM;
        for (std::uint32_t i = 0; i < 2 * lanes; ++i) {
            lanesM.push_back((i + 0.5 - lanes) * laneM);
        }
        const auto [first, last] = std::minmax_element(
            cells.begin(), cells.end(), [](const auto& a, const auto& b) { return a.place.x < b.place.x; });
        const double begin = first->place.x - 0.5 * m_spacingM, end = last->place.x + 0.5 * m_spacingM;
        const double side = lanes * laneM;
        const auto inside = [begin, end, side](const Vector& p) {
            return p.x >= begin && p.x <= end && std::abs(p.y) <= side;
        };
        m_motion.AssignStreams(stream++);
        m_motion.SetArea({inside, {0.5 * (begin + end), 0, ue_height_m}, {begin, end, -side, side}, lanesM}, m_numUe,
                         m_speedMps);
        auto random = CreateObject<UniformRandomVariable>();
        random->SetStream(stream);
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            auto node = CreateObject<Node>();
            const double x = random->GetValue(begin, end);
            m_motion.Add(node, {x, -0.5 * laneM, ue_height_m}, m_speedMps, 0);
            edgelam::NamedRandom around(edgelam::UeDrop::Seed(), {2, i});
            auto dropped = m_drop.Draw(around);
            const auto mobility = node->GetObject<MobilityModel>();
            dropped.x = mobility->GetPosition().x;
            dropped.y = mobility->GetPosition().y;
            if (dropped.car != 0) {
                carriers.ForAll([&](auto& channel) { m_drop.Apply(channel, mobility, dropped); });
            }
            m_nr.AddUe(node);
            m_dropped.push_back(dropped);
        }
        m_nr.Install(m_scenario);
        m_motion.Start(m_scenario.registry(), "the way is along y = 0; gnb0 stands at x = 0, or as the file says");
        m_scenario.registry().Publish<std::vector<edgelam::DroppedUe>>(
            "ue_drop", "", "where each UE was at first, and the loss of its car", [this] { return m_dropped; },
            {{"ue", m_numUe}});
    }

  private:
    /// Those of the file, or two at each gNB of a row.
    std::vector<edgelam::SiteCell> Cells() const {
        std::vector<edgelam::SiteCell> cells;
        if (!m_sitesFile.empty()) {
            edgelam::ReadSites(m_sitesFile, cells);
            if (cells.empty()) {
                throw std::invalid_argument("option --sitesFile=" + m_sitesFile +
                                            " is not legal: the file has no cells");
            }
            return cells;
        }
        for (std::uint32_t i = 0; i < m_numGnb; ++i) {
            const Vector place(i * m_spacingM, m_setbackM, m_gnbHeightM);
            cells.push_back({{place, 0, i}, {}, {}});
            cells.push_back({{place, 180, i}, {}, {}});
        }
        return cells;
    }

    edgelam::Scenario& m_scenario;
    edgelam::NrNetworkHelper m_nr{{.powerDbm = 40, .rows = 4, .columns = 2, .downtiltDeg = 4}};
    edgelam::UeMotion m_motion;
    edgelam::UeDrop m_drop{{.heightM = ue_height_m}};
    std::string m_way = "road", m_sitesFile;
    std::uint32_t m_numUe = 4, m_numGnb = 3, m_numLanes = 2;
    double m_spacingM = 500, m_setbackM = 35, m_gnbHeightM = 25, m_speedMps = 120 / 3.6;
    edgelam::AttributeValues m_channel{"edgelam::RadioChannel"};
    std::vector<edgelam::DroppedUe> m_dropped;
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("nr-highway", "a road or railway past 5G NR cells, edge servers at each gNB, handover");
    NrHighway highway(scenario);
    return scenario.Main(argc, argv, [&] { highway.Build(); });
}
