// SPDX-License-Identifier: GPL-2.0-only
//
// A scenario in one file outside edgelam that takes structs, and makes mistakes on request.
#include <edgelam/scenario.h>
#include <ns3/default-simulator-impl.h>

#include <array>
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <thread>

struct Move {
    std::uint32_t ue;
    std::array<double, 3> to;
};
EDGELAM_MESSAGE(Move, ue, to)

/// One event after the other, all at one simulated time.
void Spin(std::chrono::time_point<std::chrono::steady_clock, std::chrono::duration<double>> until) {
    if (std::chrono::steady_clock::now() < until) {
        ns3::Simulator::ScheduleNow(&Spin, until);
    }
}

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("own-mistakes", "two nodes without links, and what their author did wrong");
    std::string mistake = "none";
    scenario.options().Choice("mistake", mistake, "to make",
                              {"none", "expose", "endless-build", "slow-build", "slow-end", "run", "run-first",
                               "destroy", "stop", "stop-later", "own-simulator"});
    Move last{};
    return scenario.Main(argc, argv, [&] {
        if (mistake == "own-simulator") {
            ns3::Simulator::SetImplementation(ns3::CreateObject<ns3::DefaultSimulatorImpl>());
        }
        ns3::NodeContainer nodes(2);
        if (mistake == "run-first") {
            ns3::Simulator::Stop(ns3::Seconds(1));
            ns3::Simulator::Run();
        }
        scenario.ExposeWithoutIp(nodes.Get(0), "ue0", "ue");
        scenario.ExposeWithoutIp(nodes.Get(1), "edge0", "edge");
        if (mistake == "expose") {
            scenario.ExposeWithoutIp(nodes.Get(1), "edge7", "edge");
        }
        if (mistake == "run") {
            Spin(std::chrono::steady_clock::now() + std::chrono::hours(1));
            ns3::Simulator::Run();
        }
        if (mistake == "destroy") {
            ns3::Simulator::Destroy();
        }
        if (mistake == "stop" || mistake == "own-simulator") {
            ns3::Simulator::Stop(ns3::Seconds(2));
        }
        if (mistake == "stop-later") {
            ns3::Simulator::Schedule(ns3::Seconds(2), [] { ns3::Simulator::Stop(); });
        }
        if (mistake == "slow-end") {
            ns3::Simulator::ScheduleDestroy([] {
                std::this_thread::sleep_for(std::chrono::seconds(12)); // longer than anything but the run itself waits
                std::ofstream("written-at-the-end.txt") << "here";
            });
        }
        if (mistake == "slow-build") {
            std::this_thread::sleep_for(std::chrono::milliseconds(600));
        }
        while (mistake == "endless-build") {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }

        auto& registry = scenario.registry();
        registry.Publish<Move>("last_move", "m", "what control move was set to", [&] { return last; });
        registry.Control<Move>("move", "m", "any", [&](const Move& move) {
            last = move;
            return std::string();
        });
        registry.Publish<edgelam::Array<float>>("grid", "", "two dimensions",
                                                [] { return edgelam::Array<float>{{2, 3}, {1, 2, 3, 4, 5, 6}}; },
                                                {{"row", 2}, {"column", 3}});
        registry.Publish<double>("broken", "", "throws", []() -> double { throw std::out_of_range("no such UE"); });
        registry.Control<double>("broken", "", "throws",
                                 [](double) -> std::string { throw std::length_error("too many of them"); });
        registry.Control<double>("throw", "s", "in an event, so much later", [](double delay) {
            ns3::Simulator::Schedule(ns3::Seconds(delay), [] { throw std::runtime_error("thrown in an event"); });
            return std::string();
        });
        registry.Control<double>("fatal", "s", "in an event, so much later", [](double delay) {
            ns3::Simulator::Schedule(ns3::Seconds(delay), [] { NS_FATAL_ERROR("a table that\n is not there"); });
            return std::string();
        });
        registry.Control<double>("spin", "s", "wall time in which simulated time stands still", [](double wall) {
            Spin(std::chrono::steady_clock::now() + std::chrono::duration<double>(wall));
            return std::string();
        });
    });
}
