// SPDX-License-Identifier: GPL-2.0-only
#include "nr-beam-search.h"

#include <algorithm>
#include <cmath>

#include "ns3/log.h"

#include "nr-matrix-kernels.h"

NS_LOG_COMPONENT_DEFINE("NrBeamSearch");

namespace edgelam::nr {

namespace {

using Complex = std::complex<float>;

constexpr std::size_t samples_over_band = 12; ///< of H for choosing beams

} // namespace

std::vector<Complex> BeamSearch::Sample(std::size_t samples) const {
    std::vector<double> offsets;
    for (std::size_t i = 0; i < samples; ++i) {
        offsets.push_back(offsetsHz[i * offsetsHz.size() / samples]);
    }
    std::vector<Complex> h(NumAntennas() * NumElements() * samples);
    link.GetFrequencyResponse(Direction::Downlink, offsets, h);
    return h;
}

void Orthonormalise(std::vector<std::complex<float>>& a, std::size_t rows, std::size_t columns) {
    for (std::size_t c = 0; c < columns; ++c) {
        for (int pass = 0; pass < 2; ++pass) {
            for (std::size_t b = 0; b < c; ++b) {
                std::complex<float> dot = 0;
                for (std::size_t i = 0; i < rows; ++i) {
                    dot += std::conj(a[i * columns + b]) * a[i * columns + c];
                }
                for (std::size_t i = 0; i < rows; ++i) {
                    a[i * columns + c] -= dot * a[i * columns + b];
                }
            }
            float norm = 0;
            for (std::size_t i = 0; i < rows; ++i) {
                norm += std::norm(a[i * columns + c]);
            }
            if (norm < 1e-20f) {
                a[(c % rows) * columns + c] = 1;
                pass = 0;
                continue;
            }
            const float scale = 1 / std::sqrt(norm);
            for (std::size_t i = 0; i < rows; ++i) {
                a[i * columns + c] *= scale;
            }
        }
    }
}

std::vector<Complex> EigenBeams(const BeamSearch& search) {
    const unsigned count = search.count;
    const std::size_t samples = std::min(samples_over_band, search.offsetsHz.size());
    const std::size_t antennas = search.NumAntennas(), elements = search.NumElements();
    const std::size_t rows = antennas * samples, stride = kernels::Padded(elements);
    const auto h = search.Sample(samples);
    thread_local std::vector<float> store; // H, beams and their next, planar
    store.assign(2 * (rows + 2 * count) * stride, 0);
    float *hRe = store.data(), *hIm = hRe + rows * stride, *beamRe = hIm + rows * stride,
          *beamIm = beamRe + count * stride, *nextRe = beamIm + count * stride, *nextIm = nextRe + count * stride;
    for (std::size_t u = 0; u < antennas; ++u) {
        for (std::size_t i = 0; i < elements; ++i) {
            for (std::size_t f = 0; f < samples; ++f) {
                const auto value = h[(u * elements + i) * samples + f];
                hRe[(u * samples + f) * stride + i] = value.real();
                hIm[(u * samples + f) * stride + i] = value.imag();
            }
        }
    }
    const bool begun = search.before != nullptr;
    NS_LOG_LOGIC("UE at " << search.link.GetUserPlace() << ": " << count << " eigenvectors of " << elements
                          << " elements, from " << (begun ? "those before" : "H"));
    for (unsigned c = 0; c < count; ++c) {
        // At first: the rows of H at a few antennas and frequencies span what matters.
        const std::size_t row = (c % antennas) * samples + (c * 5) % samples;
        for (std::size_t i = 0; i < elements; ++i) {
            beamRe[c * stride + i] = begun ? search.before->values()[i * count + c].real() : hRe[row * stride + i];
            beamIm[c * stride + i] = begun ? search.before->values()[i * count + c].imag() : -hIm[row * stride + i];
        }
    }
    kernels::Orthonormalise(beamRe, beamIm, count, elements, stride);
    for (int pass = begun ? 6 : 12; pass > 0; --pass) {
        kernels::ApplyGram(hRe, hIm, rows, beamRe, beamIm, count, stride, nextRe, nextIm);
        kernels::Orthonormalise(nextRe, nextIm, count, elements, stride);
        std::swap(beamRe, nextRe);
        std::swap(beamIm, nextIm);
    }
    std::vector<Complex> beams(elements * count);
    for (unsigned c = 0; c < count; ++c) {
        for (std::size_t i = 0; i < elements; ++i) {
            beams[i * count + c] = {beamRe[c * stride + i], beamIm[c * stride + i]};
        }
    }
    return beams;
}

} // namespace edgelam::nr
