// SPDX-License-Identifier: GPL-2.0-only
// Who gets how much of the downlink when all have full buffers.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <numeric>

#include "cases.h"
#include "named-random.h"

namespace edgelam::validation {

namespace {

struct Settings {
    CellOptions cell;
    std::string place = "street", scheduler = "pf";
    double seconds = 1, beginS = 0.3, speedMps = 1 / 1.2;
    std::uint32_t numUe = 10, drops = 1, csiPeriod = 20, csiDelay = 4;
};

/// "equal": flat Rayleigh fading of the same mean, one antenna at each end. "street": UMi, arrays, 20 to 200 m.
void Measure(const Settings& settings) {
    const bool street = settings.place == "street";
    for (std::uint32_t drop = 0; drop < settings.drops; ++drop) {
        NamedRandom random(settings.cell.seed, {drop});
        OneCell one(settings.cell,
                    {.deployment = street ? "UMi" : "Clarke",
                     .los = street ? "Probability" : "Never",
                     .stream = 1 + 10 * std::int64_t{drop}},
                    street ? test::MakeEnd({0, 0, 10}, 8, 4, true, false) : test::MakeEnd({0, 0, 10}));
        one.cell->SetAttribute("Scheduler", ns3::StringValue(settings.scheduler));
        one.cell->SetAttribute("CsiPeriod", ns3::UintegerValue(settings.csiPeriod));
        one.cell->SetAttribute("CsiDelay", ns3::UintegerValue(settings.csiDelay));
        std::vector<double> bytes(settings.numUe), bits(settings.numUe), prbs(settings.numUe), sinr(settings.numUe),
            blocks(settings.numUe);
        bool counts = false;
        one.onPacket = [&](bool, std::uint32_t ue, const ns3::Ptr<ns3::Packet>& packet) {
            bytes[ue] += counts ? packet->GetSize() : 0;
        };
        one.onBlock = [&](const nr::TransportBlockRecord& block) {
            if (counts && !block.uplink) {
                bits[block.ue] += block.received ? block.bits : 0;
                prbs[block.ue] += block.prbs;
                sinr[block.ue] += std::pow(10, 0.1 * static_cast<double>(block.sinr_db));
                ++blocks[block.ue];
            }
        };
        one.Begin();
        for (std::uint32_t i = 0; i < settings.numUe; ++i) {
            const double distance = street ? std::sqrt(400 + (40000 - 400) * random.Uniform()) : 100;
            const double azimuth = street ? 2 * M_PI / 3 * (random.Uniform() - 0.5) : 2 * M_PI * i / settings.numUe;
            // Across the line to the gNB: the mean SNR stays what it is.
            const double heading = street ? 2 * M_PI * random.Uniform() : azimuth + M_PI / 2;
            const ns3::Vector place{distance * std::cos(azimuth), distance * std::sin(azimuth), 1.5};
            const auto ue = street ? test::MakeEnd(place, 1, 2, true) : test::MakeEnd(place);
            ue.mobility->SetVelocity({settings.speedMps * std::cos(heading), settings.speedMps * std::sin(heading), 0});
            one.AddUe(ue, false);
        }
        one.Fill(false, 1500, 1'000'000);
        one.RunUntil(settings.beginS);
        counts = true;
        one.RunUntil(settings.beginS + settings.seconds);
        const double allPrbs = std::max(1.0, std::accumulate(prbs.begin(), prbs.end(), 0.0));
        for (std::uint32_t i = 0; i < settings.numUe; ++i) {
            std::printf("{\"drop\": %u, \"ue\": %u, \"down_bps\": %.0f, \"decoded_bps\": %.0f, \"prb_share\": %.6f, "
                        "\"mean_sinr_db\": %.3f}\n",
                        drop, i, 8 * bytes[i] / settings.seconds, bits[i] / settings.seconds, prbs[i] / allPrbs,
                        10 * std::log10(std::max(sinr[i] / std::max(blocks[i], 1.0), 1e-9)));
        }
        std::fflush(stdout);
    }
}

} // namespace

Body Schedulers(Options& options) {
    auto settings = std::make_shared<Settings>();
    settings->cell.Add(options);
    options.Choice("place", settings->place, "equal Rayleigh fading, or a street", {"equal", "street"});
    options.Choice("scheduler", settings->scheduler, "of the cell", {"rr", "pf", "max-rate"});
    options.Integer("numUe", settings->numUe, "UEs", 1, 300);
    options.Integer("drops", settings->drops, "places and channels", 1, 10000);
    options.Real("speed", settings->speedMps, "m/s", "of each UE", 0, 100);
    options.Integer("csiPeriod", settings->csiPeriod, "slots", 1, 10000);
    options.Integer("csiDelay", settings->csiDelay, "slots", 0, 100);
    options.Real("seconds", settings->seconds, "s", "that are measured", 0.001, 1000);
    options.Real("begin", settings->beginS, "s", "before", 0, 100);
    return [settings] { Measure(*settings); };
}

} // namespace edgelam::validation
