// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Precoders from outside: the gNB's weights of each layer, chosen by somebody else for each UE and each group of
/// resource blocks.
#pragma once

#include <array>
#include <complex>
#include <cstdint>
#include <span>
#include <vector>

namespace edgelam::nr {

/// Sum of |weight|^2 over elements and layers of a group, at most; above 1 only for what rounding does.
constexpr double most_precoder_power = 1 + 1e-4;

/// Of one UE. In group g the gNB sends sum over layers l of weights[g, :, l] x symbol of layer l, with the power of a
/// resource block times the sum of |weight|^2: less than 1 sends with less. With H[antenna, element] the UE gets
/// H weights (no conjugate), so that the best weights are right singular vectors of H.
struct Precoder {
    unsigned layers = 0;                      ///< 0: none
    std::vector<std::complex<float>> weights; ///< [group, element, layer]
};

/// What a cell takes.
struct PrecoderShape {
    std::size_t ues, groups, elements, layers; ///< layers: most of a block
};

/// Check precoders, and take out the layers in use: a layer is used if its weights are not all zero, and must be in
/// every group or in none, since a block has all its layers in every resource block. A UE whose weights are all zero
/// has no precoder. Throws std::invalid_argument for another number of values, one that is not finite, too much power
/// in a group, and a layer that only some groups use.
/// \param weights [ue, group, element, layer], C order
/// \return [ue]
std::vector<Precoder> ReadPrecoders(std::span<const std::complex<float>> weights, const PrecoderShape& shape);

/// What layers sent through a precoder are at each antenna.
/// \param h complex64 [antenna, element, sample]; the samples are a multiple of the groups
/// \param out complex64 [antenna, layer, sample]
void ThroughPrecoder(const Precoder& precoder, const std::vector<std::complex<float>>& h, std::size_t antennas,
                     std::size_t elements, std::size_t samples, std::vector<std::complex<float>>& out);

/// One link's channel through its precoders, kept for each number of layers while neither changes.
class PrecodedChannel {
  public:
    /// \param h as in ThroughPrecoder, the same as before if `version` is
    /// \return complex64 [antenna, layer, sample], which holds until the next call
    const std::vector<std::complex<float>>& Response(const Precoder& precoder,
                                                     const std::vector<std::complex<float>>& h, std::uint64_t version,
                                                     std::size_t antennas, std::size_t elements, std::size_t samples);

  private:
    struct Entry {
        std::vector<std::complex<float>> weights;  ///< [group, element, layer]
        std::vector<std::complex<float>> response; ///< for the channel of `version`
        std::uint64_t version = 0;                 ///< 0: not computed
    };
    std::array<Entry, 4> m_byLayers;
};

} // namespace edgelam::nr
