// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The error model against its definition, its properties and published curves; HARQ against sums by hand.

#include <array>
#include <cmath>
#include <limits>
#include <random>

#include "channel-testbed.h"
#include "nr-error-model.h"
#include "nr-harq.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

double Linear(double db) {
    return std::pow(10, db / 10);
}

double Db(double linear) {
    return 10 * std::log10(linear);
}

void Eesm(Case& test) {
    std::mt19937 generator(3);
    std::uniform_real_distribution<float> db(-10, 30);
    for (const double beta : {1.6, 6.5, 34.28, 132.54, 530.0}) {
        for (const std::size_t count : {1UL, 3UL, 4UL, 17UL, 1092UL}) {
            const std::vector<float> same(count, 7.5F);
            test.Near(EffectiveSinr(same, beta), 7.5, 1e-6, "equal SINRs give that SINR");
            std::vector<float> mixed(count);
            double sum = 0, mean = 0;
            for (auto& value : mixed) {
                value = static_cast<float>(Linear(db(generator)));
                sum += std::exp(-value / beta) / static_cast<double>(count);
                mean += value / static_cast<double>(count);
            }
            const double effective = EffectiveSinr(mixed, beta), byHand = -beta * std::log(sum);
            test.Near(effective, byHand, 2e-5 * (byHand + 0.1), "as written");
            test.True(effective <= mean * (1 + 1e-6), "not above the mean");
            SinrAverage parts(beta);
            parts.Add(std::span(mixed).subspan(count / 3));
            parts.Add(std::span(mixed).first(count / 3));
            test.Near(parts.Value(), byHand, 2e-5 * (byHand + 0.1), "in parts");
            test.Near(parts.Weight(), static_cast<double>(count), 1e-9, "weight");
        }
    }
    // By hand: -2 ln((e^-1 + 3 e^-2) / 4)
    SinrAverage weighted(2);
    test.Near(weighted.Value(), 0, 0, "nothing added");
    weighted.Add(2, 10);
    weighted.Add(4, 30);
    test.Near(weighted.Value(), -2 * std::log((std::exp(-1) + 3 * std::exp(-2)) / 4), 1e-6, "weights");
    const std::array<float, 5> extreme{0, 1e12F, std::numeric_limits<float>::infinity(), 1e8F, 0};
    test.Near(EffectiveSinr(extreme, 1.6), -1.6 * std::log(2.0 / 5), 1e-6, "from 0 to infinity");
    test.Near(EffectiveSinr(std::vector<float>(4, 1e30F), 1.6), 1e9, 200, "very good");
    test.Refuses([] { SinrAverage{0}; }, {"beta of 0", "greater than 0"}, "beta");

    double before = 0;
    for (const unsigned number : {1U, 2U, 3U, 4U}) {
        before = 0;
        for (unsigned i = 0; i < NumMcs(McsTableOf(number)); ++i) {
            const double beta = EesmBeta(McsTableOf(number), i);
            test.True(beta >= before, "beta grows with the MCS");
            before = beta;
        }
    }
    test.Near(EesmBeta(McsTable::Qam64, 28), 34.28, 0, "table 1");
    test.Near(EesmBeta(McsTable::Qam256, 27), 132.54, 0, "table 2");
    test.Near(EesmBeta(McsTable::Qam64LowEfficiency, 0), 1.6, 0, "table 3");
    test.Near(EesmBeta(McsTable::Qam1024, 26), 4 * 132.54, 1e-9, "table 4");
}

