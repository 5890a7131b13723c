// SPDX-License-Identifier: GPL-2.0-only
// Compiled with -O3 -ffast-math (see CMakeLists.txt): no loop here depends on NaN, infinity or the order of a sum.
#include "channel-kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define EDGELAM_VECTOR __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define EDGELAM_VECTOR
#endif

namespace edgelam::kernels {

namespace {

/// sin(2 pi x) for |x| <= 1/4; Taylor series to degree 13, error below 1e-8 before rounding.
inline __attribute__((always_inline)) float SinQuarter(float x) {
    const float y = x * 6.283185307179586f, s = y * y;
    return y * (1.f +
                s * (-1.f / 6 + s * (1.f / 120 + s * (-1.f / 5040 +
                                                      s * (1.f / 362880 + s * (-1.f / 39916800 + s / 6227020800.f))))));
}

/// sin(2 pi x), |x| <= 1/2: sin(pi - y) = sin(y).
inline __attribute__((always_inline)) float SinHalf(float x) {
    const float size = std::fabs(x);
    return std::copysign(SinQuarter(size > 0.25f ? 0.5f - size : size), x);
}

/// cos(2 pi x), |x| <= 1/2.
inline __attribute__((always_inline)) float CosHalf(float x) {
    return SinQuarter(0.25f - std::fabs(x));
}

/// Size of the angle of (x, y) from the x axis, 0 to pi, for y >= 0; error below 3e-7. Abramowitz and Stegun 4.4.49.
inline __attribute__((always_inline)) float AngleFromX(float x, float y) {
    const float size = std::fabs(x), t = std::min(size, y) / (std::max(size, y) + 1e-30f), s = t * t;
    const float octant =
        t *
        (1.f +
         s * (-0.3333314528f +
              s * (0.1999355085f +
                   s * (-0.1420889944f +
                        s * (0.1065626393f +
                             s * (-0.0752896400f + s * (0.0429096138f + s * (-0.0161657367f + s * 0.0028662257f))))))));
    const float quadrant = y > size ? 1.5707963268f - octant : octant;
    return x < 0 ? 3.1415926536f - quadrant : quadrant;
}

/// 2^x for |x| < 126; Taylor series to degree 6, relative error below 2e-7.
inline __attribute__((always_inline)) float Exp2(float x) {
    const float whole = std::floor(x + 0.5f), y = (x - whole) * 0.69314718056f;
    const float power =
        1 + y * (1 + y * (1.f / 2 + y * (1.f / 6 + y * (1.f / 24 + y * (1.f / 120 + y * (1.f / 720))))));
    return power * std::bit_cast<float>((static_cast<std::int32_t>(whole) + 127) << 23);
}

constexpr std::size_t chunk = 16; ///< frequencies whose sums stay in registers

using Lanes = float __attribute__((vector_size(4 * lanes)));

/// `rows` rows and `count` columns of a product. Four sums of products for each row: no sum waits for another.
template<std::size_t rows>
inline __attribute__((always_inline)) void MultiplyBlock(const Factor& a, std::size_t i, std::size_t m, const Factor& b,
                                                         std::size_t j, std::size_t count, float* outRe, float* outIm,
                                                         std::size_t outStride) {
    Lanes rr[rows] = {}, ii[rows] = {}, ri[rows] = {}, ir[rows] = {};
    for (std::size_t k = 0; k < m; ++k) {
        Lanes re, im;
        std::memcpy(&re, b.re + k * b.rowStep + j, sizeof(re));
        std::memcpy(&im, b.im + k * b.rowStep + j, sizeof(im));
        for (std::size_t row = 0; row < rows; ++row) {
            const std::size_t at = (i + row) * a.rowStep + k * a.columnStep;
            const float x = a.re[at], y = a.im[at];
            rr[row] += x * re;
            ii[row] += y * im;
            ri[row] += x * im;
            ir[row] += y * re;
        }
    }
    for (std::size_t row = 0; row < rows; ++row) {
        const Lanes re = rr[row] - ii[row], im = ri[row] + ir[row];
        if (count == lanes) { // a known size: no call
            std::memcpy(outRe + row * outStride, &re, sizeof(re));
            std::memcpy(outIm + row * outStride, &im, sizeof(im));
        } else {
            std::memcpy(outRe + row * outStride, &re, count * sizeof(float));
            std::memcpy(outIm + row * outStride, &im, count * sizeof(float));
        }
    }
}

/// One chunk of frequencies: sum over taps of c[tap * n] * e[tap * stride + f].
inline __attribute__((always_inline)) void SumOverTaps(const float* __restrict cRe, const float* __restrict cIm,
                                                       std::size_t numTaps, std::size_t n, const float* __restrict eRe,
                                                       const float* __restrict eIm, std::size_t stride,
                                                       float* __restrict re, float* __restrict im) {
    // Four sums of products, not two: they stay in registers, and no sum waits for another (3.5 times as fast).
    float rr[chunk] = {}, ii[chunk] = {}, ri[chunk] = {}, ir[chunk] = {};
    for (std::size_t tap = 0; tap < numTaps; ++tap) {
        const float a = cRe[tap * n], b = cIm[tap * n];
        const float *r = eRe + tap * stride, *i = eIm + tap * stride;
        for (std::size_t f = 0; f < chunk; ++f) {
            rr[f] += r[f] * a;
            ii[f] += i[f] * b;
            ri[f] += r[f] * b;
            ir[f] += i[f] * a;
        }
    }
    for (std::size_t f = 0; f < chunk; ++f) {
        re[f] = rr[f] - ii[f];
        im[f] = ri[f] + ir[f];
    }
}

/// `ports` neighbouring ports s of JoinEnds.
template<std::size_t ports>
inline __attribute__((always_inline)) void
JoinPorts(const float* __restrict aRe, const float* __restrict aIm, const float* __restrict bRe,
          const float* __restrict bIm, std::size_t numRays, std::size_t numQ, std::size_t numU, std::size_t numS,
          float* __restrict outRe, float* __restrict outIm) {
    for (std::size_t ray = 0; ray < numRays; ++ray) {
        for (std::size_t u = 0; u < numU; ++u) {
            float re[ports] = {}, im[ports] = {};
            for (std::size_t q = 0; q < numQ; ++q) {
                const std::size_t at = (ray * numQ + q) * numU + u, from = (ray * numQ + q) * numS;
                for (std::size_t s = 0; s < ports; ++s) {
                    re[s] += aRe[at] * bRe[from + s] - aIm[at] * bIm[from + s];
                    im[s] += aRe[at] * bIm[from + s] + aIm[at] * bRe[from + s];
                }
            }
            for (std::size_t s = 0; s < ports; ++s) {
                outRe[(ray * numU + u) * numS + s] = re[s];
                outIm[(ray * numU + u) * numS + s] = im[s];
            }
        }
    }
}

} // namespace

EDGELAM_VECTOR
void Phasors(const double* __restrict turns, std::size_t n, float* __restrict re, float* __restrict im) {
    for (std::size_t i = 0; i < n; ++i) {
        const float x = static_cast<float>(turns[i] - std::floor(turns[i] + 0.5));
        re[i] = CosHalf(x);
        im[i] = SinHalf(x);
    }
}

EDGELAM_VECTOR
void PlacePhasors(const double* __restrict x, const double* __restrict y, const double* __restrict z,
                  std::size_t directions, const double* __restrict placeX, const double* __restrict placeY,
                  const double* __restrict placeZ, std::size_t places, float* __restrict re, float* __restrict im) {
    for (std::size_t d = 0; d < directions; ++d) {
        const double dx = x[d], dy = y[d], dz = z[d];
        for (std::size_t i = 0; i < places; ++i) {
            const double turns = dx * placeX[i] + dy * placeY[i] + dz * placeZ[i];
            const float part = static_cast<float>(turns - std::floor(turns + 0.5));
            re[d * places + i] = CosHalf(part);
            im[d * places + i] = SinHalf(part);
        }
    }
}

EDGELAM_VECTOR
void SectorAmplitudes(const SectorPattern& pattern, const double* __restrict along, const double* __restrict across,
                      const double* __restrict up, std::size_t n, float* __restrict amplitude) {
    constexpr double degree = 180 / 3.14159265358979323846, octave = 6.0205999132796239; // dB for twice the amplitude
    const auto vertical = static_cast<float>(degree / pattern.verticalWidthDeg);
    const auto horizontal = static_cast<float>(degree / pattern.horizontalWidthDeg);
    const auto verticalMost = static_cast<float>(pattern.verticalMostDb), most = static_cast<float>(pattern.mostDb);
    const auto largest = static_cast<float>(pattern.gainDb), octaves = static_cast<float>(1 / octave);
    for (std::size_t i = 0; i < n; ++i) {
        const auto x = static_cast<float>(along[i]), y = static_cast<float>(across[i]), z = static_cast<float>(up[i]);
        const float azimuth = AngleFromX(x, std::fabs(y)) * horizontal;
        const float elevation = AngleFromX(std::sqrt(x * x + y * y), std::fabs(z)) * vertical;
        const float attenuation =
            std::min(12 * elevation * elevation, verticalMost) + std::min(12 * azimuth * azimuth, most);
        amplitude[i] = Exp2((largest - std::min(attenuation, most)) * octaves);
    }
}

EDGELAM_VECTOR
double SumOfCosines(const double* __restrict kx, const double* __restrict ky, const double* __restrict phase,
                    std::size_t n, double x, double y) {
    float sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const double turns = kx[i] * x + ky[i] * y + phase[i];
        sum += CosHalf(static_cast<float>(turns - std::floor(turns + 0.5)));
    }
    return sum;
}

