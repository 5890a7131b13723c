// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// How much a cell delivers and when: peak rates, delays slot by slot, error rates, HARQ.

#include <algorithm>
#include <array>
#include <cmath>

#include "nr-cell-testbed.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

/// Many scattered paths from many directions: four layers.
const Settings rich{.deployment = "UMi", .los = "Never", .frequency = 3.5e9, .shadowing = false};

struct Peak {
    const char* name;
    double frequencyHz;
    unsigned mu;
    double bandwidthHz;
    unsigned layers, mcsTable;
    bool uplink;
    double formulaBps; ///< TS 38.306 4.1.2
};

/// Every slot of FDD carries the block of the highest MCS over the whole band, and the bearers get it all but for
/// headers: 9 bytes (PDCP 3, RLC 3, MAC 3) of a packet of 9000.
///
/// Against TS 38.306 the rate differs by just three factors:
/// - overhead: the formula takes off 14 % (FR1 down, 8 % up; FR2 18 and 10 %) of 168 resource elements, here one
///   symbol of control (down), 12 elements of DMRS, and 6 of overhead in FR2: 144 of 168 left down, 156 up, in FR2 138
///   and 150;
/// - sizes: a transport block is quantised (TS 38.214 5.1.3.2), by up to 1.3 % upwards here;
/// - code rate: the highest one in MCS tables 1 and 2 is 948/1024, as in the formula: no difference.
void PeakRates(Case& test) {
    const Peak peaks[] = {{"100 MHz, 4 layers down", 3.5e9, 1, 100e6, 4, 2, false, 2337.0e6},
                          {"100 MHz, up", 3.5e9, 1, 100e6, 1, 2, true, 625.0e6},
                          {"40 MHz, 4 layers down", 3.5e9, 1, 40e6, 4, 2, false, 907.4e6},
                          {"20 MHz, 2 layers down", 2.1e9, 0, 20e6, 2, 2, false, 226.9e6},
                          {"100 MHz, 2 layers up", 3.5e9, 1, 100e6, 2, 2, true, 2 * 625.0e6},
                          {"FR2 400 MHz, 2 layers down", 28e9, 3, 400e6, 2, 1, false, 3232e6},
                          {"FR2 400 MHz, up", 28e9, 3, 400e6, 1, 1, true, 1773.8e6},
                          // As many subcarriers a second: 66 x 480 kHz and 33 x 960 kHz.
                          {"FR2-2 400 MHz at 480 kHz, 2 layers down", 60e9, 5, 400e6, 2, 1, false, 3232e6},
                          {"FR2-2 400 MHz at 960 kHz, 2 layers down", 60e9, 6, 400e6, 2, 1, false, 3232e6}};
    for (const auto& peak : peaks) {
        Settings settings = rich;
        settings.frequency = peak.frequencyHz;
        CellTestbed bed(settings,
                        {Set("Numerology", peak.mu), Set("Bandwidth", peak.bandwidthHz), Set("Pattern", "FDD"),
                         Set("MaxLayers", peak.layers), Set("MaxUplinkLayers", peak.uplink ? peak.layers : 1),
                         Set("McsTable", peak.mcsTable), Set("GnbPower", 90.), Set("UePower", 80.), Set("P0", 20.)});
        bed.Add({30, 5, 1.5}, {}, peak.uplink ? 1 : 2);
        bed.Fill(peak.uplink, 9000, 4'000'000);
        const double seconds = peak.mu == 0 ? 0.16 : peak.mu > 3 ? 0.02 : 0.06;
        bed.Run(seconds);
        const auto& numerology = bed.cell->GetNumerology();
        const unsigned prbs = bed.cell->NumPrbs(), overhead = peak.frequencyHz > 24e9 ? 6 : 0;
        const unsigned elements = (peak.uplink ? 156 : 144) - overhead;
        const Mcs& mcs = McsAt(McsTableOf(peak.mcsTable), NumMcs(McsTableOf(peak.mcsTable)) - 1);
        const unsigned size = TransportBlockSize(prbs * elements, mcs, peak.layers);
        double received = 0;
        std::uint64_t full = 0, first = UINT64_MAX, last = 0;
        const unsigned decoding = peak.uplink ? 1 : (numerology.DecodingSymbols() + 13) / 14;
        const auto handed = numerology.SlotAt(static_cast<std::int64_t>(seconds * 1e9)) - 2 - decoding;
        for (const auto& block : bed.blocks) {
            if ((block.uplink != 0) != peak.uplink || static_cast<std::int64_t>(block.slot) > handed) {
                continue;
            }
            received += block.received ? block.bits : 0;
            if (block.bits == size) {
                ++full;
                first = std::min(first, block.slot);
                last = std::max(last, block.slot);
                test.True(block.received == 1 && block.prbs == prbs && block.layers == peak.layers, peak.name);
            }
        }
        test.True(full > 0 && full == last - first + 1, std::string(peak.name) + ": a full block in every slot");
        test.True(first <= 12, std::string(peak.name) + ": from the beginning, was " + std::to_string(first));
        const double delivered = 8.0 * static_cast<double>(peak.uplink ? bed.up.bytes[0] : bed.down.bytes[0]);
        test.Near(delivered / received, 1, 0.005, std::string(peak.name) + ": delivered as scheduled");

        const double rate = size * 1e9 / static_cast<double>(numerology.MeanSlotNs());
        const auto range = FrequencyRangeOf(peak.frequencyHz);
        const auto direction = peak.uplink ? Direction::Uplink : Direction::Downlink;
        const double formula = PeakRateBps(range, direction, peak.mu, prbs, peak.layers, mcs.bitsPerSymbol);
        test.Near(formula / peak.formulaBps, 1, 1e-3, std::string(peak.name) + ": the formula");
        const double share = elements / (168 * (1 - PeakRateOverhead(range, direction)));
        const double exact = double(prbs) * elements * mcs.Efficiency() * peak.layers;
        test.Near(rate / formula, share * (size / exact), 1e-6, std::string(peak.name) + ": the distance");
        test.Near(share, 1, 0.01, std::string(peak.name) + ": as much overhead as the formula has");
        test.Near(rate / formula, 1, 0.025, std::string(peak.name) + ": rate");
    }
}

