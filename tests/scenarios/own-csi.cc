// SPDX-License-Identifier: GPL-2.0-only
//
// A user who walks past a small cell, and their channel as an observable: CSI from a scenario of one file outside
// edgelam. Between the nodes there is no network. docs/writing-a-scenario.md has the command that compiles it.
#include <edgelam/csi-publisher.h>
#include <edgelam/scenario.h>

#include "ns3/constant-velocity-mobility-model.h"
#include "ns3/isotropic-antenna-model.h"
#include "ns3/node-container.h"
#include "ns3/pointer.h"
#include "ns3/string.h"
#include "ns3/uinteger.h"
#include "ns3/uniform-planar-array.h"

namespace {

/// A node at a place, with a velocity and an array of isotropic elements in one row.
struct End {
    ns3::Ptr<ns3::ConstantVelocityMobilityModel> mobility;
    ns3::Ptr<ns3::UniformPlanarArray> array;

    End(ns3::Ptr<ns3::Node> node, const ns3::Vector& position, const ns3::Vector& velocity, std::uint32_t columns)
        : mobility(ns3::CreateObject<ns3::ConstantVelocityMobilityModel>()),
          array(ns3::CreateObject<ns3::UniformPlanarArray>()) {
        node->AggregateObject(mobility);
        mobility->SetPosition(position);
        mobility->SetVelocity(velocity);
        array->SetAttribute("NumRows", ns3::UintegerValue(1));
        array->SetAttribute("NumColumns", ns3::UintegerValue(columns));
        array->SetAttribute("AntennaElement", ns3::PointerValue(ns3::CreateObject<ns3::IsotropicAntennaModel>()));
    }
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("own-csi", "a user who walks past a small cell, and their channel");
    double speed = 1.5;
    scenario.options().Real("speed", speed, "m/s", "of the user", 0, 50);
    ns3::Ptr<edgelam::CsiPublisher> csi;
    return scenario.Main(argc, argv, [&] {
        ns3::NodeContainer nodes(2);
        scenario.ExposeWithoutIp(nodes.Get(0), "gnb0", "gnb");
        scenario.ExposeWithoutIp(nodes.Get(1), "ue0", "ue");
        const End gnb(nodes.Get(0), {0, 0, 10}, {}, 8);
        const End ue(nodes.Get(1), {30, -20, 1.5}, {0, speed, 0}, 1);

        auto channel = ns3::CreateObject<edgelam::RadioChannel>();
        channel->SetAttribute("Deployment", ns3::StringValue("UMi"));
        channel->AssignStreams(1);
        csi = ns3::CreateObject<edgelam::CsiPublisher>();
        csi->SetAttribute("Period", ns3::TimeValue(ns3::MilliSeconds(1)));
        csi->AddLink("walk", channel, gnb.mobility, gnb.array, ue.mobility, ue.array, edgelam::Tones(64, 60e3));
        csi->Start(scenario.registry());
    });
}
