// SPDX-License-Identifier: GPL-2.0-only
//
// @NAME@: one 5G cell in a street, four phones that walk, a camera that fills part of the uplink.
//
//     ue0 ~~~ )
//     ...     )                    backhaul
//     ue3 ~~~ )  gnb0 --------------------------- UPF ------- cloud0, edge1
//  camera ~~~ )    |                               |
//                edge0  at the site             recorder  receives the camera's packets
//
// It is an ns-3 program: change whatever you like. You need no other file to run it:
//
//     edgelam run split-fedft --scenario ./@NAME@.cc                       # builds it if it has changed, and runs
//     edgelam run split-fedft --scenario ./@NAME@.cc --options cameraRate=50Mbps
//     edgelam scenario build ./@NAME@.cc                                   # builds only, and names the program

#include <edgelam/nr-helper.h>
#include <edgelam/nr-reports.h>
#include <edgelam/nr-servers.h>
#include <edgelam/scenario.h>
#include <edgelam/ue-motion.h>

#include <cmath>
#include <memory>
#include <numbers>
#include <stdexcept>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/node-container.h"
#include "ns3/onoff-application.h"
#include "ns3/packet-sink.h"
#include "ns3/string.h"

using namespace ns3;

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("@NAME@", "a 5G cell in a street, with a camera in the background");

    // 1. Options: each is --NAME=VALUE on the command line, with its default (here above), help and limits.
    std::uint32_t numUe = 4;
    double speed = 1.5, cameraRate = 5e6;
    auto& options = scenario.options();
    options.Section("Street");
    options.Integer("numUe", numUe, "phones: ue0, ue1, ...", 1, 50);
    options.Real("speed", speed, "m/s", "speed of each phone", 0, edgelam::UeMotion::fastest_mps);
    options.Rate("cameraRate", cameraRate, "what the camera sends", 1e3, 1e9);
    edgelam::NrHelper nr; // the cell: --frequency, --bandwidth, --scheduler, ...
    nr.AddOptions(options);
    edgelam::NrServers servers; // --numEdge, --edgeDelay, ...
    servers.AddOptions(options);

    // Objects that must live as long as the run are declared here, outside the build function.
    edgelam::UeMotion motion;
    std::unique_ptr<edgelam::NrReports> reports;
    Ptr<OnOffApplication> camera;
    Ptr<PacketSink> recorder;

    const auto build = [&] {
        // 2. The layout, in metres: x along the street, z upwards. The gNB looks along x.
        const auto place = [](const Ptr<Node>& node, const Vector& position) {
            auto mobility = CreateObject<ConstantPositionMobilityModel>();
            mobility->SetPosition(position);
            node->AggregateObject(mobility);
        };
        auto channel = CreateObject<edgelam::RadioChannel>();          // TR 38.901 ...
        channel->SetAttribute("Deployment", StringValue("UMi"));       // ... urban micro; also UMa, RMa, ...
        channel->SetAttribute("LosState", StringValue("Probability")); // also Always, Never
        nr.AssignStreams(1);                                           // of random numbers
        const auto gnb = CreateObject<Node>();
        place(gnb, {0, 0, 10});
        nr.InstallGnb(gnb, channel);
        for (std::uint32_t i = 0; i < numUe; ++i) { // on both sides of the street, one every 15 m
            const auto phone = CreateObject<Node>();
            const double heading = i % 2 == 0 ? 0 : std::numbers::pi; // away from the gNB, or towards it
            motion.Add(phone, {30 + 15.0 * i, i % 2 == 0 ? 6.0 : -6.0, 1.5}, speed, heading);
            nr.InstallUe(phone);
        }
        servers.Install(nr, scenario); // exposes ue0, ..., edge0, cloud0 and gnb0: Python sees these names and roles

        // 3. Traffic in the background, from ns-3's own applications. No participant uses the camera: it is not
        // exposed.
        const auto cameraNode = CreateObject<Node>();
        place(cameraNode, {60, 12, 4});
        nr.InstallUe(cameraNode);
        const auto recorderNode = nr.AddServer(edgelam::NrHelper::Place::Upf, 1e9, 1e-3);
        const InetSocketAddress there(recorderNode->GetObject<Ipv4>()->GetAddress(1, 0).GetLocal(), 9000);
        recorder = CreateObject<PacketSink>();
        recorder->SetAttribute("Protocol", StringValue("ns3::UdpSocketFactory"));
        recorder->SetAttribute("Local", AddressValue(there));
        recorderNode->AddApplication(recorder);
        camera = CreateObject<OnOffApplication>();
        camera->SetAttribute("Protocol", StringValue("ns3::UdpSocketFactory"));
        camera->SetAttribute("Remote", AddressValue(there));
        camera->SetAttribute("PacketSize", UintegerValue(1400));
        camera->SetAttribute("DataRate", DataRateValue(DataRate(static_cast<std::uint64_t>(cameraRate))));
        camera->SetAttribute("OnTime", StringValue("ns3::ConstantRandomVariable[Constant=1]"));
        camera->SetAttribute("OffTime", StringValue("ns3::ConstantRandomVariable[Constant=0]"));
        cameraNode->AddApplication(camera);

        // 4. What Python may read and set. First those of the cell and the phones; the camera is the cell's last UE.
        reports = std::make_unique<edgelam::NrReports>(nr, scenario.registry());
        const auto inside = [](const Vector& p) { return p.x >= 10 && p.x <= 200 && std::abs(p.y) <= 10; };
        motion.Start(scenario.registry(), {inside, {60, 0, 1.5}}, "gnb0 stands at the origin and faces +x");
        // Then your own. These functions run after this one, so they must capture its local variables by value.
        scenario.registry().Publish<std::uint64_t>("camera_bytes", "byte", "bytes received by the recorder so far",
                                                   [&] { return recorder->GetTotalRx(); });
        scenario.registry().Control<double>(
            "camera_rate", "bit/s", "what the camera sends from now on, 1e3 to 1e9", [&](double rate) {
                if (!(rate >= 1e3 && rate <= 1e9)) { // so that NaN is refused too
                    return "rate " + std::to_string(rate) + " bit/s; legal are 1e3 to 1e9";
                }
                camera->SetAttribute("DataRate", DataRateValue(DataRate(static_cast<std::uint64_t>(rate))));
                return std::string(); // it has taken effect
            });
    };

    return scenario.Main(argc, argv, [&] { // reads the options, calls this, runs
        try {
            build();
        } catch (const std::invalid_argument& error) { // settings that do not fit together
            scenario.Refuse(error.what());
        }
    });
}
