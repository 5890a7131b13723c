// SPDX-License-Identifier: GPL-2.0-only
// How many simulated seconds of an NR cell one core does in a second. Prints one JSON object; `edgelam bench radio`
// runs it.
//
// UMi, 3.5 GHz, 100 MHz at 30 kHz (273 resource blocks), TDD DDDSU, gNB 8 x 4 dual-polarised (64 elements), UEs of four
// antennas 20 to 150 m away that walk at 3 km/h, fast fading on, line of sight by probability. Packets of 1500 bytes
// are put into the bearers above RLC (AM), as many as they take.

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "ns3/boolean.h"
#include "ns3/constant-position-mobility-model.h"
#include "ns3/constant-velocity-mobility-model.h"
#include "ns3/double.h"
#include "ns3/isotropic-antenna-model.h"
#include "ns3/node.h"
#include "ns3/pointer.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/three-gpp-antenna-model.h"
#include "ns3/uinteger.h"
#include "ns3/uniform-planar-array.h"

#include "named-random.h"
#include "nr-cell.h"

using namespace ns3;

namespace {

Ptr<UniformPlanarArray> Array(std::uint32_t rows, std::uint32_t columns, bool directive) {
    auto array = CreateObject<UniformPlanarArray>();
    array->SetAttribute("NumRows", UintegerValue(rows));
    array->SetAttribute("NumColumns", UintegerValue(columns));
    array->SetAttribute("IsDualPolarized", BooleanValue(true));
    array->SetAttribute("PolSlantAngle", DoubleValue(0.7853981633974483));
    if (directive) {
        array->SetAttribute("AntennaElement", PointerValue(CreateObject<ThreeGppAntennaModel>()));
    } else {
        array->SetAttribute("AntennaElement", PointerValue(CreateObject<IsotropicAntennaModel>()));
    }
    return array;
}

struct Result {
    double simulatedPerWall, goodputBps;
};

/// \param load "full": downlink bearers always full; "idle": a packet of 100 bytes each second and UE
Result Run(std::uint32_t numUe, const std::string& load, double simulatedS) {
    RngSeedManager::SetSeed(1);
    RngSeedManager::SetRun(1);
    auto channel = CreateObject<edgelam::RadioChannel>();
    channel->SetAttribute("Deployment", StringValue("UMi"));
    channel->SetAttribute("Frequency", DoubleValue(3.5e9));
    channel->SetAttribute("CoherenceDistance", DoubleValue(0.03));
    channel->AssignStreams(1);
    auto gnbNode = CreateObject<Node>();
    auto gnb = CreateObject<ConstantPositionMobilityModel>();
    gnbNode->AggregateObject(gnb);
    gnb->SetPosition({0, 0, 10});
    auto cell = CreateObject<edgelam::nr::Cell>();
    cell->AssignStreams(2);
    cell->SetGnb(channel, gnb, Array(8, 4, true));
    edgelam::NamedRandom random(1, {numUe});
    std::vector<Ptr<ConstantVelocityMobilityModel>> ues;
    for (std::uint32_t i = 0; i < numUe; ++i) {
        auto node = CreateObject<Node>();
        auto ue = CreateObject<ConstantVelocityMobilityModel>();
        node->AggregateObject(ue);
        const double distance = 20 + 130 * random.Uniform(), azimuth = 2 * (random.Uniform() - 0.5);
        ue->SetPosition({distance * std::cos(azimuth), distance * std::sin(azimuth), 1.5});
        const double heading = 6.283 * random.Uniform();
        ue->SetVelocity({std::cos(heading) / 1.2, std::sin(heading) / 1.2, 0});
        ues.push_back(ue);
        cell->AddUe(ue, Array(1, 2, false));
    }
    std::uint64_t bytes = 0;
    cell->SetDeliver([&](std::uint32_t, Ptr<Packet> packet) { bytes += packet->GetSize(); }, nullptr);
    std::function<void()> fill = [&] {
        for (std::uint32_t i = 0; i < numUe; ++i) {
            while (cell->DownBearer(i).BacklogBytes() < 1'500'000 && cell->SendDown(i, Create<Packet>(1500))) {
            }
        }
        Simulator::Schedule(MilliSeconds(1), fill);
    };
    std::function<void(std::uint32_t)> ping = [&](std::uint32_t i) {
        cell->SendDown(i, Create<Packet>(100));
        Simulator::Schedule(Seconds(1), [&ping, i] { ping(i); });
    };
    if (load == "full") {
        Simulator::ScheduleNow(fill);
    } else {
        for (std::uint32_t i = 0; i < numUe; ++i) {
            Simulator::Schedule(MilliSeconds(1 + i * 997 / numUe), [&ping, i] { ping(i); });
        }
    }
    Simulator::Stop(Seconds(simulatedS));
    using namespace std::chrono;
    const auto begin = steady_clock::now();
    Simulator::Run();
    const double wall = duration<double>(steady_clock::now() - begin).count();
    Simulator::Destroy();
    cell->Dispose();
    return {simulatedS / wall, 8.0 * static_cast<double>(bytes) / simulatedS};
}

} // namespace

int main(int argc, char* argv[]) {
    const double seconds = argc > 1 ? std::strtod(argv[1], nullptr) : 2;
    if (argc > 2 || !(seconds >= 0.01 && seconds <= 600)) {
        std::fprintf(stderr, "usage: radio [simulated seconds of the loaded cases, 0.01 to 600]\n");
        return 2;
    }
    struct Case {
        const char* name;
        std::uint32_t numUe;
        const char* load;
        double simulatedS;
    };
    const Case cases[] = {{"1gnb-2ue", 2, "full", seconds},
                          {"1gnb-10ue", 10, "full", seconds},
                          {"1gnb-100ue-idle", 100, "idle", 10 * seconds}};
    std::printf("{\"cases\": [");
    const char* comma = "";
    for (const auto& each : cases) {
        const Result result = Run(each.numUe, each.load, each.simulatedS);
        std::printf("%s{\"name\": \"%s\", \"simulated_per_wall\": %.3f, \"goodput_bps\": %.0f}", comma, each.name,
                    result.simulatedPerWall, result.goodputBps);
        std::fflush(stdout);
        comma = ", ";
    }
    std::printf("]}\n");
    return 0;
}
