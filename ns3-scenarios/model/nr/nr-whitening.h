// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Removes interference with directions from a channel.
#pragma once

#include <complex>
#include <span>
#include <vector>

namespace edgelam::nr {

/// L^-1 G at each sample, where L L^H = rise I + Q Q^H is the covariance of noise and interference over noise: after
/// that the covariance is white, so an MMSE receiver for the result takes the directions of the interference into
/// account.
/// \param channel G, complex64 [receiver, column, sample]
/// \param rise [sample] the white part; empty: 1
/// \param interference Q, complex64 [receiver, layer, sample]
/// \param out like channel
void Whiten(std::span<const std::complex<float>> channel, std::size_t receivers, std::size_t columns,
            std::size_t samples, std::span<const float> rise, std::span<const std::complex<float>> interference,
            std::size_t layers, std::vector<std::complex<float>>& out);

} // namespace edgelam::nr
