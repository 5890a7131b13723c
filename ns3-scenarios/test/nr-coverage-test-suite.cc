// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Out of coverage and back: CQI 0, radio link failure, lost scheduling requests; and nobody pays for it but the UE.

#include <algorithm>
#include <cmath>

#include "named-random.h"
#include "nr-cell-testbed.h"
#include "nr-control-channel.h"
#include "nr-radio-link.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

const Settings street{.deployment = "UMi", .los = "Never", .frequency = 3.5e9};
constexpr double far_m = 8000; ///< nothing is decoded there

void MoveTo(CellTestbed& bed, std::uint32_t ue, const ns3::Vector& place, double seconds) {
    ns3::Simulator::Schedule(ns3::Seconds(seconds), [&bed, ue, place] { bed.ues[ue].mobility->SetPosition(place); });
}

double Megabits(const char* scheduler, bool uplink, std::uint32_t numFar, double distanceM) {
    CellTestbed bed(street, {Set("Scheduler", std::string(scheduler)), Set("Bandwidth", 20e6)});
    bed.Add({60, 10, 1.5});
    for (std::uint32_t i = 0; i < numFar; ++i) {
        bed.Add({distanceM, 50. + 100 * i, 1.5});
    }
    bed.Fill(uplink);
    bed.Run(0.3);
    return 8e-6 * static_cast<double>((uplink ? bed.up : bed.down).bytes[0]);
}

/// Whoever is in coverage keeps what it has alone.
void TheOthersKeepTheirRate(Case& test) {
    for (const char* scheduler : {"rr", "pf", "max-rate", "external"}) {
        for (const bool uplink : {false, true}) {
            const double alone = Megabits(scheduler, uplink, 0, far_m);
            for (const std::uint32_t numFar : {1u, 2u, 5u}) {
                const double beside = Megabits(scheduler, uplink, numFar, far_m);
                test.True(alone > 1 && beside >= 0.95 * alone,
                          std::string(scheduler) + (uplink ? " up" : " down") + ", " + std::to_string(numFar) +
                              " far: " + std::to_string(beside) + " of " + std::to_string(alone));
            }
        }
    }
}

/// CQI 0 is what a UE out of range reports, and a rank whose layers carry nothing is not chosen.
void CqiZero(Case& test) {
    for (const double distance : {60., 1000., 1400., 2000., far_m}) {
        CellTestbed bed(street, {Set("Bandwidth", 20e6)});
        std::vector<CsiReportRecord> reports;
        bed.cell->TraceConnectWithoutContext("CsiReport", ns3::Callback<void, const CsiReportRecord&>(
                                                              [&](const auto& each) { reports.push_back(each); }));
        bed.Add({distance, 10, 1.5});
        bed.Fill(false);
        bed.Run(0.2);
        const std::string where = std::to_string(distance) + " m";
        test.True(!reports.empty(), where + ": reports");
        for (const auto& each : reports) {
            if (each.cqi == 0) {
                test.True(bed.blocks.empty() && bed.down.bytes[0] == 0, where + ": not scheduled");
            } else if (bed.cell->GetRadioLink(0) == RadioLink::State::Connected) { // its uplink is heard, too
                test.True(bed.down.bytes[0] > 0, where + ": something arrives at CQI " + std::to_string(each.cqi));
            }
        }
        test.True((reports[0].cqi == 0) == (distance == far_m) || (distance > 60 && distance < far_m), where);
    }
}

