// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Precoders from outside: the gNB's weights for each layer, chosen outside the cell for each UE and each group of
/// resource blocks.
#pragma once

#include <array>
#include <complex>
#include <cstdint>
#include <span>
#include <vector>

namespace edgelam::nr {

/// The largest legal sum of |weight|^2 over elements and layers of a group; it is above 1 only because of rounding.
constexpr double most_precoder_power = 1 + 1e-4;

/// The precoder of one UE. In group g the gNB sends sum over layers l of weights[g, :, l] x symbol of layer l, with the
/// power of a resource block times the sum of |weight|^2: with a sum below 1 it sends with less power. With H[antenna,
/// element] the UE receives H weights (no conjugate), so that the best weights are right singular vectors of H.
struct Precoder {
    unsigned layers = 0;                      ///< 0: none
    std::uint32_t groups = UINT32_MAX;        ///< bits: where it has weights
    std::vector<std::complex<float>> weights; ///< [group, element, layer]
};

/// The shape of precoders that a cell accepts.
struct PrecoderShape {
    std::size_t ues, groups, elements, layers; ///< layers: the most that a block has
};

/// The limits of precoders for UEs that are sent to together.
struct SharedPrecoders {
    std::vector<bool> counts; ///< [ue] whether what the UE is sent counts here: it is in the cell
    unsigned mostLayers;      ///< of all UEs together on a group
    bool limitElements;       ///< whether each element may have its equal part of the power only
};

/// The weights that a UE is given, [group, element, layer] in C order; empty: none.
using UeWeights = std::span<const std::complex<float>>;

/// The weights of each UE. Throws std::invalid_argument for another number of values.
/// \param weights [ue, group, element, layer], C order
std::vector<UeWeights> WeightsOfUes(std::span<const std::complex<float>> weights, const PrecoderShape& shape);

/// Check precoders, and take out the layers in use: a layer is used if its weights are not all zero, and must be in
/// every group or in none, since a block has all its layers in every resource block. A UE whose weights are all zero
/// has no precoder. Throws std::invalid_argument for a value that is not finite, too much power in a group, and a layer
/// that only some groups use.
/// \param weights [ue]
/// \param together null: each UE may have all of the power, since it is alone on a group; otherwise a limit of power 1,
/// and of layers, for all UEs on a group together, and a UE may be left out of a group: all of its layers have weights
/// there or none
/// \return [ue]
std::vector<Precoder> ReadPrecoders(std::span<const UeWeights> weights, const PrecoderShape& shape,
                                    const SharedPrecoders* together = nullptr);

/// Compute the layers sent through a precoder as they arrive at each antenna.
/// \param h complex64 [antenna, element, sample]; the samples are a multiple of the groups
/// \param out complex64 [antenna, layer, sample]
void ThroughPrecoder(const Precoder& precoder, const std::vector<std::complex<float>>& h, std::size_t antennas,
                     std::size_t elements, std::size_t samples, std::vector<std::complex<float>>& out);

/// One link's channel through its precoders, kept for each number of layers as long as neither changes.
class PrecodedChannel {
  public:
    /// \param h as in ThroughPrecoder; unchanged since the last call if `version` is unchanged
    /// \return complex64 [antenna, layer, sample], which is valid until the next call
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
