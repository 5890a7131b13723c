// SPDX-License-Identifier: GPL-2.0-only
//
//            gnb1 ))  ue ~  (( gnb2                     Each gnb is a site of 1 to 6 cells (sectors) on one carrier,
//                \    |    /                            with edge servers of its own; sites stand on a hexagonal grid,
//      gnb6 )) -- gnb0 --- (( gnb3   ...  N3 --- UPF    the first in the middle. All N3 links end at one UPF, with
//                /         \                    |       edge servers and the cloud behind it.
//            gnb5 ))       (( gnb4            cloud0
//
// A 5G NR network in a city: TR 38.901 UMi, sites 200 m apart, pedestrians and cars between them. All cells share one
// carrier and hear one another: interference is what the other cells really send in a slot (docs/cells.md). UEs are
// handed over by event A3 (docs/mobility.md). With whole rings of sites (--rings) the network has no edge: a UE sees
// the nearest of 7 images of each site. --layout=office is a hall, and --sitesFile gives places, powers,
// deployments and carriers.
//
// Try:     nr-urban-grid --sites=3 --sectors=1 --numUe=3 --bytes=1e6 --bandwidth=20
// Expect:  1 MB up at 6.0, 7.3 and 6.3 Mb/s and down at 70, 118 and 69 Mb/s.

#include <cstdint>
#include <numbers>
#include <vector>

#include "ns3/string.h"

#include "nr-network-helper.h"
#include "scenario.h"
#include "site-options.h"
#include "ue-drop.h"
#include "ue-motion.h"

using namespace ns3;

namespace {

class NrUrbanGrid {
  public:
    explicit NrUrbanGrid(edgelam::Scenario& scenario) : m_scenario(scenario) {
        auto& options = scenario.options();
        m_sites.AddOptions(options);
        options.Section("City");
        options.Integer("numUe", m_numUe, "UEs ue0, ue1, ..., dropped around the sites in turn", 1, 5000);
        options.Real("speed", m_walkMps, "m/s", "speed of who is in no car; the seed decides its heading", 0,
                     edgelam::UeMotion::fastest_mps);
        options.Real("carSpeed", m_driveMps, "m/s", "speed of a car", 0, edgelam::UeMotion::fastest_mps);
        m_channel.Set("Deployment", "UMi");
        options.AttributeChoice("deployment", m_channel, "Deployment",
                                {"UMi", "UMa", "RMa", "InH-Mixed", "InH-Open", "InF-SL", "InF-DL", "InF-SH", "InF-DH",
                                 "InF-HH", "RMa-LMLC", "InH-A"},
                                "TR 38.901 deployment");
        options.AttributeChoice("los", m_channel, "LosState", {"Probability", "Hard", "Always", "Never"});
        options.Attribute("shadowing", m_channel, "Shadowing");
        options.Sets(m_channel.type(), {{"IndoorFraction", "indoorFraction"}, {"BuildingLoss", "buildingLoss"}});
        m_drop.AddOptions(options);
        m_nr.AddOptions(options);
        m_motion.AddOptions(options);
    }

    void Build() {
        m_sites.Build();
        m_drop.Apply(m_channel);
        edgelam::Carriers carriers([this] {
            auto channel = CreateObject<edgelam::RadioChannel>();
            m_channel.Apply(channel);
            channel->SetWrapAround(m_sites.Images());
            return channel;
        });
        const std::int64_t stream = 1 + m_nr.AssignStreams(1);
        m_nr.AddGnbs(m_sites.Cells(), carriers, m_channel.Text("Deployment"));
        const auto& layout = m_sites.Layout();
        m_motion.AssignStreams(stream);
        m_motion.SetArea({[this](const Vector& p) { return m_sites.Layout().Inside(p, m_drop.LeastDistanceM()); },
                          layout.Middle() + Vector(0, 0, m_drop.HeightM()), layout.Bounds()},
                         m_numUe);
        const std::uint64_t seed = edgelam::UeDrop::Seed();
        const auto cells = layout.SiteBySite(); // so that few UEs are not all at one site
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            const auto dropped = m_drop.Draw(layout, cells[i % cells.size()], seed, i);
            edgelam::NamedRandom heading(seed, {4, i});
            auto node = CreateObject<Node>();
            m_motion.Add(node, {dropped.x, dropped.y, dropped.z}, dropped.car != 0 ? m_driveMps : m_walkMps,
                         2 * std::numbers::pi * heading.Uniform());
            carriers.ForAll([&](auto& channel) { m_drop.Apply(channel, node->GetObject<MobilityModel>(), dropped); });
            m_nr.AddUe(node);
            m_dropped.push_back(dropped);
        }
        m_nr.Install(m_scenario);
        m_motion.Start(m_scenario.registry(), "gnb0 stands at the origin");
        m_scenario.registry().Publish<std::vector<edgelam::DroppedUe>>(
            "ue_drop", "", "where each UE was at first, and what is around it", [this] { return m_dropped; },
            {{"ue", m_numUe}});
    }

  private:
    edgelam::Scenario& m_scenario;
    edgelam::SiteOptions m_sites{{.rings = 1, .siteDistanceM = 200, .heightM = 10}};
    edgelam::UeDrop m_drop{{.carFraction = 0.2}};
    edgelam::NrNetworkHelper m_nr{{.rows = 4, .columns = 2}};
    edgelam::UeMotion m_motion;
    std::uint32_t m_numUe = 6;
    double m_walkMps = 3 / 3.6, m_driveMps = 30 / 3.6;
    edgelam::AttributeValues m_channel{"edgelam::RadioChannel"};
    std::vector<edgelam::DroppedUe> m_dropped;
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("nr-urban-grid",
                               "a 5G NR network in a city: sites on a hexagonal grid, which disturb one another");
    NrUrbanGrid city(scenario);
    return scenario.Main(argc, argv, [&] { city.Build(); });
}
