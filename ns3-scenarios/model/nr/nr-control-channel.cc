// SPDX-License-Identifier: GPL-2.0-only
#include "nr-control-channel.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <string>

namespace edgelam::nr {

namespace {

constexpr unsigned symbols_per_cce = 6 * 9; ///< QPSK symbols: 6 resource element groups without their DMRS
constexpr unsigned qpsk = 2;
constexpr double wanted_loss = 0.01, false_alarm = 0.01;
constexpr unsigned without_limit = 1U << 20;
constexpr double request_elements = 2 * 12;

/// TS 38.212 7.3.1.2.1: format 1_0 with its CRC; the field of resource blocks grows with the band.
double FormatBits(unsigned numPrbs) {
    const double allocation = std::ceil(std::log2(numPrbs * (numPrbs + 1) / 2.0));
    return 28 + allocation + 24;
}

} // namespace

ControlChannel::ControlChannel(const ErrorModel& errors, unsigned numPrbs, unsigned symbols, unsigned level)
    : m_errors(errors), m_bits(FormatBits(numPrbs)), m_numCces(symbols == 0 ? without_limit : numPrbs / 6 * symbols),
      m_level(level) {
    if (level > 0 && (!std::has_single_bit(level) || level > 16 || level > m_numCces)) {
        throw std::invalid_argument("NR cell: AggregationLevel " + std::to_string(level) + " with " +
                                    std::to_string(m_numCces) +
                                    " control channel elements in a slot; legal are 1, 2, 4, 8 and 16, at most as many "
                                    "as there are, and 0 for the lowest that a UE hears");
    }
    for (unsigned i = 0; i < m_levelSinr.size(); ++i) {
        m_levelSinr[i] = SinrFor(1U << i, wanted_loss);
    }
    outOfSync = SinrFor(8, 0.1) / std::pow(10, 0.4);
    inSync = SinrFor(4, 0.02);
}

double ControlChannel::Loss(unsigned numCces, double sinr) const {
    return m_errors.CodeBlockErrorRate(qpsk, m_bits, numCces * symbols_per_cce, sinr);
}

unsigned ControlChannel::Level(double sinr) const {
    if (m_level > 0) {
        return m_level;
    }
    unsigned i = 0;
    while (i + 1 < m_levelSinr.size() && sinr < m_levelSinr[i] && (2U << i) <= m_numCces) {
        ++i;
    }
    return 1U << i;
}

/// By halving, in dB.
double ControlChannel::SinrFor(unsigned numCces, double loss) const {
    double low = -30, high = 30;
    while (high - low > 1e-6) {
        const double middle = (low + high) / 2;
        (Loss(numCces, std::pow(10, middle / 10)) > loss ? low : high) = middle;
    }
    return std::pow(10, high / 10);
}

/// The detector's output over noise is chi-square with 2 degrees of freedom, non-central by twice the energy of the
/// signal: a Poisson mixture of central ones.
double MissedDetection(double energy, double falseAlarm) {
    const double threshold = -std::log(falseAlarm);
    if (energy > 100) {
        return 0; // below 1e-20
    }
    double weight = std::exp(-energy), term = std::exp(-threshold), tail = term, loss = 0;
    for (int k = 0; k < 400; ++k) { // weight: Poisson(energy) at k; 1 - tail: central with 2 (k + 1) degrees
        loss += weight * (1 - tail);
        weight *= energy / (k + 1);
        term *= threshold / (k + 1);
        tail += term;
    }
    return std::clamp(loss, 0.0, 1.0);
}

double RequestLoss(double snr) {
    return MissedDetection(request_elements * std::max(snr, 0.0), false_alarm);
}

} // namespace edgelam::nr
