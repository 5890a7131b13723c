// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A cell's promises: nothing is lost or hangs, shares hold, traces repeat, what cannot be is refused.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "nr-cell-testbed.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

const Settings street{.deployment = "UMi", .los = "Never", .frequency = 3.5e9};

/// Without HARQ one block in ten and more is lost, status reports among them; RLC AM brings everything, in order, and
/// then the cell is silent.
void AcknowledgedModeLosesNothing(Case& test) {
    for (const char* pattern : {"DDDSU", "FDD", "DSUUU", "DDSUUDDDDD:6,4,4"}) {
        CellTestbed bed(street, {Set("Bandwidth", 20e6), Set("GnbPower", 30.), Set("Pattern", std::string(pattern)),
                                 Set("MaxTransmissions", 1u), Set("Scheduler", "rr")});
        bed.Add({80, 40, 1.5}, {0, 15, 0});
        bed.Add({120, -70, 1.5}, {8, 0, 0});
        bed.Add({40, 10, 1.5}, {-1, 1, 0}, 1);
        std::vector<std::uint32_t> sizes(600);
        for (std::uint32_t i = 0; i < sizes.size(); ++i) {
            sizes[i] = 1 + (i * 7919) % 1600; // from tiny ones to those of several segments
            ns3::Simulator::Schedule(ns3::MicroSeconds(500 * i), [&bed, bytes = sizes[i]] {
                for (std::uint32_t ue = 0; ue < 3; ++ue) {
                    bed.cell->SendDown(ue, ns3::Create<ns3::Packet>(bytes));
                    bed.cell->SendUp(ue, ns3::Create<ns3::Packet>(bytes));
                }
            });
        }
        bed.Run(60);
        const auto lost =
            std::count_if(bed.blocks.begin(), bed.blocks.end(), [](auto& each) { return !each.received; });
        test.True(lost > 50, std::string(pattern) + ": blocks were lost: " + std::to_string(lost));
        for (std::uint32_t ue = 0; ue < 3; ++ue) {
            test.True(bed.down.sizes[ue] == sizes, std::string(pattern) + ": everything went down, in order");
            test.True(bed.up.sizes[ue] == sizes, std::string(pattern) + ": everything went up, in order");
        }
        test.True(bed.blocks.back().time_ns < 20'000'000'000, std::string(pattern) + ": idle at the end");
    }
}

/// A cell without traffic does nothing at all, and sleeps again after some.
void IdleCellHasNoEvents(Case& test) {
    CellTestbed bed(street);
    for (int i = 0; i < 10; ++i) {
        bed.Add({30. + 5 * i, 10, 1.5}, {0.01, 0, 0});
    }
    bed.Run(1); // nodes start
    const auto before = ns3::Simulator::GetEventCount();
    bed.Run(1800);
    test.True(ns3::Simulator::GetEventCount() <= before + 1, "only the end");
    bed.cell->SendUp(3, ns3::Create<ns3::Packet>(50));
    bed.Run(1800);
    const auto events = ns3::Simulator::GetEventCount();
    test.True(bed.up.bytes[3] == 50 && events < before + 200, "a few for a packet: " + std::to_string(events - before));
    bed.cell->SendDown(7, ns3::Create<ns3::Packet>(50));
    bed.Run(1800);
    test.True(bed.down.bytes[7] == 50 && ns3::Simulator::GetEventCount() < events + 200, "and again");
}

/// A UE that nobody can hear: nothing is sent, what waits is dropped when T311 runs out, and the cell sleeps.
void DeafUesDoNotKeepTheCellAwake(Case& test) {
    CellTestbed bed({.deployment = "UMa", .los = "Never", .frequency = 3.5e9},
                    {Set("GnbPower", -60.), Set("UePower", -60.), Set("Bandwidth", 20e6)});
    bed.Add({900, 0, 1.5});
    for (int i = 0; i < 50; ++i) {
        bed.cell->SendDown(0, ns3::Create<ns3::Packet>(1000));
        bed.cell->SendUp(0, ns3::Create<ns3::Packet>(1000));
    }
    bed.Run(0.9);
    test.True(bed.cell->GetRadioLink(0) == RadioLink::State::Failing, "T310 runs");
    bed.Run(0.2);
    test.True(bed.cell->GetRadioLink(0) == RadioLink::State::Failed, "radio link failure");
    bed.Run(29);
    for (const auto* bearer : {&bed.cell->DownBearer(0), &bed.cell->UpBearer(0)}) {
        test.True(bearer->counters().lostPackets == 0 && bearer->BacklogBytes() > 0, "it waits");
    }
    bed.Run(1);
    for (const auto* bearer : {&bed.cell->DownBearer(0), &bed.cell->UpBearer(0)}) {
        test.True(bearer->counters().lostPackets == 50 && bearer->BacklogBytes() == 0, "dropped");
    }
    const auto events = ns3::Simulator::GetEventCount();
    bed.Run(1000);
    test.True(bed.blocks.empty() && ns3::Simulator::GetEventCount() < events + 5, "asleep");
}

double PrbShare(const CellTestbed& bed, std::uint32_t ue, bool uplink) {
    double own = 0, all = 0;
    for (const auto& block : bed.blocks) {
        if ((block.uplink != 0) == uplink && block.time_ns > 100'000'000) {
            all += block.prbs;
            own += block.ue == ue ? block.prbs : 0;
        }
    }
    return own / all;
}

/// Shares are what UEs get when all want more; least numbers of resource blocks are there in every slot.
void SharesHold(Case& test) {
    CellTestbed bed(street, {Set("Scheduler", "external")});
    for (int i = 0; i < 4; ++i) {
        bed.Add({40. + 10 * i, 10, 1.5});
    }
    const std::vector<double> shares{0.5, 0.25, 0.15, 0.1};
    test.True(bed.cell->SetShares(shares, shares) == 0, "from the first slot");
    bed.Fill(false);
    bed.Fill(true);
    bed.Run(0.4);
    for (std::uint32_t ue = 0; ue < 4; ++ue) {
        test.Near(PrbShare(bed, ue, false), shares[ue], 0.035, "down");
        test.Near(PrbShare(bed, ue, true), shares[ue], 0.035, "up");
    }
    const std::vector<double> none(4, 0);
    bed.cell->SetShares(none, none);
    const auto slot = bed.cell->SetLeastPrbs({100, 0, 0, 0}, {0, 0, 0, 100});
    bed.blocks.clear();
    bed.Run(0.1);
    for (const auto& block : bed.blocks) {
        if (block.slot >= slot + 10 && block.attempt == 1 && block.ue == (block.uplink ? 3 : 0)) {
            // Retransmissions of others come first; they are few.
            test.True(block.prbs >= 96, "at least its least: " + std::to_string(block.prbs));
        }
    }
    const auto refuses = [&](const std::function<void()>& body, const std::vector<std::string>& parts) {
        test.Refuses(body, parts, "shares");
    };
    refuses([&] { bed.cell->SetShares({1, 0, 0}, none); }, {"3 shares", "4 UEs"});
    refuses([&] { bed.cell->SetShares(none, {0.5, 0.6, 0, 0}); }, {"1.1", "at most 1"});
    refuses([&] { bed.cell->SetShares({-0.1, 0, 0, 0}, none); }, {"-0.1", "0 to 1"});
    refuses([&] { bed.cell->SetShares({std::nan(""), 0, 0, 0}, none); }, {"nan", "0 to 1"});
    refuses([&] { bed.cell->SetLeastPrbs({273, 1, 0, 0}, {0, 0, 0, 0}); }, {"19 groups of 16", "at most 18"});
    refuses([&] { bed.cell->SetLeastPrbs({274, 0, 0, 0}, {0, 0, 0, 0}); }, {"274", "0 to 273"});
    refuses([&] { bed.cell->SetShares({0.5, 0.5 + 1e-6, 0, 0}, none); }, {"1.000001", "at most 1"});
    bed.cell->SetShares({0.5, 0.5 + 1e-12, 0, 0}, none); // rounding
    CellTestbed fair(street);
    fair.Add({40, 10, 1.5});
    refuses([&] { fair.cell->SetShares({1}, {1}); }, {"'pf'", "external"});
}

std::vector<TransportBlockRecord> Trace(std::int64_t stream) {
    CellTestbed bed(street, {Set("GnbPower", 25.)}, stream);
    for (int i = 0; i < 5; ++i) {
        bed.Add({60. + 20 * i, 20, 1.5}, {1, 1, 0});
    }
    bed.Fill(false);
    bed.Fill(true, 500);
    bed.Run(0.15);
    return bed.blocks;
}

void SameSeedSameTrace(Case& test) {
    const auto same = [](const auto& a, const auto& b) {
        return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
                   return x.time_ns == y.time_ns && x.ue == y.ue && x.uplink == y.uplink && x.harq == y.harq &&
                          x.attempt == y.attempt && x.mcs == y.mcs && x.received == y.received && x.prbs == y.prbs &&
                          x.sinr_db == y.sinr_db && x.bler == y.bler;
               });
    };
    const auto first = Trace(20);
    test.True(first.size() > 500, "there is a trace");
    test.True(same(first, Trace(20)), "the same again");
    test.True(!same(first, Trace(21)), "another with another stream");
}

