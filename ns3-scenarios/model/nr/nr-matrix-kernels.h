// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The inner loops of the PHY: small complex matrices at many frequencies, written so that the compiler turns them into
/// vector instructions. On x86-64 each exists twice, for AVX2 with FMA and for any CPU; the choice is made at start.
#pragma once

#include <complex>
#include <cstddef>

namespace edgelam::nr::kernels {

constexpr std::size_t lanes = 8;

/// n rounded up to whole lanes.
constexpr std::size_t Padded(std::size_t n) {
    return (n + lanes - 1) / lanes * lanes;
}

/// SINR of each layer after an MMSE receiver: 1 / ((I + scale G^H G)^-1)_ll - 1.
/// \param g [antenna, beam, frequency]; the first `layers` beams are used; 1 to 4 layers
/// \param sinr [layer, frequency]
void MmseSinr(const std::complex<float>* g, std::size_t antennas, std::size_t beams, unsigned layers,
              std::size_t frequencies, float scale, float* sinr);

/// The layers that the UE sends through its weights, as received at each beam: out_blf = sum over antennas u of g_ubf
/// w_ul.
/// \param g [antenna, beam, frequency of `stride`]: the first `frequencies` are used; \param weights [antenna, layer];
/// \param out [beam, layer, frequency]
void CombineAntennas(const std::complex<float>* g, const std::complex<float>* weights, std::size_t antennas,
                     std::size_t beams, std::size_t layers, std::size_t stride, std::size_t frequencies,
                     std::complex<float>* out);

/// The layers that the gNB sends through weights, as received at each antenna, at four frequencies: out_ulf = sum over
/// elements e of h_uef w_el.
/// \param h [antenna, element, 4]; \param weights [element, layer], 1 to 4 layers; \param out [antenna, layer, 4]
void ThroughWeights(const std::complex<float>* h, const std::complex<float>* weights, std::size_t antennas,
                    std::size_t elements, std::size_t layers, std::complex<float>* out);

/// out_pk = sum over rows r of w_rp y_rk.
/// \param y [row, k], k < count; \param weights [row, port]; \param out [port, k]
void CombineRows(const std::complex<float>* y, const std::complex<float>* weights, std::size_t rows, std::size_t ports,
                 std::size_t count, std::complex<float>* out);

/// The layers that the gNB sends through separate weights at each frequency, as received at each antenna: out_ulf = sum
/// over elements e of h_uef w_elf.
/// \param h [antenna, element, frequency]; \param weights [element, layer, frequency]
/// \param out [antenna, layer, frequency]
void CombineElements(const std::complex<float>* h, const std::complex<float>* weights, std::size_t antennas,
                     std::size_t elements, std::size_t layers, std::size_t frequencies, std::complex<float>* out);

/// out = H^H H b. The arrays are planar; rows and columns are padded with zeros to `stride`, a multiple of `lanes`.
/// \param h [row, stride]; \param b, out [column, stride], 1 to 4 columns
void ApplyGram(const float* hRe, const float* hIm, std::size_t rows, const float* bRe, const float* bIm,
               std::size_t columns, std::size_t stride, float* outRe, float* outIm);

/// Make the rows of [count, stride] orthonormal, in their order. A row that depends linearly on those before it is
/// replaced by another one.
/// \param n number of values in a row that are not padding, >= count
void Orthonormalise(float* re, float* im, std::size_t count, std::size_t n, std::size_t stride);

} // namespace edgelam::nr::kernels
