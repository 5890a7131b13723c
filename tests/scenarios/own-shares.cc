// SPDX-License-Identifier: GPL-2.0-only
//
// A scheduler of one's own, outside edgelam, that obeys the controls prb_share and prb_cap: each UE has its share of
// the band and no more, and what it does not need stays empty (network slices that do not disturb each other).
#include <edgelam/nr-external-scheduler.h>
#include <edgelam/nr-helper.h>
#include <edgelam/nr-reports.h>
#include <edgelam/nr-servers.h>
#include <edgelam/scenario.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/node-container.h"
#include "ns3/string.h"

namespace nr = edgelam::nr;

class StrictShares : public nr::ExternalScheduler {
  public:
    static ns3::TypeId GetTypeId() {
        static const ns3::TypeId tid =
            ns3::TypeId("own::StrictShares").SetParent<nr::ExternalScheduler>().AddConstructor<StrictShares>();
        return tid;
    }

  protected:
    void Divide(const nr::SchedulingRequest& request, std::uint32_t free) override {
        for (std::size_t i = 0; i < request.candidates.size(); ++i) {
            const nr::Candidate& each = request.candidates[i];
            if (each.fixedGroups == 0 && each.ue < Shares().size()) { // a retransmission has its groups by now
                const auto groups = static_cast<std::uint32_t>(Shares()[each.ue] * request.numGroups);
                m_want[i] = std::min({groups, m_needed[i], free});
                free -= m_want[i];
            }
        }
    }
};
NS_OBJECT_ENSURE_REGISTERED(StrictShares);

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("own-shares", "a scheduler of strict shares");
    edgelam::NrHelper nr;
    nr.SetSchedulerTypeId("own::StrictShares"); // the default of --scheduler
    nr.AddOptions(scenario.options());
    edgelam::NrServers servers;
    servers.AddOptions(scenario.options());
    std::unique_ptr<edgelam::NrReports> reports; // lives as long as the run
    return scenario.Main(argc, argv, [&] {
        const ns3::NodeContainer nodes(3); // gNB, UEs
        const ns3::Vector places[] = {{0, 0, 10}, {60, 40, 1.5}, {70, -50, 1.5}};
        for (std::uint32_t i = 0; i < nodes.GetN(); ++i) {
            auto mobility = ns3::CreateObject<ns3::ConstantPositionMobilityModel>();
            mobility->SetPosition(places[i]);
            nodes.Get(i)->AggregateObject(mobility);
        }
        auto channel = ns3::CreateObject<edgelam::RadioChannel>();
        channel->SetAttribute("Deployment", ns3::StringValue("UMi"));
        nr.AssignStreams(1);
        nr.InstallGnb(nodes.Get(0), channel);
        nr.InstallUe(nodes.Get(1));
        nr.InstallUe(nodes.Get(2));
        servers.Install(nr, scenario);
        reports = std::make_unique<edgelam::NrReports>(nr, scenario.registry());
    });
}