void Capacity(Case& test) {
    for (const unsigned bits : {2U, 4U, 6U, 8U, 10U}) {
        double before = 0;
        for (double db = -20; db <= 40; db += 0.37) {
            const auto [mean, variance] = IntegrateSymbolInformation(bits, Linear(db));
            test.True(mean >= before && mean <= bits + 1e-9 && mean <= std::log2(1 + Linear(db)) + 1e-9,
                      "capacity grows, within the bits and Shannon's bound");
            test.True(variance >= 0, "variance");
            before = mean;
            // The table, linear in steps of 0.25 dB, is right to 0.01 dB or 0.0002 bits.
            const auto there = ErrorModel::InformationOf(bits, Linear(db));
            const double slope = IntegrateSymbolInformation(bits, Linear(db + 0.01)).mean - mean;
            test.Near(there.mean, mean, slope + 2e-4, "table");
        }
    }
    // BPSK's capacity is 0.4859 bit at 0 dB per dimension (0.72 at 3 dB), QPSK's twice that with half the SNR each.
    test.Near(IntegrateSymbolInformation(2, 1).mean, 2 * 0.48594, 1e-4, "QPSK at 0 dB");
    test.Near(IntegrateSymbolInformation(2, 2).mean, 2 * 0.72145, 1e-4, "QPSK at 3 dB");
    // Low SNR: C = SNR / ln 2 and V = 2 SNR / ln^2 2 for two-dimensional signals.
    const auto low = IntegrateSymbolInformation(2, 1e-3);
    test.Near(low.mean, 1e-3 / std::log(2), 2e-6, "QPSK at -30 dB");
    test.Near(low.variance, 2e-3 / (std::log(2) * std::log(2)), 2e-5, "its dispersion");
    test.Refuses([] { IntegrateSymbolInformation(3, 1); }, {"3 bits", "2, 4, 6, 8 or 10"}, "bits");
}

void ErrorRates(Case& test) {
    const ErrorModel model;
    for (const unsigned number : {1U, 2U, 3U, 4U}) {
        const auto table = McsTableOf(number);
        double last = -100;
        for (unsigned index = 0; index < NumMcs(table); ++index) {
            const auto& mcs = McsAt(table, index);
            for (const unsigned prbs : {1U, 20U, 273U}) {
                const unsigned elements = NumResourceElements(prbs, 12, 12);
                const auto blocks = Segment(TransportBlockSize(elements, mcs, 1), mcs);
                const double coded = elements * mcs.bitsPerSymbol;
                double before = 1;
                for (double db = -30; db <= 60; db += 0.5) {
                    const double rate = model.TransportBlockErrorRate(blocks, mcs.bitsPerSymbol, coded, Linear(db));
                    test.True(rate >= 0 && rate <= before + 1e-12, "falls with SINR");
                    before = rate;
                }
                test.True(before < 1e-9, "ends at 0");
                const double sinr = model.SinrFor(0.1, blocks, mcs.bitsPerSymbol, coded);
                test.Near(model.TransportBlockErrorRate(blocks, mcs.bitsPerSymbol, coded, sinr), 0.1, 1e-4, "10 %");
                if (prbs == 273) {
                    // 16QAM 658 and 64QAM 438 are nearly the same.
                    test.True(Db(sinr) > last - 0.1, "a higher MCS needs more");
                    last = Db(sinr);
                    test.True(std::log2(1 + sinr) > mcs.Efficiency(), "not better than Shannon");
                    test.True(std::log2(1 + sinr / Linear(0.7)) < 1.3 * mcs.Efficiency() + 0.05,
                              "not far from Shannon");
                }
            }
        }
    }
    // Several code blocks are lost more easily than one: 1 - (1 - p)^C.
    const auto& mcs = McsAt(McsTable::Qam64, 10);
    const auto blocks = Segment(TransportBlockSize(NumResourceElements(273, 12, 12), mcs, 1), mcs);
    const double coded = 4 * 273 * 132, sinr = 3.0;
    const double one = model.CodeBlockErrorRate(4, blocks.infoBits, coded / 4 / blocks.count, sinr);
    test.Near(model.TransportBlockErrorRate(blocks, 4, coded, sinr), 1 - std::pow(1 - one, blocks.count), 1e-9,
              "union");
    test.True(std::isinf(model.SinrFor(0.1, blocks, 4, blocks.count * blocks.infoBits * 0.99)), "code rate above 1");
    test.Refuses([] { ErrorModel{-2}; }, {"gap of -2", "0 to 10 dB"}, "gap");
    test.Refuses([] { ErrorModel{-0.5}; }, {"gap of -0.5", "0 to 10 dB"}, "gap");
    test.Refuses([] { ErrorModel{std::nan("")}; }, {"0 to 10 dB"}, "gap");
    test.Refuses([&] { model.SinrFor(1, blocks, 4, coded); }, {"error rate of 1"}, "error rate");
}

