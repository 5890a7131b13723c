// SPDX-License-Identifier: GPL-2.0-only
#include "nr-bands.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

namespace edgelam::nr {

namespace {

struct Row {
    FrequencyRange range;
    unsigned mu;
    unsigned bandwidthMhz;
    unsigned numResourceBlocks;
};

using enum FrequencyRange;

constexpr Row rows[] = {
    // TS 38.104 table 5.3.2-1
    {Fr1, 0, 3, 15},
    {Fr1, 0, 5, 25},
    {Fr1, 0, 10, 52},
    {Fr1, 0, 15, 79},
    {Fr1, 0, 20, 106},
    {Fr1, 0, 25, 133},
    {Fr1, 0, 30, 160},
    {Fr1, 0, 35, 188},
    {Fr1, 0, 40, 216},
    {Fr1, 0, 45, 242},
    {Fr1, 0, 50, 270},
    {Fr1, 1, 5, 11},
    {Fr1, 1, 10, 24},
    {Fr1, 1, 15, 38},
    {Fr1, 1, 20, 51},
    {Fr1, 1, 25, 65},
    {Fr1, 1, 30, 78},
    {Fr1, 1, 35, 92},
    {Fr1, 1, 40, 106},
    {Fr1, 1, 45, 119},
    {Fr1, 1, 50, 133},
    {Fr1, 1, 60, 162},
    {Fr1, 1, 70, 189},
    {Fr1, 1, 80, 217},
    {Fr1, 1, 90, 245},
    {Fr1, 1, 100, 273},
    {Fr1, 2, 10, 11},
    {Fr1, 2, 15, 18},
    {Fr1, 2, 20, 24},
    {Fr1, 2, 25, 31},
    {Fr1, 2, 30, 38},
    {Fr1, 2, 35, 44},
    {Fr1, 2, 40, 51},
    {Fr1, 2, 45, 58},
    {Fr1, 2, 50, 65},
    {Fr1, 2, 60, 79},
    {Fr1, 2, 70, 93},
    {Fr1, 2, 80, 107},
    {Fr1, 2, 90, 121},
    {Fr1, 2, 100, 135},
    // table 5.3.2-2
    {Fr2_1, 2, 50, 66},
    {Fr2_1, 2, 100, 132},
    {Fr2_1, 2, 200, 264},
    {Fr2_1, 3, 50, 32},
    {Fr2_1, 3, 100, 66},
    {Fr2_1, 3, 200, 132},
    {Fr2_1, 3, 400, 264},
    // table 5.3.2-3
    {Fr2_2, 3, 100, 66},
    {Fr2_2, 3, 400, 264},
    {Fr2_2, 5, 400, 66},
    {Fr2_2, 5, 800, 124},
    {Fr2_2, 5, 1600, 248},
    {Fr2_2, 6, 400, 33},
    {Fr2_2, 6, 800, 62},
    {Fr2_2, 6, 1600, 124},
    {Fr2_2, 6, 2000, 148},
    // Ours (see the header); the rest of FR3 is FR1's, and of what is above FR2-2, FR2-2's.
    {Fr3, 1, 200, 2 * 273},
    {Fr3, 1, 400, 4 * 273},
    {Fr3, 2, 200, 2 * 135},
    {Fr3, 2, 400, 4 * 135},
    {SubThz, 5, 3200, 2 * 248},
    {SubThz, 6, 3200, 2 * 124},
    {SubThz, 6, 4000, 2 * 148},
    {SubThz, 6, 6400, 4 * 124},
    {SubThz, 6, 8000, 4 * 148},
};

bool Belongs(const Row& row, FrequencyRange range) {
    return row.range == range || (range == Fr3 && row.range == Fr1 && row.mu > 0) ||
           (range == SubThz && row.range == Fr2_2 && row.mu > 3);
}

std::string Listed(const std::vector<unsigned>& values) {
    std::string text;
    for (std::size_t i = 0; i < values.size(); ++i) {
        text += (i == 0 ? "" : i + 1 == values.size() ? " or " : ", ") + std::to_string(values[i]);
    }
    return text;
}

} // namespace

std::string NameOf(FrequencyRange range) {
    switch (range) {
    case Fr1:
        return "FR1";
    case Fr3:
        return "FR3";
    case Fr2_1:
        return "FR2-1";
    case Fr2_2:
        return "FR2-2";
    default:
        return "sub-THz";
    }
}

FrequencyRange FrequencyRangeOf(double carrierHz) {
    if (!(carrierHz >= 410e6 && carrierHz <= 450e9)) {
        std::ostringstream text;
        text << "carrier frequency " << carrierHz << " Hz: must be 410e6 to 450e9 Hz";
        throw std::invalid_argument(text.str());
    }
    return carrierHz <= 7.125e9  ? Fr1
           : carrierHz < 24.25e9 ? Fr3
           : carrierHz <= 52.6e9 ? Fr2_1
           : carrierHz <= 71e9   ? Fr2_2
                                 : SubThz;
}

std::vector<unsigned> NumerologiesOf(FrequencyRange range) {
    std::vector<unsigned> result;
    for (unsigned mu = 0; mu <= 6; ++mu) {
        if (std::any_of(std::begin(rows), std::end(rows),
                        [&](const Row& row) { return Belongs(row, range) && row.mu == mu; })) {
            result.push_back(mu);
        }
    }
    return result;
}

std::vector<unsigned> BandwidthsMhz(FrequencyRange range, unsigned mu) {
    std::vector<unsigned> result;
    for (const auto& row : rows) {
        if (Belongs(row, range) && row.mu == mu) {
            result.push_back(row.bandwidthMhz);
        }
    }
    std::sort(result.begin(), result.end());
    return result;
}

unsigned NumResourceBlocks(FrequencyRange range, unsigned mu, double bandwidthHz) {
    const auto bandwidths = BandwidthsMhz(range, mu);
    if (bandwidths.empty()) {
        throw std::invalid_argument("numerology " + std::to_string(mu) + ": " + NameOf(range) + " has " +
                                    Listed(NumerologiesOf(range)));
    }
    for (const auto& row : rows) {
        if (Belongs(row, range) && row.mu == mu && bandwidthHz == row.bandwidthMhz * 1e6) {
            return row.numResourceBlocks;
        }
    }
    std::ostringstream text;
    text << "bandwidth " << bandwidthHz / 1e6 << " MHz: with numerology " << mu << ", " << NameOf(range) << " has "
         << Listed(bandwidths) << " MHz";
    throw std::invalid_argument(text.str());
}

} // namespace edgelam::nr
