// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Several layers, of one UE or of several, that a receiver hears at once.
#pragma once

#include <complex>
#include <cstddef>
#include <span>

namespace edgelam::nr {

/// SINR of layers after an MMSE receiver that knows the channels of all layers, 1 / [(I + S^H S)^-1]_ll - 1 (MMSE-IRC:
/// the same as h^H R^-1 h, where R is the covariance of noise and all other layers). In double precision, and with
/// matrices as large as the layers are many, whatever the number of receivers.
/// \param received S, [receiver, column, sample]: amplitudes over those of white noise; zero where a layer is not sent
/// \param wanted the first columns, whose SINR is asked for
/// \param sinr linear, [column of `wanted`, sample], to be filled
void JointSinr(std::span<const std::complex<float>> received, std::size_t receivers, std::size_t columns,
               unsigned wanted, std::size_t samples, std::span<float> sinr);

} // namespace edgelam::nr
