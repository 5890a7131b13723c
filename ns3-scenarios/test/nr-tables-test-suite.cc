// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// NR's tables against numbers of the standard.

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <vector>

#include "channel-link.h"
#include "channel-testbed.h"
#include "nr-frame.h"
#include "nr-transport-block.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

// Frames

void Symbols(Case& test) {
    const std::array<std::int64_t, 6> spacings{15'000, 30'000, 60'000, 120'000, 480'000, 960'000};
    std::size_t at = 0;
    for (const unsigned mu : {0U, 1U, 2U, 3U, 5U, 6U}) {
        const Numerology numerology(mu);
        const std::string name = "mu " + std::to_string(mu) + ": ";
        test.True(numerology.SubcarrierSpacingHz() == spacings.at(at++), name + "spacing");
        test.True(numerology.SlotsPerFrame() == 10U << mu, name + "slots of a frame");
        const unsigned count = 14U << mu;
        test.True(numerology.SymbolStartNs(0) == 0 && numerology.SymbolStartNs(count) == 1'000'000, name + "1 ms");
        test.True(numerology.SymbolStartNs(count / 2) == 500'000, name + "half a subframe is 0.5 ms");
        // 38.211 5.3.1: (2048 + 144) / 2^mu Ts, and 16 Ts more at the start of each half subframe.
        const double ts = 1e9 / (15'000.0 * 2048);
        for (unsigned i = 0; i < count; ++i) {
            const bool isLong = i % (count / 2) == 0;
            test.Near(static_cast<double>(numerology.SymbolStartNs(i + 1) - numerology.SymbolStartNs(i)),
                      (2192.0 / (1U << mu) + (isLong ? 16 : 0)) * ts, 1,
                      name + "length of symbol " + std::to_string(i));
        }
        std::int64_t sum = 0;
        for (std::int64_t slot = 5LL << mu; slot < 6LL << mu; ++slot) {
            sum += numerology.SlotNs(slot);
            std::int64_t symbols = 0;
            for (unsigned i = 0; i < 14; ++i) {
                symbols += numerology.SymbolNs(slot, i);
            }
            test.True(symbols == numerology.SlotNs(slot), name + "a slot is its symbols");
            const auto start = numerology.SlotStartNs(slot);
            test.True(numerology.SlotAt(start) == slot && numerology.SlotAt(start - 1) == slot - 1,
                      name + "slot at a time");
        }
        test.True(sum == 1'000'000, name + "slots of a subframe");
        test.True(numerology.SlotStartNs(std::int64_t{7} << mu) == 7'000'000, name + "subframe 7");
    }
    for (const unsigned mu : {4U, 7U}) {
        test.Refuses([&] { Numerology{mu}; }, {"numerology " + std::to_string(mu), "0, 1, 2, 3", "5 or 6"},
                     "numerology");
    }
}

void Patterns(Case& test) {
    const auto pattern = SlotPattern::Parse("DDDSU:6,4,4");
    test.True(!pattern.IsFdd() && pattern.NumSlots() == 5, "five slots");
    test.True(pattern.At(0).kind == SlotKind::Downlink && pattern.At(0).downlink == SymbolRange{0, 14} &&
                  pattern.At(0).uplink.count == 0,
              "D");
    test.True(pattern.At(8).kind == SlotKind::Special && pattern.At(8).downlink == SymbolRange{0, 6} &&
                  pattern.At(8).uplink == SymbolRange{10, 4},
              "S");
    test.True(pattern.At(1'000'004).kind == SlotKind::Uplink && pattern.At(4).downlink.count == 0, "U");
    test.True(pattern.DownlinkSymbols() == 48 && pattern.UplinkSymbols() == 18, "symbols");
    test.True(pattern.NextUplink(0) == 3 && pattern.NextUplink(0, 14) == 4 && pattern.NextUplink(5) == 8, "uplink");
    test.True(pattern.NextDownlink(3, 14) == 5 && pattern.NextDownlink(3) == 3, "downlink");
    test.True(pattern.NextUplink(0, 15) == -1, "no slot has 15");
    test.True(SlotPattern::Parse("DSUUD").At(1).uplink == SymbolRange{12, 2}, "10, 2, 2 if not said");
    const auto fdd = SlotPattern::Parse("FDD");
    test.True(fdd.IsFdd() && fdd.At(7).downlink.count == 14 && fdd.At(7).uplink.count == 14, "FDD");
    test.True(SlotPattern::Parse("S:6,2,6").NumSlots() == 1, "special slots alone");

    const auto refuses = [&](const std::string& text, const std::string& part) {
        test.Refuses([&] { SlotPattern::Parse(text); }, {"'" + text + "'", part}, text);
    };
    refuses("", "1 to 320");
    refuses(std::string(321, 'D'), "1 to 320");
    refuses("DDFSU", "'F' is none of the letters D (downlink), S (special) and U (uplink)");
    refuses("ddsu", "'d'");
    refuses("DDDD", "no uplink");
    refuses("DDDS:12,2,0", "no uplink");
    refuses("UU", "no downlink");
    refuses("SU:0,2,12", "no downlink");
    refuses("DDDU", "without a guard");
    refuses("UUD", "without a guard");
    refuses("DDDU:10,2,2", "has none");
    for (const std::string split :
         {"10,2,3", "10,2", "10,2,2,0", "10,-2,6", "", "a", "4294967300,2,8", "10, 2,2", "10;2;2"}) {
        refuses("DDDSU:" + split, "add up to 14");
    }
    refuses("DDDSU:10,0,4", "1 to 14 symbols of guard");
}

/// TS 38.213 11.1: periods of 0.5 to 10 ms that divide 20 ms, one or two of them, downlink before uplink.
void Periods(Case& test) {
    const auto check = [](const std::string& text, unsigned mu) {
        SlotPattern::Parse(text).CheckPeriod(Numerology(mu));
    };
    const auto of = [](std::size_t down, std::size_t up) {
        return std::string(down, 'D') + "S" + std::string(up, 'U');
    };
    const std::array<std::vector<std::size_t>, 7> alone{
        {{1, 2, 4, 5, 10, 20},                   // 15 kHz; two parts of 10 ms are legal, too
         {1, 2, 4, 5, 8, 10, 20, 40},            // and 0.5, 2.5 ms
         {2, 4, 5, 8, 10, 16, 20, 40, 80},       // and 1.25 ms
         {4, 5, 8, 10, 16, 20, 32, 40, 80, 160}, // and 0.625 ms
         {},
         {16, 20, 32, 40, 64, 80, 128, 160, 320},
         {32, 40, 64, 80, 128, 160, 256, 320}}};
    for (const unsigned mu : {0U, 1U, 2U, 3U, 5U, 6U}) {
        const auto& legal = alone.at(mu);
        for (std::size_t slots = 3; slots <= 320; ++slots) {
            const std::string text = of(slots - 2, 1),
                              name = std::to_string(slots) + " slots, mu " + std::to_string(mu);
            if (std::find(legal.begin(), legal.end(), slots) != legal.end()) {
                check(text, mu);
                check(of(1, slots - 2), mu);
                if (2 * slots <= 320) {
                    check(text + text, mu); // the same again is the same
                }
            } else {
                test.Refuses([&] { check(text, mu); },
                             {"'" + text + "'", "38.213 11.1", "numerology " + std::to_string(mu), " of them together"},
                             name);
            }
        }
        check("FDD", mu);
    }
    // Two parts: 2 + 3 ms, 2.5 + 2.5, 0.5 + 2; a part may be one direction alone.
    check("DDSUDDDDSU", 1);
    check("DDSUUDDDDD:6,4,4", 1);
    check("DDDSUDDSUU", 1);
    check("SDDSU:6,4,4", 1);
    check("UDDDS", 1);
    check("S:6,2,6", 1);
    check("DSUUUDSUUUDSUUU", 1); // three times 2.5 ms
    for (const auto& [text, mu, why] : std::initializer_list<std::tuple<const char*, unsigned, const char*>>{
             {"DSU", 1, "1.5 ms"},
             {"DDDSUU", 1, "3 ms do not divide 20 ms"},
             {"DDSUDDDSU", 1, "2 + 2.5 ms do not divide 20 ms"},
             {"DSSSU", 1, "three special slots"},
             {"DSUDSUDSUS", 1, "three parts"},
             {"DDDSU", 5, "0.16 ms"},
             {"DDDSU", 6, "0.08 ms"},
             {"S:6,2,6", 2, "0.25 ms"},
             {"DDDDSUUDDDDSUU", 1, "twice 3.5 ms"}}) {
        test.Refuses([&] { check(text, mu); }, {"slot pattern '", "20 ms"}, why);
    }
    test.Refuses([&] { check("DDDDSU", 1); }, {"1, 2, 4, 5, 6, 8, 10, 20 of them together", "40 slots"}, "the list");
}

// Bands

void Bands(Case& test) {
    using enum FrequencyRange;
    test.True(FrequencyRangeOf(3.5e9) == Fr1 && FrequencyRangeOf(7.125e9) == Fr1, "FR1");
    test.True(FrequencyRangeOf(10e9) == Fr3 && FrequencyRangeOf(24.2e9) == Fr3, "FR3");
    test.True(FrequencyRangeOf(24.25e9) == Fr2_1 && FrequencyRangeOf(28e9) == Fr2_1, "FR2-1");
    test.True(FrequencyRangeOf(60e9) == Fr2_2 && FrequencyRangeOf(71e9) == Fr2_2, "FR2-2");
    test.True(FrequencyRangeOf(71.1e9) == SubThz && FrequencyRangeOf(300e9) == SubThz, "above 71 GHz");
    for (const double wrong : {0.0, 409e6, 450.1e9, std::nan("")}) {
        test.Refuses([&] { FrequencyRangeOf(wrong); }, {"410e6 to 450e9 Hz"}, "frequency");
    }
    test.True(NumerologiesOf(Fr1) == std::vector{0U, 1U, 2U} && NumerologiesOf(Fr3) == std::vector{1U, 2U} &&
                  NumerologiesOf(Fr2_1) == std::vector{2U, 3U} && NumerologiesOf(Fr2_2) == std::vector{3U, 5U, 6U},
              "numerologies");
    const auto is = [&](FrequencyRange range, unsigned mu, double mhz, unsigned expected) {
        test.True(NumResourceBlocks(range, mu, mhz * 1e6) == expected,
                  NameOf(range) + " mu " + std::to_string(mu) + " " + std::to_string(mhz) + " MHz");
    };
    is(Fr1, 0, 20, 106);
    is(Fr1, 0, 50, 270);
    is(Fr1, 1, 40, 106);
    is(Fr1, 1, 100, 273);
    is(Fr1, 2, 100, 135);
    is(Fr3, 1, 100, 273);
    is(Fr3, 1, 400, 1092);
    is(Fr3, 2, 200, 270);
    is(Fr2_1, 3, 100, 66);
    is(Fr2_1, 3, 400, 264);
    is(Fr2_2, 5, 1600, 248);
    is(Fr2_2, 6, 2000, 148);
    is(SubThz, 6, 2000, 148);
    is(SubThz, 6, 4000, 296);
    is(SubThz, 5, 3200, 496);
    // Everywhere: what is occupied fits, with a guard band, and fills 75 % or more.
    for (const auto range : {Fr1, Fr3, Fr2_1, Fr2_2, SubThz}) {
        for (const unsigned mu : NumerologiesOf(range)) {
            unsigned before = 0;
            for (const unsigned mhz : BandwidthsMhz(range, mu)) {
                const unsigned blocks = NumResourceBlocks(range, mu, mhz * 1e6);
                const double share =
                    blocks * 12 * static_cast<double>(Numerology(mu).SubcarrierSpacingHz()) / (mhz * 1e6);
                test.True(share > 0.75 && share < 0.985 && blocks > before,
                          NameOf(range) + " " + std::to_string(mhz) + " MHz is used to " + std::to_string(share));
                before = blocks;
            }
        }
    }
    test.Refuses([] { NumResourceBlocks(Fr1, 3, 100e6); }, {"numerology 3", "FR1 has 0, 1 or 2"}, "numerology");
    test.Refuses([] { NumResourceBlocks(Fr1, 0, 100e6); }, {"bandwidth 100 MHz", "numerology 0", "45 or 50 MHz"},
                 "too wide");
    test.Refuses([] { NumResourceBlocks(Fr2_2, 6, 100e6); }, {"400, 800, 1600 or 2000 MHz"}, "too narrow");
    test.Refuses([] { NumResourceBlocks(Fr1, 1, 55e6); }, {"bandwidth 55 MHz", "50, 60"}, "between");
    test.Refuses([] { NumResourceBlocks(Fr1, 1, std::nan("")); }, {"nan"}, "nan");
}

// Modulation

void Modulation(Case& test) {
    for (const unsigned number : {1U, 2U, 3U, 4U}) {
        const auto table = McsTableOf(number);
        const auto cqi = static_cast<CqiTable>(number);
        const std::string name = "table " + std::to_string(number) + ": ";
        for (unsigned i = 1; i < NumMcs(table); ++i) {
            // 16QAM 658 and 64QAM 438 carry nearly the same.
            test.True(McsAt(table, i).Efficiency() > McsAt(table, i - 1).Efficiency() - 0.004, name + "ascending");
            test.True(HighestMcs(table, McsAt(table, i).Efficiency()) == i ||
                          McsAt(table, i + 1).Efficiency() < McsAt(table, i).Efficiency(),
                      name + "MCS of its own efficiency");
        }
        for (unsigned i = 1; i <= 15; ++i) {
            test.True(HighestCqi(cqi, CqiAt(cqi, i).Efficiency()) == i, name + "CQI of its own efficiency");
            const unsigned mcs = McsOfCqi(table, cqi, i);
            test.True(mcs == 0 || McsAt(table, mcs).Efficiency() <= CqiAt(cqi, i).Efficiency(), name + "not above");
            test.True(mcs + 1 == NumMcs(table) || McsAt(table, mcs + 1).Efficiency() > CqiAt(cqi, i).Efficiency(),
                      name + "the highest");
        }
        test.True(McsOfCqi(table, cqi, 0) == 0 && HighestCqi(cqi, 0.05) == 0, name + "out of range");
        test.True(McsOfCqi(table, cqi, 15) == NumMcs(table) - 1, name + "the best CQI gives the highest MCS");
        test.Refuses([&] { McsAt(table, NumMcs(table)); }, {"table " + std::to_string(number), "0 to 2"}, "MCS");
        test.Refuses([&] { CqiAt(cqi, 16); }, {"CQI 16", "1 to 15"}, "CQI");
        test.Refuses([&] { CqiAt(cqi, 0); }, {"CQI 0"}, "CQI");
    }
    test.Refuses([] { McsTableOf(5); }, {"MCS table 5", "1 (64QAM)"}, "table");
    // Efficiencies as printed in TS 38.214
    test.Near(McsAt(McsTable::Qam64, 17).Efficiency(), 2.5664, 5e-5, "table 1");
    test.Near(McsAt(McsTable::Qam256, 20).Efficiency(), 5.3320, 5e-5, "table 2");
    test.Near(McsAt(McsTable::Qam256, 27).Efficiency(), 7.4063, 5e-5, "table 2");
    test.Near(McsAt(McsTable::Qam64LowEfficiency, 0).Efficiency(), 0.0586, 5e-5, "table 3");
    test.Near(McsAt(McsTable::Qam1024, 26).Efficiency(), 9.2578, 5e-5, "table 4");
    test.Near(CqiAt(CqiTable::Qam256, 12).Efficiency(), 5.5547, 5e-5, "CQI table 2");
    test.Near(CqiAt(CqiTable::Qam1024, 14).Efficiency(), 8.3301, 5e-5, "CQI table 4");
    test.True(McsOfCqi(McsTable::Qam256, CqiTable::Qam256, 7) == 11, "CQI 7");
    // Table 5.2.2.1-1: differences of 0, 1, 2 and more, -1 and less.
    using Pair = std::pair<unsigned, unsigned>;
    for (const auto& [subband, reported] :
         {Pair{1, 6}, Pair{5, 6}, Pair{6, 6}, Pair{7, 7}, Pair{8, 8}, Pair{9, 9}, Pair{10, 9}, Pair{15, 9}}) {
        test.True(ReportedCqi(subband, 7) == reported, "sub-band CQI " + std::to_string(subband) + " beside 7");
    }
}

// Transport blocks

constexpr Mcs Scheme(unsigned bits, double rate) {
    return {static_cast<std::uint8_t>(bits), static_cast<std::uint16_t>(2 * rate)};
}

void TransportBlocks(Case& test) {
    const auto is = [&](unsigned prbs, unsigned symbols, unsigned dmrs, const Mcs& mcs, unsigned layers,
                        unsigned expected) {
        const unsigned size = TransportBlockSize(NumResourceElements(prbs, symbols, dmrs), mcs, layers);
        test.True(size == expected, std::to_string(size) + " bits instead of " + std::to_string(expected));
    };
    // Reference channels of TS 38.521-4
    is(52, 12, 18, Scheme(2, 308), 1, 3904);
    is(6, 12, 12, Scheme(2, 308), 1, 480);
    is(52, 7, 12, Scheme(2, 308), 1, 2280);
    is(52, 12, 12, Scheme(2, 602), 1, 8064);
    is(273, 13, 12, McsAt(McsTable::Qam256, 27), 4, 1'179'864);

    test.True(NumResourceElements(10, 14, 6) == 1560, "at most 156 resource elements");
    test.True(NumResourceElements(10, 14, 12, 18) == 1380, "with overhead");
    test.Refuses([] { NumResourceElements(0, 12, 12); }, {"0 resource blocks"}, "no blocks");
    test.Refuses([] { NumResourceElements(5, 15, 12); }, {"15 symbols", "1 to 14"}, "symbols");
    test.Refuses([] { NumResourceElements(5, 2, 12, 12); }, {"DMRS", "fewer than the 24"}, "nothing left");
    test.Refuses([] { NumResourceElements(5, 12, 12, 5); }, {"overhead of 5", "0, 6, 12 or 18"}, "overhead");
    test.Refuses([] { TransportBlockSize(100, Scheme(2, 308), 5); }, {"5 layers", "1 to 4"}, "layers");
    test.Refuses([] { TransportBlockSize(0, Scheme(2, 308), 1); }, {"0 resource elements"}, "no elements");
}

/// Grows with everything, stays close to what the code rate says, and cuts into equal code blocks.
void Segmentation(Case& test) {
    for (const unsigned number : {1U, 2U, 3U, 4U}) {
        const auto table = McsTableOf(number);
        for (unsigned index = 0; index < NumMcs(table); ++index) {
            const auto& mcs = McsAt(table, index);
            for (const unsigned layers : {1U, 4U}) {
                unsigned before = 0;
                for (unsigned prbs = 1; prbs <= 273; prbs += prbs < 20 ? 1 : 11) {
                    const unsigned elements = NumResourceElements(prbs, 12, 12);
                    const unsigned size = TransportBlockSize(elements, mcs, layers);
                    const double info = elements * layers * mcs.Efficiency();
                    // 7.6 % is half the widest step of the table (984 to 1032: 4.9 %), of 2^n and of filling C blocks.
                    test.True(size >= before && (info < 100 || std::abs(size - info) < 0.076 * info),
                              std::to_string(size) + " bits for " + std::to_string(info));
                    before = size;
                    const auto cut = Segment(size, mcs);
                    test.True(cut.count * cut.infoBits == size + cut.transportCrc + cut.count * cut.codeBlockCrc,
                              "code blocks add up");
                    test.True((cut.count > 1) == (cut.codeBlockCrc == 24), "CRC of several code blocks");
                    test.True(cut.infoBits <= cut.paddedBits && cut.infoBits <= (cut.baseGraph == 1 ? 8448U : 3840U),
                              "a code block fits");
                    test.True(cut.liftingSize >= 2 && cut.liftingSize <= 384, "lifting size");
                    test.True(cut.transportCrc == (size > 3824 ? 24U : 16U), "CRC");
                }
            }
        }
    }
    // By hand, TS 38.212 5.2.2: A = 1,179,864: B = 1,179,888; C = ceil(B / 8424) = 141; K' = (B + 141 x 24) / 141 =
    // 8392; Zc = 384 (352 x 22 = 7744 is too small).
    const auto cut = Segment(1'179'864, McsAt(McsTable::Qam256, 27));
    test.True(cut.baseGraph == 1 && cut.count == 141 && cut.infoBits == 8392 && cut.liftingSize == 384 &&
                  cut.paddedBits == 8448 && cut.bufferBits == 66 * 384 - 56,
              "the largest");
    // Limited-buffer rate matching, TS 38.212 5.4.2.1, by hand: the largest block of 273 resource blocks and 4 layers
    // of 256QAM at 948/1024 has 1,277,992 bits; N_ref = 1,277,992 x 3/2 / 141 = 13,595 of N = 25,344.
    test.True(LimitedBufferBits(McsTable::Qam256, 273, 4) == 1'277'992 / 2 * 3, "the limit");
    test.True(LimitedBufferBits(McsTable::Qam256, 240, 4) == 1'277'992 / 2 * 3, "of 218 to 273 resource blocks");
    test.True(LimitedBufferBits(McsTable::Qam256, 273, 2) < 1'277'992 / 2 * 3, "of fewer layers");
    const auto limited = Segment(1'179'864, McsAt(McsTable::Qam256, 27), LimitedBufferBits(McsTable::Qam256, 273, 4));
    test.True(limited.bufferBits == 13'595 - 56 && limited.infoBits == cut.infoBits, "a shorter buffer");
    test.True(Segment(8064, Scheme(2, 602), 1'916'988).bufferBits == Segment(8064, Scheme(2, 602)).bufferBits,
              "a small block has all of it");
    // A = 480, R = 0.3: graph 2, B = 496, Kb = 8, Zc = 64 (8 x 60 = 480 is too small), K = 640.
    const auto small = Segment(480, Scheme(2, 308));
    test.True(small.baseGraph == 2 && small.count == 1 && small.infoBits == 496 && small.liftingSize == 64 &&
                  small.paddedBits == 640 && small.bufferBits == 50 * 64 - 144,
              "a small one");
    test.True(Segment(292, Scheme(6, 948)).baseGraph == 2 && Segment(304, Scheme(6, 948)).baseGraph == 1 &&
                  Segment(3824, Scheme(4, 658)).baseGraph == 2 && Segment(3840, Scheme(4, 658)).baseGraph == 1 &&
                  Segment(3824, Scheme(4, 690)).baseGraph == 1 && Segment(3848, Scheme(2, 251)).baseGraph == 2,
              "base graphs");
    test.Refuses([] { Segment(0, Scheme(2, 308)); }, {"0 bits"}, "empty");
    test.Refuses([] { Segment(20'000, Scheme(6, 948)); }, {"20000", "3 code blocks"}, "not a size");
}

void PeakRates(Case& test) {
    using enum FrequencyRange;
    const auto is = [&](FrequencyRange range, Direction direction, unsigned mu, double mhz, unsigned layers,
                        unsigned bits, double expectedMbps) {
        test.Near(PeakRateBps(range, direction, mu, NumResourceBlocks(range, mu, mhz * 1e6), layers, bits) / 1e6,
                  expectedMbps, 0.1, "38.306 4.1.2: " + std::to_string(mhz) + " MHz");
    };
    is(Fr1, Direction::Downlink, 1, 100, 4, 8, 2337.0);
    is(Fr1, Direction::Uplink, 1, 100, 1, 8, 625.0);
    is(Fr1, Direction::Downlink, 1, 40, 4, 8, 907.4);
    is(Fr1, Direction::Downlink, 0, 20, 2, 8, 226.9);
    test.Near(PeakRateBps(Fr2_1, Direction::Downlink, 3, 264, 2, 6) / 1e6, 3232, 0.5, "FR2, 400 MHz");
}

class NrTablesTestSuite : public ns3::TestSuite {
  public:
    NrTablesTestSuite() : TestSuite("edgelam-nr-tables", Type::UNIT) {
        const auto add = [this](const std::string& name, std::function<void(Case&)> body) {
            AddTestCase(new Case(name, std::move(body)), ns3::TestCase::Duration::QUICK);
        };
        add("symbols and slots", Symbols);
        add("slot patterns", Patterns);
        add("periods of patterns", Periods);
        add("bands and bandwidths", Bands);
        add("MCS and CQI", Modulation);
        add("transport block sizes", TransportBlocks);
        add("segmentation", Segmentation);
        add("peak rates", PeakRates);
    }
};

const NrTablesTestSuite g_nrTablesTestSuite;

} // namespace