EDGELAM_VECTOR
void Paths(const ImageArrays& images, std::size_t n, const double ut[3], const double moved[3], double wavelengthM,
           PathArrays out) {
    const double waves = 1 / wavelengthM;
    const double ux = ut[0], uy = ut[1], uz = ut[2], mx = moved[0], my = moved[1], mz = moved[2];
    const double* const* q = images.q;
    for (std::size_t i = 0; i < n; ++i) {
        const double dx = images.x[i] + q[0][i] * mx + q[1][i] * my + q[2][i] * mz - ux;
        const double dy = images.y[i] + q[3][i] * mx + q[4][i] * my + q[5][i] * mz - uy;
        const double dz = images.z[i] + q[6][i] * mx + q[7][i] * my + q[8][i] * mz - uz;
        const double length = std::sqrt(dx * dx + dy * dy + dz * dz + 1e-12);
        const double ax = dx / length, ay = dy / length, az = dz / length;
        out.lengthM[i] = length;
        out.turns[i] = images.turns0[i] - (length - images.length0M[i]) * waves;
        out.ax[i] = ax;
        out.ay[i] = ay;
        out.az[i] = az;
        out.bx[i] = -(q[0][i] * ax + q[3][i] * ay + q[6][i] * az);
        out.by[i] = -(q[1][i] * ax + q[4][i] * ay + q[7][i] * az);
        out.bz[i] = -(q[2][i] * ax + q[5][i] * ay + q[8][i] * az);
    }
}

