// SPDX-License-Identifier: GPL-2.0-only
// Packets at a constant rate over a downlink without HARQ, so that RLC sees every block that is lost.
#include <cstdio>
#include <memory>

#include "ns3/simulator.h"

#include "cases.h"

namespace edgelam::validation {

namespace {

struct Settings {
    CellOptions cell;
    std::string mode = "am";
    std::uint32_t packets = 10000, packetBytes = 1000;
    double everyS = 1e-3, drainS = 2;
};

void Measure(const Settings& settings) {
    OneCell one(settings.cell, {.deployment = "UMi", .los = "Never", .stream = settings.cell.seed},
                test::MakeEnd({0, 0, 10}, 4, 4, true));
    one.cell->SetAttribute("MaxTransmissions", ns3::UintegerValue(1));
    std::uint64_t blocks = 0, lostBlocks = 0;
    std::vector<double> delaysMs;
    std::vector<std::int64_t> sentNs; // by the packets' own numbers
    std::uint64_t first = 0;
    one.onBlock = [&](const nr::TransportBlockRecord& block) {
        blocks += block.uplink == 0;
        lostBlocks += block.uplink == 0 && block.received == 0;
    };
    one.onPacket = [&](bool, std::uint32_t, const ns3::Ptr<ns3::Packet>& packet) {
        delaysMs.push_back(
            1e-6 * static_cast<double>(ns3::Simulator::Now().GetNanoSeconds() - sentNs[packet->GetUid() - first]));
    };
    one.Begin();
    const auto ue = test::MakeEnd({120, 40, 1.5}, 1, 2, true);
    ue.mobility->SetVelocity({0, 1, 0});
    one.AddUe(ue, settings.mode == "am");
    std::function<void()> send = [&] {
        const auto packet = ns3::Create<ns3::Packet>(settings.packetBytes);
        if (sentNs.empty()) {
            first = packet->GetUid();
        }
        sentNs.push_back(ns3::Simulator::Now().GetNanoSeconds());
        one.cell->SendDown(0, packet);
        if (sentNs.size() < settings.packets) {
            ns3::Simulator::Schedule(ns3::Seconds(settings.everyS), send);
        }
    };
    ns3::Simulator::ScheduleNow(send);
    one.RunUntil(settings.everyS * settings.packets + settings.drainS);
    const auto& counters = one.cell->DownBearer(0).counters();
    std::printf("{\"sent\": %llu, \"dropped\": %llu, \"delivered\": %zu, \"retransmitted_pdus\": %llu, \"blocks\": "
                "%llu, \"lost_blocks\": %llu, \"failed\": %s, \"delays_ms\": [",
                static_cast<unsigned long long>(counters.sentPackets),
                static_cast<unsigned long long>(counters.droppedPackets), delaysMs.size(),
                static_cast<unsigned long long>(counters.retransmittedPdus), static_cast<unsigned long long>(blocks),
                static_cast<unsigned long long>(lostBlocks), one.cell->DownBearer(0).Failed() ? "true" : "false");
    const char* comma = "";
    for (const double each : delaysMs) {
        std::printf("%s%.4f", comma, each);
        comma = ", ";
    }
    std::printf("]}\n");
}

} // namespace

Body Rlc(Options& options) {
    auto settings = std::make_shared<Settings>();
    settings->cell.Add(options);
    options.Choice("mode", settings->mode, "of RLC", {"am", "um"});
    options.Integer("packets", settings->packets, "sent", 1, 10000000);
    options.Integer("packetBytes", settings->packetBytes, "of each", 20, 9000);
    options.Time("every", settings->everyS, "between two packets", 1e-5, 10);
    options.Time("drain", settings->drainS, "after the last", 0.5, 100);
    return [settings] { Measure(*settings); };
}

} // namespace edgelam::validation
