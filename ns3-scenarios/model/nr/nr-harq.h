// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Hybrid ARQ: what a receiver that keeps the soft bits of every transmission of a block can decode.
///
/// Whether a block is lost is drawn with one uniform number for all its transmissions: the block is lost as long as the
/// number is below the error rate so far. So the probability of losing it twice is the error rate after two
/// transmissions.
#pragma once

#include <array>
#include <span>

#include "nr-error-model.h"

namespace edgelam::nr {

/// Redundancy version of a transmission, counted from 0: 0, 2, 3, 1, then from the beginning again (TS 38.214 5.1.2.1
/// table 5.1.2.1-2).
constexpr unsigned RedundancyVersion(unsigned transmission) {
    return std::array{0U, 2U, 3U, 1U}[transmission % 4];
}

/// The circular buffer of TS 38.212 5.4.2.1, and how well each of its bits has been received.
///
/// A transmission covers as many bits as it carries, beginning where its redundancy version begins and wrapping around
/// at the end of the buffer. For each bit, the SINRs of the transmissions that cover it add up. So chase combining uses
/// redundancy version 0 every time (sending the same twice gains 3 dB), and incremental redundancy uses the versions of
/// RedundancyVersion. A transmission of which nothing arrives does no harm. Filler bits, which are never sent, are
/// assumed to be spread evenly over the buffer.
class SoftBuffer {
  public:
    static constexpr unsigned max_transmissions = 16;

    void Clear() { m_count = 0; }
    unsigned NumTransmissions() const { return m_count; }
    /// \param sinr effective (EffectiveSinr), linear
    /// \param codedBits of the transport block: resource elements x bits per symbol x layers
    /// Throws std::invalid_argument for a version above 3, codedBits that are not above 0, or a 17th transmission.
    void Add(double sinr, double codedBits, unsigned redundancyVersion);

    /// Probability that the transport block is still lost; 1 before the first Add.
    /// \param bitsPerSymbol of the first transmission; the others must have the same
    double ErrorRate(const ErrorModel& model, const CodeBlocks& blocks, unsigned bitsPerSymbol) const;

  private:
    struct Transmission {
        double sinr, codedBits;
        unsigned version;
    };
    std::array<Transmission, max_transmissions> m_transmissions;
    unsigned m_count = 0;
};

/// sum += sinr, resource block by resource block: chase combining of transmissions on the same resource blocks, before
/// EffectiveSinr. Throws std::invalid_argument if they are not equally long.
void CombineChase(std::span<float> sum, std::span<const float> sinr);

} // namespace edgelam::nr
