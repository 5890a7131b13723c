// SPDX-License-Identifier: GPL-2.0-only
#include "nr-joint-reception.h"

#include <cmath>
#include <vector>

namespace edgelam::nr {

namespace {

/// Of an entry in the lower triangle.
constexpr std::size_t Place(std::size_t row, std::size_t column) {
    return row * (row + 1) / 2 + column;
}

/// Cholesky decomposition in place, of a lower triangle.
void Decompose(std::vector<std::complex<double>>& a, std::size_t n) {
    for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t i = j; i < n; ++i) {
            for (std::size_t k = 0; k < j; ++k) {
                a[Place(i, j)] -= a[Place(i, k)] * std::conj(a[Place(j, k)]);
            }
        }
        const double pivot = std::sqrt(a[Place(j, j)].real()); // > 0: I + S^H S is positive definite
        for (std::size_t i = j; i < n; ++i) {
            a[Place(i, j)] /= pivot;
        }
    }
}

} // namespace

void JointSinr(std::span<const std::complex<float>> received, std::size_t receivers, std::size_t columns,
               unsigned wanted, std::size_t samples, std::span<float> sinr) {
    const std::size_t entries = Place(columns, 0);
    std::vector<double> re(entries * samples), im(entries * samples);
    for (std::size_t r = 0; r < receivers; ++r) {
        const auto* at = received.data() + r * columns * samples;
        for (std::size_t i = 0; i < columns; ++i) {
            for (std::size_t j = 0; j <= i; ++j) {
                double *toRe = re.data() + Place(i, j) * samples, *toIm = im.data() + Place(i, j) * samples;
                const auto *a = at + i * samples, *b = at + j * samples;
                for (std::size_t f = 0; f < samples; ++f) { // conj(a) b
                    const double ar = a[f].real(), ai = a[f].imag(), br = b[f].real(), bi = b[f].imag();
                    toRe[f] += ar * br + ai * bi;
                    toIm[f] += ar * bi - ai * br;
                }
            }
        }
    }
    std::vector<std::complex<double>> factor(entries), x(columns);
    for (std::size_t f = 0; f < samples; ++f) {
        for (std::size_t e = 0; e < entries; ++e) {
            factor[e] = {re[e * samples + f], im[e * samples + f]};
        }
        for (std::size_t i = 0; i < columns; ++i) {
            factor[Place(i, i)] += 1;
        }
        Decompose(factor, columns);
        for (unsigned l = 0; l < wanted; ++l) { // [A^-1]_ll is the squared norm of column l of the factor's inverse
            double norm = 0;
            for (std::size_t i = l; i < columns; ++i) {
                x[i] = i == l ? 1 : 0;
                for (std::size_t k = l; k < i; ++k) {
                    x[i] -= factor[Place(i, k)] * x[k];
                }
                x[i] /= factor[Place(i, i)].real();
                norm += std::norm(x[i]);
            }
            sinr[l * samples + f] = static_cast<float>(1 / norm - 1);
        }
    }
}

} // namespace edgelam::nr