/// Error rates of LDPC code blocks in AWGN as Sionna 2.2 publishes them (sionna.sys, PDSCH_table1 and 2), with decoders
/// of fewer iterations: the model loses as many at 0.35 dB less, give or take 0.6 dB.
void PublishedCurves(Case& test) {
    struct Point {
        unsigned bits;
        double rate; ///< x 1024
        unsigned infoBits;
        double snrDb, errorRate;
    };
    constexpr Point points[] = {
        {2, 308, 100, -1.429, 0.2663},  {2, 308, 500, -1.429, 0.0890},  {2, 449, 2000, 0.357, 0.2092},
        {2, 526, 100, 2.143, 0.0923},   {2, 602, 1000, 2.143, 0.3721},  {4, 340, 100, 3.929, 0.1557},
        {4, 490, 500, 6.053, 0.1904},   {4, 490, 1000, 6.053, 0.1403},  {4, 490, 2000, 6.053, 0.1000},
        {4, 658, 100, 9.286, 0.1453},   {6, 438, 1000, 9.286, 0.0693},  {6, 517, 2000, 10.789, 0.0660},
        {6, 616, 500, 12.857, 0.1430},  {6, 666, 500, 13.947, 0.0927},  {6, 719, 2000, 14.643, 0.0577},
        {6, 822, 2000, 16.429, 0.1477}, {6, 910, 2000, 18.214, 0.2570}, {8, 682.5, 1000, 18.684, 0.1177},
        {8, 754, 1000, 20.263, 0.0910}, {8, 841, 500, 21.842, 0.2726},  {8, 885, 1000, 23.421, 0.0890},
        {8, 948, 2000, 25.0, 0.1503},
    };
    const ErrorModel model;
    double mean = 0;
    for (const auto& point : points) {
        const double symbols = point.infoBits / (point.rate / 1024) / point.bits;
        double low = -20, high = 40;
        while (high - low > 1e-4) {
            const double middle = (low + high) / 2;
            (model.CodeBlockErrorRate(point.bits, point.infoBits, symbols, Linear(middle)) > point.errorRate ? low
                                                                                                             : high) =
                middle;
        }
        test.Near(low, point.snrDb - 0.35, 0.6,
                  std::to_string(point.infoBits) + " bits, " + std::to_string(point.bits) + " x " +
                      std::to_string(point.rate));
        mean += (low - point.snrDb) / std::size(points);
    }
    test.Near(mean, -0.35, 0.15, "on average");
}

