// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Point-to-multipoint delivery: beams by hand and by slow sums, what is on the air, HARQ, each receiver's own losses.

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "ns3/integer.h"

#include "nr-cell-testbed.h"
#include "nr-multicast-beam.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

const Settings street{.deployment = "UMi", .los = "Always", .frequency = 3.5e9};

std::pair<std::string, ns3::Ptr<ns3::AttributeValue>> SetMcs(int mcs) {
    return {"MulticastMcs", ns3::Create<ns3::IntegerValue>(mcs)};
}

void SendMany(CellTestbed& bed, std::uint32_t group, std::uint32_t count, std::uint32_t bytes = 1500) {
    for (std::uint32_t i = 0; i < count; ++i) {
        bed.cell->SendMulticast(group, ns3::Create<ns3::Packet>(bytes));
    }
}

void BeamByHand(Case& test) {
    using Beam = std::vector<std::complex<float>>;
    const auto power = [](const Beam& a, const Beam& b) {
        std::complex<float> dot = 0;
        for (std::size_t i = 0; i < a.size(); ++i) {
            dot += std::conj(a[i]) * b[i];
        }
        return std::norm(dot);
    };
    // Orthogonal: power 4/5 and 1/5, which gains of 1 and 4 make 0.8 at both: 1 / (1/1 + 1/4).
    const std::vector<Beam> two{{1, 0, 0}, {0, {0, 1}, 0}};
    const Beam both = MulticastBeam(two, std::array{1., 4.});
    test.Near(power(both, two[0]), 0.8, 1e-6, "the weak one");
    test.Near(power(both, two[1]), 0.2, 1e-6, "the strong one");
    // The same beam with other phases is the same beam.
    const std::vector<Beam> same{{{0.6f, 0}, {0, 0.8f}}, {{-0.6f, 0}, {0, -0.8f}}, {{0, 0.6f}, {-0.8f, 0}}};
    test.Near(power(MulticastBeam(same, std::array{1., 2., 3.}), same[0]), 1, 1e-6, "nothing cancels");
    test.Near(power(MulticastBeam(std::span(two).first(1), std::array{7.}), two[0]), 1, 1e-6, "one receiver: its own");
}

/// Beams straight to each UE can be written down; so can the power each receives, tone by tone. The cell's records
/// must say the same, and the MCS is that of the worst.
void WorstReceiverBySlowSums(Case& test) {
    CellTestbed bed(street, {Set("Beams", "direct"), Set("Pattern", "FDD"), Set("Bandwidth", 20e6)});
    const std::vector<ns3::Vector> places{{40, 30, 1.5}, {90, -60, 1.5}, {150, 10, 1.5}};
    for (const auto& place : places) {
        bed.Add(place);
    }
    SendMany(bed, bed.cell->AddMulticast({0, 1, 2}), 400);
    bed.Run(0.2);

    constexpr std::size_t elements = 32, sites = 16;
    const double prbs = 51, prbHz = 360e3, pi = std::numbers::pi;
    const double snr = std::pow(10, (44 - 30 - 10 * std::log10(prbs) - (-174 + 9 - 30 + 10 * std::log10(prbHz))) / 10);
    std::vector<double> tones; // groups of 4 resource blocks, one sample each
    for (int g = 0; g < 13; ++g) {
        const double width = std::min(4.0, prbs - 4 * g);
        tones.push_back((4 * g + width / 2 - prbs / 2) * prbHz);
    }
    std::vector<Response> responses;
    std::vector<std::vector<Complex>> own;
    std::vector<double> gains;
    const auto powerOver = [&](const Response& h, const std::vector<Complex>& w, std::size_t f) {
        double sum = 0;
        for (std::size_t u = 0; u < 4; ++u) {
            Complex dot = 0;
            for (std::size_t i = 0; i < elements; ++i) {
                dot += Complex(h[(u * elements + i) * tones.size() + f]) * w[i];
            }
            sum += std::norm(dot);
        }
        return sum;
    };
    for (std::size_t r = 0; r < 3; ++r) {
        responses.push_back(Measure(Link(bed.channel, bed.gnb, bed.ues[r]), tones));
        const ns3::Vector way(places[r].x, places[r].y, places[r].z - 10);
        std::vector<Complex> w(elements);
        for (std::size_t i = 0; i < sites; ++i) {
            const auto at = bed.gnb.array->GetElementLocation(i);
            w[i] = std::polar(0.25, -2 * pi * (way.x * at.x + way.y * at.y + way.z * at.z) / way.GetLength());
        }
        own.push_back(w);
        double mean = 0;
        for (std::size_t f = 0; f < tones.size(); ++f) {
            mean += powerOver(responses[r], w, f) / static_cast<double>(tones.size());
        }
        gains.push_back(mean);
    }
    std::vector<Complex> beam(elements);
    for (std::size_t r = 0; r < 3; ++r) {
        Complex dot = 0;
        for (std::size_t i = 0; i < elements; ++i) {
            dot += std::conj(own[r][i]) * beam[i];
        }
        for (std::size_t i = 0; i < elements; ++i) {
            beam[i] += (r == 0 ? 1 : dot / std::abs(dot)) * own[r][i] / std::sqrt(gains[r]);
        }
    }
    double norm = 0;
    for (const Complex& each : beam) {
        norm += std::norm(each);
    }
    std::vector<double> lowestDb;
    for (std::size_t r = 0; r < 3; ++r) {
        double lowest = 1e30, highest = 0;
        for (std::size_t f = 0; f < tones.size(); ++f) {
            const double sinr = snr * powerOver(responses[r], beam, f) / norm;
            lowest = std::min(lowest, sinr);
            highest = std::max(highest, sinr);
        }
        lowestDb.push_back(10 * std::log10(lowest));
        for (const auto& block : bed.blocks) {
            if (block.ue == r) { // an effective SINR lies between the extremes
                test.True(block.sinr_db > 10 * std::log10(lowest) - 0.05 &&
                              block.sinr_db < 10 * std::log10(highest) + 0.05,
                          "SINR of receiver " + std::to_string(r) + ": " + std::to_string(block.sinr_db) + " of " +
                              std::to_string(lowestDb[r]) + " to " + std::to_string(10 * std::log10(highest)));
            }
        }
    }
    // The worst receiver alone decides: as if all had its SINR.
    std::map<std::uint32_t, double> lowest;
    for (const auto& block : bed.blocks) {
        lowest.try_emplace(block.ue, 1e9);
        lowest[block.ue] = std::min<double>(lowest[block.ue], block.bler);
    }
    test.True(bed.blocks.size() > 30, "there is a trace");
    const auto worst =
        std::max_element(lowest.begin(), lowest.end(), [](auto& a, auto& b) { return a.second < b.second; });
    const auto weakest = std::min_element(lowestDb.begin(), lowestDb.end()) - lowestDb.begin();
    test.True(worst->second < 0.5, "the worst receiver decodes");
    test.True(worst->second < 1e-9 || worst->first == static_cast<std::uint32_t>(weakest), "the weakest is the worst");
}