/// One small packet, put in half a slot before a boundary. \return the slot at whose start it came out, after it
int SlotsTaken(Case& test, CellTestbed& bed, bool uplink, std::int64_t boundary) {
    const auto& numerology = bed.cell->GetNumerology();
    const std::int64_t half = numerology.MeanSlotNs() / 2;
    auto& side = uplink ? bed.up : bed.down;
    side.timesNs[0].clear();
    const auto at = ns3::NanoSeconds(numerology.SlotStartNs(boundary) - half) - ns3::Simulator::Now();
    ns3::Simulator::Schedule(at, [&bed, uplink] {
        uplink ? bed.cell->SendUp(0, ns3::Create<ns3::Packet>(100))
               : bed.cell->SendDown(0, ns3::Create<ns3::Packet>(100));
    });
    bed.Run(at.GetSeconds() + 0.3); // long enough to be idle again
    if (side.timesNs[0].size() != 1) {
        test.True(false, "one packet came out");
        return -1;
    }
    const std::int64_t out = numerology.SlotAt(side.timesNs[0][0]);
    test.True(numerology.SlotStartNs(out) == side.timesNs[0][0], "at the start of a slot");
    return static_cast<int>(out - boundary);
}

/// TS 38.214 table 5.3-1 (8, 10, 17, 20, 80, 160 symbols), and table 6.4-1 (10, 12, 23, 36, 144, 288) behind a grant of
/// one symbol, but at least 2.
int DecodingSlots(unsigned mu) {
    return mu < 2 ? 1 : mu < 4 ? 2 : mu == 5 ? 6 : 12;
}
int LeastK2(unsigned mu) {
    return mu < 3 ? 2 : mu == 3 ? 3 : mu == 5 ? 11 : 21;
}

