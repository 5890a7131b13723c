// SPDX-License-Identifier: GPL-2.0-only
#include "nr-matrix-kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define EDGELAM_VECTOR __attribute__((target_clones("arch=x86-64-v3", "default")))
#define EDGELAM_INLINE inline __attribute__((always_inline))
#else
#define EDGELAM_VECTOR
#define EDGELAM_INLINE inline
#endif

namespace edgelam::nr::kernels {

namespace {

/// One number for each of some frequencies.
using Lane = float[lanes];

template<unsigned layers>
EDGELAM_INLINE void Mmse(const std::complex<float>* g, std::size_t antennas, std::size_t beams, std::size_t frequencies,
                         float scale, float* sinr) {
    for (std::size_t f0 = 0; f0 < frequencies; f0 += lanes) {
        const std::size_t count = std::min(lanes, frequencies - f0);
        // A = I + scale G^H G, lower triangle: row i, column j <= i.
        Lane ar[layers][layers] = {}, ai[layers][layers] = {};
        for (std::size_t u = 0; u < antennas; ++u) {
            Lane gr[layers] = {}, gi[layers] = {};
            for (unsigned l = 0; l < layers; ++l) {
                const auto* row = reinterpret_cast<const float*>(g + (u * beams + l) * frequencies + f0);
                for (std::size_t k = 0; k < count; ++k) {
                    gr[l][k] = row[2 * k];
                    gi[l][k] = row[2 * k + 1];
                }
            }
            for (unsigned i = 0; i < layers; ++i) {
                for (unsigned j = 0; j <= i; ++j) {
                    for (std::size_t k = 0; k < lanes; ++k) {
                        ar[i][j][k] += gr[i][k] * gr[j][k] + gi[i][k] * gi[j][k];
                        ai[i][j][k] += gr[i][k] * gi[j][k] - gi[i][k] * gr[j][k];
                    }
                }
            }
        }
        if constexpr (layers == 1) {
            for (std::size_t k = 0; k < count; ++k) {
                sinr[f0 + k] = scale * ar[0][0][k];
            }
            continue;
        }
        // A = L D L^H in place, L with ones on its diagonal; `d` is the inverse of D.
        Lane d[layers];
        for (unsigned j = 0; j < layers; ++j) {
            for (unsigned i = j; i < layers; ++i) {
                for (std::size_t k = 0; k < lanes; ++k) {
                    float re = scale * ar[i][j][k] + (i == j ? 1.f : 0.f), im = scale * ai[i][j][k];
                    for (unsigned m = 0; m < j; ++m) { // - L_im D_m conj(L_jm)
                        const float weight = 1 / d[m][k];
                        re -= (ar[i][m][k] * ar[j][m][k] + ai[i][m][k] * ai[j][m][k]) * weight;
                        im -= (ai[i][m][k] * ar[j][m][k] - ar[i][m][k] * ai[j][m][k]) * weight;
                    }
                    if (i == j) {
                        d[j][k] = 1 / std::max(re, 1.f); // no less in exact arithmetic
                    } else {
                        ar[i][j][k] = re * d[j][k];
                        ai[i][j][k] = im * d[j][k];
                    }
                }
            }
        }
        // (A^-1)_jj is the sum over i of |(L^-1)_ij|^2 / D_i.
        for (unsigned j = 0; j < layers; ++j) {
            Lane mr[layers] = {}, mi[layers] = {}, sum;
            for (std::size_t k = 0; k < lanes; ++k) {
                mr[j][k] = 1;
                sum[k] = d[j][k];
            }
            for (unsigned i = j + 1; i < layers; ++i) {
                for (unsigned m = j; m < i; ++m) {
                    for (std::size_t k = 0; k < lanes; ++k) {
                        mr[i][k] -= ar[i][m][k] * mr[m][k] - ai[i][m][k] * mi[m][k];
                        mi[i][k] -= ar[i][m][k] * mi[m][k] + ai[i][m][k] * mr[m][k];
                    }
                }
                for (std::size_t k = 0; k < lanes; ++k) {
                    sum[k] += (mr[i][k] * mr[i][k] + mi[i][k] * mi[i][k]) * d[i][k];
                }
            }
            for (std::size_t k = 0; k < count; ++k) {
                sinr[j * frequencies + f0 + k] = std::max(0.f, 1 / sum[k] - 1);
            }
        }
    }
}

EDGELAM_INLINE float Sum(const Lane& lane) {
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

/// sum of a b (or conj(a) b)
template<bool conjugate>
EDGELAM_INLINE std::complex<float> Dot(const float* aRe, const float* aIm, const float* bRe, const float* bIm,
                                       std::size_t stride) {
    Lane re = {}, im = {};
    for (std::size_t i = 0; i < stride; i += lanes) {
        for (std::size_t k = 0; k < lanes; ++k) {
            const float ar = aRe[i + k], ai = conjugate ? -aIm[i + k] : aIm[i + k];
            re[k] += ar * bRe[i + k] - ai * bIm[i + k];
            im[k] += ar * bIm[i + k] + ai * bRe[i + k];
        }
    }
    return {Sum(re), Sum(im)};
}

using Vector = float __attribute__((vector_size(4 * lanes)));

/// By reference: what returns a Vector would have another calling convention on each CPU.
EDGELAM_INLINE void Load(Vector& to, const float* from) {
    std::memcpy(&to, from, sizeof(to));
}

/// The sum of each of four vectors, in the order of Sum.
EDGELAM_INLINE void Sums(const Vector* vectors, float* out) {
    using Half = float __attribute__((vector_size(2 * lanes)));
    static_assert(lanes == 8);
    Half half[4];
    for (std::size_t i = 0; i < 4; ++i) {
        Half parts[2];
        std::memcpy(parts, &vectors[i], sizeof(parts));
        half[i] = parts[0] + parts[1];
    }
    const Half first = __builtin_shufflevector(half[0], half[1], 0, 2, 4, 6) +
                       __builtin_shufflevector(half[0], half[1], 1, 3, 5, 7),
               second = __builtin_shufflevector(half[2], half[3], 0, 2, 4, 6) +
                        __builtin_shufflevector(half[2], half[3], 1, 3, 5, 7);
    const Half sums =
        __builtin_shufflevector(first, second, 0, 2, 4, 6) + __builtin_shufflevector(first, second, 1, 3, 5, 7);
    std::memcpy(out, &sums, sizeof(sums));
}

/// All columns of b in one pass over the rows of h.
template<std::size_t columns>
EDGELAM_INLINE void Gram(const float* __restrict hRe, const float* __restrict hIm, std::size_t rows,
                         const float* __restrict bRe, const float* __restrict bIm, std::size_t stride,
                         float* __restrict outRe, float* __restrict outIm) {
    std::fill(outRe, outRe + columns * stride, 0.f);
    std::fill(outIm, outIm + columns * stride, 0.f);
    for (std::size_t row = 0; row < rows; ++row) {
        const float *re = hRe + row * stride, *im = hIm + row * stride;
        Vector sumRe[4] = {}, sumIm[4] = {};
        for (std::size_t i = 0; i < stride; i += lanes) {
            Vector hr, hi;
            Load(hr, re + i);
            Load(hi, im + i);
            for (std::size_t c = 0; c < columns; ++c) {
                Vector br, bi;
                Load(br, bRe + c * stride + i);
                Load(bi, bIm + c * stride + i);
                sumRe[c] += hr * br;
                sumRe[c] -= hi * bi;
                sumIm[c] += hr * bi;
                sumIm[c] += hi * br;
            }
        }
        float yr[4], yi[4];
        Sums(sumRe, yr);
        Sums(sumIm, yi);
        for (std::size_t i = 0; i < stride; i += lanes) {
            Vector hr, hi;
            Load(hr, re + i);
            Load(hi, im + i);
            for (std::size_t c = 0; c < columns; ++c) { // conj(h) y
                Vector sr, si;
                Load(sr, outRe + c * stride + i);
                Load(si, outIm + c * stride + i);
                sr += hr * yr[c] + hi * yi[c];
                si += hr * yi[c] - hi * yr[c];
                std::memcpy(outRe + c * stride + i, &sr, sizeof(sr));
                std::memcpy(outIm + c * stride + i, &si, sizeof(si));
            }
        }
    }
}

/// Half a lane of complex frequencies, for all layers and some antennas in one pass over the elements.
template<std::size_t layers, std::size_t antennas>
EDGELAM_INLINE void Through(const std::complex<float>* __restrict h, const std::complex<float>* __restrict weights,
                            std::size_t elements, std::complex<float>* __restrict out) {
    constexpr std::size_t four = lanes / 2;
    Vector byRe[antennas][layers] = {}, byIm[antennas][layers] = {};
    for (std::size_t e = 0; e < elements; ++e) {
        Vector row[antennas];
        for (std::size_t u = 0; u < antennas; ++u) {
            std::memcpy(&row[u], h + (u * elements + e) * four, sizeof(row[u]));
        }
        for (std::size_t l = 0; l < layers; ++l) {
            const float re = weights[e * layers + l].real(), im = weights[e * layers + l].imag();
            for (std::size_t u = 0; u < antennas; ++u) {
                byRe[u][l] += row[u] * re;
                byIm[u][l] += row[u] * im;
            }
        }
    }
    for (std::size_t u = 0; u < antennas; ++u) {
        for (std::size_t l = 0; l < layers; ++l) {
            float sum[lanes];
            for (std::size_t k = 0; k < lanes; k += 2) {
                sum[k] = byRe[u][l][k] - byIm[u][l][k + 1];
                sum[k + 1] = byRe[u][l][k + 1] + byIm[u][l][k];
            }
            std::memcpy(out + (u * layers + l) * four, sum, sizeof(sum));
        }
    }
}

/// As many antennas at once as there are registers for.
template<std::size_t layers, std::size_t atOnce>
EDGELAM_INLINE void ThroughAll(const std::complex<float>* h, const std::complex<float>* weights, std::size_t antennas,
                               std::size_t elements, std::complex<float>* out) {
    constexpr std::size_t four = lanes / 2;
    std::size_t u = 0;
    for (; u + atOnce <= antennas; u += atOnce) {
        Through<layers, atOnce>(h + u * elements * four, weights, elements, out + u * layers * four);
    }
    for (; u < antennas; ++u) {
        Through<layers, 1>(h + u * elements * four, weights, elements, out + u * layers * four);
    }
}

} // namespace

EDGELAM_VECTOR
void ThroughWeights(const std::complex<float>* h, const std::complex<float>* weights, std::size_t antennas,
                    std::size_t elements, std::size_t layers, std::complex<float>* out) {
    switch (layers) {
    case 1:
        return ThroughAll<1, 4>(h, weights, antennas, elements, out);
    case 2:
        return ThroughAll<2, 2>(h, weights, antennas, elements, out);
    case 3:
        return ThroughAll<3, 2>(h, weights, antennas, elements, out);
    default:
        return ThroughAll<4, 1>(h, weights, antennas, elements, out);
    }
}

EDGELAM_VECTOR
void MmseSinr(const std::complex<float>* g, std::size_t antennas, std::size_t beams, unsigned layers,
              std::size_t frequencies, float scale, float* sinr) {
    switch (layers) {
    case 1:
        return Mmse<1>(g, antennas, beams, frequencies, scale, sinr);
    case 2:
        return Mmse<2>(g, antennas, beams, frequencies, scale, sinr);
    case 3:
        return Mmse<3>(g, antennas, beams, frequencies, scale, sinr);
    default:
        return Mmse<4>(g, antennas, beams, frequencies, scale, sinr);
    }
}

EDGELAM_VECTOR
void CombineAntennas(const std::complex<float>* g, const std::complex<float>* weights, std::size_t antennas,
                     std::size_t beams, std::size_t layers, std::size_t stride, std::size_t frequencies,
                     std::complex<float>* out) {
    for (std::size_t b = 0; b < beams; ++b) {
        for (std::size_t l = 0; l < layers; ++l) {
            auto* to = reinterpret_cast<float*>(out + (b * layers + l) * frequencies);
            std::fill(to, to + 2 * frequencies, 0.f);
            for (std::size_t u = 0; u < antennas; ++u) {
                const auto* row = reinterpret_cast<const float*>(g + (u * beams + b) * stride);
                const float wr = weights[u * layers + l].real(), wi = weights[u * layers + l].imag();
                for (std::size_t k = 0; k < 2 * frequencies; k += 2) {
                    to[k] += row[k] * wr - row[k + 1] * wi;
                    to[k + 1] += row[k] * wi + row[k + 1] * wr;
                }
            }
        }
    }
}

EDGELAM_VECTOR
void CombineRows(const std::complex<float>* y, const std::complex<float>* weights, std::size_t rows, std::size_t ports,
                 std::size_t count, std::complex<float>* out) {
    std::fill(out, out + ports * count, std::complex<float>());
    for (std::size_t r = 0; r < rows; ++r) {
        const auto* row = reinterpret_cast<const float*>(y + r * count);
        for (std::size_t p = 0; p < ports; ++p) {
            auto* to = reinterpret_cast<float*>(out + p * count);
            const float wr = weights[r * ports + p].real(), wi = weights[r * ports + p].imag();
            for (std::size_t k = 0; k < 2 * count; k += 2) {
                to[k] += row[k] * wr - row[k + 1] * wi;
                to[k + 1] += row[k] * wi + row[k + 1] * wr;
            }
        }
    }
}

EDGELAM_VECTOR
void CombineElements(const std::complex<float>* h, const std::complex<float>* weights, std::size_t antennas,
                     std::size_t elements, std::size_t layers, std::size_t frequencies, std::complex<float>* out) {
    std::fill(out, out + antennas * layers * frequencies, std::complex<float>());
    for (std::size_t u = 0; u < antennas; ++u) {
        for (std::size_t e = 0; e < elements; ++e) {
            const auto* row = reinterpret_cast<const float*>(h + (u * elements + e) * frequencies);
            for (std::size_t l = 0; l < layers; ++l) {
                const auto* w = reinterpret_cast<const float*>(weights + (e * layers + l) * frequencies);
                auto* to = reinterpret_cast<float*>(out + (u * layers + l) * frequencies);
                for (std::size_t k = 0; k < 2 * frequencies; k += 2) {
                    to[k] += row[k] * w[k] - row[k + 1] * w[k + 1];
                    to[k + 1] += row[k] * w[k + 1] + row[k + 1] * w[k];
                }
            }
        }
    }
}

EDGELAM_VECTOR
void ApplyGram(const float* hRe, const float* hIm, std::size_t rows, const float* bRe, const float* bIm,
               std::size_t columns, std::size_t stride, float* outRe, float* outIm) {
    switch (columns) {
    case 1:
        return Gram<1>(hRe, hIm, rows, bRe, bIm, stride, outRe, outIm);
    case 2:
        return Gram<2>(hRe, hIm, rows, bRe, bIm, stride, outRe, outIm);
    case 3:
        return Gram<3>(hRe, hIm, rows, bRe, bIm, stride, outRe, outIm);
    default:
        return Gram<4>(hRe, hIm, rows, bRe, bIm, stride, outRe, outIm);
    }
}

EDGELAM_VECTOR
void Orthonormalise(float* re, float* im, std::size_t count, std::size_t n, std::size_t stride) {
    // Away from denormals first.
    float largest = 0;
    for (std::size_t i = 0; i < count * stride; ++i) {
        largest = std::max({largest, std::fabs(re[i]), std::fabs(im[i])});
    }
    const float away = largest > 0 ? 1 / largest : 1;
    for (std::size_t i = 0; i < count * stride; ++i) {
        re[i] *= away;
        im[i] *= away;
    }
    for (std::size_t c = 0; c < count; ++c) {
        float *toRe = re + c * stride, *toIm = im + c * stride;
        std::size_t next = c; // what stands in for a row that depends on the others
        for (int pass = 0; pass < 2; ++pass) {
            for (std::size_t b = 0; b < c; ++b) {
                const float *fromRe = re + b * stride, *fromIm = im + b * stride;
                const auto dot = Dot<true>(fromRe, fromIm, toRe, toIm, stride);
                const float dr = dot.real(), di = dot.imag();
                for (std::size_t i = 0; i < stride; ++i) {
                    toRe[i] -= dr * fromRe[i] - di * fromIm[i];
                    toIm[i] -= dr * fromIm[i] + di * fromRe[i];
                }
            }
            const float norm = Dot<true>(toRe, toIm, toRe, toIm, stride).real();
            if (norm < 1e-12f) {
                std::fill(toRe, toRe + stride, 0.f);
                std::fill(toIm, toIm + stride, 0.f);
                toRe[next++ % n] = 1;
                pass = -1;
                continue;
            }
            const float scale = 1 / std::sqrt(norm);
            for (std::size_t i = 0; i < stride; ++i) {
                toRe[i] *= scale;
                toIm[i] *= scale;
            }
        }
    }
}

} // namespace edgelam::nr::kernels
