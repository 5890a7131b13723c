// SPDX-License-Identifier: GPL-2.0-only
// One-way delay of small packets in an idle cell, for moments of arrival all over the pattern.
#include <cstdio>
#include <memory>

#include "ns3/simulator.h"

#include "cases.h"

namespace edgelam::validation {

namespace {

constexpr std::uint32_t packet_bytes = 32; ///< M.2410: a small packet, of 0 bytes of payload, with its IP header

struct Settings {
    CellOptions cell;
    bool uplink = false;
    std::uint32_t perSlot = 10;
    double apartS = 0.05;
};

void Measure(const Settings& settings) {
    OneCell one(settings.cell, {.deployment = "Clarke", .stream = settings.cell.seed},
                test::MakeEnd({0, 0, 10}, 4, 4, true));
    std::uint64_t block = 0;
    unsigned blocks = 0;
    std::int64_t outNs = 0;
    one.onBlock = [&](const nr::TransportBlockRecord& record) {
        if ((record.uplink != 0) == settings.uplink) {
            block = record.slot;
            ++blocks;
        }
    };
    one.onPacket = [&](bool, std::uint32_t, const ns3::Ptr<ns3::Packet>&) {
        outNs = ns3::Simulator::Now().GetNanoSeconds();
    };
    one.Begin();
    one.AddUe(test::MakeEnd({30, 5, 1.5}, 1, 2, true), false);
    const auto& numerology = one.cell->GetNumerology();
    const auto period =
        static_cast<std::int64_t>(nr::SlotPattern::Parse(settings.cell.attributes.Text("Pattern")).NumSlots());
    const std::int64_t apart =
        (numerology.SlotAt(static_cast<std::int64_t>(settings.apartS * 1e9)) / period + 1) * period;
    std::int64_t base = apart;
    for (std::int64_t position = 0; position < period; ++position) {
        for (std::uint32_t k = 0; k < settings.perSlot; ++k, base += apart) {
            const std::int64_t slot = base + position;
            const double part = (k + 0.5) / settings.perSlot;
            const auto arrivalNs = numerology.SlotStartNs(slot) +
                                   static_cast<std::int64_t>(part * static_cast<double>(numerology.SlotNs(slot)));
            blocks = 0;
            outNs = -1;
            ns3::Simulator::Schedule(ns3::NanoSeconds(arrivalNs) - ns3::Simulator::Now(), [&] {
                settings.uplink ? one.cell->SendUp(0, ns3::Create<ns3::Packet>(packet_bytes))
                                : one.cell->SendDown(0, ns3::Create<ns3::Packet>(packet_bytes));
            });
            one.RunUntil(1e-9 * static_cast<double>(numerology.SlotStartNs(slot + apart / 2)));
            if (outNs < 0 || blocks != 1) {
                throw std::runtime_error("a packet took " + std::to_string(blocks) + " blocks: one was expected");
            }
            std::printf("{\"position\": %lld, \"part\": %.6f, \"delay_ns\": %lld, \"block_slots\": %lld, "
                        "\"out_slots\": %lld, \"slot_ns\": %lld}\n",
                        static_cast<long long>(position), part, static_cast<long long>(outNs - arrivalNs),
                        static_cast<long long>(static_cast<std::int64_t>(block) - slot),
                        static_cast<long long>(numerology.SlotAt(outNs) - slot),
                        static_cast<long long>(numerology.MeanSlotNs()));
        }
    }
}

} // namespace

Body Delay(Options& options) {
    auto settings = std::make_shared<Settings>();
    settings->cell.Add(options);
    options.Flag("uplink", settings->uplink, "the uplink instead of the downlink");
    options.Integer("perSlot", settings->perSlot, "arrivals in each slot of the pattern", 1, 10000);
    options.Time("apart", settings->apartS, "between two packets", 0.03, 10);
    return [settings] { Measure(*settings); };
}

} // namespace edgelam::validation
