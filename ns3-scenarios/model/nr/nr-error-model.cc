// SPDX-License-Identifier: GPL-2.0-only
#include "nr-error-model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <string>
#include <vector>

namespace edgelam::nr {

namespace {

struct BetaRow {
    unsigned bitsPerSymbol;
    double rate; ///< R x 1024
    double beta;
};

// Lagen et al. 2020. Tables 1 and 2 have the same beta where they have the same scheme.
constexpr BetaRow beta_rows[] = {
    {2, 120, 1.60},   {2, 157, 1.61},  {2, 193, 1.63},  {2, 251, 1.65},   {2, 308, 1.67},   {2, 379, 1.70},
    {2, 449, 1.73},   {2, 526, 1.76},  {2, 602, 1.79},  {2, 679, 1.82},   {4, 340, 3.97},   {4, 378, 4.27},
    {4, 434, 4.71},   {4, 490, 5.16},  {4, 553, 5.66},  {4, 616, 6.16},   {4, 658, 6.50},   {6, 438, 9.95},
    {6, 466, 10.97},  {6, 517, 12.92}, {6, 567, 14.96}, {6, 616, 17.06},  {6, 666, 19.33},  {6, 719, 21.85},
    {6, 772, 24.51},  {6, 822, 27.14}, {6, 873, 29.94}, {6, 910, 32.05},  {6, 948, 34.28},  {8, 682.5, 56.48},
    {8, 711, 65.00},  {8, 754, 78.58}, {8, 797, 92.48}, {8, 841, 106.27}, {8, 885, 118.74}, {8, 916.5, 126.36},
    {8, 948, 132.54},
};

/// Linear in the code rate between the rows of a constellation, constant beyond them.
double BetaOf(unsigned bitsPerSymbol, double rate) {
    const BetaRow* below = nullptr;
    for (const auto& row : beta_rows) {
        if (row.bitsPerSymbol != bitsPerSymbol) {
            continue;
        }
        if (row.rate >= rate) {
            return below == nullptr || row.rate == rate
                       ? row.beta
                       : std::lerp(below->beta, row.beta, (rate - below->rate) / (row.rate - below->rate));
        }
        below = &row;
    }
    return below->beta;
}

struct GapRow {
    unsigned bitsPerSymbol;
    double rate; ///< information bits over different coded bits
    double gapDb;
};

// Measured; see LdpcGapDb. Less what short code blocks are farther away.
constexpr GapRow gap_rows[] = {
    {2, 0.2, 0.53},    {2, 0.247, 0.49},  {2, 0.321, 0.42},  {2, 0.37, 0.48},  {2, 0.438, 0.42}, {2, 0.516, 0.41},
    {2, 0.584, 0.40},  {2, 0.665, 0.48},  {4, 0.333, 0.56},  {4, 0.372, 0.57}, {4, 0.43, 0.73},  {4, 0.478, 0.55},
    {4, 0.546, 0.55},  {4, 0.604, 0.50},  {4, 0.644, 0.43},  {6, 0.429, 0.67}, {6, 0.455, 0.67}, {6, 0.507, 0.65},
    {6, 0.559, 0.67},  {6, 0.598, 0.53},  {6, 0.65, 0.56},   {6, 0.701, 0.53}, {6, 0.753, 0.52}, {6, 0.805, 0.49},
    {6, 0.858, 0.34},  {6, 0.883, 0.41},  {6, 0.935, 0.58},  {8, 0.662, 0.61}, {8, 0.702, 0.65}, {8, 0.74, 0.57},
    {8, 0.779, 0.62},  {8, 0.818, 0.50},  {8, 0.876, 0.45},  {8, 0.895, 0.53}, {8, 0.935, 0.59}, {10, 0.795, 0.59},
    {10, 0.842, 0.53}, {10, 0.888, 0.52}, {10, 0.935, 0.70},
};
constexpr double short_gap_db = 6; ///< over the root of the information bits, beyond that of long_block
constexpr double long_block = 2500;

using Lanes = float __attribute__((vector_size(16)));
using IntLanes = std::int32_t __attribute__((vector_size(16)));
constexpr std::size_t num_lanes = 4;

/// exp(-x) for x >= 0 to 3e-7 relative, 1 for 0: 2^-(i + f) with f in [-1/2, 1/2].
inline Lanes ExpOfMinus(Lanes x) {
    const Lanes limit = Lanes{} + 87.0F;
    x = x > limit ? limit : x;
    const Lanes y = x * std::numbers::log2e_v<float>;
    const IntLanes i = __builtin_convertvector(y + 0.5F, IntLanes);
    const Lanes f = (__builtin_convertvector(i, Lanes) - y) * std::numbers::ln2_v<float>;
    const Lanes series =
        1 + f * (1 + f * (1.0F / 2 + f * (1.0F / 6 + f * (1.0F / 24 + f * (1.0F / 120 + f * (1.0F / 720))))));
    return series * std::bit_cast<Lanes>((127 - i) << 23);
}

inline Lanes Load(const float* from) {
    Lanes lanes;
    __builtin_memcpy(&lanes, from, sizeof lanes);
    return lanes;
}

constexpr float largest_sinr = 1e9F; // 90 dB: stands for infinity too

// Gauss-Hermite abscissas and weights for the mean over a standard normal variable, by Newton's method on the
// orthonormal Hermite functions.
constexpr unsigned num_nodes = 32;
struct Nodes {
    std::array<double, num_nodes> at{}, weight{};
};

Nodes MakeNodes() {
    Nodes nodes;
    constexpr int n = num_nodes;
    // Between the zeros of H_n the function changes sign, so zeros are bracketed on a fine grid and then refined.
    const auto evaluate = [](double x, double& derivative) {
        double before = 0, now = std::pow(std::numbers::pi, -0.25);
        for (int j = 0; j < n; ++j) {
            const double next = x * std::sqrt(2.0 / (j + 1)) * now - std::sqrt(j / (j + 1.0)) * before;
            before = now;
            now = next;
        }
        derivative = std::sqrt(2.0 * n) * before;
        return now;
    };
    const double edge = std::sqrt(2.0 * n + 1), step = edge / 4096;
    double slope = 0, last = evaluate(-edge, slope);
    unsigned found = 0;
    for (double x = -edge + step; found < num_nodes; x += step) {
        const double value = evaluate(x, slope);
        if (last * value <= 0) {
            double zero = x - step / 2;
            for (int i = 0; i < 20; ++i) {
                const double here = evaluate(zero, slope);
                zero -= here / slope;
            }
            evaluate(zero, slope);
            nodes.at[found] = zero * std::numbers::sqrt2;
            nodes.weight[found] = 2 / (slope * slope) / std::sqrt(std::numbers::pi);
            ++found;
        }
        last = value;
    }
    return nodes;
}

// Table of C and V against SINR in dB.
constexpr double table_first_db = -30, table_last_db = 45, table_step_db = 0.25;
constexpr auto table_size = static_cast<std::size_t>((table_last_db - table_first_db) / table_step_db) + 1;
using Table = std::array<SymbolInformation, table_size>;

const std::array<Table, 5>& Tables() {
    static const auto tables = [] {
        std::array<Table, 5> result{};
        for (unsigned i = 0; i < result.size(); ++i) {
            for (std::size_t j = 0; j < table_size; ++j) {
                const double db = table_first_db + static_cast<double>(j) * table_step_db;
                result[i][j] = IntegrateSymbolInformation(2 * (i + 1), std::pow(10, db / 10));
            }
        }
        return result;
    }();
    return tables;
}

} // namespace

double EesmBeta(McsTable table, unsigned mcs) {
    const auto& scheme = McsAt(table, mcs);
    const double rate = 1024 * scheme.CodeRate();
    return scheme.bitsPerSymbol == 10 ? 4 * BetaOf(8, rate) : BetaOf(scheme.bitsPerSymbol, rate);
}

SinrAverage::SinrAverage(double beta) : m_beta(beta) {
    if (!(beta > 0)) {
        throw std::invalid_argument("beta of " + std::to_string(beta) + " for EESM: must be greater than 0");
    }
}

void SinrAverage::Add(std::span<const float> sinr, double weight) {
    if (sinr.empty()) {
        return;
    }
    const std::size_t whole = sinr.size() / num_lanes * num_lanes;
    Lanes least = Lanes{} + largest_sinr;
    for (std::size_t i = 0; i < whole; i += num_lanes) {
        const Lanes value = Load(&sinr[i]);
        least = value < least ? value : least;
    }
    float minimum = std::min({least[0], least[1], least[2], least[3]});
    for (std::size_t i = whole; i < sinr.size(); ++i) {
        minimum = std::min(minimum, sinr[i]);
    }
    const float scale = static_cast<float>(1 / m_beta);
    Lanes sums{};
    for (std::size_t i = 0; i < whole; i += num_lanes) {
        sums += ExpOfMinus((Load(&sinr[i]) - minimum) * scale);
    }
    double sum = double{sums[0]} + sums[1] + sums[2] + sums[3];
    for (std::size_t i = whole; i < sinr.size(); ++i) {
        sum += double{ExpOfMinus(Lanes{} + (sinr[i] - minimum) * scale)[0]};
    }
    if (m_weight == 0 || minimum < m_least) {
        m_sum *= m_weight == 0 ? 0 : std::exp((minimum - m_least) / m_beta);
        m_least = minimum;
    }
    m_sum += weight * sum * std::exp((m_least - minimum) / m_beta);
    m_weight += weight * static_cast<double>(sinr.size());
}

double SinrAverage::Value() const {
    return m_weight == 0 ? 0 : std::max(0.0, m_least - m_beta * std::log(m_sum / m_weight));
}

double EffectiveSinr(std::span<const float> sinr, double beta) {
    SinrAverage average(beta);
    average.Add(sinr);
    return average.Value();
}

SymbolInformation IntegrateSymbolInformation(unsigned bitsPerSymbol, double sinr) {
    if (bitsPerSymbol < 2 || bitsPerSymbol > 10 || bitsPerSymbol % 2 != 0) {
        throw std::invalid_argument(std::to_string(bitsPerSymbol) +
                                    " bits per symbol: must be 2, 4, 6, 8 or 10 (QPSK to 1024QAM)");
    }
    // Square QAM (TS 38.211 5.1) is two independent Gray-labelled PAMs, each with half the power and half the noise.
    static const auto nodes = MakeNodes();
    const unsigned bits = bitsPerSymbol / 2, levels = 1U << bits;
    std::array<double, 32> level{};
    const double scale = std::sqrt(3.0 / (2.0 * (levels * levels - 1)));
    for (unsigned i = 0; i < levels; ++i) {
        level[i] = scale * (2.0 * i - (levels - 1.0));
    }
    const double noiseVariance = 1 / (2 * sinr), deviation = std::sqrt(noiseVariance);
    double mean = 0, square = 0;
    for (unsigned sent = 0; sent < levels / 2; ++sent) { // the others by symmetry
        for (unsigned node = 0; node < num_nodes; ++node) {
            const double received = level[sent] + deviation * nodes.at[node];
            double exponents[32], closest = -1e300;
            for (unsigned i = 0; i < levels; ++i) {
                const double distance = received - level[i];
                exponents[i] = -distance * distance / (2 * noiseVariance);
                closest = std::max(closest, exponents[i]);
            }
            double all = 0, alike[5]{};
            for (unsigned i = 0; i < levels; ++i) {
                if (exponents[i] - closest < -60) { // nothing in double precision
                    continue;
                }
                const double likelihood = std::exp(exponents[i] - closest);
                all += likelihood;
                const unsigned differing = (i ^ (i >> 1)) ^ (sent ^ (sent >> 1));
                for (unsigned bit = 0; bit < bits; ++bit) {
                    alike[bit] += (differing >> bit & 1U) == 0 ? likelihood : 0;
                }
            }
            double information = bits;
            for (unsigned bit = 0; bit < bits; ++bit) {
                information -= std::log2(all / std::max(alike[bit], 1e-300));
            }
            mean += nodes.weight[node] * information;
            square += nodes.weight[node] * information * information;
        }
    }
    mean /= levels / 2;
    square /= levels / 2;
    return {2 * mean, 2 * std::max(0.0, square - mean * mean)};
}

double AnyLost(double errorRate, unsigned count) {
    return count == 1 ? errorRate : -std::expm1(count * std::log1p(-errorRate));
}

ErrorModel::ErrorModel(double gapDb) : m_gapDb(gapDb) {
    if (gapDb != ldpc && !(gapDb >= 0 && gapDb <= 10)) {
        throw std::invalid_argument("implementation gap of " + std::to_string(gapDb) +
                                    " dB: must be 0 to 10 dB, or -1 for that of LDPC codes");
    }
    Tables(); // now rather than in the first slot
}

double ErrorModel::LdpcGapDb(unsigned bitsPerSymbol, double infoBits, double rate) {
    const GapRow* below = nullptr;
    double gapDb = 0;
    for (const auto& row : gap_rows) {
        if (row.bitsPerSymbol != bitsPerSymbol) {
            continue;
        }
        gapDb = row.gapDb;
        if (row.rate >= rate) {
            if (below != nullptr) {
                gapDb = std::lerp(below->gapDb, row.gapDb, (rate - below->rate) / (row.rate - below->rate));
            }
            break;
        }
        below = &row;
    }
    return gapDb + short_gap_db * std::max(0.0, 1 / std::sqrt(infoBits) - 1 / std::sqrt(long_block));
}

SymbolInformation ErrorModel::InformationOf(unsigned bitsPerSymbol, double sinr) {
    const auto& table = Tables()[bitsPerSymbol / 2 - 1];
    const double db = 10 * std::log10(std::max(sinr, 1e-9));
    const double at = std::clamp((db - table_first_db) / table_step_db, 0.0, static_cast<double>(table_size - 1));
    const std::size_t below = std::min(static_cast<std::size_t>(at), table_size - 2);
    const double part = at - static_cast<double>(below);
    const auto &a = table[below], &b = table[below + 1];
    return {a.mean + part * (b.mean - a.mean), a.variance + part * (b.variance - a.variance)};
}

double ErrorModel::CodeBlockErrorRate(unsigned bitsPerSymbol, double infoBits, std::span<const Part> parts) const {
    double mean = 0, variance = 0, symbols = 0, gapDb = m_gapDb;
    if (gapDb == ldpc) { // symbols count by how much they tell: those of which nothing arrives do not
        double told = 0, square = 0;
        for (const auto& part : parts) {
            const double each = parts.size() == 1 ? 1 : InformationOf(bitsPerSymbol, part.sinr).mean;
            told += part.numSymbols * each;
            square += part.numSymbols * each * each;
        }
        const double alike = square > 0 ? told * told / square : 0; // symbols that tell equally much
        gapDb = LdpcGapDb(bitsPerSymbol, infoBits, alike > 0 ? infoBits / (alike * bitsPerSymbol) : 1);
    }
    const double gain = std::pow(10, -gapDb / 10);
    for (const auto& part : parts) {
        symbols += part.numSymbols;
        const auto information = InformationOf(bitsPerSymbol, part.sinr * gain);
        mean += part.numSymbols * information.mean;
        variance += part.numSymbols * information.variance;
    }
    const double surplus = mean - infoBits + 0.5 * std::log2(symbols);
    return 0.5 * std::erfc(surplus / std::sqrt(2 * std::max(variance, 1e-12 * symbols)));
}

double ErrorModel::CodeBlockErrorRate(unsigned bitsPerSymbol, double infoBits, double numSymbols, double sinr) const {
    const Part whole{numSymbols, sinr};
    return CodeBlockErrorRate(bitsPerSymbol, infoBits, std::span(&whole, 1));
}

double ErrorModel::TransportBlockErrorRate(const CodeBlocks& blocks, unsigned bitsPerSymbol, double codedBits,
                                           double sinr) const {
    const double sent = codedBits / blocks.count, turns = std::floor(sent / blocks.bufferBits);
    const double more = sent - turns * blocks.bufferBits; // bits that come once more than the others
    const Part parts[] = {{more / bitsPerSymbol, (turns + 1) * sinr},
                          {(blocks.bufferBits - more) / bitsPerSymbol, turns * sinr}};
    const std::span all(parts);
    return AnyLost(CodeBlockErrorRate(bitsPerSymbol, blocks.infoBits, turns == 0 ? all.first(1) : all), blocks.count);
}

double ErrorModel::SinrFor(double errorRate, const CodeBlocks& blocks, unsigned bitsPerSymbol, double codedBits) const {
    if (!(errorRate > 0 && errorRate < 1)) {
        throw std::invalid_argument("error rate of " + std::to_string(errorRate) + ": must be in (0, 1)");
    }
    double low = table_first_db, high = table_last_db + 10;
    const auto rate = [&](double db) {
        return TransportBlockErrorRate(blocks, bitsPerSymbol, codedBits, std::pow(10, db / 10));
    };
    if (rate(high) > errorRate) {
        return std::numeric_limits<double>::infinity();
    }
    while (high - low > 1e-6) {
        const double middle = (low + high) / 2;
        (rate(middle) > errorRate ? low : high) = middle;
    }
    return std::pow(10, high / 10);
}

} // namespace edgelam::nr
