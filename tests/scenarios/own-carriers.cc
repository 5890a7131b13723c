// SPDX-License-Identifier: GPL-2.0-only
//
// A macro cell and, 120 m away, a small cell on a carrier beside it. A UE stands between the two.
#include <edgelam/nr-network-helper.h>
#include <edgelam/scenario.h>

#include "ns3/boolean.h"
#include "ns3/constant-velocity-mobility-model.h"
#include "ns3/double.h"
#include "ns3/string.h"

using namespace ns3;

namespace {

Ptr<Node> Place(const Vector& place) {
    auto node = CreateObject<Node>();
    auto mobility = CreateObject<ConstantVelocityMobilityModel>();
    mobility->SetPosition(place);
    node->AggregateObject(mobility);
    return node;
}

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("own-carriers", "two gNBs, each with its carrier, and a UE between them");
    edgelam::NrNetworkHelper nr({.rows = 2, .columns = 2});
    nr.AddOptions(scenario.options());
    double apartHz = 200e6;
    scenario.options().Real("apart", apartHz, "Hz", "from one carrier to the other", 0, 1e9);
    return scenario.Main(argc, argv, [&] {
        nr.AssignStreams(1);
        Ptr<edgelam::RadioChannel> channels[2];
        for (const int gnb : {0, 1, 2}) { // the third one has the carrier of the first
            auto& channel = channels[gnb % 2];
            if (!channel) {
                channel = CreateObject<edgelam::RadioChannel>();
                channel->SetAttribute("Deployment", StringValue("UMi"));
                channel->SetAttribute("LosState", StringValue("Always"));
                channel->SetAttribute("Shadowing", BooleanValue(false));
                channel->SetAttribute("Frequency", DoubleValue(3.5e9 + gnb * apartHz));
            }
            nr.AddGnb(Place({120.0 * gnb, 0, 10}), channel, {{gnb == 0 ? 0.0 : 180.0}});
        }
        nr.AddUe(Place({55, 10, 1.5}));
        nr.Install(scenario);
    });
}
