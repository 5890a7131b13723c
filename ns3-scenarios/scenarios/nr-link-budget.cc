// SPDX-License-Identifier: GPL-2.0-only
//
//      /\     /\              gnb0, gnb1, gnb2: the sectors of the site in the middle
//     /  \   /  \             19 sites x 3 sectors; each UE sees the nearest of 7 images of each site
//    | () | | () |  ...       ue0 is dropped in the area of gnb0, ue1 in that of gnb1, ...
//     \  /   \  /
//      \/ ue0 \/
//
// The cells of a network and UEs that are dropped among them, and what each UE receives of each cell: RSRP, coupling
// gain, geometry and SIR as observables (helper/link-budget.h). No packets are sent. The defaults are the UMa-URLLC
// evaluation of TR 37.910 at 4 GHz (RP-180524, configuration A, channel model A): ports of eight elements in a column,
// 10 UEs in each of 57 cells, 20 % of them in buildings of 20 dB. docs/calibration.md gives the options of other
// evaluations.
//
// Try:     nr-link-budget --numUe=57 --rsrp=mean
// Expect:  the program checks its options and ends; in Python, sim.observable("geometry").read() has a median of 5 dB

#include <cmath>
#include <stdexcept>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/node-container.h"
#include "ns3/string.h"

#include "antenna-options.h"
#include "link-budget.h"
#include "nr-bands.h"
#include "radio-channel.h"
#include "scenario.h"
#include "site-options.h"
#include "ue-drop.h"

using namespace ns3;

namespace {

constexpr double thermal_noise_dbm_hz = -174;

class NrLinkBudget {
  public:
    explicit NrLinkBudget(edgelam::Scenario& scenario) : m_scenario(scenario) {
        auto& options = scenario.options();
        m_sites.AddOptions(options);
        options.Section("Radio");
        m_channel.Set("Frequency", 4e9);
        options.Attribute("frequency", m_channel, "Frequency",
                          {.help = "carrier frequency", .smallest = 0.5e9, .largest = 100e9, .unit = "Hz"});
        options.Real("gnbPower", m_powerDbm, "dBm", "transmit power of a cell", -50, 100);
        options.Real("bandwidth", m_bandwidthMHz, "MHz", "of the carrier, in which noise is received", 0.1, 2000);
        options.Integer("subcarriers", m_subcarriers, "over which a cell's power is spread, for RSRP", 12,
                        275 * 12 * 16);
        options.Real("ueNoiseFigure", m_noiseFigureDb, "dB", "noise figure of a UE", 0, 50);
        options.Section("Channel");
        options.AttributeChoice("deployment", m_channel, "Deployment",
                                {"UMa", "UMi", "RMa", "InH-Mixed", "InH-Open", "InF-SL", "InF-DL", "InF-SH", "InF-DH",
                                 "InF-HH", "RMa-LMLC", "InH-A"},
                                "TR 38.901 deployment");
        m_channel.Set("LosState", "Hard"); // soft states are for users that move; evaluations have none
        options.AttributeChoice("los", m_channel, "LosState", {"Hard", "Probability", "Always", "Never"});
        options.Attribute("shadowing", m_channel, "Shadowing");
        m_antennas.AddOptions(options);
        m_antennas.AddBeamOptions(options);
        m_drop.AddOptions(options);
        options.Integer("numUe", m_numUe, "UEs ue0, ue1, ..., dropped in the areas of the layout's cells in turn", 1,
                        20000);
        m_budget.AddOptions(options);
        options.Sets(m_channel.type(), {{"IndoorFraction", "indoorFraction"}, {"BuildingLoss", "buildingLoss"}});
    }

