// SPDX-License-Identifier: GPL-2.0-only
#include "nr-harq.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrHarq");

namespace edgelam::nr {

namespace {

// TS 38.212 table 5.4.2.1-2: where versions 0 to 3 begin, as a part of the buffer.
constexpr std::array<double, 4> starts1{0, 17.0 / 66, 33.0 / 66, 56.0 / 66},
    starts2{0, 13.0 / 50, 25.0 / 50, 43.0 / 50};

} // namespace

void SoftBuffer::Add(double sinr, double codedBits, unsigned redundancyVersion) {
    if (redundancyVersion > 3) {
        throw std::invalid_argument("redundancy version " + std::to_string(redundancyVersion) + ": must be 0 to 3");
    }
    if (!(codedBits > 0)) {
        throw std::invalid_argument(std::to_string(codedBits) + " coded bits: must be more than 0");
    }
    if (m_count == max_transmissions) {
        throw std::invalid_argument("transmission 17 of a block: there may be 1 to 16");
    }
    m_transmissions[m_count++] = {sinr, codedBits, redundancyVersion};
}

double SoftBuffer::ErrorRate(const ErrorModel& model, const CodeBlocks& blocks, unsigned bitsPerSymbol) const {
    if (m_count == 0) {
        return 1;
    }
    // Positions are parts of the buffer, 0 to 1. Each transmission covers all of it `turns` times and then `rest` more
    // from its start; between two neighbouring borders all positions have the same SINR.
    struct Cover {
        double begin, end, sinr;
    };
    std::array<Cover, 2 * max_transmissions> covers;
    std::array<double, 4 * max_transmissions + 2> borders{0, 1};
    std::size_t numCovers = 0, numBorders = 2;
    double everywhere = 0;
    for (unsigned i = 0; i < m_count; ++i) {
        const auto& sent = m_transmissions[i];
        const double length = sent.codedBits / blocks.count / blocks.bufferBits, turns = std::floor(length);
        everywhere += turns * sent.sinr;
        const double begin = (blocks.baseGraph == 1 ? starts1 : starts2)[sent.version], end = begin + length - turns;
        covers[numCovers++] = {begin, std::min(end, 1.0), sent.sinr};
        if (end > 1) {
            covers[numCovers++] = {0, end - 1, sent.sinr};
        }
    }
    for (std::size_t i = 0; i < numCovers; ++i) {
        borders[numBorders++] = covers[i].begin;
        borders[numBorders++] = covers[i].end;
    }
    std::sort(borders.begin(), borders.begin() + static_cast<std::ptrdiff_t>(numBorders));
    std::array<ErrorModel::Part, 4 * max_transmissions + 2> parts;
    std::size_t numParts = 0;
    for (std::size_t i = 1; i < numBorders; ++i) {
        const double length = borders[i] - borders[i - 1], middle = (borders[i] + borders[i - 1]) / 2;
        double sinr = everywhere;
        for (std::size_t j = 0; j < numCovers; ++j) {
            sinr += covers[j].begin < middle && middle < covers[j].end ? covers[j].sinr : 0;
        }
        if (length > 0 && sinr > 0) {
            parts[numParts++] = {length * blocks.bufferBits / bitsPerSymbol, sinr};
        }
    }
    if (numParts == 0) {
        return 1;
    }
    const double lost = AnyLost(
        model.CodeBlockErrorRate(bitsPerSymbol, blocks.infoBits, std::span(parts).first(numParts)), blocks.count);
    NS_LOG_LOGIC("block of " << blocks.transportBits << " bits in " << blocks.count << " code blocks, after " << m_count
                             << " transmissions: lost with probability " << lost);
    return lost;
}

void CombineChase(std::span<float> sum, std::span<const float> sinr) {
    if (sum.size() != sinr.size()) {
        throw std::invalid_argument("chase combining of " + std::to_string(sinr.size()) + " SINRs with " +
                                    std::to_string(sum.size()) + ": a retransmission must be as long as the first");
    }
    for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] += sinr[i];
    }
}

} // namespace edgelam::nr