/// Indications and timers by hand: N310 = 2, N311 = 2, T310 = 10 slots, T311 = 30.
void LinkStates(Case& test) {
    using State = RadioLink::State;
    RadioLink link({.n310 = 2, .n311 = 2, .t310 = 10, .t311 = 30});
    const auto is = [&](State state, const char* what) { test.True(link.GetState() == state, what); };
    link.Indicate(Sync::Out, 0);
    link.Indicate(Sync::In, 1);
    link.Indicate(Sync::Out, 2);
    is(State::Connected, "not two in a row");
    link.Indicate(Sync::Between, 3);
    link.Indicate(Sync::Out, 4);
    is(State::Failing, "two, and T310 runs until 14");
    link.Indicate(Sync::In, 5);
    link.Indicate(Sync::Out, 6);
    link.Indicate(Sync::In, 7);
    is(State::Failing, "not two in a row");
    link.Indicate(Sync::In, 8);
    is(State::Connected, "two in sync");
    link.Indicate(Sync::Out, 20);
    link.Indicate(Sync::Out, 21);
    link.Advance(30);
    is(State::Failing, "T310 until 31");
    link.Advance(31);
    is(State::Failed, "failure; T311 until 61");
    link.Advance(60);
    test.True(!link.TakeRelease(), "it waits");
    link.Advance(61);
    test.True(link.TakeRelease() && !link.TakeRelease() && link.Failed(), "released once, until 91");
    link.Resume(80);
    link.Advance(109);
    test.True(!link.TakeRelease(), "until 110");
    link.Indicate(Sync::Between, 109);
    is(State::Failed, "not in sync");
    link.Indicate(Sync::In, 109);
    is(State::Connected, "the first in sync");
    link.Fail(200);
    is(State::Failed, "for another reason");
}

/// A UE goes out of coverage for 2 s in the middle of its traffic: the link fails, comes back, and RLC AM has lost
/// nothing.
void ThereAndBack(Case& test) {
    CellTestbed bed(street, {Set("Bandwidth", 20e6)});
    bed.Add({60, 10, 1.5});
    for (std::uint32_t i = 0; i < 300; ++i) {
        ns3::Simulator::Schedule(ns3::MilliSeconds(10 * i), [&bed, i] {
            bed.cell->SendDown(0, ns3::Create<ns3::Packet>(100 + i));
            bed.cell->SendUp(0, ns3::Create<ns3::Packet>(100 + i));
        });
    }
    MoveTo(bed, 0, {far_m, 10, 1.5}, 0.5);
    MoveTo(bed, 0, {60, 10, 1.5}, 2.5);
    bed.Run(2.4);
    test.True(bed.cell->GetRadioLink(0) == RadioLink::State::Failed, "failed");
    const auto before = bed.down.sizes[0].size();
    test.True(before > 40 && before < 60, "what came before: " + std::to_string(before));
    bed.Run(2);
    test.True(bed.cell->GetRadioLink(0) == RadioLink::State::Connected, "connected again");
    for (const auto* side : {&bed.down, &bed.up}) {
        const auto& sizes = side->sizes.at(0);
        test.True(sizes.size() == 300 && std::is_sorted(sizes.begin(), sizes.end()),
                  "all, in order: " + std::to_string(sizes.size()));
    }
    const bool silent = std::none_of(bed.blocks.begin(), bed.blocks.end(), [](const auto& each) {
        return each.time_ns > 550'000'000 && each.time_ns < 2'500'000'000;
    });
    test.True(silent, "nothing on the air in between");
}

/// What waited is dropped after T311; what comes later, in coverage, arrives.
void ReleasedAndBack(Case& test) {
    CellTestbed bed(street, {Set("Bandwidth", 20e6),
                             {"T311", ns3::Create<ns3::TimeValue>(ns3::Seconds(2))},
                             {"T310", ns3::Create<ns3::TimeValue>(ns3::MilliSeconds(100))}});
    bed.Add({far_m, 10, 1.5});
    for (const double at : {0.0, 5.0}) {
        ns3::Simulator::Schedule(ns3::Seconds(at), [&bed, at] {
            for (std::uint32_t i = 0; i < 20; ++i) {
                bed.cell->SendDown(0, ns3::Create<ns3::Packet>(at == 0 ? 1000 : 500));
                bed.cell->SendUp(0, ns3::Create<ns3::Packet>(at == 0 ? 1000 : 500));
            }
        });
    }
    MoveTo(bed, 0, {60, 10, 1.5}, 4);
    bed.Run(6);
    for (const bool uplink : {false, true}) {
        const auto counters = (uplink ? bed.cell->UpBearer(0) : bed.cell->DownBearer(0)).counters();
        test.True(counters.lostPackets == 20 && counters.deliveredPackets == 20, "20 lost, 20 delivered");
        test.True((uplink ? bed.up : bed.down).bytes[0] == 20 * 500, "the later ones");
    }
}