/// Of a given MCS, on the whole band: sizes and numbers of blocks by hand, on the air once for three.
void OnTheAirOnce(Case& test) {
    CellTestbed bed(street, {Set("Pattern", "FDD"), SetMcs(10)});
    for (int i = 0; i < 3; ++i) {
        bed.Add({40. + 10 * i, 10, 1.5});
    }
    const auto group = bed.cell->AddMulticast({2, 0, 1});
    SendMany(bed, group, 1000);
    bed.Run(0.5);
    // FDD, 14 symbols, one of control, 12 elements of DMRS: 144 elements in each of 273 resource blocks.
    const std::uint32_t bits = TransportBlockSize(273 * 144, McsAt(McsTable::Qam256, 10), 1);
    std::uint64_t blocks = 0, records = 0, prbs = 0;
    for (const auto& block : bed.blocks) {
        ++records;
        test.True(block.group == static_cast<std::int32_t>(group) && block.mcs == 10 && block.layers == 1 &&
                      block.received == 1 && block.attempt == 1,
                  "as given");
        if (!block.repeated) {
            ++blocks;
            prbs += block.prbs;
            test.True(block.ue == 2 && (block.bits == bits || block.prbs < 273), "size");
        }
    }
    // A packet with PDCP header (3), RLC header (1) and MAC subheader (3); some are cut in two (4 bytes and more).
    const double needed = 1000 * 1507. * 8 / bits;
    test.True(records == 3 * blocks, "each receiver has its record");
    test.Near(static_cast<double>(blocks), std::ceil(needed * 1.001), 1, "blocks of one transfer");
    test.True(prbs <= 273 * blocks, "resource blocks");
    for (std::uint32_t ue = 0; ue < 3; ++ue) {
        test.True(bed.down.sizes[ue] == std::vector<std::uint32_t>(1000, 1500), "everything, in order");
    }
    // One block a slot from slot 1 (decided in slot 0); the last is handed up UeDelay + 1 slots after its own.
    test.True(bed.blocks.front().slot == 1 && bed.blocks.back().slot == blocks, "slot by slot");
    test.True(bed.down.timesNs[1].back() == static_cast<std::int64_t>((blocks + 2) * 500'000), "arrival");
    const auto events = ns3::Simulator::GetEventCount();
    bed.Run(10);
    test.True(ns3::Simulator::GetEventCount() <= events + 1, "and then nothing");
}

/// Where first transmissions are lost: a block is sent again while somebody lacks it, and to nobody who has it.
void Harq(Case& test) {
    CellTestbed bed(street, {Set("Pattern", "FDD"), Set("Bandwidth", 20e6), Set("GnbPower", 5.)});
    for (int i = 0; i < 4; ++i) {
        bed.Add({100. + 10 * i, 20. * i - 30, 1.5}, {1, 1, 0});
    }
    const auto group = bed.cell->AddMulticast({0, 1, 2, 3});
    SendMany(bed, group, 3000);
    bed.Run(20);
    struct Block {
        std::set<std::uint32_t> decoded;
        std::uint8_t attempts = 0;
        std::map<std::uint32_t, float> bler;
    };
    std::map<std::uint8_t, Block> running;
    std::uint64_t lost = 0, again = 0, first = 0;
    for (const auto& record : bed.blocks) {
        Block& block = running[record.harq];
        if (record.attempt == 1 && !record.repeated) {
            test.True(block.attempts == 0 || block.attempts == 4 || block.decoded.size() == 4, "sent to the end");
            block = {};
            ++first;
        }
        again += record.attempt > 1 && !record.repeated;
        lost += record.attempt == 1 && !record.received;
        block.attempts = record.attempt;
        test.True(!block.decoded.contains(record.ue), "nobody is told twice");
        test.True(!block.bler.contains(record.ue) || record.bler <= block.bler[record.ue], "combined");
        block.bler[record.ue] = record.bler;
        if (record.received) {
            block.decoded.insert(record.ue);
        }
    }
    test.True(lost > 20 && again > 10, "lost at first: " + std::to_string(lost) + ", again " + std::to_string(again));
    // The outer loop aims at 10 % of blocks that any receiver did not decode at first.
    test.Near(static_cast<double>(again) / static_cast<double>(first), 0.1, 0.05, "first transmissions lost");
    for (std::uint32_t ue = 0; ue < 4; ++ue) {
        test.True(bed.down.sizes[ue].size() == 3000, "everything came");
    }
    test.True(bed.cell->MulticastBearer(group).BacklogBytes() == 0, "nothing waits");
}

/// Without feedback each loses what it did not decode, and nobody else does.
void OwnLosses(Case& test) {
    std::map<std::uint32_t, std::uint64_t> lostBlocks, lostPackets;
    for (const int mcs : {15, 16, 17, 18, 19, 20}) {
        CellTestbed bed(street, {Set("Pattern", "FDD"), Set("Bandwidth", 20e6), Set("GnbPower", -5.),
                                 Set("MulticastTransmissions", 1u), SetMcs(mcs)});
        for (int i = 0; i < 3; ++i) {
            bed.Add({100. + 10 * i, 20. * i - 30, 1.5}, {1, 1, 0});
        }
        SendMany(bed, bed.cell->AddMulticast({0, 1, 2}), 1000);
        bed.Run(5);
        std::map<std::uint32_t, std::uint64_t> lost;
        std::uint64_t blocks = 0;
        for (const auto& record : bed.blocks) {
            test.True(record.attempt == 1 && record.mcs == mcs, "once, as given");
            lost[record.ue] += !record.received;
            blocks += !record.repeated;
        }
        for (std::uint32_t ue = 0; ue < 3; ++ue) {
            const std::uint64_t got = bed.down.sizes[ue].size();
            lostBlocks[ue] += lost[ue];
            lostPackets[ue] += 1000 - got;
            test.True((got == 1000) == (lost[ue] == 0) && (got == 0) == (lost[ue] == blocks), "what it did not decode");
        }
    }
    test.True(lostBlocks[2] > 50 && lostBlocks[0] < lostBlocks[2] && lostBlocks[1] < lostBlocks[2],
              "the weakest loses most: " + std::to_string(lostBlocks[0]) + " " + std::to_string(lostBlocks[1]) + " " +
                  std::to_string(lostBlocks[2]));
    // A block of 51 resource blocks holds 2 to 3 packets and parts of those at its ends.
    test.True(lostPackets[2] > 2 * lostBlocks[2] && lostPackets[2] < 5 * lostBlocks[2], "packets");
}

/// A receiver that nothing reaches loses its own data and does not slow down the others.
void OutOfReach(Case& test) {
    const auto run = [&](bool far) {
        CellTestbed bed(street, {Set("Pattern", "FDD"), Set("Bandwidth", 20e6)});
        bed.Add({40, 10, 1.5});
        bed.Add({50, -20, 1.5});
        bed.Add({100'000, 0, 1.5});
        const auto group =
            bed.cell->AddMulticast(far ? std::vector<std::uint32_t>{0, 1, 2} : std::vector<std::uint32_t>{0, 1});
        SendMany(bed, group, 2000);
        bed.Run(2);
        for (std::uint32_t ue = 0; ue < 2; ++ue) {
            test.True(bed.down.sizes[ue].size() == 2000, "those in reach have everything");
        }
        test.True(bed.down.sizes[2].empty(), "the other nothing");
        test.True(bed.blocks.back().mcs > 10, "MCS of those in reach");
        return bed.down.timesNs[0].back();
    };
    test.Near(static_cast<double>(run(true)) / static_cast<double>(run(false)), 1, 0.05, "as fast as without it");
    CellTestbed bed(street, {Set("Pattern", "FDD"), Set("Bandwidth", 20e6)});
    bed.Add({100'000, 0, 1.5});
    SendMany(bed, bed.cell->AddMulticast({0}), 20);
    bed.Run(20);
    test.True(bed.blocks.empty() && bed.cell->MulticastBearer(0).BacklogBytes() == 0,
              "alone: nothing is sent or waits");
}

/// A group is one more for the scheduler.
void BesideOthers(Case& test) {
    for (const char* scheduler : {"rr", "pf", "max-rate", "external"}) {
        CellTestbed bed(street, {Set("Scheduler", std::string(scheduler))});
        for (int i = 0; i < 3; ++i) {
            bed.Add({50., 10. * i - 10, 1.5});
        }
        const auto group = bed.cell->AddMulticast({1, 2});
        SendMany(bed, group, 6000);
        for (int i = 0; i < 6000; ++i) {
            bed.cell->SendDown(0, ns3::Create<ns3::Packet>(1500));
        }
        bed.Run(0.02);
        double own = 0, all = 0;
        for (const auto& block : bed.blocks) {
            if (!block.uplink && !block.repeated) {
                all += block.prbs;
                own += block.group >= 0 ? block.prbs : 0;
            }
        }
        if (std::string(scheduler) == "rr") {
            test.Near(own / all, 0.5, 0.05, "half of the band");
        }
        bed.Run(2);
        test.True(bed.down.sizes[0].size() == 6000 && bed.down.sizes[1].size() == 6000 &&
                      bed.down.sizes[2].size() == 6000,
                  std::string(scheduler) + ": everybody is served");
    }
}

void GroupsComeAndGo(Case& test) {
    CellTestbed bed(street, {Set("Pattern", "FDD")});
    for (int i = 0; i < 3; ++i) {
        bed.Add({40. + 10 * i, 10, 1.5});
    }
    const auto first = bed.cell->AddMulticast({0, 1});
    SendMany(bed, first, 10);
    test.True(!bed.cell->RemoveMulticast(first), "not while something waits");
    bed.Run(0.0012);
    test.True(bed.cell->MulticastBearer(first).BacklogBytes() == 0 && !bed.cell->RemoveMulticast(first),
              "nor while it is on the air");
    bed.Run(0.1);
    test.True(bed.cell->RemoveMulticast(first), "then it goes");
    const auto second = bed.cell->AddMulticast({1, 2});
    test.True(second == first + 1, "a number of its own");
    SendMany(bed, second, 10);
    bed.Run(0.1);
    test.True(bed.down.sizes[0].size() == 10 && bed.down.sizes[1].size() == 20 && bed.down.sizes[2].size() == 10,
              "all");
    const auto refuses = [&](const std::vector<std::uint32_t>& ues, const std::vector<std::string>& parts) {
        test.Refuses([&] { bed.cell->AddMulticast(ues); }, parts, "a group");
    };
    refuses({}, {"no UEs"});
    refuses({0, 3}, {"UE 3", "0 to 2"});
    refuses({1, 1}, {"UE 1", "each once"});
    test.Refuses([] { CellTestbed other(street, {SetMcs(28)}); }, {"MulticastMcs 28", "-1", "27"}, "MCS");
    test.True(!ns3::CreateObject<Cell>()->SetAttributeFailSafe("MulticastTransmissions", ns3::UintegerValue(0)),
              "transmissions");
}

CaseSuite multicastTestSuite("edgelam-nr-multicast", {{"beam by hand", BeamByHand},
                                                      {"worst receiver by slow sums", WorstReceiverBySlowSums},
                                                      {"on the air once", OnTheAirOnce},
                                                      {"HARQ", Harq},
                                                      {"own losses", OwnLosses},
                                                      {"out of reach", OutOfReach},
                                                      {"beside others", BesideOthers},
                                                      {"groups come and go", GroupsComeAndGo}});

} // namespace
