// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Quality of service: bearers, logical channel prioritisation, guaranteed rates, slices and caps.

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "nr-bearers.h"
#include "nr-cell-testbed.h"
#include "nr-quality.h"
#include "nr-slices.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

const Settings street{.deployment = "UMi", .los = "Always", .frequency = 3.5e9};
constexpr unsigned prbs = 273, group = 16;

QosBearer Of(unsigned fiveQi, double downBps = 0, double upBps = -1) {
    QosBearer bearer;
    bearer.fiveQi = fiveQi;
    bearer.guaranteedBps = {downBps, upBps < 0 ? downBps : upBps};
    return bearer;
}

/// A cell with UEs that have several bearers, and the delays of their packets.
struct QualityBed : CellTestbed {
    explicit QualityBed(const Attributes& attributes = {}, const Settings& settings = street)
        : CellTestbed(settings, attributes) {
        cell->TraceConnectWithoutContext("PacketDelivered", ns3::MakeCallback(&QualityBed::Note, this));
    }
    void Add(const ns3::Vector& place, const std::vector<QosBearer>& bearers) {
        ues.push_back(MakeEnd(place, 1, 2, true));
        cell->AddUe(ues.back().mobility, ues.back().array, bearers);
    }
    /// Packets of this size at this rate into a bearer, from `beginS` on.
    void Send(bool uplink, std::uint32_t ue, unsigned bearer, double bps, std::uint32_t bytes, double beginS = 0) {
        ns3::Simulator::Schedule(ns3::Seconds(beginS), [=, this] { SendNext(uplink, ue, bearer, bps, bytes); });
    }
    void SendNext(bool uplink, std::uint32_t ue, unsigned bearer, double bps, std::uint32_t bytes) {
        sent[uplink ? 1 : 0][{ue, bearer}] += bytes;
        const auto packet = ns3::Create<ns3::Packet>(bytes);
        uplink ? cell->SendUp(ue, packet, 0, bearer) : cell->SendDown(ue, packet, 0, bearer);
        ns3::Simulator::Schedule(ns3::Seconds(8 * bytes / bps),
                                 [=, this] { SendNext(uplink, ue, bearer, bps, bytes); });
    }
    void FillBearer(bool uplink, std::uint32_t ue, unsigned bearer) {
        const auto& at = uplink ? cell->UpBearer(ue, bearer) : cell->DownBearer(ue, bearer);
        bool taken = true;
        while (taken && at.BacklogBytes() < 1'500'000) {
            const auto packet = ns3::Create<ns3::Packet>(1500);
            taken = uplink ? cell->SendUp(ue, packet, 0, bearer) : cell->SendDown(ue, packet, 0, bearer);
        }
        ns3::Simulator::Schedule(ns3::MicroSeconds(500), [=, this] { FillBearer(uplink, ue, bearer); });
    }
    void Note(const PacketRecord& record) {
        const std::pair key(record.ue, static_cast<unsigned>(-1 - record.group));
        got[record.uplink][key] += record.bytes;
        if (record.time_ns >= settled_ns) {
            settled[record.uplink][key] += record.bytes;
        }
        delaysMs[record.uplink][key].push_back(1e-6 * static_cast<double>(record.time_ns - record.arrived_ns));
    }
    double Percentile(bool uplink, std::uint32_t ue, unsigned bearer, double part) {
        auto delays = delaysMs[uplink ? 1 : 0][{ue, bearer}];
        std::sort(delays.begin(), delays.end());
        return delays.empty() ? 1e9 : delays[static_cast<std::size_t>(part * static_cast<double>(delays.size() - 1))];
    }
    using Key = std::pair<std::uint32_t, unsigned>; ///< UE and bearer
    static constexpr std::int64_t settled_ns = 200'000'000;
    std::array<std::map<Key, std::uint64_t>, 2> sent, got, settled; ///< settled: got from settled_ns on
    std::array<std::map<Key, std::vector<double>>, 2> delaysMs;
};

