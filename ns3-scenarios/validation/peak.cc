// SPDX-License-Identifier: GPL-2.0-only
// What a cell delivers when every slot could carry the highest MCS over the whole band: blocks and bytes of whole
// periods of the pattern.
#include <algorithm>
#include <cstdio>
#include <limits>
#include <memory>

#include "ns3/simulator.h"

#include "cases.h"

namespace edgelam::validation {

namespace {

constexpr std::uint64_t handed_up = 2; ///< slots from the start of a block to its packets: 1 on the air, 1 to decode

struct Settings {
    CellOptions cell;
    bool uplink = false;
    double seconds = 0.1, beginS = 0.02;
    std::uint32_t packetBytes = 9000;
};

struct Position {
    std::uint64_t blocks = 0, lost = 0;
    std::uint32_t leastBits = UINT32_MAX, mostBits = 0;
    unsigned prbs = 0, layers = 0, mcs = 0;
};

void Measure(const Settings& settings) {
    OneCell one(settings.cell, {.deployment = "UMi", .los = "Never", .stream = settings.cell.seed, .shadowing = false},
                test::MakeEnd({0, 0, 10}, 4, 4, true));
    const nr::Numerology numerology(static_cast<unsigned>(settings.cell.attributes.Number("Numerology")));
    const std::size_t period = nr::SlotPattern::Parse(settings.cell.attributes.Text("Pattern")).NumSlots();
    const auto whole = [&](double seconds) {
        const auto slot = static_cast<std::uint64_t>(numerology.SlotAt(static_cast<std::int64_t>(seconds * 1e9)));
        return (slot + period - 1) / period * period;
    };
    const std::uint64_t from = whole(settings.beginS), to = whole(settings.beginS + settings.seconds);
    std::vector<Position> positions(period);
    std::uint64_t bytes = 0;
    one.onBlock = [&](const nr::TransportBlockRecord& block) {
        if ((block.uplink != 0) != settings.uplink || block.slot < from || block.slot >= to) {
            return;
        }
        Position& at = positions[block.slot % period];
        ++at.blocks;
        at.lost += block.received == 0;
        at.leastBits = std::min(at.leastBits, block.bits);
        at.mostBits = std::max(at.mostBits, block.bits);
        at.prbs = block.prbs;
        at.layers = block.layers;
        at.mcs = block.mcs;
    };
    one.onPacket = [&](bool uplink, std::uint32_t, const ns3::Ptr<ns3::Packet>& packet) {
        const auto slot = static_cast<std::uint64_t>(numerology.SlotAt(ns3::Simulator::Now().GetNanoSeconds()));
        bytes += uplink == settings.uplink && slot >= from + handed_up && slot < to + handed_up ? packet->GetSize() : 0;
    };
    one.Begin();
    one.AddUe(test::MakeEnd({30, 5, 1.5}, 1, settings.uplink ? 1 : 2, true), true);
    one.Fill(settings.uplink, settings.packetBytes, 4'000'000);
    const auto end = static_cast<std::int64_t>(to + handed_up);
    one.RunUntil(1e-9 * static_cast<double>(numerology.SlotStartNs(end) - 1));
    const double windowS = 1e-9 * static_cast<double>(numerology.SlotStartNs(static_cast<std::int64_t>(to)) -
                                                      numerology.SlotStartNs(static_cast<std::int64_t>(from)));
    std::printf("{\"slot_s\": %.10g, \"prbs\": %u, \"slots\": %llu, \"window_s\": %.10g, \"delivered_bytes\": %llu, "
                "\"packet_bytes\": %u, \"positions\": [",
                1e-9 * static_cast<double>(numerology.MeanSlotNs()), one.cell->NumPrbs(),
                static_cast<unsigned long long>(to - from), windowS, static_cast<unsigned long long>(bytes),
                settings.packetBytes);
    const char* comma = "";
    for (std::size_t i = 0; i < period; ++i) {
        const Position& at = positions[i];
        if (at.blocks > 0) {
            std::printf(
                "%s{\"position\": %zu, \"blocks\": %llu, \"lost\": %llu, \"least_bits\": %u, \"most_bits\": %u, "
                "\"prbs\": %u, \"layers\": %u, \"mcs\": %u}",
                comma, i, static_cast<unsigned long long>(at.blocks), static_cast<unsigned long long>(at.lost),
                at.leastBits, at.mostBits, at.prbs, at.layers, at.mcs);
            comma = ", ";
        }
    }
    std::printf("]}\n");
}

} // namespace

Body Peak(Options& options) {
    auto settings = std::make_shared<Settings>();
    settings->cell.Add(options);
    options.Flag("uplink", settings->uplink, "the uplink instead of the downlink");
    options.Real("seconds", settings->seconds, "s", "that are measured", 0.001, 100);
    options.Real("begin", settings->beginS, "s", "before", 0, 100);
    options.Integer("packetBytes", settings->packetBytes, "of each packet", 40, 9000);
    return [settings] { Measure(*settings); };
}

} // namespace edgelam::validation