    void Build() {
        m_sites.Build();
        m_drop.Apply(m_channel);
        auto channel = CreateObject<edgelam::RadioChannel>();
        m_channel.Apply(channel);
        channel->AssignStreams(1);
        channel->SetWrapAround(m_sites.Images());
        const std::uint64_t seed = edgelam::UeDrop::Seed();

        std::vector<edgelam::LinkBudget::Cell> cells;
        NodeContainer nodes(static_cast<std::uint32_t>(m_sites.Cells().size()) + m_numUe);
        for (const auto& cell : m_sites.Cells()) {
            if (cell.frequencyHz) {
                throw std::invalid_argument("option --sitesFile: a cell with a carrier of its own; all cells of this "
                                            "scenario have that of --frequency");
            }
            const auto number = static_cast<std::uint32_t>(cells.size());
            const auto place = Place(nodes.Get(number), cell.place);
            // Also if it is the same: UEs on high floors are above the gNB, which is the base station all the same.
            channel->SetDeploymentAt(place, cell.deployment.empty() ? m_channel.Text("Deployment") : cell.deployment);
            std::vector<Ptr<PhasedArrayModel>> beams;
            for (const auto& beam : m_antennas.GnbBeams(0, cell.bearingDeg)) {
                beams.push_back(edgelam::MakeArray(beam));
            }
            cells.push_back({place, beams, cell.powerDbm.value_or(m_powerDbm)});
            m_scenario.ExposeWithoutIp(nodes.Get(number), "gnb" + std::to_string(number), "gnb");
        }
        const auto isotropic = m_antennas.MakeUe();
        std::vector<edgelam::LinkBudget::Ue> ues;
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            const auto dropped = m_drop.Draw(m_sites.Layout(), i % m_sites.NumLayoutCells(), seed, i);
            const auto node = nodes.Get(static_cast<std::uint32_t>(cells.size()) + i);
            const auto place = Place(node, {dropped.x, dropped.y, dropped.z});
            m_drop.Apply(*channel, place, dropped);
            m_dropped.push_back(dropped);
            ues.push_back({place, {}});
            if (m_antennas.UeHasPanels()) {
                for (const auto& beam : m_antennas.UeBeams(360 * edgelam::NamedRandom(seed, {5, i}).Uniform())) {
                    ues.back().beams.push_back(edgelam::MakeArray(beam));
                }
            } else {
                ues.back().beams.push_back(isotropic);
            }
            m_scenario.ExposeWithoutIp(node, "ue" + std::to_string(i), "ue");
        }
        channel->GetLink(cells[0].mobility, cells[0].beams[0], ues[0].mobility, ues[0].beams[0])
            ->GetState(); // refuses early
        const double noiseDbm = thermal_noise_dbm_hz + 10 * std::log10(m_bandwidthMHz * 1e6) + m_noiseFigureDb;
        m_budget.Set(channel, cells, ues, m_subcarriers, noiseDbm, edgelam::NamedRandom(seed, {3}));
        m_budget.Publish(m_scenario.registry());
        m_scenario.registry().Publish<std::vector<edgelam::DroppedUe>>(
            "ue_drop", "", "where each UE is, and what is around it", [this] { return m_dropped; }, {{"ue", m_numUe}});
    }

  private:
    static Ptr<MobilityModel> Place(Ptr<Node> node, const Vector& at) {
        auto mobility = CreateObject<ConstantPositionMobilityModel>();
        node->AggregateObject(mobility);
        mobility->SetPosition(at);
        return mobility;
    }

    edgelam::Scenario& m_scenario;
    edgelam::SiteOptions m_sites;
    edgelam::AntennaOptions m_antennas{
        {.rows = 8, .columns = 8, .portRows = 1, .verticalSpacing = 0.8, .electricalTiltDeg = 9}, 2};
    edgelam::UeDrop m_drop{{.indoorFraction = 0.2, .building = "legacy", .wayIn = "uniform"}};
    edgelam::LinkBudget m_budget;
    edgelam::AttributeValues m_channel{"edgelam::RadioChannel"};
    std::uint32_t m_numUe = 570, m_subcarriers = 624;
    double m_powerDbm = 46, m_bandwidthMHz = 10, m_noiseFigureDb = 7;
    std::vector<edgelam::DroppedUe> m_dropped;
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("nr-link-budget", "sites and dropped UEs: received power, coupling gain and geometry");
    NrLinkBudget budget(scenario);
    return scenario.Main(argc, argv, [&] { budget.Build(); });
}