/// A few rows of TS 23.501 table 5.7.4-1, and what every row must be.
void Table(Case& test) {
    const auto is = [&](unsigned value, unsigned priority, unsigned delayMs, double errorRate, bool guaranteed) {
        const FiveQi& row = FiveQiOf(value);
        test.True(row.priority == priority && row.delayMs == delayMs && row.errorRate == errorRate &&
                      row.Guaranteed() == guaranteed,
                  "5QI " + std::to_string(value));
    };
    is(1, 20, 100, 1e-2, true);
    is(2, 40, 150, 1e-3, true);
    is(5, 10, 100, 1e-6, false);
    is(9, 90, 300, 1e-6, false);
    is(65, 7, 75, 1e-2, true);
    is(69, 5, 60, 1e-6, false);
    is(82, 19, 10, 1e-4, true);
    is(86, 18, 5, 1e-4, true);
    unsigned last = 0;
    for (const auto& row : AllFiveQis()) {
        test.True(row.value > last, "ascending");
        last = row.value;
    }
    test.True(ClassOf(5) == 7 && ClassOf(20) == 6 && ClassOf(90) == 0 && ClassOf(81) == 0 && ClassOf(80) == 1,
              "classes");
    test.Refuses([] { FiveQiOf(11); }, {"5QI 11", "1, 2, 3", "90"}, "unknown");
}

/// TS 38.321 5.4.3.1 in one line each: first the buckets, in order of priority, then all that waits, in that order.
void Prioritisation(Case& test) {
    constexpr std::uint32_t size = 100, overhead = 3 + 3 + 2; // PDCP, RLC AM, MAC subheader
    for (const double waitS : {0.05, 0.5}) {
        ns3::Simulator::Destroy();
        const std::vector<QosBearer> three{Of(9), Of(1, 100e3), Of(6)};
        Bearers bearers(three, Direction::Downlink);
        for (unsigned i = 0; i < 3; ++i) {
            for (int k = 0; k < 400; ++k) {
                bearers[i].Send(ns3::Create<ns3::Packet>(size));
            }
        }
        ns3::Simulator::Schedule(ns3::Seconds(waitS), [&] {
            std::vector<RlcPdu> pdus;
            const std::uint32_t block = 20'000;
            const std::uint32_t used = bearers.Take(block, pdus);
            test.True(used <= block && used + 20 > block, "the block is full");
            std::array<double, 3> bytes{};
            for (const auto& pdu : pdus) {
                bytes[pdu.bearer] += pdu.Bytes();
            }
            // 100 kb/s become 16 kB/s; buckets hold 100 ms.
            const double inBucket = std::min(waitS, 0.1);
            const double sdu = size + overhead;
            const auto whole = [&](double least) { return std::ceil(least / sdu) * sdu; };
            test.True(std::abs(bytes[0] - whole(8e3 * inBucket)) <= sdu,
                      "5QI 9 has its prioritised rate: " + std::to_string(bytes[0]));
            test.True(std::abs(bytes[2] - whole(8e3 * inBucket)) <= sdu, "5QI 6 too: " + std::to_string(bytes[2]));
            test.True(bytes[1] > 16e3 * inBucket && std::abs(bytes[1] - (block - bytes[0] - bytes[2])) < 20,
                      "5QI 1 has the rest: " + std::to_string(bytes[1]));
        });
        ns3::Simulator::Run();
    }
    ns3::Simulator::Destroy();
}

/// The bearers of a UE have RLC entities of their own: a full one does not hold up, nor drop, what another sends.
void BearersAreSeparate(Case& test) {
    QualityBed bed;
    bed.Add({60, 10, 1.5}, {Of(9), Of(1, 1e6)});
    for (const bool uplink : {false, true}) {
        bed.FillBearer(uplink, 0, 0);
        bed.Send(uplink, 0, 1, 200e3, 200);
    }
    bed.Run(1);
    for (const bool uplink : {false, true}) {
        const double ratio =
            static_cast<double>(bed.got[uplink][{0, 1}]) / static_cast<double>(bed.sent[uplink][{0, 1}]);
        test.True(ratio > 0.97, "all of it arrives: " + std::to_string(ratio));
        test.True(bed.Percentile(uplink, 0, 1, 0.98) < 30,
                  "at once: " + std::to_string(bed.Percentile(uplink, 0, 1, 0.98)));
        test.True(bed.got[uplink][{0, 0}] > 1'000'000, "and the other bearer has the rest");
    }
}

