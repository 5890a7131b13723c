// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Cells that have no room for one more UE: handover, re-establishment and the first cell; UEs that have nothing to
/// send.

#include "nr-road-testbed.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;
using ns3::MilliSeconds;

namespace {

constexpr std::uint32_t room = 12; ///< with one resource block for scheduling requests, in every slot

/// Cell 0 has room, cell 1 is 120 m away and has it for 12 UEs.
void AddCells(Road& road) {
    road.AddCell({0, 0, 10});
    road.AddCell({120, 0, 10}, {Set("SrPeriod", 1u), Set("SrPrbs", 1u)});
}

HandoverSettings FromOutside() {
    HandoverSettings settings;
    settings.automatic = false;
    return settings;
}

/// The target refuses, the UE stays with all its data, and comes when there is room.
void FullTarget(Case& test) {
    Road road(street);
    AddCells(road);
    for (std::uint32_t i = 0; i < room; ++i) {
        road.AddUe({110.0 + i, 10, 1.5}, {});
    }
    road.AddUe({50, 10, 1.5}, {});
    road.Start(FromOutside());
    road.Traffic(MilliSeconds(20), 300, 1.5);
    const auto request = [&](double atS, std::uint32_t ue, std::uint32_t target) {
        ns3::Simulator::Schedule(ns3::Seconds(atS), [&road, &test, ue, target] {
            test.True(road.handover->Request(ue, target).empty(), "it is asked");
        });
    };
    request(0.1, room, 1);
    ns3::Simulator::Schedule(ns3::Seconds(0.3), [&] {
        test.True(road.network->ServingCell(room) == 0 && road.handover->GetPhase(room) == Handover::Phase::Connected,
                  "it stays, connected");
        test.True(road.handover->GetCounts(room).preparation_failures == 1 && road.records.size() == 1, "counted");
        test.True(road.records[0].source == 0 && road.records[0].target == 1 && road.records[0].left_ns == -1, "said");
    });
    request(0.4, 0, 0);
    request(0.7, room, 1);
    road.Run(2);
    test.True(road.Count(HandoverEvent::Handover) == 2 && road.network->ServingCell(room) == 1, "then there is room");
    for (const std::uint32_t ue : {0u, room}) {
        test.True(road.down[ue] == road.sentDown[ue] && road.up[ue] == road.sentUp[ue], "nothing is lost");
    }
}

/// Of two that come at once to the last place, one gets it: it is kept while the UE is on its way.
void LastPlace(Case& test) {
    Road road(street);
    AddCells(road);
    for (std::uint32_t i = 0; i + 1 < room; ++i) {
        road.AddUe({110.0 + i, 10, 1.5}, {});
    }
    road.AddUe({50, 10, 1.5}, {});
    road.AddUe({50, 12, 1.5}, {});
    road.Start(FromOutside());
    for (const std::uint32_t ue : {room - 1, room}) {
        ns3::Simulator::Schedule(ns3::Seconds(0.1 + 0.001 * ue), [&road, ue] { road.handover->Request(ue, 1); });
    }
    road.Run(1);
    test.True(road.Count(HandoverEvent::Handover) == 1 && road.Count(HandoverEvent::PreparationFailure) == 1,
              "one of the two");
    test.True(road.network->ServingCell(room - 1) == 1 && road.network->ServingCell(room) == 0, "the first one");
}

/// By event A3, report after report asks again.
void AsksAgain(Case& test) {
    Road road(street);
    AddCells(road);
    for (std::uint32_t i = 0; i < room; ++i) {
        road.AddUe({110.0 + i, 10, 1.5}, {});
    }
    road.AddUe({40, 10, 1.5}, {40, 0, 0});
    road.Start();
    road.Run(2.5);
    test.True(road.handover->GetCounts(room).preparation_failures >= 2, "again and again");
    test.True(road.network->ServingCell(room) == 0, "where it was");
}

/// A UE that has lost its cell is rejected by one without room, and takes the other one.
void Reestablishes(Case& test) {
    Road road(street);
    AddCells(road);
    for (std::uint32_t i = 0; i < room; ++i) {
        road.AddUe({110.0 + i, 10, 1.5}, {});
    }
    road.AddUe({20, 10, 1.5}, {});
    road.Start(FromOutside());
    road.Traffic(MilliSeconds(20), 300, 6);
    ns3::Simulator::Schedule(ns3::Seconds(0.5), [&] { road.ues[room].MoveTo({30000, 30000, 1.5}); });
    ns3::Simulator::Schedule(ns3::Seconds(2.5), [&] { road.ues[room].MoveTo({100, 10, 1.5}); });
    road.Run(7);
    const HandoverCounts& counts = road.handover->GetCounts(room);
    test.True(counts.link_failures >= 1 && counts.rejections >= 1, "lost, and rejected");
    test.True(counts.reestablishments >= 1 && road.network->ServingCell(room) == 0, "back where there is room");
    test.True(road.down[room] == road.sentDown[room] && road.up[room] == road.sentUp[room], "nothing is lost");
}

void FirstCells(Case& test) {
    Road road(street);
    AddCells(road);
    for (std::uint32_t i = 0; i <= room; ++i) {
        road.AddUe({110.0 + i, 10, 1.5}, {});
        const std::uint32_t cell = road.network->FirstCell(i);
        test.True(cell == (i < room ? 1 : 0), "UE " + std::to_string(i) + " in cell " + std::to_string(cell));
        road.network->Attach(i, cell);
    }
    Road alone(street);
    alone.AddCell({0, 0, 10}, {Set("SrPeriod", 1u), Set("SrPrbs", 1u)});
    for (std::uint32_t i = 0; i < room; ++i) {
        alone.AddUe({20, 10, 1.5}, {});
        alone.network->Attach(i, alone.network->FirstCell(i));
    }
    alone.AddUe({20, 10, 1.5}, {});
    test.Refuses([&] { alone.network->FirstCell(room); }, {"UE 12", "no cell has room", "longer SrPeriod"}, "full");
    test.Refuses([&] { alone.AddUe({20, 10, 30}, {}); }, {"higher than the gNB"}, "above the gNB");
}

/// More UEs are handed over at once than the target has preambles of their own for: the others come by contention.
void Preambles(Case& test) {
    Road road(street);
    road.AddCell({0, 0, 10});
    road.AddCell({120, 0, 10});
    for (int i = 0; i < 4; ++i) {
        road.AddUe({50.0 + i, 10, 1.5}, {});
    }
    HandoverSettings settings = FromOutside();
    settings.access.preambles = 63;
    road.Start(settings);
    road.Traffic(MilliSeconds(20), 300, 1);
    ns3::Simulator::Schedule(ns3::Seconds(0.1), [&] {
        for (std::uint32_t ue = 0; ue < 4; ++ue) {
            test.True(road.handover->Request(ue, 1).empty(), "asked");
        }
    });
    road.Run(2);
    test.True(road.Count(HandoverEvent::Handover) == 4, "all");
    std::vector<std::int64_t> interruptions;
    for (const auto& record : road.records) {
        interruptions.push_back(record.access_ns - record.left_ns);
    }
    std::ranges::sort(interruptions);
    test.True(interruptions[1] > interruptions[0] + 2'000'000, "contention takes longer");
    for (std::uint32_t ue = 0; ue < 4; ++ue) {
        test.True(road.down[ue] == road.sentDown[ue] && road.up[ue] == road.sentUp[ue], "nothing is lost");
    }
}

/// A UE that sends and gets nothing leaves coverage, and comes back. Watching it takes no events of its own.
void Silent(Case& test) {
    const auto run = [&](ns3::Time monitoring, bool leaves) {
        Road road(street);
        road.AddCell({0, 0, 10});
        road.AddCell({120, 0, 10});
        road.AddUe({30, 10, 1.5}, {});
        HandoverSettings settings;
        settings.monitoring = monitoring;
        road.Start(settings);
        if (leaves) {
            ns3::Simulator::Schedule(ns3::Seconds(1.02), [&] { road.ues[0].MoveTo({30000, 30000, 1.5}); });
            ns3::Simulator::Schedule(ns3::Seconds(4), [&] { road.ues[0].MoveTo({110, 10, 1.5}); });
        }
        road.Run(5);
        const std::uint64_t events = ns3::Simulator::GetEventCount();
        test.True(road.Count(HandoverEvent::LinkFailure) == leaves, "lost once, if it leaves");
        if (leaves) {
            const double failedS = 1e-9 * static_cast<double>(road.records[0].time_ns);
            // Up to 0.2 s until it is seen, T310, and up to 0.2 s until that is seen.
            test.True(failedS >= 2.02 && failedS <= 2.45, "lost at " + std::to_string(failedS) + " s");
            test.True(road.Count(HandoverEvent::Reestablishment) == 1 && road.network->ServingCell(0) == 1,
                      "regained in the other cell");
            test.True(road.Sum().too_late == 1, "and so too late");
        }
        return events;
    };
    run(MilliSeconds(200), true);
    test.True(run(MilliSeconds(200), false) == run(ns3::Seconds(10), false), "no more events than without");
}

CaseSuite admissionTestSuite("edgelam-nr-admission", {{"a full target refuses", FullTarget},
                                                      {"the last place", LastPlace},
                                                      {"reports ask again", AsksAgain},
                                                      {"re-establishment", Reestablishes},
                                                      {"first cells", FirstCells},
                                                      {"preambles of their own", Preambles},
                                                      {"silent UEs", Silent}});

} // namespace
