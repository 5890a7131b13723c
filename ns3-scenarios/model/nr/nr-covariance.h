// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Covariance of noise and interference between the antennas, or beams, of a receiver.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace edgelam::nr {

/// R = rise I + sum of Q Q^H at each SINR sample, relative to the noise power at one antenna. In double precision:
/// strong interference from one direction leaves the others free, which rounding must not spoil.
class Covariance {
  public:
    /// The identity: noise alone.
    void Reset(std::size_t receivers, std::size_t samples);
    /// The same, but only these samples are set; the others are not to be used.
    void Reset(std::size_t receivers, std::size_t samples, std::span<const std::uint32_t> at);
    std::size_t NumReceivers() const { return m_receivers; }
    std::size_t NumSamples() const { return m_samples; }
    bool Empty() const { return m_samples == 0; }
    void Clear() { m_samples = 0; }
    /// Whether it has interference with a direction; otherwise all antennas have the same power and share nothing.
    bool IsDirected() const { return m_directed; }

    /// Add power that is independent between antennas. \param power relative to the noise
    void AddWhite(std::size_t first, std::size_t count, double power);
    /// Add layers that arrive at the samples from `first` on.
    /// \param layers complex64 [receiver, layer, sample of `stride`]: the first `numLayers` of `columns` and the first
    /// `count` samples are used
    /// \param power of a layer of magnitude 1, relative to the noise
    void AddLayers(const std::complex<float>* layers, std::size_t columns, std::size_t numLayers, std::size_t stride,
                   std::size_t first, std::size_t count, double power);
    /// Multiply by a number, and add another one of the same size times a number.
    void Mix(double own, const Covariance& other, double weight);

    /// Entry of the matrix, column <= row.
    std::complex<double> At(std::size_t row, std::size_t column, std::size_t sample) const;
    /// Noise and interference over noise, as a mean over antennas. \param rise [sample] to be filled
    void MeanRise(std::vector<float>& rise) const;

    /// L^-1 G at each sample, where L L^H is this matrix: after that the covariance is white, so an MMSE receiver for
    /// the result takes the directions of the interference into account (MMSE-IRC).
    /// \param channel G, complex64 [receiver, column of `columns`, sample]: the first `used` columns are used
    /// \param samples those to be worked out; empty: all
    /// \param out complex64 [receiver, column of `used`, number in `samples`]
    void Whiten(std::span<const std::complex<float>> channel, std::size_t columns, std::size_t used,
                std::span<const std::uint32_t> samples, std::vector<std::complex<float>>& out) const;

  private:
    std::size_t m_receivers = 0, m_samples = 0;
    bool m_directed = false;
    std::vector<double> m_re, m_im; ///< lower triangle, [row (row + 1) / 2 + column, sample]
};

/// Noise and interference from outside the cell, as a receiver has it, in the samples of frequency that it looks at.
struct Noise {
    Noise() = default;
    Noise(std::span<const float> white) : rise(white) {}
    Noise(const std::vector<float>& white) : rise(white) {}
    Noise(const Covariance& all) : covariance(&all) {}
    /// The same samples, with another covariance.
    Noise With(const Covariance& all) const {
        Noise noise(all);
        noise.samples = samples;
        return noise;
    }
    std::span<const float> rise;            ///< [sample] noise and interference over noise, white; empty: 1
    const Covariance* covariance = nullptr; ///< instead of `rise`, if interference has a direction
    std::span<const std::uint32_t> samples; ///< those in which something is received; empty: all
};

} // namespace edgelam::nr