double CarrierOf(unsigned mu) {
    return mu > 3 ? 60e9 : mu == 3 ? 28e9 : 3.5e9;
}

/// Settings under which every block is decoded at once.
Attributes StrongLink(unsigned mu, const char* pattern) {
    const double bandwidth = mu == 0 ? 20e6 : mu > 3 ? 400e6 : 100e6;
    return {Set("Numerology", mu), Set("Bandwidth", bandwidth), Set("Pattern", pattern),
            Set("GnbPower", 60.),  Set("UePower", 50.),         Set("P0", -20.)};
}

/// FDD, boundary in slot n. Down: into a block in n, on the air in n + 1, over at n + 2, decoded at n + 3 (UeDelay =
/// 1). Up: request in n, over at n + 1, acted on in n + 2; the grant is on the air in n + 3, the block in n + 5 (K2 =
/// 2), over at n + 6, read at n + 7. Half a slot of waiting before.
void DelayInFdd(Case& test) {
    for (const unsigned mu : {0u, 1u, 2u, 3u, 5u, 6u}) {
        CellTestbed bed({.deployment = "Clarke", .frequency = CarrierOf(mu)}, StrongLink(mu, "FDD"));
        bed.Add({30, 5, 1.5});
        std::int64_t slot = 100ll << mu;
        for (int n = 0; n < 3; ++n) {
            slot += 1000ll << mu;
            test.True(SlotsTaken(test, bed, false, slot + n) == 2 + DecodingSlots(mu),
                      "down, mu " + std::to_string(mu));
            slot += 1000ll << mu;
            test.True(SlotsTaken(test, bed, true, slot + n) == 5 + LeastK2(mu), "up, mu " + std::to_string(mu));
        }
    }
}

/// DDDSU: slots 3 (S: two symbols of uplink, for requests) and 4 (U) of five have uplink, 0 to 3 downlink. Down: as in
/// FDD, but what would go out in the U waits for one more. Up: whatever the boundary n, the request in slot 3 or 4 is
/// acted on in slot 5 or 6; the U in slot 9 is granted by the last downlink slot two before it, 7, decided in 6; the
/// block is read at 11.
void DelayInTdd(Case& test) {
    for (const unsigned mu : {0u, 1u, 2u, 3u}) {
        CellTestbed bed({.deployment = "Clarke", .frequency = CarrierOf(mu)}, StrongLink(mu, "DDDSU"));
        bed.Add({30, 5, 1.5});
        const int down[] = {3, 3, 3, 4, 3};
        // With K2 of 3, a request of slot 4, acted on in 6, is too late for slot 9: it is granted in 6 at the latest.
        // With 11 and 21, slots 19 and 29 are the first to be granted, in slot 8.
        using Slots = std::array<int, 5>;
        const Slots up = mu < 3    ? Slots{11, 10, 9, 8, 7}
                         : mu == 3 ? Slots{11, 10, 9, 8, 12}
                         : mu == 5 ? Slots{21, 20, 19, 18, 17}
                                   : Slots{31, 30, 29, 28, 27};
        std::int64_t slot = 100ll << mu;
        for (int n = 0; n < 5; ++n) {
            slot += 1000ll << mu;
            test.True(SlotsTaken(test, bed, false, slot + n) == down[n] + DecodingSlots(mu) - 1,
                      "down from slot " + std::to_string(n));
            slot += 1000ll << mu;
            test.True(SlotsTaken(test, bed, true, slot + n) == up[n], "up from slot " + std::to_string(n));
        }
    }
}

