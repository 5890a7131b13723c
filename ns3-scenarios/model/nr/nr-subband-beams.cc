// SPDX-License-Identifier: GPL-2.0-only
#include "nr-subband-beams.h"

#include <algorithm>

#include "nr-matrix-kernels.h"

namespace edgelam::nr {

namespace {

constexpr int passes = 12; ///< of orthogonal iteration

} // namespace

std::vector<std::complex<float>> SubbandBeams(std::span<const std::complex<float>> channel, std::size_t groups,
                                              std::size_t groupsPerSubband, std::size_t antennas, std::size_t elements,
                                              unsigned count) {
    const std::size_t stride = kernels::Padded(elements), subbands = (groups + groupsPerSubband - 1) / groupsPerSubband;
    std::vector<float> hRe(groupsPerSubband * antennas * stride), hIm(hRe.size());
    std::vector<float> beamRe(count * stride), beamIm(beamRe.size()), nextRe(beamRe.size()), nextIm(beamRe.size());
    std::vector<std::complex<float>> beams(subbands * elements * count);
    for (std::size_t s = 0; s < subbands; ++s) {
        const std::size_t first = s * groupsPerSubband,
                          rows = (std::min(first + groupsPerSubband, groups) - first) * antennas;
        const auto* h = channel.data() + first * antennas * elements;
        for (std::size_t row = 0; row < rows; ++row) {
            for (std::size_t e = 0; e < elements; ++e) {
                hRe[row * stride + e] = h[row * elements + e].real();
                hIm[row * stride + e] = h[row * elements + e].imag();
            }
        }
        for (unsigned c = 0; c < count; ++c) { // the rows of H span what matters
            const std::size_t row = c % rows;
            std::copy_n(hRe.data() + row * stride, elements, beamRe.data() + c * stride);
            std::transform(hIm.data() + row * stride, hIm.data() + row * stride + elements, beamIm.data() + c * stride,
                           [](float each) { return -each; });
        }
        kernels::Orthonormalise(beamRe.data(), beamIm.data(), count, elements, stride);
        for (int pass = 0; pass < passes; ++pass) {
            kernels::ApplyGram(hRe.data(), hIm.data(), rows, beamRe.data(), beamIm.data(), count, stride, nextRe.data(),
                               nextIm.data());
            kernels::Orthonormalise(nextRe.data(), nextIm.data(), count, elements, stride);
            beamRe.swap(nextRe);
            beamIm.swap(nextIm);
        }
        for (unsigned c = 0; c < count; ++c) {
            for (std::size_t e = 0; e < elements; ++e) {
                beams[(s * elements + e) * count + c] = {beamRe[c * stride + e], beamIm[c * stride + e]};
            }
        }
    }
    return beams;
}

} // namespace edgelam::nr
