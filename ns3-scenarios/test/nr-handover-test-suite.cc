// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Handover and re-establishment: what reaches IP, what is counted, what is refused.

#include <algorithm>
#include <map>
#include <set>

#include "nr-road-testbed.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;
using ns3::MilliSeconds;
using ns3::Packet;
using ns3::Ptr;

namespace {

/// Ten handovers to and fro, decided on from outside, with data in both directions all the time.
void TenHandovers(Case& test, bool forwarding, bool acknowledged) {
    Road road(street);
    road.AddCell({0, 0, 10});
    road.AddCell({120, 0, 10});
    road.AddUe({60, 20, 1.5}, {1, 0, 0}, acknowledged);
    HandoverSettings settings;
    settings.automatic = false;
    settings.path.forwarding = forwarding;
    road.Start(settings);
    road.Traffic(ns3::MicroSeconds(500), 1200, 3.2); // 19 Mbit/s
    for (int i = 0; i < 10; ++i) {
        ns3::Simulator::Schedule(ns3::Seconds(0.1 + 0.31 * i), [&] {
            const std::uint32_t other = 1 - *road.network->ServingCell(0);
            test.True(road.handover->Request(0, other).empty(), "accepted");
        });
    }
    ns3::Simulator::Schedule(ns3::Seconds(5), [&] { // a server at the other gNB
        auto packet = ns3::Create<Packet>(100);
        road.sentDown[0].push_back(packet->GetUid());
        const std::uint32_t away = 1 - road.gnbOf[*road.network->ServingCell(0)];
        test.True(road.handover->SendDown(away, 0, packet, 0), "goes through the tunnel");
    });
    road.Run(6);
    test.True(road.down[0].back() == road.sentDown[0].back(), "also without forwarding");
    const auto counters = road.network->GetConnection(0).down[0].counters();
    test.True(counters.deliveredPackets == road.down[0].size() &&
                  counters.sentPackets + road.dropped >= road.down[0].size() + counters.lostPackets &&
                  counters.sentPackets + road.dropped <= road.sentDown[0].size(),
              "counts: " + std::to_string(counters.sentPackets) + " sent, " + std::to_string(counters.lostPackets) +
                  " lost");
    if (forwarding) {
        test.True(counters.sentPackets == road.sentDown[0].size(), "each is counted once");
    }
    const std::string what =
        std::string(forwarding ? "forwarding" : "no forwarding") + (acknowledged ? ", AM" : ", UM");
    test.True(road.Count(HandoverEvent::Handover) == 10 && road.records.size() == 10, what + ": ten handovers");
    const auto &sent = road.sentDown[0], &got = road.down[0];
    test.True(std::ranges::is_sorted(got) && std::ranges::adjacent_find(got) == got.end(), what + ": once, in order");
    test.True(std::ranges::is_sorted(road.up[0]) && std::ranges::adjacent_find(road.up[0]) == road.up[0].end(),
              what + ": up as well");
    if (acknowledged) {
        test.True(road.up[0] == road.sentUp[0], what + ": nothing is lost up, got " +
                                                    std::to_string(road.up[0].size()) + " of " +
                                                    std::to_string(road.sentUp[0].size()));
    }
    const double lost = 1 - static_cast<double>(got.size()) / static_cast<double>(sent.size());
    if (forwarding && acknowledged) {
        test.True(got == sent && road.dropped == 0,
                  what + ": nothing is lost, got " + std::to_string(got.size()) + " of " + std::to_string(sent.size()));
        test.True(road.handover->GetPath().GetCounts().forwarded > 100, what + ": over Xn");
    } else if (!forwarding) {
        test.True(lost > 0.005 && lost < 0.3, what + ": some is lost: " + std::to_string(lost));
    } else {
        test.True(lost < 0.03, what + ": blocks on their way are lost: " + std::to_string(lost));
    }
    for (const auto& record : road.records) {
        const double ms = 1e-6 * static_cast<double>(record.access_ns - record.left_ns);
        // 10 ms for the command, up to 12.5 ms until an occasion, 2.5 ms for the response.
        test.True(ms >= 12 && ms <= 25, what + ": interruption of " + std::to_string(ms) + " ms");
        test.True(record.ping_pong == (&record != &road.records.front()), what + ": each but the first comes back");
    }
    test.True(road.handover->GetPath().IsSwitched(0), what + ": the path is switched");
}

/// The same with a voice bearer, one of a guaranteed rate and one beside them: each of them loses nothing and keeps its
/// order, and the radio of the UE takes the energy that the records of both cells say, in each slot once.
void SeveralBearers(Case& test) {
    Road road(street);
    road.AddCell({0, 0, 10});
    road.AddCell({120, 0, 10});
    std::vector<QosBearer> bearers(3);
    bearers[0].fiveQi = 1;
    bearers[0].guaranteedBps = {64e3, 64e3};
    bearers[1].fiveQi = 2;
    bearers[1].guaranteedBps = {4e6, 1e6};
    road.AddUe({60, 20, 1.5}, {1, 0, 0}, bearers);
    std::vector<PowerRecord> power;
    for (std::uint32_t cell = 0; cell < 2; ++cell) {
        road.network->GetCell(cell)->TraceConnectWithoutContext(
            "Power", ns3::Callback<void, const PowerRecord&>([&](const PowerRecord& record) {
                if (record.ue == 0) {
                    power.push_back(record);
                }
            }));
    }
    HandoverSettings settings;
    settings.automatic = false;
    road.Start(settings);
    road.Traffic(MilliSeconds(20), 160, 3.2, 0);
    road.Traffic(ns3::MicroSeconds(2500), 1200, 3.2, 1);
    road.Traffic(MilliSeconds(1), 1200, 3.2, 2);
    for (int i = 0; i < 10; ++i) {
        ns3::Simulator::Schedule(ns3::Seconds(0.1 + 0.31 * i), [&] {
            test.True(road.handover->Request(0, 1 - *road.network->ServingCell(0)).empty(), "accepted");
        });
    }
    std::array<double, 2> joules{};
    ns3::Simulator::Schedule(ns3::Seconds(5.9), [&] {
        joules = {road.network->UeJoules(0, Direction::Downlink), road.network->UeJoules(0, Direction::Uplink)};
    });
    road.Run(5.9);
    test.True(road.Count(HandoverEvent::Handover) == 10, "ten handovers");
    test.True(road.handover->GetPath().GetCounts().forwarded > 20, "over Xn");
    for (unsigned bearer = 0; bearer < 3; ++bearer) {
        const std::string what = "bearer " + std::to_string(bearer);
        test.True(road.Over(bearer, road.sentDown[0]).size() > 100, what + ": something was sent");
        test.True(road.Over(bearer, road.down[0]) == road.Over(bearer, road.sentDown[0]), what + ": all, in order");
        test.True(road.Over(bearer, road.up[0]) == road.Over(bearer, road.sentUp[0]), what + ": up as well");
        test.True(road.network->GetConnection(0).down[bearer].counters().lostPackets == 0, what);
    }
    std::array<double, 2> sums{};
    std::uint64_t next = 0, between = 0;
    for (const auto& record : power) {
        test.True(record.slot == next, "each slot once");
        next = record.slot + record.slots;
        sums[0] += record.down_j;
        sums[1] += record.up_j;
    }
    for (const auto& record : road.records) { // listening, and a preamble
        for (const auto& each : power) {
            const bool inside = each.time_ns > record.left_ns && each.time_ns < record.access_ns - 500'000;
            between += inside && each.uplink == 2;
            test.True(!inside || each.state >= PowerRecord::micro_sleep, "awake between cells");
        }
    }
    test.True(between == 10, "a preamble in each handover: " + std::to_string(between));
    for (const int direction : {0, 1}) {
        test.Near(sums[direction], joules[direction], 1e-9 * joules[direction], "the records add up");
    }
}

void Lossless(Case& test) {
    TenHandovers(test, true, true);
    TenHandovers(test, true, false);
}

void WithoutForwarding(Case& test) {
    TenHandovers(test, false, true);
    TenHandovers(test, false, false);
}

/// A UE that drives from one cell to the next one is handed over where event A3 says.
void DrivesOn(Case& test) {
    Road road(street);
    for (const double x : {0., 100., 200.}) {
        road.AddCell({x, 0, 10});
    }
    road.AddUe({10, 15, 1.5}, {30, 0, 0});
    road.AddUe({50, 15, 1.5}, {}); // stands where two cells are equal
    road.AddUe({130, 15, 1.5}, {});
    HandoverSettings settings;
    settings.measurements.event = {.offDb = 2, .hysteresisDb = 1, .timeToTrigger = MilliSeconds(160)};
    road.Start(settings);
    std::vector<MeasurementRecord> reported;
    road.handover->GetMeasurements().SetTrace([&](const MeasurementRecord& record) {
        if (record.reported != 0 && record.triggered != 0) {
            reported.push_back(record);
        }
    });
    road.Traffic(MilliSeconds(5), 500, 6);
    road.Run(6.5);
    test.True(road.records.size() == 2, "two handovers: " + std::to_string(road.records.size()));
    for (std::size_t i = 0; i < std::min<std::size_t>(2, road.records.size()); ++i) {
        const HandoverRecord& record = road.records[i];
        test.True(record.ue == 0 && record.source == static_cast<int>(i) && record.target == static_cast<int>(i) + 1,
                  "those that stand stay");
        const auto report = std::ranges::find_if(
            reported, [&](const auto& each) { return each.cell == static_cast<std::uint32_t>(record.target); });
        const double delayMs = 1e-6 * static_cast<double>(record.started_ns - report->time_ns);
        test.True(delayMs > 2 && delayMs < 20, "decided on after the report: " + std::to_string(delayMs) + " ms");
        // 3 dB of LOS path loss, 21 dB a decade: 10^(3/21) = 1.39 times as far; then the filter and 160 ms.
        const double x = 10 + 30e-9 * static_cast<double>(report->time_ns);
        test.True(x > 100 * static_cast<double>(i) + 55 && x < 100 * static_cast<double>(i) + 75,
                  "at " + std::to_string(x) + " m");
    }
    for (const std::uint32_t ue : {0u, 1u, 2u}) {
        test.True(road.down[ue] == road.sentDown[ue] && road.up[ue] == road.sentUp[ue], "nothing is lost");
    }
}

/// 120 km/h past gNBs of little power, in and out of line of sight behind corners. Runs differ in time-to-trigger only.
HandoverCounts Corners(std::uint32_t timeToTriggerMs) {
    Road road({.deployment = "UMi", .los = "Probability", .frequency = 3.5e9, .shadowing = true}, -10);
    for (int i = 0; i < 5; ++i) {
        road.AddCell({120. * i, i % 2 == 0 ? 0. : 40., 10});
    }
    for (int i = 0; i < 8; ++i) {
        road.AddUe({15. * i, 10. + 2 * i, 1.5}, {120 / 3.6, 0, 0});
    }
    HandoverSettings settings;
    settings.measurements.event = {.offDb = 0, .hysteresisDb = 1, .timeToTrigger = MilliSeconds(timeToTriggerMs)};
    settings.measurements.filterCoefficient = 0;
    settings.leastRsrpDbm = -140;
    road.Start(settings);
    road.Traffic(MilliSeconds(20), 200, 10);
    road.Run(10.5);
    return road.Sum();
}

void TimeToTrigger(Case& test) {
    const HandoverCounts late = Corners(1280), hasty = Corners(0);
    test.True(late.too_late > 0 && late.ping_pongs == 0, "1280 ms: too late " + std::to_string(late.too_late) +
                                                             ", ping-pongs " + std::to_string(late.ping_pongs) +
                                                             ", link failures " + std::to_string(late.link_failures));
    test.True(hasty.ping_pongs > 0 && hasty.too_late < late.too_late,
              "0 ms: too late " + std::to_string(hasty.too_late) + ", ping-pongs " + std::to_string(hasty.ping_pongs));
}

/// Coverage is lost and regained: in the same cell, in another one; TS 38.300 15.5.2 by hand.
void Classification(Case& test) {
    struct Step {
        double atS;
        ns3::Vector place;
        int request = -1; ///< a handover to this cell
    };
    const auto run = [](const std::vector<Step>& steps) {
        auto road = std::make_unique<Road>(street);
        road->AddCell({0, 0, 10});
        road->AddCell({1000, 0, 10});
        road->AddCell({0, 1000, 10});
        road->AddUe({30, 0, 1.5}, {});
        HandoverSettings settings;
        settings.automatic = false;
        road->Start(settings);
        road->Traffic(MilliSeconds(5), 500, 6);
        for (const auto& step : steps) {
            ns3::Simulator::Schedule(ns3::Seconds(step.atS), [&road = *road, step] {
                if (step.request >= 0) {
                    road.handover->Request(0, static_cast<std::uint32_t>(step.request));
                } else {
                    road.ues[0].MoveTo(step.place);
                }
            });
        }
        road->Run(9);
        return road;
    };
    const ns3::Vector nowhere{30000, 30000, 1.5}, at0{30, 0, 1.5}, at1{970, 0, 1.5}, at2{0, 970, 1.5};
    const auto one = [&](const std::string& what, const std::vector<Step>& steps, int tooLate, int tooEarly,
                         int wrongCell, int handovers) {
        const auto road = run(steps);
        const HandoverCounts& counts = road->handover->GetCounts(0);
        test.True(static_cast<int>(counts.too_late) == tooLate && static_cast<int>(counts.too_early) == tooEarly &&
                      static_cast<int>(counts.wrong_cell) == wrongCell,
                  what + ": " + std::to_string(counts.too_late) + ", " + std::to_string(counts.too_early) + ", " +
                      std::to_string(counts.wrong_cell));
        test.True(static_cast<int>(counts.handovers) == handovers, what + ": handovers");
        test.True(counts.reestablishments == 1, what + ": re-established");
        test.True(road->down[0] == road->sentDown[0] && road->up[0] == road->sentUp[0], what + ": nothing is lost");
    };
    one("a hole", {{0.5, nowhere}, {3, at0}}, 0, 0, 0, 0);
    one("too late", {{0.5, nowhere}, {3, at1}}, 1, 0, 0, 0);
    const ns3::Vector middle{500, 0, 1.5};
    one("too early", {{0.2, middle}, {0.5, {}, 1}, {0.62, nowhere}, {3, at0}}, 0, 1, 0, 1);
    one("wrong cell", {{0.2, middle}, {0.5, {}, 1}, {0.62, nowhere}, {3, at2}}, 0, 0, 1, 1);
    // T304: the UE is away when it would send its preamble.
    one("failed handover", {{0.2, middle}, {0.5, {}, 1}, {0.5185, nowhere}, {3, at0}}, 0, 1, 0, 0);
}

/// Two UEs come at once and there is one preamble to give away: the other one sends message 3 as well, K2 and the slots
/// of TS 38.214 table 6.1.2.1.1-5 after the response, and has its answer as late as that to a preamble.
void MessageThree(Case& test) {
    struct Row {
        unsigned mu;
        double frequency, bandwidth;
        int k2, delta, answer; ///< slots; the gNB decodes, decides and sends in 4, and the UE decodes
    };
    for (const auto& [mu, frequency, bandwidth, k2, delta, answer] :
         {Row{0, 3.5e9, 20e6, 2, 2, 4 + 1}, Row{1, 3.5e9, 20e6, 2, 3, 4 + 1}, Row{2, 3.5e9, 20e6, 2, 4, 4 + 2},
          Row{3, 28e9, 100e6, 3, 6, 4 + 2}, Row{5, 60e9, 400e6, 11, 24, 4 + 6}, Row{6, 60e9, 400e6, 21, 48, 4 + 12}}) {
        Settings settings = street;
        settings.frequency = frequency;
        Road road(settings);
        for (const double x : {0., 120.}) {
            road.AddCell({x, 0, 10}, {Set("Numerology", mu), Set("Bandwidth", bandwidth), Set("GnbPower", 45.),
                                      Set("UePower", 40.), Set("Pattern", std::string("FDD"))});
        }
        road.AddUe({50, 10, 1.5}, {});
        road.AddUe({50, 12, 1.5}, {});
        HandoverSettings handover;
        handover.automatic = false;
        handover.access.preambles = 63;
        handover.access.targetDbm = -75;
        road.Start(handover);
        ns3::Simulator::Schedule(MilliSeconds(100), [&road] {
            road.handover->Request(0, 1);
            road.handover->Request(1, 1);
        });
        road.Run(0.4);
        const std::string name = "mu " + std::to_string(mu);
        test.True(road.records.size() == 2 && road.records[0].ue == 0, name + ": both are there");
        if (road.records.size() != 2) {
            continue;
        }
        const auto laterNs = (road.records[1].access_ns - road.records[0].access_ns) % 10'000'000; // of any occasion
        const double slots = static_cast<double>(laterNs) / static_cast<double>(Numerology(mu).MeanSlotNs());
        const int least = k2 + delta + answer;
        test.True(slots > least - 0.01 && slots < least + 1.01, // message 3 begins with a slot
                  name + ": message 3 takes " + std::to_string(slots) + " slots, not " + std::to_string(least));
    }
}

void Refusals(Case& test) {
    Road road(street);
    road.AddCell({0, 0, 10});
    road.AddCell({100, 0, 10});
    road.AddUe({20, 0, 1.5}, {});
    HandoverSettings settings;
    settings.automatic = false;
    road.Start(settings);
    const auto refused = [&](std::uint32_t target, const std::string& part) {
        const std::string why = road.handover->Request(0, target);
        test.True(why.find(part) != std::string::npos, part + " in: " + why);
    };
    ns3::Simulator::Schedule(MilliSeconds(10), [&] {
        refused(0, "in cell 0 already; legal are other cells");
        refused(2, "cell 2 for UE 0; legal are 0 to 1");
        test.True(road.handover->Request(0, 1).empty(), "legal");
        refused(1, "in a handover");
    });
    // Nothing comes from the other gNB: the handover is given up, and another one may begin.
    ns3::Simulator::Schedule(MilliSeconds(500), [&] { road.backhaul.lost = true; });
    ns3::Simulator::Schedule(MilliSeconds(510), [&] { test.True(road.handover->Request(0, 0).empty(), "back"); });
    ns3::Simulator::Schedule(MilliSeconds(1100), [&] {
        test.True(road.handover->GetPhase(0) == Handover::Phase::Connected, "given up");
        road.backhaul.lost = false;
        test.True(road.handover->Request(0, 0).empty(), "again");
    });
    road.Run(2);
    test.True(road.Count(HandoverEvent::Abandoned) == 1 && road.Count(HandoverEvent::Handover) == 2, "counted");
    HandoverSettings bad;
    bad.t304 = MilliSeconds(10);
    test.Refuses([&] { bad.Check(); }, {"T304", "50"}, "T304");
    bad.t304 = MilliSeconds(100);
    bad.measurements.period = MilliSeconds(1);
    test.Refuses([&] { bad.Check(); }, {"measurement period", "5 ms to 1 s"}, "period");
}

CaseSuite handoverTestSuite("edgelam-nr-handover", {{"failures by hand", Classification},
                                                    {"refusals", Refusals},
                                                    {"message 3", MessageThree},
                                                    {"ten handovers lose nothing", Lossless},
                                                    {"several bearers", SeveralBearers},
                                                    {"without forwarding", WithoutForwarding},
                                                    {"event A3 on the way", DrivesOn},
                                                    {"too late and ping-pong", TimeToTrigger}});

} // namespace
