// SPDX-License-Identifier: GPL-2.0-only
// How many simulated seconds of an NR cell one core does in a second. Prints one JSON object; `edgelam bench radio`
// runs it.
//
// UMi, 3.5 GHz, 100 MHz at 30 kHz (273 resource blocks), TDD DDDSU, gNB 8 x 4 dual-polarised (64 elements), UEs of four
// antennas 20 to 150 m away that walk at 3 km/h, fast fading on, line of sight by probability, RLC AM. Traffic:
//   full  packets of 1500 bytes are put into the downlink bearers above RLC, as many as they take
//   idle  a packet of 100 bytes each second and UE
//   ip    the same as UDP datagrams from a server at the site; goodput is what reached the sockets of the UEs
//   large the same with six datagrams simulated as one (--joined=6)
//
// Networks of several cells have full downlink buffers above RLC; UEs are dropped over the area of the cells, at least
// 10 m from their gNBs, walk at 3 km/h, and are attached to the strongest cell. 3gnb: one site with three such arrays,
// 120 degrees apart; UEs up to 200 m away. 21cell and 57cell: 7 and 19 sites of three sectors, 200 m apart, with
// wrap-around; 32 ports (8, 8, 2; 2, 8), 20 MHz (51 resource blocks) or 100 MHz; 8 interferers are heard with their
// direction.
//
// A name followed by /N is measured with N threads for the work on channels: 1gnb-100ue/2.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <sys/resource.h>

#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"

#include "radio-loads.h"

using namespace ns3;
using namespace edgelam::bench;

namespace {

constexpr Case cases[] = {{"1gnb-2ue", 2, Load::Full, 1, true},
                          {"1gnb-10ue", 10, Load::Full, 1, true},
                          {"1gnb-100ue-idle", 100, Load::Idle, 10, true},
                          {"1gnb-2ue-ip", 2, Load::Ip, 1, true},
                          {"1gnb-10ue-ip", 10, Load::Ip, 1, true},
                          {"1gnb-10ue-ip-large", 10, Load::LargeIp, 1, true},
                          {"1gnb-30ue", 30, Load::Full, 1, false},
                          {"1gnb-100ue", 100, Load::Full, 1, false},
                          {"1gnb-300ue", 300, Load::Full, 1, false},
                          {"3gnb-30ue", 30, Load::Cells, 0.5, false},
                          {"21cell-210ue", 210, Load::Cells, 0.1, false, 1, 20e6},
                          {"21cell-210ue-100mhz", 210, Load::Cells, 0.05, false, 1, 100e6},
                          {"57cell-570ue", 570, Load::Cells, 0.05, false, 2, 20e6}};

struct Result {
    double startS, simulatedPerWall, goodputBps;
};

double Now() {
    using namespace std::chrono;
    return duration<double>(steady_clock::now().time_since_epoch()).count();
}

template<class Traffic>
Result Measure(Traffic& traffic, double simulatedS, double begunS) {
    Simulator::Stop(Seconds(simulatedS));
    const double startedS = Now();
    Simulator::Run();
    const double wallS = Now() - startedS;
    Simulator::Destroy();
    return {startedS - begunS, simulatedS / wallS, 8.0 * static_cast<double>(traffic.Bytes()) / simulatedS};
}

Result Run(const Case& which, unsigned threads, double simulatedS) {
    RngSeedManager::SetSeed(1);
    RngSeedManager::SetRun(1);
    const double begunS = Now();
    if (which.load == Load::Cells) {
        ManyCells traffic(which, threads);
        return Measure(traffic, simulatedS, begunS);
    }
    const Street street(which.numUe);
    if (which.load == Load::Ip || which.load == Load::LargeIp) {
        constexpr std::uint32_t largest = 6; // 9000 bytes
        OverIp traffic(street, which.load == Load::LargeIp ? largest : 1);
        return Measure(traffic, simulatedS, begunS);
    }
    AboveRlc traffic(street, which.load, threads);
    return Measure(traffic, simulatedS, begunS);
}

double PeakGiB() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / (1 << 20); // of KiB
}

/// A case and its number of threads.
struct Chosen {
    std::string name;
    const Case* which = nullptr;
    unsigned threads = 1;
};

std::optional<Chosen> Choose(const std::string& name) {
    Chosen chosen{name};
    const std::size_t slash = name.find('/');
    if (slash != std::string::npos) {
        const char* digits = name.c_str() + slash + 1;
        chosen.threads = static_cast<unsigned>(std::strtoul(digits, nullptr, 10));
        if (std::to_string(chosen.threads) != digits || chosen.threads < 1 || chosen.threads > 64) {
            return std::nullopt;
        }
    }
    for (const auto& each : cases) {
        chosen.which = name.substr(0, slash) == each.name ? &each : chosen.which;
    }
    return chosen.which ? std::optional(chosen) : std::nullopt;
}

int Usage() {
    std::fprintf(stderr,
                 "usage: radio [simulated seconds of the loaded cases, 0.01 to 600 [case[/threads] ...]]; cases:");
    for (const auto& each : cases) {
        std::fprintf(stderr, " %s", each.name);
    }
    std::fprintf(stderr, "\n");
    return 2;
}

} // namespace

int main(int argc, char* argv[]) {
    const double seconds = argc > 1 ? std::strtod(argv[1], nullptr) : 2;
    if (!(seconds >= 0.01 && seconds <= 600)) {
        return Usage();
    }
    std::vector<Chosen> chosen;
    for (int i = 2; i < argc; ++i) {
        const auto found = Choose(argv[i]);
        if (!found) {
            return Usage();
        }
        chosen.push_back(*found);
    }
    for (const auto& each : cases) {
        if (argc <= 2 && each.byDefault) {
            chosen.push_back({each.name, &each});
        }
    }
    std::printf("{\"cases\": [");
    const char* comma = "";
    for (const auto& each : chosen) {
        const Result result = Run(*each.which, each.threads, std::max(0.01, seconds * each.which->duration));
        std::printf("%s{\"name\": \"%s\", \"simulated_per_wall\": %.3f, \"goodput_bps\": %.0f, \"start_s\": %.2f, "
                    "\"peak_gib\": %.2f}",
                    comma, each.name.c_str(), result.simulatedPerWall, result.goodputBps, result.startS, PeakGiB());
        std::fflush(stdout);
        comma = ", ";
    }
    std::printf("]}\n");
    return 0;
}