/// A guaranteed rate within half of what the cell carries, beside 9 UEs with full buffers; 5QI 1 within its budget.
void GuaranteedRates(Case& test) {
    for (const char* scheduler : {"pf", "rr", "max-rate"}) {
        QualityBed bed({Set("Scheduler", std::string(scheduler)), Set("Bandwidth", 40e6)});
        const double down = 150e6, up = 10e6; // of about 500 and 30 Mb/s
        for (int i = 0; i < 10; ++i) {
            bed.Add({70. + 3 * i, -40. + 9 * i, 1.5}, {Of(9), Of(2, down, up), Of(1, 64e3)});
        }
        for (std::uint32_t i = 0; i < 10; ++i) {
            bed.FillBearer(false, i, 0);
            bed.FillBearer(true, i, 0);
        }
        for (const bool uplink : {false, true}) {
            bed.Send(uplink, 3, 1, uplink ? up : down, 1400);
            bed.Send(uplink, 7, 2, 24.4e3, 61); // 20 ms
            bed.Send(uplink, 3, 2, 24.4e3, 61);
        }
        bed.Run(1.2);
        for (const bool uplink : {false, true}) {
            const std::string name = std::string(scheduler) + (uplink ? " up" : " down");
            const double ratio = 8 * static_cast<double>(bed.settled[uplink][{3, 1}]) / (uplink ? up : down);
            test.True(ratio >= 0.99, name + ": rate " + std::to_string(ratio)); // over one second
            for (const std::uint32_t ue : {3u, 7u}) {
                test.True(bed.Percentile(uplink, ue, 2, 0.98) < 100,
                          name + ": delay of 5QI 1 " + std::to_string(bed.Percentile(uplink, ue, 2, 0.98)));
                test.True(bed.delaysMs[uplink][{ue, 2}].size() + 4 >= 60, name + ": voice arrives");
            }
        }
    }
}

/// Who sends more than is guaranteed has no more of the rest than others.
void Beyond(Case& test) {
    QualityBed bed({Set("Scheduler", std::string("rr")), Set("Bandwidth", 40e6)});
    for (int i = 0; i < 3; ++i) {
        bed.Add({70. + 3 * i, -10. + 9 * i, 1.5}, {Of(9), Of(2, i == 0 ? 20e6 : 0)});
        bed.FillBearer(false, static_cast<std::uint32_t>(i), i == 0 ? 1 : 0);
    }
    bed.Run(1);
    const double own = 8e-6 * static_cast<double>(bed.got[0][{0, 1}]),
                 other = 8e-6 * static_cast<double>(bed.got[0][{1, 0}]);
    test.True(own > 20 && own < other + 60,
              "not much more than its part: " + std::to_string(own) + " and " + std::to_string(other));
}

/// Resource blocks of each UE in one direction.
std::map<std::uint32_t, double> Prbs(const CellTestbed& bed, bool uplink) {
    std::map<std::uint32_t, double> sums;
    for (const auto& block : bed.blocks) {
        if ((block.uplink != 0) == uplink) {
            sums[block.ue] += block.prbs;
        }
    }
    return sums;
}

void Slices(Case& test) {
    for (const char* scheduler : {"pf", "rr", "max-rate", "external"}) {
        for (const bool second : {true, false}) { // whether the second slice has something to send
            CellTestbed bed(
                street, {Set("Scheduler", std::string(scheduler)), Set("Slices", std::string("0-2:0.3,3:0.6:0.7"))});
            for (int i = 0; i < 5; ++i) { // the last one is in no slice
                bed.Add({50. + 20 * i, 10. * i, 1.5});
            }
            const std::function<void()> fill = [&] {
                for (std::uint32_t i = 0; i < 5; ++i) {
                    while ((i != 3 || second) && bed.cell->DownBearer(i).BacklogBytes() < 1'000'000) {
                        bed.cell->SendDown(i, ns3::Create<ns3::Packet>(1500));
                    }
                    while ((i != 3 || second) && bed.cell->UpBearer(i).BacklogBytes() < 300'000) {
                        bed.cell->SendUp(i, ns3::Create<ns3::Packet>(1500));
                    }
                }
                ns3::Simulator::Schedule(ns3::MicroSeconds(500), fill);
            };
            fill();
            bed.Run(0.4);
            for (const bool uplink : {false, true}) {
                const auto of = Prbs(bed, uplink);
                const auto at = [&](std::uint32_t ue) { return of.contains(ue) ? of.at(ue) : 0; };
                const double first = at(0) + at(1) + at(2), sum = first + at(3) + at(4);
                const std::string name = std::string(scheduler) + (uplink ? " up " : " down ") +
                                         std::to_string(first / sum) + " " + std::to_string(at(3) / sum);
                test.True(first / sum >= 0.295, name + ": share of the first");
                test.True(second ? at(3) / sum >= 0.58 && at(3) / sum <= 0.705 : at(3) == 0, name + ": of the second");
                test.True(sum > 0, name + ": something is sent");
            }
        }
    }
}

