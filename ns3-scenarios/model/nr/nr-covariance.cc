// SPDX-License-Identifier: GPL-2.0-only
// Compiled without fused multiplications and additions, so that every CPU rounds alike.
#include "nr-covariance.h"

#include <algorithm>
#include <array>
#include <cmath>

#if defined(__x86_64__) && defined(__GNUC__)
#define EDGELAM_VECTOR __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define EDGELAM_VECTOR
#endif

namespace edgelam::nr {

namespace {

constexpr std::size_t lanes = 8, products_at_once = 4;

/// Of an entry in the lower triangle.
constexpr std::size_t Place(std::size_t row, std::size_t column) {
    return row * (row + 1) / 2 + column;
}

/// Entries of some samples: += sum over layers of q_i conj(q_j).
/// \param values q, [receiver, layer of `columns`, sample of `stride`]
/// \param q room for [receiver, 2, products_at_once]
/// \param re, im [entry, sample of `samples`]
EDGELAM_VECTOR
void AddProducts(const float* values, std::size_t receivers, std::size_t columns, std::size_t stride, float amplitude,
                 std::size_t layers, std::size_t count, double* q, double* re, double* im, std::size_t samples) {
    constexpr std::size_t n = products_at_once;
    for (std::size_t f0 = 0; f0 < count; f0 += n) {
        const std::size_t here = std::min(n, count - f0);
        for (std::size_t l = 0; l < layers; ++l) {
            double *atRe = re + f0, *atIm = im + f0;
            for (std::size_t i = 0; i < receivers; ++i) {
                double *ir = q + 2 * i * n, *ii = ir + n;
                const float* from = values + 2 * ((i * columns + l) * stride + f0);
                for (std::size_t k = 0; k < n; ++k) {
                    ir[k] = amplitude * from[2 * std::min(k, here - 1)];
                    ii[k] = amplitude * from[2 * std::min(k, here - 1) + 1];
                }
                for (std::size_t j = 0; j <= i; ++j, atRe += samples, atIm += samples) {
                    const double *jr = q + 2 * j * n, *ji = jr + n;
                    double sumRe[n], sumIm[n];
                    for (std::size_t k = 0; k < n; ++k) {
                        sumRe[k] = ir[k] * jr[k] + ii[k] * ji[k];
                        sumIm[k] = ii[k] * jr[k] - ir[k] * ji[k];
                    }
                    if (here == n) {
                        for (std::size_t k = 0; k < n; ++k) {
                            atRe[k] += sumRe[k];
                            atIm[k] += sumIm[k];
                        }
                    } else {
                        for (std::size_t k = 0; k < here; ++k) {
                            atRe[k] += sumRe[k];
                            atIm[k] += sumIm[k];
                        }
                    }
                }
            }
        }
    }
}

/// One lane of samples: Cholesky decomposition in place, of [Place, lane].
EDGELAM_VECTOR
void Decompose(double* re, double* im, std::size_t n) {
    const auto entry = [](std::size_t row, std::size_t column) { return Place(row, column) * lanes; };
    for (std::size_t j = 0; j < n; ++j) {
        double* diagonal = re + entry(j, j);
        for (std::size_t m = 0; m < j; ++m) {
            const double *r = re + entry(j, m), *i = im + entry(j, m);
            for (std::size_t k = 0; k < lanes; ++k) {
                diagonal[k] -= r[k] * r[k] + i[k] * i[k];
            }
        }
        for (std::size_t k = 0; k < lanes; ++k) {
            diagonal[k] = std::sqrt(diagonal[k]); // > 0: the white part is
        }
        for (std::size_t row = j + 1; row < n; ++row) {
            double *r = re + entry(row, j), *i = im + entry(row, j);
            for (std::size_t m = 0; m < j; ++m) {
                const double *ar = re + entry(row, m), *ai = im + entry(row, m);
                const double *br = re + entry(j, m), *bi = im + entry(j, m);
                for (std::size_t k = 0; k < lanes; ++k) {
                    r[k] -= ar[k] * br[k] + ai[k] * bi[k];
                    i[k] -= ai[k] * br[k] - ar[k] * bi[k];
                }
            }
            for (std::size_t k = 0; k < lanes; ++k) {
                r[k] /= diagonal[k];
                i[k] /= diagonal[k];
            }
        }
    }
}

/// One lane of samples: x becomes L^-1 x, [row, lane].
EDGELAM_VECTOR
void Substitute(const double* re, const double* im, std::size_t n, double* xr, double* xi) {
    for (std::size_t row = 0; row < n; ++row) {
        double *r = xr + row * lanes, *i = xi + row * lanes;
        for (std::size_t m = 0; m < row; ++m) {
            const double *ar = re + Place(row, m) * lanes, *ai = im + Place(row, m) * lanes;
            const double *br = xr + m * lanes, *bi = xi + m * lanes;
            for (std::size_t k = 0; k < lanes; ++k) {
                r[k] -= ar[k] * br[k] - ai[k] * bi[k];
                i[k] -= ar[k] * bi[k] + ai[k] * br[k];
            }
        }
        const double* diagonal = re + Place(row, row) * lanes;
        for (std::size_t k = 0; k < lanes; ++k) {
            r[k] /= diagonal[k];
            i[k] /= diagonal[k];
        }
    }
}

} // namespace

void Covariance::Reset(std::size_t receivers, std::size_t samples) {
    m_receivers = receivers;
    m_samples = samples;
    m_directed = false;
    m_re.assign(Place(receivers, 0) * samples, 0);
    m_im.assign(m_re.size(), 0);
    AddWhite(0, samples, 1);
}

void Covariance::Reset(std::size_t receivers, std::size_t samples, std::span<const std::uint32_t> at) {
    m_receivers = receivers;
    m_samples = samples;
    m_directed = false;
    m_re.resize(Place(receivers, 0) * samples);
    m_im.resize(m_re.size());
    for (std::size_t i = 0; i < receivers; ++i) {
        for (std::size_t j = 0; j <= i; ++j) {
            for (const auto f : at) {
                m_re[Place(i, j) * samples + f] = i == j ? 1 : 0;
                m_im[Place(i, j) * samples + f] = 0;
            }
        }
    }
}

void Covariance::AddWhite(std::size_t first, std::size_t count, double power) {
    for (std::size_t i = 0; i < m_receivers; ++i) {
        double* at = m_re.data() + Place(i, i) * m_samples + first;
        std::for_each(at, at + count, [&](double& each) { each += power; });
    }
}

void Covariance::AddLayers(const std::complex<float>* layers, std::size_t columns, std::size_t numLayers,
                           std::size_t stride, std::size_t first, std::size_t count, double power) {
    const auto* values = reinterpret_cast<const float*>(layers);
    const auto amplitude = static_cast<float>(std::sqrt(power));
    thread_local std::vector<double> work;
    work.resize(2 * m_receivers * products_at_once);
    AddProducts(values, m_receivers, columns, stride, amplitude, numLayers, count, work.data(), m_re.data() + first,
                m_im.data() + first, m_samples);
    m_directed = true;
}

void Covariance::Mix(double own, const Covariance& other, double weight) {
    for (std::size_t i = 0; i < m_re.size(); ++i) {
        m_re[i] = own * m_re[i] + weight * other.m_re[i];
        m_im[i] = own * m_im[i] + weight * other.m_im[i];
    }
    m_directed |= other.m_directed;
}

std::complex<double> Covariance::At(std::size_t row, std::size_t column, std::size_t sample) const {
    const std::size_t at = Place(row, column) * m_samples + sample;
    return {m_re[at], m_im[at]};
}

void Covariance::MeanRise(std::vector<float>& rise) const {
    rise.resize(m_samples);
    for (std::size_t f = 0; f < m_samples; ++f) {
        double sum = 0;
        for (std::size_t i = 0; i < m_receivers; ++i) {
            sum += m_re[Place(i, i) * m_samples + f];
        }
        rise[f] = static_cast<float>(sum / static_cast<double>(m_receivers));
    }
}

void Covariance::Whiten(std::span<const std::complex<float>> channel, std::size_t columns, std::size_t used,
                        std::span<const std::uint32_t> samples, std::vector<std::complex<float>>& out) const {
    const std::size_t entries = Place(m_receivers, 0), total = samples.empty() ? m_samples : samples.size();
    out.resize(m_receivers * used * total);
    std::vector<double> work(2 * (entries + m_receivers) * lanes);
    double *re = work.data(), *im = re + entries * lanes, *xr = im + entries * lanes, *xi = xr + m_receivers * lanes;
    for (std::size_t f0 = 0; f0 < total; f0 += lanes) {
        const std::size_t count = std::min(lanes, total - f0);
        std::array<std::size_t, lanes> from; // the last lane repeats its last sample
        for (std::size_t k = 0; k < lanes; ++k) {
            const std::size_t f = f0 + std::min(k, count - 1);
            from[k] = samples.empty() ? f : samples[f];
        }
        for (std::size_t e = 0; e < entries; ++e) {
            for (std::size_t k = 0; k < lanes; ++k) {
                re[e * lanes + k] = m_re[e * m_samples + from[k]];
                im[e * lanes + k] = m_im[e * m_samples + from[k]];
            }
        }
        Decompose(re, im, m_receivers);
        for (std::size_t c = 0; c < used; ++c) {
            for (std::size_t i = 0; i < m_receivers; ++i) {
                const auto* row = channel.data() + (i * columns + c) * m_samples;
                for (std::size_t k = 0; k < lanes; ++k) {
                    xr[i * lanes + k] = row[from[k]].real();
                    xi[i * lanes + k] = row[from[k]].imag();
                }
            }
            Substitute(re, im, m_receivers, xr, xi);
            for (std::size_t i = 0; i < m_receivers; ++i) {
                auto* to = out.data() + (i * used + c) * total + f0;
                for (std::size_t k = 0; k < count; ++k) {
                    to[k] = {static_cast<float>(xr[i * lanes + k]), static_cast<float>(xi[i * lanes + k])};
                }
            }
        }
    }
}

} // namespace edgelam::nr
