// SPDX-License-Identifier: GPL-2.0-only
//
// Two UEs and an edge server in a 5G NR cell, from edgelam's headers alone: a scenario of one file outside edgelam.
// docs/writing-a-scenario.md says how it is compiled.
#include <edgelam/nr-helper.h>
#include <edgelam/nr-reports.h>
#include <edgelam/nr-servers.h>
#include <edgelam/scenario.h>

#include <memory>
#include <stdexcept>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/node-container.h"
#include "ns3/string.h"

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("own-cell", "two UEs and an edge server in a 5G NR cell");
    double distance = 50;
    scenario.options().Real("distance", distance, "m", "of the UEs", 10, 500);
    edgelam::NrHelper nr;
    nr.AddOptions(scenario.options());
    edgelam::NrServers servers;
    servers.AddOptions(scenario.options());
    std::unique_ptr<edgelam::NrReports> reports; // lives as long as the run
    const auto build = [&] {
        const ns3::NodeContainer nodes(3); // gNB, UEs
        const ns3::Vector places[] = {{0, 0, 10}, {distance, 20, 1.5}, {distance, -20, 1.5}};
        for (std::uint32_t i = 0; i < nodes.GetN(); ++i) {
            auto mobility = ns3::CreateObject<ns3::ConstantPositionMobilityModel>();
            mobility->SetPosition(places[i]);
            nodes.Get(i)->AggregateObject(mobility);
        }
        auto channel = ns3::CreateObject<edgelam::RadioChannel>();
        channel->SetAttribute("Deployment", ns3::StringValue("UMi")); // the carrier is the helper's --frequency
        nr.AssignStreams(1);
        nr.InstallGnb(nodes.Get(0), channel);
        nr.InstallUe(nodes.Get(1));
        nr.InstallUe(nodes.Get(2));
        servers.Install(nr, scenario); // and exposes everybody
        reports = std::make_unique<edgelam::NrReports>(nr, scenario.registry());
        const auto gnb = nodes.Get(0)->GetObject<ns3::MobilityModel>();
        scenario.registry().Publish<std::vector<double>>(
            "gnb_distance_m", "m", "of each UE, straight to the gNB",
            [&nr, gnb] { // runs after build: what is local to it goes by value
                std::vector<double> distances;
                for (std::uint32_t ue = 0; ue < nr.NumUes(); ++ue) {
                    distances.push_back(nr.GetUeMobility(ue)->GetDistanceFrom(gnb));
                }
                return distances;
            },
            {{"ue", nr.NumUes()}});
    };
    return scenario.Main(argc, argv, [&] {
        try {
            build();
        } catch (const std::invalid_argument& error) { // settings that do not go together
            scenario.Refuse(error.what());
        }
    });
}