/// First transmissions fail as often as the outer loop aims at; a second one seldom fails.
void ErrorRates(Case& test) {
    for (const bool uplink : {false, true}) {
        CellTestbed bed({.deployment = "UMi", .los = "Never", .frequency = 3.5e9},
                        {Set("Bandwidth", 20e6), Set("GnbPower", 30.), Set("Scheduler", "rr")});
        bed.Add({120, 40, 1.5}, {0, 1, 0});
        bed.Add({90, -70, 1.5}, {1, 0, 0});
        bed.Fill(uplink);
        bed.Run(2.5);
        double first = 0, firstLost = 0, second = 0, secondLost = 0, sumBler = 0;
        for (const auto& block : bed.blocks) {
            if ((block.uplink != 0) != uplink || block.time_ns < 500'000'000 || block.bits < 1000) {
                continue;
            }
            (block.attempt == 1 ? first : second) += block.attempt <= 2;
            (block.attempt == 1 ? firstLost : secondLost) += block.attempt <= 2 && !block.received;
            sumBler += block.attempt == 1 ? block.bler : 0;
        }
        const std::string what = uplink ? "up: " : "down: ";
        test.True(first > 800, what + "blocks: " + std::to_string(first));
        test.Near(firstLost / first, 0.1, 0.035, what + "first transmissions at the target");
        test.Near(sumBler / first, firstLost / first, 0.03, what + "lost as often as the error rates say");
        test.True(secondLost < 0.35 * second, what + "a second transmission helps: " + std::to_string(secondLost) +
                                                  " of " + std::to_string(second));
    }
}

/// With one transmission a block what is lost stays lost (UM); with four nearly nothing does, and incremental
/// redundancy leaves no more than chase combining.
void HarqHelps(Case& test) {
    std::map<std::string, double> lost;
    for (const auto& [name, most, combining] :
         {std::tuple{"none", 1u, "ir"}, std::tuple{"ir", 4u, "ir"}, std::tuple{"chase", 4u, "chase"}}) {
        CellTestbed bed({.deployment = "UMi", .los = "Never", .frequency = 3.5e9},
                        {Set("Bandwidth", 20e6), Set("GnbPower", 30.), Set("MaxTransmissions", most),
                         Set("Combining", std::string(combining))});
        BearerSettings um;
        um.acknowledged = false;
        bed.Add({120, 40, 1.5}, {0, 10, 0}, 2, um);
        bed.Fill(false, 1000, 300'000);
        bed.Run(1);
        const auto& counters = bed.cell->DownBearer(0).counters();
        lost[name] = static_cast<double>(counters.lostPackets) /
                     static_cast<double>(counters.lostPackets + counters.deliveredPackets);
    }
    test.True(lost["none"] > 0.03, "without HARQ: " + std::to_string(lost["none"]));
    test.True(lost["ir"] < 0.2 * lost["none"] && lost["chase"] < 0.4 * lost["none"],
              "HARQ: " + std::to_string(lost["ir"]) + " " + std::to_string(lost["chase"]));
}

/// The mean over drops falls with distance.
void RateFallsWithDistance(Case& test) {
    std::vector<double> rates;
    for (const double distance : {60., 250., 900.}) {
        double sum = 0;
        for (std::int64_t drop = 0; drop < 4; ++drop) {
            CellTestbed bed({.deployment = "UMa", .los = "Never", .frequency = 3.5e9, .stream = 100 + drop},
                            {Set("Bandwidth", 20e6)});
            bed.Add({distance, 10, 1.5});
            bed.Fill(false);
            bed.Run(0.1);
            sum += static_cast<double>(bed.down.bytes[0]) * 8 / 0.1 / 4;
        }
        rates.push_back(sum);
    }
    test.True(rates[0] > 1.1 * rates[1] && rates[1] > 1.5 * rates[2] && rates[0] > 50e6,
              std::to_string(rates[0]) + " " + std::to_string(rates[1]) + " " + std::to_string(rates[2]));
}

CaseSuite cellRatesTestSuite("edgelam-nr-cell-rates", {{"peak rates", PeakRates},
                                                       {"delay in FDD", DelayInFdd},
                                                       {"delay in TDD", DelayInTdd},
                                                       {"error rates", ErrorRates},
                                                       {"HARQ helps", HarqHelps},
                                                       {"rate falls with distance", RateFallsWithDistance}});

} // namespace