/// Caps of a slice and of the cell hold in every slot and over any time, retransmissions included.
void Caps(Case& test) {
    for (const char* scheduler : {"pf", "rr"}) {
        CellTestbed bed(street, {Set("Scheduler", std::string(scheduler)), Set("Slices", std::string("0-1:0.1:0.25")),
                                 Set("GnbPower", 20.)});
        for (int i = 0; i < 4; ++i) {
            bed.Add({90. + 20 * i, 10. * i, 1.5}, {0, 25, 0});
        }
        bed.cell->SetCellCaps(150, 100);
        bed.Fill(false);
        bed.Fill(true);
        bed.Run(0.3);
        std::array<std::map<std::uint64_t, double>, 2> slice, cell;
        std::size_t again = 0;
        for (const auto& block : bed.blocks) {
            slice[block.uplink][block.slot] += block.ue < 2 ? block.prbs : 0;
            cell[block.uplink][block.slot] += block.prbs;
            again += block.attempt > 1;
        }
        test.True(again > 5, "something was sent again");
        const double sliceCap = std::round(0.25 * prbs);
        for (const bool uplink : {false, true}) {
            const double cellCap = uplink ? 100 : 150;
            double sliceSum = 0, cellSum = 0;
            for (const auto& [slot, used] : cell[uplink]) {
                test.True(used <= std::ceil(cellCap / group) * group, "cap of the cell in a slot");
                test.True(slice[uplink][slot] <= std::ceil(sliceCap / group) * group, "cap of the slice in a slot");
                sliceSum += slice[uplink][slot];
                cellSum += used;
            }
            const double slots = 600. * (uplink ? 1 : 4) / 5;
            test.True(sliceSum <= slots * sliceCap + group && cellSum <= slots * cellCap + group, "over all slots");
            test.True(cellSum > 0.8 * slots * cellCap, "and they are used: " + std::to_string(cellSum / slots));
        }
    }
    CellTestbed bed(street, {Set("Slices", std::string("0:0.5"))});
    bed.Add({90, 0, 1.5});
    test.Refuses([&] { bed.cell->SetCellCaps(274, 0); }, {"274", "0 to 273"}, "above the band");
    test.Refuses([&] { bed.cell->SetSliceCaps({1}, {500}); }, {"500", "0 to 273"}, "above the band");
    test.Refuses([&] { bed.cell->SetSliceCaps({1, 2}, {5}); }, {"2 caps", "1 slices"}, "another number");
    test.Refuses([&] { bed.cell->SetSliceShares({1.5}, {0}); }, {"1.5", "0 to 1"}, "share");
    test.Refuses([&] { bed.cell->SetSliceShares({std::nan("")}, {0}); }, {"nan", "0 to 1"}, "share");
}

