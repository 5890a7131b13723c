// SPDX-License-Identifier: GPL-2.0-only
#include "nr-whitening.h"

#include <cmath>

namespace edgelam::nr {

namespace {

using Wide = std::complex<double>;

/// Cholesky decomposition in place: the lower triangle of [n, n] becomes L.
void Decompose(std::vector<Wide>& a, std::size_t n) {
    for (std::size_t j = 0; j < n; ++j) {
        double diagonal = a[j * n + j].real();
        for (std::size_t k = 0; k < j; ++k) {
            diagonal -= std::norm(a[j * n + k]);
        }
        const double root = std::sqrt(diagonal); // > 0: the white part is
        a[j * n + j] = root;
        for (std::size_t i = j + 1; i < n; ++i) {
            for (std::size_t k = 0; k < j; ++k) {
                a[i * n + j] -= a[i * n + k] * std::conj(a[j * n + k]);
            }
            a[i * n + j] /= root;
        }
    }
}

} // namespace

void Whiten(std::span<const std::complex<float>> channel, std::size_t receivers, std::size_t columns,
            std::size_t samples, std::span<const float> rise, std::span<const std::complex<float>> interference,
            std::size_t layers, std::vector<std::complex<float>>& out) {
    out.resize(channel.size());
    std::vector<Wide> covariance(receivers * receivers), column(receivers);
    for (std::size_t f = 0; f < samples; ++f) {
        for (std::size_t i = 0; i < receivers; ++i) {
            for (std::size_t j = 0; j <= i; ++j) {
                Wide sum = i == j ? (rise.empty() ? 1 : static_cast<double>(rise[f])) : 0;
                for (std::size_t l = 0; l < layers; ++l) {
                    sum += Wide(interference[(i * layers + l) * samples + f]) *
                           std::conj(Wide(interference[(j * layers + l) * samples + f]));
                }
                covariance[i * receivers + j] = sum;
            }
        }
        Decompose(covariance, receivers);
        for (std::size_t c = 0; c < columns; ++c) {
            for (std::size_t i = 0; i < receivers; ++i) { // forward substitution
                Wide value = channel[(i * columns + c) * samples + f];
                for (std::size_t k = 0; k < i; ++k) {
                    value -= covariance[i * receivers + k] * column[k];
                }
                column[i] = value / covariance[i * receivers + i];
                out[(i * columns + c) * samples + f] = std::complex<float>(column[i]);
            }
        }
    }
}

} // namespace edgelam::nr
