// SPDX-License-Identifier: GPL-2.0-only
#include "nr-transport-block.h"

#include <algorithm>
#include <array>
#include <bit>
#include <stdexcept>
#include <string>

#include "channel-link.h"

namespace edgelam::nr {

namespace {

// TS 38.214 table 5.1.3.2-1
constexpr std::array<std::uint16_t, 93> small_sizes{
    24,   32,   40,   48,   56,   64,   72,   80,   88,   96,   104,  112,  120,  128,  136,  144,  152,  160,  168,
    176,  184,  192,  208,  224,  240,  256,  272,  288,  304,  320,  336,  352,  368,  384,  408,  432,  456,  480,
    504,  528,  552,  576,  608,  640,  672,  704,  736,  768,  808,  848,  888,  928,  984,  1032, 1064, 1128, 1160,
    1192, 1224, 1256, 1288, 1320, 1352, 1416, 1480, 1544, 1608, 1672, 1736, 1800, 1864, 1928, 2024, 2088, 2152, 2216,
    2280, 2408, 2472, 2536, 2600, 2664, 2728, 2792, 2856, 2976, 3104, 3240, 3368, 3496, 3624, 3752, 3824};

// TS 38.212 table 5.3.2-1, in ascending order: a x 2^j <= 384 for a of 2, 3, 5, 7, 9, 11, 13 and 15
constexpr std::array<std::uint16_t, 51> lifting_sizes{2,   3,   4,   5,   6,   7,   8,   9,   10,  11,  12,  13,  14,
                                                      15,  16,  18,  20,  22,  24,  26,  28,  30,  32,  36,  40,  44,
                                                      48,  52,  56,  60,  64,  72,  80,  88,  96,  104, 112, 120, 128,
                                                      144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352, 384};

constexpr std::uint64_t unit = 2048; // of R

constexpr std::uint64_t CeilDiv(std::uint64_t a, std::uint64_t b) {
    return (a + b - 1) / b;
}

} // namespace

unsigned NumResourceElements(unsigned numPrbs, unsigned numSymbols, unsigned dmrsPerPrb, unsigned overheadPerPrb) {
    if (numPrbs == 0) {
        throw std::invalid_argument("0 resource blocks: must be 1 or more");
    }
    if (numSymbols < 1 || numSymbols > 14) {
        throw std::invalid_argument(std::to_string(numSymbols) + " symbols: must be 1 to 14");
    }
    if (overheadPerPrb % 6 != 0 || overheadPerPrb > 18) {
        throw std::invalid_argument("overhead of " + std::to_string(overheadPerPrb) +
                                    " resource elements: must be 0, 6, 12 or 18");
    }
    if (dmrsPerPrb + overheadPerPrb >= 12 * numSymbols) {
        throw std::invalid_argument(std::to_string(dmrsPerPrb) + " resource elements of DMRS and " +
                                    std::to_string(overheadPerPrb) + " of overhead: must be fewer than the " +
                                    std::to_string(12 * numSymbols) + " of " + std::to_string(numSymbols) + " symbols");
    }
    return numPrbs * std::min(156U, 12 * numSymbols - dmrsPerPrb - overheadPerPrb);
}

unsigned TransportBlockSize(unsigned numResourceElements, const Mcs& mcs, unsigned numLayers) {
    if (numResourceElements == 0) {
        throw std::invalid_argument("0 resource elements: a transport block must have 1 or more");
    }
    if (numLayers < 1 || numLayers > 4) {
        throw std::invalid_argument(std::to_string(numLayers) + " layers: a codeword must have 1 to 4");
    }
    // N_info in units of 1/2048 bit. floor(log2 x) and floor(x / 2^n) need no fractions.
    const std::uint64_t info = std::uint64_t{numResourceElements} * mcs.rate2048 * mcs.bitsPerSymbol * numLayers;
    if (info <= 3824 * unit) {
        const std::uint64_t whole = info / unit;
        const unsigned n = std::max(3, static_cast<int>(std::bit_width(whole)) - 1 - 6);
        const std::uint64_t quantised = std::max<std::uint64_t>(24, whole >> n << n);
        return *std::lower_bound(small_sizes.begin(), small_sizes.end(), quantised);
    }
    const std::uint64_t rest = info - 24 * unit;
    const unsigned n = static_cast<unsigned>(std::bit_width(rest / unit)) - 1 - 5;
    const std::uint64_t step = unit << n;
    const std::uint64_t rounded = (2 * rest + step) / (2 * step) << n; // ties upwards
    const std::uint64_t withCrc = std::max<std::uint64_t>(3840, rounded) + 24;
    std::uint64_t blocks = 1;
    if (4 * mcs.rate2048 <= unit) {
        blocks = CeilDiv(withCrc, 3816);
    } else if (withCrc - 24 > 8424) {
        blocks = CeilDiv(withCrc, 8424);
    }
    return static_cast<unsigned>(8 * blocks * CeilDiv(withCrc, 8 * blocks) - 24);
}

CodeBlocks Segment(unsigned transportBits, const Mcs& mcs, unsigned limitedBits) {
    if (transportBits == 0) {
        throw std::invalid_argument("transport block of 0 bits: must be 24 or more");
    }
    CodeBlocks result{};
    const unsigned a = transportBits;
    result.transportBits = a;
    result.transportCrc = a > 3824 ? 24 : 16;
    // 7.2.2: R <= 0.67 and R <= 0.25
    const bool graph2 = a <= 292 || (a <= 3824 && 100 * mcs.rate2048 <= 67 * unit) || 4 * mcs.rate2048 <= unit;
    result.baseGraph = graph2 ? 2 : 1;
    const unsigned largest = graph2 ? 3840 : 8448;
    const unsigned b = a + result.transportCrc;
    unsigned total = b;
    result.count = 1;
    if (b > largest) {
        result.codeBlockCrc = 24;
        result.count = static_cast<unsigned>(CeilDiv(b, largest - 24));
        total += 24 * result.count;
    }
    if (total % result.count != 0) {
        throw std::invalid_argument("transport block of " + std::to_string(a) +
                                    " bits: must be a size of TS 38.214 5.1.3.2, which divides into " +
                                    std::to_string(result.count) + " code blocks");
    }
    result.infoBits = total / result.count;
    const unsigned columns = !graph2 ? 22 : b > 640 ? 10 : b > 560 ? 9 : b > 192 ? 8 : 6;
    result.liftingSize =
        *std::lower_bound(lifting_sizes.begin(), lifting_sizes.end(), CeilDiv(result.infoBits, columns));
    result.paddedBits = (graph2 ? 10 : 22) * result.liftingSize;
    const unsigned whole = (graph2 ? 50 : 66) * result.liftingSize;
    const unsigned buffer = limitedBits == 0 ? whole : std::min(whole, limitedBits / result.count);
    result.bufferBits = buffer - (result.paddedBits - result.infoBits);
    return result;
}

unsigned LimitedBufferBits(McsTable table, unsigned numPrbs, unsigned maxLayers) {
    constexpr std::array<unsigned, 7> sizes{32, 66, 107, 135, 162, 217, 273}; // table 5.4.2.1-1
    const auto size = std::lower_bound(sizes.begin(), sizes.end(), numPrbs);
    const Mcs highest{McsAt(table, NumMcs(table) - 1).bitsPerSymbol, 2 * 948};
    const unsigned prbs = size == sizes.end() ? numPrbs : *size; // FR3 has wider ones
    return TransportBlockSize(156 * prbs, highest, std::min(maxLayers, 4U)) / 2 * 3;
}

double PeakRateOverhead(FrequencyRange range, Direction direction) {
    const bool fr2 = IsMillimetre(range);
    if (direction == Direction::Downlink) {
        return fr2 ? 0.18 : 0.14;
    }
    return fr2 ? 0.10 : 0.08;
}

double PeakRateBps(FrequencyRange range, Direction direction, unsigned mu, unsigned numResourceBlocks,
                   unsigned numLayers, unsigned bitsPerSymbol, double scaling) {
    const double symbolsPerSecond = 14e3 * (1U << mu);
    return numLayers * bitsPerSymbol * scaling * (948.0 / 1024) * numResourceBlocks * 12 * symbolsPerSecond *
           (1 - PeakRateOverhead(range, direction));
}

} // namespace edgelam::nr
