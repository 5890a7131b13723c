// SPDX-License-Identifier: GPL-2.0-only
// Reads numbers by names of its own, by the default of an option and by an option; writes the way ns-3 programs do.
#include <edgelam/scenario.h>

#include "ns3/internet-module.h"
#include "ns3/point-to-point-module.h"

#include <cstdio>
#include <filesystem>
#include <fstream>

using namespace ns3;

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("reads-and-writes", "adds up what its files hold");
    std::string table = "by-default.txt", more;
    scenario.options().Text("table", table, "a file with a number");
    scenario.options().Text("more", more, "another");
    double sum = 0.0;
    return scenario.Main(argc, argv, [&] {
        for (const std::string& name : {std::string("by-itself.txt"), table, more}) {
            double value = 0.0;
            std::ifstream(name) >> value;
            sum += value;
        }
        if (std::filesystem::exists("listed")) { // looked at, then opened by C's own function
            std::FILE* file = std::fopen("listed/one.txt", "r");
            double value = 0.0;
            sum += std::fscanf(file, "%lf", &value) == 1 ? value : 0.0;
            std::fclose(file);
        }
        NodeContainer nodes(2);
        InternetStackHelper().Install(nodes);
        PointToPointHelper wire;
        const NetDeviceContainer devices = wire.Install(nodes);
        Ipv4AddressHelper("10.0.0.0", "255.255.255.0").Assign(devices);
        wire.EnablePcapAll("wire");
        scenario.Expose(nodes.Get(0), "ue0", "ue");
        scenario.Expose(nodes.Get(1), "edge0", "edge");
        scenario.registry().Publish<double>("read", "", "the sum", [&] { return sum; });
        std::filesystem::create_directories("results/deep");
        Simulator::ScheduleDestroy([&] {
            std::ofstream("results/sum.txt") << sum << "\n";
            std::ofstream("results/deep/sum.txt") << sum << "\n";
            std::fstream changed("changed.txt"); // in place
            changed << "mine";
        });
    });
}