void Refused(Case& test) {
    const auto slices = [&](const std::string& text, const std::vector<std::string>& parts) {
        test.Refuses([&] { CellTestbed bed(street, {Set("Slices", text)}); }, parts, text);
    };
    slices("0-4:0.7,5:0.4", {"sum of 1.1", "at most 1"});
    slices("0-4:0.7,4:0.1", {"UE 4 twice"});
    slices("0-4:0.7:0.5", {"0-4:0.7:0.5", "share <= most"});
    slices("4-0:0.5", {"4-0:0.5"});
    slices("0-4", {"UEs:share"});
    slices("0:1.2", {"0:1.2"});
    slices("0:nan", {"0:nan"});
    CellTestbed few(street, {Set("Slices", std::string("0-4:0.5"))});
    few.Add({50, 0, 1.5});
    test.Refuses([&] { few.cell->SliceOfUes(); }, {"UE 4", "0 to 0"}, "a UE that is not there");

    QualityBed bed;
    const auto end = MakeEnd({60, 0, 1.5}, 1, 2, true);
    const auto add = [&](const std::vector<QosBearer>& bearers) { bed.cell->AddUe(end.mobility, end.array, bearers); };
    test.Refuses([&] { add({Of(11)}); }, {"5QI 11"}, "unknown");
    test.Refuses([&] { add({Of(9, 1e6)}); }, {"5QI 9", "has no guaranteed rate"}, "no guaranteed rate");
    test.Refuses([&] { add({Of(1, 1e12)}); }, {"1e+06 Mb/s down", "at most what the cell can carry"},
                 "beyond the cell");
    test.Refuses([&] { add({Of(1, 1e6, 1e9)}); }, {"1000 Mb/s up", "at most what the cell can carry"},
                 "beyond the uplink");
    test.Refuses([&] { add({}); }, {"bearers: 0", "1 to 8"}, "none");
    test.Refuses([&] { add(std::vector<QosBearer>(9)); }, {"bearers: 9", "1 to 8"}, "too many");
    test.True(bed.cell->NumUes() == 0, "nothing was added");
    bed.Add({60, 0, 1.5}, {Of(9), Of(1, 1e6)});
    test.Refuses([&] { bed.cell->SetGuaranteed(std::vector<double>{0, 1, 2}); }, {"3 guaranteed", "4"},
                 "another number");
    test.Refuses([&] { bed.cell->SetGuaranteed(std::vector<double>{5, 1, 0, 2}); }, {"5QI 9"}, "no guaranteed rate");
    test.Refuses([&] { bed.cell->SetGuaranteed(std::vector<double>{0, 1, 0, 1e10}); }, {"10000 Mb/s up"}, "beyond");
    test.True(bed.cell->GetBearers(0, Direction::Downlink).GuaranteedBps(1) == 1e6, "nothing changed");

    const auto bearers = [&](const std::string& text, const std::vector<std::string>& parts) {
        test.Refuses([&] { NrQuality::Parse(text); }, parts, text);
    };
    bearers("1/46/128kbps", {"one bearer has no DSCPs"});
    bearers("9,8", {"one bearer has no DSCPs"});
    bearers("1/46,9", {"5QI 1 has a guaranteed rate"});
    bearers("9/46/1Mbps,8", {"5QI 9 has no guaranteed rate"});
    bearers("1/64/1Mbps,9", {"1/64/1Mbps", "up to 63"});
    bearers("1/46/1Mbps,5/46,9", {"46 to two"});
    bearers("1/46/fast,9", {"128kbps"});
    bearers("1/46/-1Mbps,9", {"above 0"});
    bearers("11/46,9", {"5QI 11"});
    const NrQuality quality = NrQuality::Parse("1/46+40/128kbps,2/34/5Mbps/1Mbps,9");
    test.True(quality.bearerOf[46] == 0 && quality.bearerOf[40] == 0 && quality.bearerOf[34] == 1 &&
                  quality.bearerOf[0] == 2,
              "DSCPs");
    test.True(quality.bearers[0].guaranteedBps == std::array{128e3, 128e3} &&
                  quality.bearers[1].guaranteedBps == std::array{5e6, 1e6},
              "rates");
}

CaseSuite qualityTestSuite("edgelam-nr-quality", {{"table of 5QIs", Table},
                                                  {"prioritisation", Prioritisation},
                                                  {"bearers are separate", BearersAreSeparate},
                                                  {"guaranteed rates", GuaranteedRates},
                                                  {"beyond the guaranteed rate", Beyond},
                                                  {"slices", Slices},
                                                  {"caps", Caps},
                                                  {"refused", Refused}});

} // namespace