EDGELAM_VECTOR
void Linear(const double* __restrict c0, const double* __restrict gradient, std::size_t n, const double delta[6],
            double* __restrict out) {
    const double d0 = delta[0], d1 = delta[1], d2 = delta[2], d3 = delta[3], d4 = delta[4], d5 = delta[5];
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = c0[i] + gradient[i] * d0 + gradient[n + i] * d1 + gradient[2 * n + i] * d2 + gradient[3 * n + i] * d3 +
                 gradient[4 * n + i] * d4 + gradient[5 * n + i] * d5;
    }
}

EDGELAM_VECTOR
void AddDelays(const float* __restrict cRe, const float* __restrict cIm, std::size_t numTaps, std::size_t n,
               const std::size_t* __restrict row, const float* __restrict eRe, const float* __restrict eIm,
               std::size_t numFrequencies, std::size_t stride, std::complex<float>* __restrict out) {
    for (std::size_t j = 0; j < n; ++j) {
        float* const target = reinterpret_cast<float*>(out + row[j] * numFrequencies);
        for (std::size_t f0 = 0; f0 < numFrequencies; f0 += chunk) {
            float re[chunk], im[chunk];
            SumOverTaps(cRe + j, cIm + j, numTaps, n, eRe + f0, eIm + f0, stride, re, im);
            const std::size_t count = numFrequencies - f0 < chunk ? numFrequencies - f0 : chunk;
            for (std::size_t f = 0; f < count; ++f) {
                target[2 * (f0 + f)] = re[f];
                target[2 * (f0 + f) + 1] = im[f];
            }
        }
    }
}

EDGELAM_VECTOR
void AddDelaysByFour(const float* __restrict cRe, const float* __restrict cIm, std::size_t numTaps, std::size_t n,
                     const float* __restrict eRe, const float* __restrict eIm, std::size_t numFrequencies,
                     std::size_t stride, std::complex<float>* __restrict out) {
    constexpr std::size_t four = 4;
    float* const target = reinterpret_cast<float*>(out);
    for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t f0 = 0; f0 < numFrequencies; f0 += chunk) {
            float re[chunk], im[chunk];
            SumOverTaps(cRe + j, cIm + j, numTaps, n, eRe + f0, eIm + f0, stride, re, im);
            for (std::size_t f = 0; f < chunk && f0 + f < numFrequencies; f += four) {
                float* const to = target + ((f0 + f) / four * n + j) * 2 * four;
                for (std::size_t k = 0; k < four; ++k) {
                    to[2 * k] = re[f + k];
                    to[2 * k + 1] = im[f + k];
                }
            }
        }
    }
}

EDGELAM_VECTOR
void Multiply(const Factor& a, std::size_t n, std::size_t m, const Factor& b, std::size_t columns, float* outRe,
              float* outIm, std::size_t outStride) {
    for (std::size_t j = 0; j < columns; j += lanes) {
        const std::size_t count = columns - j < lanes ? columns - j : lanes;
        std::size_t i = 0;
        for (; i + 2 <= n; i += 2) {
            MultiplyBlock<2>(a, i, m, b, j, count, outRe + i * outStride + j, outIm + i * outStride + j, outStride);
        }
        if (i < n) {
            MultiplyBlock<1>(a, i, m, b, j, count, outRe + i * outStride + j, outIm + i * outStride + j, outStride);
        }
    }
}

EDGELAM_VECTOR
void JoinEnds(const float* aRe, const float* aIm, const float* bRe, const float* bIm, std::size_t numRays,
              std::size_t numQ, std::size_t numU, std::size_t numS, float* outRe, float* outIm) {
    std::size_t s = 0;
    for (; s + 4 <= numS; s += 4) {
        JoinPorts<4>(aRe, aIm, bRe + s, bIm + s, numRays, numQ, numU, numS, outRe + s, outIm + s);
    }
    for (; s < numS; ++s) {
        JoinPorts<1>(aRe, aIm, bRe + s, bIm + s, numRays, numQ, numU, numS, outRe + s, outIm + s);
    }
}

} // namespace edgelam::kernels
