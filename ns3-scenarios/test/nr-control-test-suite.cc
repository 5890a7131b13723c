// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the standard gives UEs and control channels: times of each numerology, room for grants, feedback and requests,
/// HARQ processes.

#include <algorithm>
#include <cmath>
#include <set>

#include "nr-cell-testbed.h"
#include "nr-control-channel.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

const Settings street{.deployment = "UMi", .los = "Always", .frequency = 3.5e9};

struct Range {
    unsigned mu;
    double frequency, bandwidth;
};
constexpr Range ranges[] = {{0, 3.5e9, 20e6}, {1, 3.5e9, 20e6}, {2, 3.5e9, 20e6},
                            {3, 28e9, 100e6}, {5, 60e9, 400e6}, {6, 60e9, 400e6}};

/// Slots from a packet to its block, and from a block to what is handed up, in FDD with a gNB of one slot; and from a
/// first transmission to the second: TS 38.214 tables 5.3-1 and 6.4-1.
void TimesOfNumerologies(Case& test) {
    constexpr unsigned k2[] = {2, 2, 2, 3, 11, 21}, ueDelay[] = {1, 1, 2, 2, 6, 12}, k1[] = {2, 2, 2, 2, 6, 12};
    for (std::size_t i = 0; i < std::size(ranges); ++i) {
        const auto& [mu, frequency, bandwidth] = ranges[i];
        Settings settings = street;
        settings.frequency = frequency;
        CellTestbed bed(settings, {Set("Numerology", mu), Set("Bandwidth", bandwidth),
                                   Set("Pattern", std::string("FDD")), Set("GnbPower", 60.), Set("UePower", 50.)});
        bed.Add({40, 10, 1.5});
        const auto& numerology = bed.cell->GetNumerology();
        const auto start = static_cast<std::int64_t>(1000) << mu;
        ns3::Simulator::Schedule(ns3::NanoSeconds(numerology.SlotStartNs(start) - 10), [&bed] {
            bed.cell->SendUp(0, ns3::Create<ns3::Packet>(100));
            bed.cell->SendDown(0, ns3::Create<ns3::Packet>(100));
        });
        bed.Run(1.5);
        const std::string name = "mu " + std::to_string(mu);
        std::int64_t up = 0, down = 0;
        for (const auto& block : bed.blocks) {
            auto& first = block.uplink != 0 ? up : down;
            first = first == 0 ? static_cast<std::int64_t>(block.slot) - start : first;
        }
        // The request is in the first slot and read one slot after it; one slot on, the grant is sent.
        test.True(up == 3 + k2[i], name + ": uplink block in slot " + std::to_string(up));
        test.True(down == 1, name + ": downlink block in slot " + std::to_string(down));
        test.True(bed.down.timesNs[0].at(0) == numerology.SlotStartNs(start + 2 + ueDelay[i]), name + ": decoded");

        CellTestbed lossy(settings, {Set("Numerology", mu), Set("Bandwidth", bandwidth),
                                     Set("Pattern", std::string("FDD")), Set("GnbPower", 15.)});
        lossy.Add({40, 10, 1.5}, {0, 30, 0});
        lossy.Fill(false, 500, 20'000);
        lossy.Run(0.1);
        std::map<unsigned, std::uint64_t> sent; ///< [process] slot of the newest transmission
        unsigned again = 0;
        for (const auto& block : lossy.blocks) {
            if (block.uplink != 0) {
                continue;
            }
            if (block.attempt == 2) {
                ++again;
                test.True(block.slot - sent[block.harq] >= k1[i] + 1 + 2,
                          name + ": again after " + std::to_string(block.slot - sent[block.harq]));
            }
            sent[block.harq] = block.slot;
        }
        test.True(again > 0, name + ": something was sent again");
    }
    const auto refuses = [&](const Range& range, const char* name, unsigned value, const std::string& legal,
                             const std::string& symbols) {
        Settings settings = street;
        settings.frequency = range.frequency;
        test.Refuses(
            [&] {
                CellTestbed bed(settings,
                                {Set("Numerology", range.mu), Set("Bandwidth", range.bandwidth), Set(name, value)});
            },
            {std::string(name) + " " + std::to_string(value), "numerology " + std::to_string(range.mu), legal,
             symbols + " symbols"},
            name);
    };
    refuses(ranges[3], "K2", 2, "3 to 32", "36");
    refuses(ranges[4], "K2", 10, "11 to 32", "144");
    refuses(ranges[5], "K2", 20, "21 to 32", "288");
    refuses(ranges[2], "K2", 1, "2 to 32", "23");
    refuses(ranges[2], "K1", 1, "2 to 32", "17");
    refuses(ranges[4], "K1", 5, "6 to 32", "80");
    refuses(ranges[5], "UeDelay", 11, "12 to 20", "160");
    CellTestbed fast(street, {Set("K1", 1u), Set("K2", 1u), Set("UeDelay", 1u)}); // legal at 30 kHz
    test.Refuses([&] { CellTestbed bed(street, {Set("K2", 1u), Set("ControlSymbols", 3u)}); }, {"K2 1", "2 to 32"},
                 "a grant that ends later");
}

/// Grants of each slot, downlink and those of the uplink blocks K2 slots later.
std::map<std::uint64_t, unsigned> Grants(const CellTestbed& bed, unsigned k2) {
    std::map<std::uint64_t, unsigned> grants;
    for (const auto& block : bed.blocks) {
        ++grants[block.uplink != 0 ? block.slot - k2 : block.slot];
    }
    return grants;
}

/// CCEs of a slot over those of a grant, by hand; both directions go on, and nobody is forgotten.
void RoomForGrants(Case& test) {
    struct Row {
        double bandwidth;
        unsigned symbols, level, most;
    };
    // 273 resource blocks: 45 CCEs in a symbol; 51: 8; 11 (5 MHz): 1
    for (const auto& [bandwidth, symbols, level, most] :
         {Row{100e6, 1, 4, 11}, Row{100e6, 1, 8, 5}, Row{100e6, 2, 16, 5}, Row{20e6, 1, 8, 1}, Row{20e6, 1, 4, 2},
          Row{5e6, 1, 1, 1}, Row{5e6, 1, 0, 1}}) {
        for (const char* scheduler : {"rr", "pf"}) {
            CellTestbed bed(street, {Set("Bandwidth", bandwidth), Set("ControlSymbols", symbols),
                                     Set("AggregationLevel", level), Set("Pattern", std::string("FDD")),
                                     Set("Scheduler", std::string(scheduler))});
            for (int i = 0; i < 30; ++i) {
                bed.Add({40. + i, 10. - i, 1.5});
            }
            for (std::uint32_t i = 0; i < 30; ++i) {
                for (int k = 0; k < 10; ++k) {
                    bed.cell->SendDown(i, ns3::Create<ns3::Packet>(300));
                    bed.cell->SendUp(i, ns3::Create<ns3::Packet>(200));
                }
            }
            bed.Run(3);
            unsigned greatest = 0;
            for (const auto& [slot, count] : Grants(bed, 2)) {
                greatest = std::max(greatest, count);
            }
            const std::string name = std::string(scheduler) + ", " + std::to_string(bandwidth * 1e-6) + " MHz, level " +
                                     std::to_string(level) + ", " + std::to_string(greatest) + " grants";
            test.True(greatest == most, name);
            bool all = true;
            for (std::uint32_t i = 0; i < 30; ++i) {
                all &= bed.down.bytes[i] == 3000 && bed.up.bytes[i] == 2000;
            }
            test.True(all, name + ": everything arrives");
        }
    }
    test.Refuses([] { CellTestbed bed(street, {Set("AggregationLevel", 3u)}); }, {"AggregationLevel 3", "1, 2, 4, 8"},
                 "level");
    test.Refuses([] { CellTestbed bed(street, {Set("AggregationLevel", 8u), Set("Bandwidth", 5e6)}); },
                 {"AggregationLevel 8", "1 control channel elements"}, "few elements");
}

/// The fewest elements with at most 1 % of loss.
void Levels(Case& test) {
    const ErrorModel errors;
    const ControlChannel control(errors, 273, 1, 0), narrow(errors, 25, 1, 0);
    test.True(control.NumCces() == 45 && narrow.NumCces() == 4, "elements");
    for (double db = -20; db < 20; db += 0.5) {
        const double sinr = std::pow(10, db / 10);
        const unsigned level = control.Level(sinr);
        test.True(level == 16 || control.Loss(level, sinr) <= 0.01 + 1e-6, std::to_string(db) + " dB: heard");
        test.True(level == 1 || control.Loss(level / 2, sinr) > 0.01 - 1e-6, std::to_string(db) + " dB: no fewer");
        test.True(narrow.Level(sinr) <= 4, "no more than there are");
    }
    test.True(control.Level(100) == 1 && control.Level(0.01) == 16, "near and far");
}

/// UEs that send feedback in a slot: at most one in each resource block of PUCCH.
void RoomForFeedback(Case& test) {
    for (const unsigned prbs : {1u, 3u, 16u}) {
        CellTestbed bed(street, {Set("FeedbackPrbs", prbs), Set("Scheduler", std::string("rr"))});
        for (int i = 0; i < 30; ++i) {
            bed.Add({40. + i, 10. - i, 1.5});
            for (int k = 0; k < 20; ++k) {
                bed.cell->SendDown(static_cast<std::uint32_t>(i), ns3::Create<ns3::Packet>(1000));
            }
        }
        bed.Run(2);
        std::map<std::uint64_t, std::set<std::uint32_t>> feedback; ///< [uplink slot] UEs; DDDSU, K1 = 2
        for (const auto& block : bed.blocks) {
            if (block.uplink == 0) {
                std::uint64_t slot = block.slot + 2;
                slot += slot % 5 < 3 ? 3 - slot % 5 : 0;
                feedback[slot].insert(block.ue);
            }
        }
        std::size_t most = 0;
        for (const auto& [slot, ues] : feedback) {
            most = std::max(most, ues.size());
        }
        test.True(most == prbs, std::to_string(prbs) + " resource blocks: " + std::to_string(most) + " UEs");
        for (std::uint32_t i = 0; i < 30; ++i) {
            test.True(bed.down.bytes[i] == 20'000, "everything arrives");
        }
    }
}

/// In an idle cell a request waits for its occasion: half a period on average; with many UEs the period grows.
void OccasionsOfRequests(Case& test) {
    const auto slotsToBlock = [&](unsigned period, int numUes) {
        CellTestbed bed(street, {Set("SrPeriod", period), Set("SrPrbs", 1u), Set("Pattern", std::string("FDD")),
                                 Set("Bandwidth", 20e6)});
        for (int i = 0; i < numUes; ++i) {
            bed.Add({40. + i % 20, 10. - i / 20, 1.5});
        }
        std::set<std::int64_t> waits;
        const auto& numerology = bed.cell->GetNumerology();
        const std::int64_t apart = 700;
        for (std::int64_t i = 0; i < 40; ++i) {
            ns3::Simulator::Schedule(ns3::NanoSeconds(numerology.SlotStartNs(apart * (i + 1) + i) - 10),
                                     [&bed] { bed.cell->SendUp(0, ns3::Create<ns3::Packet>(50)); });
        }
        bed.Run(15);
        test.True(bed.up.bytes[0] == 40 * 50, "everything arrives");
        for (std::int64_t i = 0; i < 40; ++i) {
            const std::int64_t start = apart * (i + 1) + i;
            const auto block = std::find_if(bed.blocks.begin(), bed.blocks.end(), [&](const auto& each) {
                return each.uplink != 0 && static_cast<std::int64_t>(each.slot) >= start;
            });
            waits.insert(static_cast<std::int64_t>(block->slot) - start - 5);
        }
        return std::pair(*waits.begin(), *waits.rbegin());
    };
    test.True(slotsToBlock(0, 1) == std::pair<std::int64_t, std::int64_t>(0, 0), "every slot");
    test.True(slotsToBlock(1, 12) == std::pair<std::int64_t, std::int64_t>(0, 0), "every slot, 12 UEs");
    test.True(slotsToBlock(10, 1) == std::pair<std::int64_t, std::int64_t>(0, 9), "every tenth");
    test.True(slotsToBlock(40, 1) == std::pair<std::int64_t, std::int64_t>(0, 39), "every fortieth");
    test.True(slotsToBlock(0, 13) == std::pair<std::int64_t, std::int64_t>(0, 1), "room for 24");
    test.True(slotsToBlock(0, 60) == std::pair<std::int64_t, std::int64_t>(0, 4), "room for 60");
    test.Refuses([] { CellTestbed bed(street, {Set("SrPeriod", 7u)}); }, {"SrPeriod 7", "5, 8, 10"}, "period");
    // The longest is 80 ms (TS 38.331 SchedulingRequestResourceConfig and its extension of release 17).
    for (const auto& [mu, frequency, bandwidth] : ranges) {
        Settings settings = street;
        settings.frequency = frequency;
        const auto make = [&](unsigned period) {
            CellTestbed bed(settings, {Set("Numerology", mu), Set("Bandwidth", bandwidth),
                                       Set("Pattern", std::string("FDD")), Set("SrPeriod", period)});
        };
        const unsigned longest = 80U << mu, bad = mu < 6 ? 2 * longest : 3;
        make(longest);
        test.Refuses([&] { make(bad); },
                     {"SrPeriod " + std::to_string(bad), " and " + std::to_string(longest) + " slots"}, "80 ms");
    }
    CellTestbed full(street, {Set("SrPeriod", 1u), Set("SrPrbs", 1u), Set("Pattern", std::string("FDD"))});
    for (int i = 0; i < 12; ++i) {
        full.Add({40. + i, 10, 1.5});
    }
    test.Refuses([&] { full.Add({60, 10, 1.5}); }, {"13 UEs", "SrPeriod 1", "room for 12"}, "full");
    test.True(full.cell->NumUes() == 12, "nothing has changed");
}

/// 16 processes, and 32 in FR2-2 (TS 38.214 5.1); with long delays that is what limits the rate.
void Processes(Case& test) {
    const auto most = [&](double frequency, unsigned mu, double bandwidth, unsigned processes) {
        Settings settings = street;
        settings.frequency = frequency;
        CellTestbed bed(settings,
                        {Set("Numerology", mu), Set("Bandwidth", bandwidth), Set("Pattern", std::string("FDD")),
                         Set("HarqProcesses", processes), Set("GnbDelay", 20u), Set("GnbPower", 60.)});
        bed.Add({30, 5, 1.5});
        bed.Fill(false, 1500, 4'000'000);
        bed.Run(0.02);
        std::set<unsigned> used;
        for (const auto& block : bed.blocks) {
            used.insert(block.harq);
        }
        return used.size();
    };
    test.True(most(3.5e9, 1, 20e6, 0) == 16, "FR1");
    test.True(most(3.5e9, 1, 20e6, 4) == 4, "as set");
    test.True(most(60e9, 5, 400e6, 0) == 32, "FR2-2");
    test.True(most(60e9, 5, 400e6, 32) == 32, "FR2-2, as set");
    test.Refuses([&] { most(28e9, 3, 100e6, 32); }, {"HarqProcesses 32", "1 to 16"}, "FR2-1");
}

/// Buffer status reports with their MAC subheader, TS 38.321 6.1.3.1.
void SizesOfReports(Case& test) {
    test.True(Mac::ReportBytes(0) == 2 && Mac::ReportBytes(1) == 2, "short: one byte");
    test.True(Mac::ReportBytes(2) == 5 && Mac::ReportBytes(8) == 11, "long: a byte of groups and one for each");
}

CaseSuite controlTestSuite("edgelam-nr-control", {{"times of numerologies", TimesOfNumerologies},
                                                  {"room for grants", RoomForGrants},
                                                  {"levels", Levels},
                                                  {"room for feedback", RoomForFeedback},
                                                  {"occasions of requests", OccasionsOfRequests},
                                                  {"HARQ processes", Processes},
                                                  {"sizes of reports", SizesOfReports}});

} // namespace