/// PDCCH by hand: the wider, the better; layer 1 is out of sync well below where it is in sync.
void ControlLoss(Case& test) {
    const ErrorModel errors;
    const ControlChannel control(errors, 273, 1, 0);
    for (const double db : {-12., -8., -4., 0., 4.}) {
        for (const unsigned cces : {1u, 2u, 4u, 8u}) {
            const double sinr = std::pow(10, db / 10);
            test.True(control.Loss(2 * cces, sinr) <= control.Loss(cces, sinr), "more elements, less loss");
        }
    }
    test.Near(control.Loss(8, control.outOfSync * std::pow(10, 0.4)), 0.1, 1e-4, "10 % at Qout");
    test.Near(control.Loss(4, control.inSync), 0.02, 1e-4, "2 % at Qin");
    const double gapDb = 10 * std::log10(control.inSync / control.outOfSync);
    test.True(gapDb > 6 && gapDb < 9, "4 dB more power, 3 dB more elements, and the rate: " + std::to_string(gapDb));
}

/// Detection of a request, drawn: energy of a signal in complex noise against the threshold of 1 % false alarms.
void LossOfRequests(Case& test) {
    NamedRandom random(7, {1});
    constexpr int draws = 40'000;
    for (const double snrDb : {-15., -10., -6., -4., -2.}) {
        const double snr = std::pow(10, snrDb / 10), amplitude = std::sqrt(24 * snr);
        int missed = 0;
        for (int i = 0; i < draws; ++i) {
            const double re = amplitude + random.Normal() / std::sqrt(2), im = random.Normal() / std::sqrt(2);
            missed += re * re + im * im < -std::log(0.01);
        }
        test.Near(nr::RequestLoss(snr), static_cast<double>(missed) / draws, 0.012, std::to_string(snrDb) + " dB");
    }
    test.Near(nr::RequestLoss(0), 0.99, 1e-12, "no signal: all but the false alarms");
    test.Near(nr::RequestLoss(100), 0, 1e-12, "a strong one");
}

/// Requests that are lost are repeated after sr-ProhibitTimer, and everything arrives; if none is heard the link fails.
void RequestsAreRepeated(Case& test) {
    for (const double powerDbm : {-20., -26., -60.}) {
        CellTestbed bed(street, {Set("Bandwidth", 5e6),
                                 Set("UePower", powerDbm),
                                 Set("SrTransMax", 4u),
                                 {"SrProhibitTimer", ns3::Create<ns3::TimeValue>(ns3::MilliSeconds(4))}});
        bed.Add({60, 10, 1.5});
        for (int i = 0; i < 40; ++i) {
            ns3::Simulator::Schedule(ns3::MilliSeconds(50 * i),
                                     [&bed] { bed.cell->SendUp(0, ns3::Create<ns3::Packet>(40)); });
        }
        bed.Run(4);
        const bool heard = powerDbm > -50;
        test.True((bed.up.bytes[0] == 1600) == heard,
                  std::to_string(powerDbm) + " dBm: " + std::to_string(bed.up.bytes[0]) + " bytes");
        test.True((bed.cell->GetRadioLink(0) == RadioLink::State::Failed) == !heard, "and the state of the link");
    }
}

