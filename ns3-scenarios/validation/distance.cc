// SPDX-License-Identifier: GPL-2.0-only
// Throughput of one UE with full buffers both ways, over places at one distance from the gNB, each on a channel of its
// own.
#include <cmath>
#include <cstdio>
#include <memory>

#include "cases.h"
#include "named-random.h"

namespace edgelam::validation {

namespace {

struct Settings {
    CellOptions cell;
    std::string deployment = "UMi", los = "Probability";
    double distanceM = 100, seconds = 0.1, beginS = 0.05, heightM = 10;
    std::uint32_t drops = 10;
};

void Measure(const Settings& settings) {
    for (std::uint32_t drop = 0; drop < settings.drops; ++drop) {
        NamedRandom random(settings.cell.seed, {drop});
        OneCell one(settings.cell,
                    {.deployment = settings.deployment, .los = settings.los, .stream = 1 + 10 * std::int64_t{drop}},
                    test::MakeEnd({0, 0, settings.heightM}, 8, 4, true, false));
        std::uint64_t bytes[2]{};
        double sumSinrDb[2]{}, blocks[2]{};
        bool counts = false;
        one.onPacket = [&](bool uplink, std::uint32_t, const ns3::Ptr<ns3::Packet>& packet) {
            bytes[uplink] += counts ? packet->GetSize() : 0;
        };
        one.onBlock = [&](const nr::TransportBlockRecord& block) {
            sumSinrDb[block.uplink] += counts ? static_cast<double>(block.sinr_db) : 0;
            blocks[block.uplink] += counts;
        };
        one.Begin();
        const double azimuth = 2 * M_PI / 3 * (random.Uniform() - 0.5), heading = 2 * M_PI * random.Uniform();
        const auto ue = test::MakeEnd(
            {settings.distanceM * std::cos(azimuth), settings.distanceM * std::sin(azimuth), 1.5}, 1, 2, true);
        ue.mobility->SetVelocity({std::cos(heading) / 1.2, std::sin(heading) / 1.2, 0}); // 3 km/h
        one.AddUe(ue, false);
        one.Fill(false, 1500, 1'500'000);
        one.Fill(true, 1500, 500'000);
        one.RunUntil(settings.beginS);
        counts = true;
        one.RunUntil(settings.beginS + settings.seconds);
        std::printf("{\"drop\": %u, \"down_bps\": %.0f, \"up_bps\": %.0f, \"down_sinr_db\": %.3f, \"up_sinr_db\": "
                    "%.3f}\n",
                    drop, 8.0 * static_cast<double>(bytes[0]) / settings.seconds,
                    8.0 * static_cast<double>(bytes[1]) / settings.seconds, sumSinrDb[0] / std::max(blocks[0], 1.0),
                    sumSinrDb[1] / std::max(blocks[1], 1.0));
        std::fflush(stdout);
    }
}

} // namespace

Body Distance(Options& options) {
    auto settings = std::make_shared<Settings>();
    settings->cell.Add(options);
    options.Choice("deployment", settings->deployment, "of TR 38.901",
                   {"RMa", "UMa", "UMi", "InH-Open", "InF-SL", "InF-DL", "InF-SH", "InF-DH"});
    options.Choice("los", settings->los, "line of sight", {"Probability", "Always", "Never"});
    options.Real("distance", settings->distanceM, "m", "on the ground", 1, 10000);
    options.Real("height", settings->heightM, "m", "of the gNB", 2, 100);
    options.Integer("drops", settings->drops, "places and channels", 1, 100000);
    options.Real("seconds", settings->seconds, "s", "that are measured", 0.001, 100);
    options.Real("begin", settings->beginS, "s", "before", 0, 100);
    return [settings] { Measure(*settings); };
}

} // namespace edgelam::validation