/// No UE is forgotten among many, whatever the scheduler.
void ManyUes(Case& test) {
    for (const char* scheduler : {"rr", "pf", "max-rate"}) {
        CellTestbed bed(street, {Set("Scheduler", std::string(scheduler)), Set("Bandwidth", 40e6)});
        constexpr std::uint32_t count = 300;
        for (std::uint32_t i = 0; i < count; ++i) {
            bed.Add({30. + i % 17 * 8, -60. + 7 * (i / 17), 1.5});
        }
        for (std::uint32_t i = 0; i < count; ++i) {
            bed.cell->SendDown(i, ns3::Create<ns3::Packet>(1200));
            bed.cell->SendUp(i, ns3::Create<ns3::Packet>(700));
        }
        bed.Run(10);
        const bool all = std::all_of(bed.ues.begin(), bed.ues.end(), [&, i = 0u](const End&) mutable {
            const bool served = bed.down.bytes[i] == 1200 && bed.up.bytes[i] == 700;
            ++i;
            return served;
        });
        test.True(all, std::string(scheduler) + ": all served");
        test.True(bed.blocks.back().time_ns < 5'000'000'000, std::string(scheduler) + ": and idle");
    }
}

/// The narrowest band, lowest MCS, many UEs: blocks are still larger than their headers.
void NarrowBand(Case& test) {
    CellTestbed bed({.deployment = "UMa", .los = "Never", .frequency = 2.1e9},
                    {Set("Numerology", 0u), Set("Bandwidth", 5e6), Set("Pattern", "FDD"), Set("McsTable", 3u),
                     Set("Scheduler", "rr"), Set("GnbPower", 20.)});
    for (int i = 0; i < 30; ++i) {
        bed.Add({300. + 10 * i, 20, 1.5}, {1, 0, 0}, 1);
    }
    for (int k = 0; k < 5; ++k) {
        for (std::uint32_t i = 0; i < 30; ++i) {
            bed.cell->SendDown(i, ns3::Create<ns3::Packet>(300));
            bed.cell->SendUp(i, ns3::Create<ns3::Packet>(3));
        }
    }
    bed.Run(30);
    std::uint64_t down = 0, up = 0;
    for (std::uint32_t i = 0; i < 30; ++i) {
        down += bed.down.bytes[i];
        up += bed.up.bytes[i];
    }
    test.True(down == 30 * 5 * 300 && up == 30 * 5 * 3, "all: " + std::to_string(down) + " " + std::to_string(up));
}

/// The widest carrier, 4 x 273 resource blocks in FR3: more than TS 38.214 groups, and all in the trace's bits.
void WideBand(Case& test) {
    CellTestbed bed({.deployment = "Clarke", .frequency = 10e9},
                    {Set("Bandwidth", 400e6), Set("Pattern", "FDD"), Set("GnbPower", 60.)});
    bed.Add({40, 10, 1.5});
    bed.Fill(false, 9000, 4'000'000);
    bed.Run(0.02);
    test.True(bed.cell->NumPrbs() == 1092 && bed.cell->PrbsPerGroup() == 64 && bed.cell->NumGroups() == 18, "groups");
    const auto& block = bed.blocks.back();
    test.True(block.prbs == 1092 && block.rbgs == (1u << 18) - 1, "all of them: " + std::to_string(block.rbgs));
    test.True(block.mcs == 27, "at the highest MCS: " + std::to_string(block.mcs));
}

/// Delays and patterns that are far apart: the longest way round the ring of things to do.
void LongDelays(Case& test) {
    std::string pattern(15, 'D');
    pattern += "S" + std::string(4, 'U');
    for (const auto& each : {pattern, std::string("DSUU:2,11,1"), std::string("FDD")}) {
        CellTestbed bed(street, {Set("Pattern", each), Set("GnbDelay", 20u), Set("UeDelay", 20u), Set("K1", 32u),
                                 Set("K2", 32u), Set("ControlSymbols", 2u), Set("GnbPower", 30.)});
        bed.Add({80, 20, 1.5}, {3, 0, 0});
        for (int i = 0; i < 300; ++i) {
            bed.cell->SendDown(0, ns3::Create<ns3::Packet>(1000));
            bed.cell->SendUp(0, ns3::Create<ns3::Packet>(1000));
        }
        bed.Run(60);
        test.True(bed.down.bytes[0] == 300'000 && bed.up.bytes[0] == 300'000, each + ": everything came");
        CellTestbed now(street, {Set("Pattern", each), Set("GnbDelay", 0u), Set("UeDelay", 1u), Set("K1", 1u),
                                 Set("K2", 1u), Set("CsiPeriod", 1u), Set("CsiDelay", 100u)});
        now.Add({80, 20, 1.5}, {3, 0, 0});
        for (int i = 0; i < 300; ++i) {
            now.cell->SendDown(0, ns3::Create<ns3::Packet>(1000));
            now.cell->SendUp(0, ns3::Create<ns3::Packet>(1000));
        }
        now.Run(60);
        test.True(now.down.bytes[0] == 300'000 && now.up.bytes[0] == 300'000, each + ": everything came, little delay");
    }
}

void Refusals(Case& test) {
    const auto refuses = [&](const Attributes& attributes, const std::vector<std::string>& parts) {
        test.Refuses([&] { CellTestbed bed(street, attributes); }, parts, parts[0]);
    };
    refuses({Set("Bandwidth", 37e6)}, {"37", "40"});
    refuses({Set("Numerology", 4u)}, {"4", "0, 1, 2, 3"});
    refuses({Set("Numerology", 3u)}, {"3"});
    refuses({Set("Pattern", "DDDD")}, {"DDDD", "no uplink"});
    refuses({Set("Pattern", "DDDS:10,2,2")}, {"DDDS:10,2,2", "uplink data", "2 of uplink", "36"});
    refuses({Set("Pattern", "SUUU:3,9,2"), Set("ControlSymbols", 2u)},
            {"SUUU:3,9,2", "downlink data", "1 symbols", "36"});
    refuses({Set("Pattern", "DDDDSU")}, {"DDDDSU", "numerology 1", "1, 2, 4, 5, 6, 8, 10, 20 of them"});
    refuses({Set("BlerTarget", 1e-7)}, {"BlerTarget 1e-07", "1e-06 to 0.5", "0 for"});
    refuses({Set("ImplementationGap", -0.5)}, {"gap of -0.5", "0 to 10 dB", "-1"});
    refuses({Set("Overhead", std::string("7"))}, {"Overhead 7", "0, 6, 12, 18"});
    refuses({Set("Pattern", "DDDX")}, {"DDDX", "D (downlink)"});
    refuses({Set("Scheduler", "best")}, {"best", "rr, pf, max-rate, external"});
    refuses({Set("Beams", "best")}, {"best", "eigen, codebook, direct, zf, rzf, external"});
    const auto cell = ns3::CreateObject<Cell>();
    for (const auto& [name, value] : Attributes{
             Set("MaxLayers", 5u), Set("MaxLayers", 0u), Set("DmrsPerPrb", 40u), Set("K2", 33u), Set("K1", 40u),
             Set("BlerTarget", 0.9), Set("MaxTransmissions", 17u), Set("McsTable", 9u), Set("ImplementationGap", 11.),
             Set("GnbPower", 300.), Set("UeNoiseFigure", -1.), Set("GnbNoiseFigure", 101.)}) {
        test.True(!cell->SetAttributeFailSafe(name, *value), name + ": its checker refuses the value");
    }
    CellTestbed bed(street);
    test.Refuses([&] { bed.Add({50, 0, 30}); }, {"higher than the gNB"}, "a UE above");
    auto lone = ns3::CreateObject<Cell>();
    const End end = MakeEnd({50, 0, 1.5});
    test.Refuses<std::logic_error>([&] { lone->AddUe(end.mobility, end.array); }, {"SetGnb"}, "order");
    const auto wide = MakeEnd({0, 0, 10}, 4, 8, true);
    lone->SetAttribute("Beams", ns3::StringValue("codebook"));
    test.Refuses([&] { lone->SetGnb(bed.channel, wide.mobility, wide.array); },
                 {"Beams 'codebook'", "(8, 4)", "(4, 2)", "(16, 1)"}, "64 ports");
    test.Refuses<std::logic_error>([&] { lone->SetShares({}, {}); }, {"SetGnb"}, "order");
}

CaseSuite cellTestSuite("edgelam-nr-cell", {{"acknowledged mode loses nothing", AcknowledgedModeLosesNothing},
                                            {"an idle cell has no events", IdleCellHasNoEvents},
                                            {"deaf UEs do not keep the cell awake", DeafUesDoNotKeepTheCellAwake},
                                            {"shares hold", SharesHold},
                                            {"same seed, same trace", SameSeedSameTrace},
                                            {"many UEs", ManyUes},
                                            {"narrow band", NarrowBand},
                                            {"wide band", WideBand},
                                            {"long delays", LongDelays},
                                            {"refusals", Refusals}});

} // namespace
