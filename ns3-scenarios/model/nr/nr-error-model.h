// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// From the SINR of every resource block to the probability that a transport block is lost.
///
/// This takes two steps, as is usual in system simulations. (1) EESM: the SINRs of a transmission are mapped to the one
/// SINR at which a flat channel would have the same losses. (2) The error rate of a code block in a flat channel by the
/// normal approximation of finite-blocklength coding, for the constellation in use, some dB ("gap") away from the best
/// possible code.
///
/// nr-harq.h combines several transmissions.
#pragma once

#include <span>

#include "nr-modulation.h"
#include "nr-transport-block.h"

namespace edgelam::nr {

/// beta of EESM, linear. Those of tables 1 and 2 were fitted by Lagen, Wanuga, Elkotby, Goyal, Patriciello, Giupponi,
/// "New Radio Physical Layer Abstraction for System-Level Simulations of 5G Networks", ICC 2020. Two sets are our own:
/// the six lowest of table 3 (equal to the lowest of table 1) and those of 1024QAM (four times the value of 256QAM with
/// the same code rate, since a constellation with four times the points is as sensitive at four times the SINR).
double EesmBeta(McsTable table, unsigned mcs);

/// -beta ln(mean of exp(-SINR / beta)), with all SINRs linear and >= 0; the parts may be added one after the other.
class SinrAverage {
  public:
    /// Throws std::invalid_argument unless beta > 0.
    explicit SinrAverage(double beta);
    /// \param weight of each value, > 0
    void Add(std::span<const float> sinr, double weight = 1);
    void Add(float sinr, double weight) { Add(std::span(&sinr, 1), weight); }
    double Value() const; ///< 0 before the first Add
    double Weight() const { return m_weight; }

  private:
    double m_beta;
    double m_least = 0, m_sum = 0, m_weight = 0; ///< sum of weight x exp(-(SINR - least) / beta)
};

/// EESM of one transmission.
double EffectiveSinr(std::span<const float> sinr, double beta);

/// The information, in bits, that one use of a Gaussian channel gives about the bits of a Gray-labelled QAM symbol when
/// each bit is decided on its own (bit-interleaved coded modulation: Caire, Taricco, Biglieri 1998), and its variance.
struct SymbolInformation {
    double mean;     ///< BICM capacity
    double variance; ///< dispersion, bits^2
};

/// Computed by Gauss-Hermite quadrature: exact, but slow. \param bitsPerSymbol 2, 4, 6, 8 or 10; \param sinr linear
SymbolInformation IntegrateSymbolInformation(unsigned bitsPerSymbol, double sinr);

/// 1 - (1 - errorRate)^count: the probability that one or more of `count` code blocks are lost, each independently.
double AnyLost(double errorRate, unsigned count);

class ErrorModel {
  public:
    /// The gap of LDPC codes: see LdpcGapDb.
    static constexpr double ldpc = -1;

    /// \param gapDb how far codes and receivers are from the normal approximation, dB. Throws std::invalid_argument
    /// unless it is `ldpc` or 0 to 10 dB.
    explicit ErrorModel(double gapDb = ldpc);

    /// How far the LDPC codes of TS 38.212 with belief propagation (flooding, 50 iterations) are from the normal
    /// approximation where a tenth of the transport blocks are lost, in dB. It was measured for the MCS of TS 38.214 in
    /// 50 resource blocks (experiments/radio_validation/ldpc_awgn.csv), and is linear in the code rate between them.
    /// The gap is larger for short code blocks.
    /// \param rate information bits over distinct coded bits
    static double LdpcGapDb(unsigned bitsPerSymbol, double infoBits, double rate);

    /// The same as IntegrateSymbolInformation, but read from a table.
    static SymbolInformation InformationOf(unsigned bitsPerSymbol, double sinr);

    /// Q((n C - k + log2(n) / 2) / sqrt(n V)) at sinr / gap: Polyanskiy, Poor, Verdu, "Channel coding rate in the
    /// finite blocklength regime", 2010, with the term log2(n) / 2 of its theorem 54 (AWGN), and C and V of the
    /// constellation.
    /// \param infoBits k, with CRC; \param numSymbols n, of the constellation; \param sinr linear
    double CodeBlockErrorRate(unsigned bitsPerSymbol, double infoBits, double numSymbols, double sinr) const;

    /// The same for a code block whose parts come with different SINRs: n C and n V are sums over the parts.
    struct Part {
        double numSymbols, sinr;
    };
    double CodeBlockErrorRate(unsigned bitsPerSymbol, double infoBits, std::span<const Part> parts) const;

    /// Error rate of one transmission: AnyLost of the code blocks. Coded bits that fill the buffer more than once add
    /// their energy, but no new redundancy.
    /// \param codedBits: resource elements x bits per symbol x layers; \param sinr effective, linear
    double TransportBlockErrorRate(const CodeBlocks& blocks, unsigned bitsPerSymbol, double codedBits,
                                   double sinr) const;

    /// The SINR, linear, at which TransportBlockErrorRate is `errorRate`, which must be in (0, 1); infinity if there is
    /// none below 55 dB. It searches, so it is meant for start-up.
    double SinrFor(double errorRate, const CodeBlocks& blocks, unsigned bitsPerSymbol, double codedBits) const;

  private:
    double m_gapDb; ///< or ldpc
};

} // namespace edgelam::nr