void Harq(Case& test) {
    const ErrorModel model;
    const auto& mcs = McsAt(McsTable::Qam256, 19); // 64QAM, 873
    const unsigned elements = NumResourceElements(50, 12, 12);
    const auto blocks = Segment(TransportBlockSize(elements, mcs, 1), mcs);
    const double coded = elements * 6.0, beta = EesmBeta(McsTable::Qam256, 19);
    const double alone = model.SinrFor(0.1, blocks, 6, coded);

    // Two equal transmissions with chase combining need 3 dB less each.
    std::vector<float> first(50, static_cast<float>(alone / 2)), second = first;
    CombineChase(first, second);
    test.Near(model.TransportBlockErrorRate(blocks, 6, coded, EffectiveSinr(first, beta)), 0.1, 1e-3, "3 dB");
    test.Refuses([&] { CombineChase(first, std::span(second).first(49)); }, {"49", "50"}, "not equally long");

    // So it is for redundancy version 0 twice in the buffer.
    SoftBuffer buffer;
    test.Near(buffer.ErrorRate(model, blocks, 6), 1, 0, "nothing received");
    buffer.Add(alone, coded, 0);
    test.Near(buffer.ErrorRate(model, blocks, 6), 0.1, 1e-4, "one transmission");
    buffer.Clear();
    buffer.Add(alone / 4, coded, 0);
    buffer.Add(3 * alone / 4, coded, 0);
    test.True(buffer.NumTransmissions() == 2, "two");
    test.Near(buffer.ErrorRate(model, blocks, 6), 0.1, 1e-4, "energy adds up");

    // Incremental redundancy halves the code rate instead, which is worth more at a high rate.
    const auto needed = [&](unsigned transmissions) {
        double low = -30, high = 40;
        while (high - low > 1e-4) {
            const double middle = (low + high) / 2;
            buffer.Clear();
            for (unsigned i = 0; i < transmissions; ++i) {
                buffer.Add(Linear(middle), coded, RedundancyVersion(i));
            }
            (buffer.ErrorRate(model, blocks, 6) > 0.1 ? low : high) = middle;
        }
        return low;
    };
    test.Near(needed(1), Db(alone), 1e-3, "one transmission");
    test.True(needed(2) < Db(alone) - 3.01 - 3, "more than 3 dB better than chase combining");
    // Two that do not overlap are one of twice the length: half the code rate.
    const double half = model.SinrFor(0.1, blocks, 6, 2 * coded);
    test.Near(needed(2), Db(half), 1e-3, "half the code rate");
    test.Near(needed(8) - needed(16), 10 * std::log10(2), 1e-3, "twice all versions: energy");
    // The better the retransmission, the better the whole; one of which nothing arrives does no harm, with any scheme.
    double before = 1;
    for (double db = -10; db <= 20; db += 1) {
        buffer.Clear();
        buffer.Add(alone * 0.1, coded, 0);
        buffer.Add(Linear(db), coded, 2);
        const double rate = buffer.ErrorRate(model, blocks, 6);
        test.True(rate <= before, "better retransmission");
        before = rate;
    }
    test.True(before < 1e-6, "a good retransmission saves a bad transmission");
    for (const unsigned number : {1U, 2U, 3U, 4U}) {
        const auto table = McsTableOf(number);
        for (unsigned index = 0; index < NumMcs(table); ++index) {
            const auto& scheme = McsAt(table, index);
            const auto block = Segment(TransportBlockSize(elements, scheme, 1), scheme);
            const double bits = elements * static_cast<double>(scheme.bitsPerSymbol);
            const std::string name = "table " + std::to_string(number) + " MCS " + std::to_string(index);
            buffer.Clear();
            buffer.Add(model.SinrFor(0.1, block, scheme.bitsPerSymbol, bits), bits, 0);
            double last = buffer.ErrorRate(model, block, scheme.bitsPerSymbol);
            test.Near(last, 0.1, 1e-4, name);
            for (unsigned i = 1; i < SoftBuffer::max_transmissions; ++i) {
                buffer.Add(i % 3 == 0 ? 0 : 0.01, bits, RedundancyVersion(i));
                const double rate = buffer.ErrorRate(model, block, scheme.bitsPerSymbol);
                test.True(rate <= last * 1.03, name + " with little more: " + std::to_string(rate));
                last = rate;
            }
        }
    }
    test.Refuses([&] { buffer.Add(1, coded, 0); }, {"transmission 17"}, "too many");
    buffer.Clear();
    test.Refuses([&] { buffer.Add(1, coded, 4); }, {"redundancy version 4", "0 to 3"}, "version");
    test.Refuses([&] { buffer.Add(1, 0, 0); }, {"coded bits", "more than 0"}, "no bits");
}

class NrErrorModelTestSuite : public ns3::TestSuite {
  public:
    NrErrorModelTestSuite() : TestSuite("edgelam-nr-error-model", Type::UNIT) {
        const auto add = [this](const std::string& name, std::function<void(Case&)> body) {
            AddTestCase(new Case(name, std::move(body)), ns3::TestCase::Duration::QUICK);
        };
        add("EESM", Eesm);
        add("capacity of constellations", Capacity);
        add("error rates", ErrorRates);
        add("published error rates", PublishedCurves);
        add("HARQ", Harq);
    }
};

const NrErrorModelTestSuite g_nrErrorModelTestSuite;

} // namespace