/// A sender that always has something to send again does not keep the others from their part.
void RetransmissionsAreBounded(Case& test) {
    const std::vector<float> rates(10, 1000);
    for (const char* name : {"rr", "pf", "max-rate", "external"}) {
        for (const auto direction : {Direction::Downlink, Direction::Uplink}) {
            const auto scheduler = Scheduler::Make(name);
            double others = 0;
            constexpr int slots = 1000;
            for (int slot = 0; slot < slots; ++slot) {
                const std::vector<Candidate> candidates{
                    {.ue = 0, .wantedBytes = 100'000, .fixedGroups = 10, .bitsPerGroup = rates.data(), .averageBps = 1},
                    {.ue = 1, .wantedBytes = 100'000, .fixedGroups = 0, .bitsPerGroup = rates.data(), .averageBps = 1}};
                Allocation allocation(10);
                scheduler->Allocate({direction, static_cast<std::uint64_t>(slot), candidates, 10, 1, 10}, allocation);
                for (const auto& users : allocation) {
                    others += !users.empty() && users[0] == 1;
                }
            }
            test.Near(others / (10 * slots), 0.5, 0.01, std::string(name) + ": half of the band");
        }
    }
}

/// Proportional fair gives no more than an equal part of the band, retransmissions counted, to a UE at the edge of
/// coverage that needs several for each block.
void RetransmissionsCount(Case& test) {
    double most = 0;
    for (double powerDbm = 26; powerDbm > 14; powerDbm -= 0.5) {
        CellTestbed bed(street, {Set("Bandwidth", 20e6), Set("GnbPower", powerDbm), Set("MaxLayers", 1u)});
        bed.Add({60, 10, 1.5});
        bed.Add({600, 10, 1.5});
        bed.Fill(false);
        bed.Run(0.3);
        double own[2] = {}, again[2] = {};
        for (const auto& block : bed.blocks) {
            own[block.ue] += block.uplink == 0 ? block.prbs : 0;
            again[block.ue] += block.uplink == 0 && block.attempt > 1 ? block.prbs : 0;
        }
        test.True(own[1] < 0.6 * (own[0] + own[1]),
                  std::to_string(powerDbm) + " dBm: its part is " + std::to_string(own[1] / (own[0] + own[1])));
        most = std::max(most, own[1] > 0 ? again[1] / own[1] : 0);
    }
    test.True(most > 0.3, "somewhere many blocks are sent again: " + std::to_string(most));
}

/// Two full buffers up, one of a UE whose power is exhausted: proportional fair gives each half of the resource blocks,
/// since the rates that it compares are those at the power that a block would have.
void LimitedPowerIsNotFavoured(Case& test) {
    const Settings open{.deployment = "UMi", .los = "Always", .frequency = 3.5e9, .shadowing = false};
    for (const double distance : {400., 700., 1000.}) {
        CellTestbed bed(open, {Set("Bandwidth", 100e6), Set("Pattern", std::string("FDD"))});
        bed.Add({60, 10, 1.5});
        bed.Add({distance, 10, 1.5});
        bed.Fill(true);
        bed.Run(0.8);
        double prbs[2] = {};
        unsigned mcs[2] = {};
        for (const auto& block : bed.blocks) {
            if (block.uplink != 0 && block.time_ns > 300'000'000) {
                prbs[block.ue] += block.prbs;
                mcs[block.ue] = block.mcs;
            }
        }
        const double share = prbs[1] / (prbs[0] + prbs[1]);
        const std::string where = std::to_string(distance) + " m, MCS " + std::to_string(mcs[1]) + ": ";
        test.Near(share, 0.5, 0.04, where + "its part of the resource blocks");
    }
}

CaseSuite coverageTestSuite("edgelam-nr-coverage", {{"the others keep their rate", TheOthersKeepTheirRate},
                                                    {"CQI 0", CqiZero},
                                                    {"link states", LinkStates},
                                                    {"there and back", ThereAndBack},
                                                    {"released and back", ReleasedAndBack},
                                                    {"control loss", ControlLoss},
                                                    {"loss of requests", LossOfRequests},
                                                    {"requests are repeated", RequestsAreRepeated},
                                                    {"retransmissions are bounded", RetransmissionsAreBounded},
                                                    {"retransmissions count", RetransmissionsCount},
                                                    {"limited power", LimitedPowerIsNotFavoured}});

} // namespace
