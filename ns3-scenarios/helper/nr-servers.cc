// SPDX-License-Identifier: GPL-2.0-only
#include "nr-servers.h"

#include "nr-analog.h"

namespace edgelam {

void NrServers::AddOptions(Options& options) {
    options.Section("Servers");
    options.Integer("numEdge", m_numEdge, "edge servers at the site: edge0, ...", 0, 100);
    options.Integer("numUpfEdge", m_numUpfEdge, "edge servers behind the UPF, whose numbers follow those at the site",
                    0, 100);
    m_links.AddOptions(options, "UPF");
}

void NrServers::Install(NrHelper& nr, Scenario& scenario) const {
    const double farthestDelayS = nr.BackhaulDelayS() + m_links.cloudDelayS;
    for (std::uint32_t ue = 0; ue < nr.NumUes(); ++ue) {
        nr.Tune(scenario.Expose(nr.GetUeDevice(ue)->GetNode(), "ue" + std::to_string(ue), "ue"), true, farthestDelayS);
    }
    for (std::uint32_t i = 0; i < m_numEdge + m_numUpfEdge; ++i) {
        const auto place = i < m_numEdge ? NrHelper::Place::Site : NrHelper::Place::Upf;
        Add(nr, scenario, "edge" + std::to_string(i), "edge", place, m_links.edgeRate, m_links.edgeDelayS);
    }
    Add(nr, scenario, "cloud0", "cloud", NrHelper::Place::Upf, m_links.cloudRate, m_links.cloudDelayS);
    auto& gnb = scenario.Expose(nr.GetGnbDevice()->GetNode(), "gnb0", "gnb");
    nr.Tune(gnb, false, farthestDelayS);
    std::vector<ns3::Ptr<ns3::Node>> ues;
    for (std::uint32_t ue = 0; ue < nr.NumUes(); ++ue) {
        ues.push_back(nr.GetUeDevice(ue)->GetNode());
    }
    TakeAnalog(gnb, ues, [cell = nr.GetCell()](std::uint32_t) { return cell; });
}

void NrServers::Add(NrHelper& nr, Scenario& scenario, const std::string& name, const std::string& role,
                    NrHelper::Place place, double rateBps, double delayS) const {
    const auto server = nr.AddServer(place, rateBps, delayS);
    const double backhaulS = place == NrHelper::Place::Upf ? nr.BackhaulDelayS() : 0;
    nr.Tune(scenario.Expose(server, name, role), false, backhaulS + delayS);
}

} // namespace edgelam
