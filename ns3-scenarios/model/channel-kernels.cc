// SPDX-License-Identifier: GPL-2.0-only
// Compiled with -O3 -ffast-math (see CMakeLists.txt): no loop here depends on NaN, infinity or the order of a sum.
#include "channel-kernels.h"

#include <cmath>

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

constexpr std::size_t chunk = 16; ///< frequencies whose sums stay in registers

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
void AddRays(const float* __restrict cRe, const float* __restrict cIm, const float* __restrict pRe,
             const float* __restrict pIm, std::size_t numRays, std::size_t n, float* __restrict sumRe,
             float* __restrict sumIm) {
    std::size_t ray = 0;
    for (; ray + 4 <= numRays; ray += 4) { // four rows a pass: the sums are loaded and stored a quarter as often
        const float *r0 = cRe + ray * n, *i0 = cIm + ray * n;
        const float a = pRe[ray], b = pIm[ray], c = pRe[ray + 1], d = pIm[ray + 1];
        const float e = pRe[ray + 2], f = pIm[ray + 2], g = pRe[ray + 3], h = pIm[ray + 3];
        const float *r1 = r0 + n, *i1 = i0 + n, *r2 = r1 + n, *i2 = i1 + n, *r3 = r2 + n, *i3 = i2 + n;
        for (std::size_t j = 0; j < n; ++j) {
            sumRe[j] += r0[j] * a - i0[j] * b + r1[j] * c - i1[j] * d + r2[j] * e - i2[j] * f + r3[j] * g - i3[j] * h;
            sumIm[j] += r0[j] * b + i0[j] * a + r1[j] * d + i1[j] * c + r2[j] * f + i2[j] * e + r3[j] * h + i3[j] * g;
        }
    }
    for (; ray < numRays; ++ray) {
        const float *r0 = cRe + ray * n, *i0 = cIm + ray * n;
        const float a = pRe[ray], b = pIm[ray];
        for (std::size_t j = 0; j < n; ++j) {
            sumRe[j] += r0[j] * a - i0[j] * b;
            sumIm[j] += r0[j] * b + i0[j] * a;
        }
    }
}

EDGELAM_VECTOR
void AddDelays(const float* __restrict cRe, const float* __restrict cIm, std::size_t numTaps, std::size_t n,
               const std::size_t* __restrict row, const float* __restrict eRe, const float* __restrict eIm,
               std::size_t numFrequencies, std::size_t stride, std::complex<float>* __restrict out) {
    for (std::size_t j = 0; j < n; ++j) {
        float* const target = reinterpret_cast<float*>(out + row[j] * numFrequencies);
        for (std::size_t f0 = 0; f0 < numFrequencies; f0 += chunk) {
            // Four sums of products, not two: they stay in registers, and no sum waits for another (3.5 times as fast).
            float rr[chunk] = {}, ii[chunk] = {}, ri[chunk] = {}, ir[chunk] = {};
            for (std::size_t tap = 0; tap < numTaps; ++tap) {
                const float a = cRe[tap * n + j], b = cIm[tap * n + j];
                const float *r = eRe + tap * stride + f0, *i = eIm + tap * stride + f0;
                for (std::size_t f = 0; f < chunk; ++f) {
                    rr[f] += r[f] * a;
                    ii[f] += i[f] * b;
                    ri[f] += r[f] * b;
                    ir[f] += i[f] * a;
                }
            }
            const std::size_t count = numFrequencies - f0 < chunk ? numFrequencies - f0 : chunk;
            for (std::size_t f = 0; f < count; ++f) {
                target[2 * (f0 + f)] = rr[f] - ii[f];
                target[2 * (f0 + f) + 1] = ri[f] + ir[f];
            }
        }
    }
}

EDGELAM_VECTOR
void OuterProduct(std::complex<float> g, const float* __restrict aRe, const float* __restrict aIm, std::size_t n,
                  const float* __restrict bRe, const float* __restrict bIm, std::size_t m, std::size_t rowStride,
                  float* __restrict outRe, float* __restrict outIm) {
    const float gr = g.real(), gi = g.imag();
    for (std::size_t i = 0; i < n; ++i) {
        const float r = gr * aRe[i] - gi * aIm[i], s = gr * aIm[i] + gi * aRe[i];
        for (std::size_t j = 0; j < m; ++j) {
            outRe[i * rowStride + j] = r * bRe[j] - s * bIm[j];
            outIm[i * rowStride + j] = r * bIm[j] + s * bRe[j];
        }
    }
}

EDGELAM_VECTOR
void Multiply(const float* __restrict aRe, const float* __restrict aIm, std::size_t n, std::size_t m,
              const float* __restrict bRe, const float* __restrict bIm, std::size_t stride, float* __restrict outRe,
              float* __restrict outIm) {
    constexpr std::size_t columns = 8;
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j0 = 0; j0 < stride; j0 += columns) {
            float re[columns] = {}, im[columns] = {};
            for (std::size_t k = 0; k < m; ++k) {
                const float a = aRe[i * m + k], b = aIm[i * m + k];
                const float *r = bRe + k * stride + j0, *s = bIm + k * stride + j0;
                for (std::size_t j = 0; j < columns; ++j) {
                    re[j] += r[j] * a - s[j] * b;
                    im[j] += r[j] * b + s[j] * a;
                }
            }
            for (std::size_t j = 0; j < columns; ++j) {
                outRe[i * stride + j0 + j] = re[j];
                outIm[i * stride + j0 + j] = im[j];
            }
        }
    }
}

EDGELAM_VECTOR
void AddPorts(const std::complex<float>* __restrict g, const float* __restrict aRe, const float* __restrict aIm,
              std::size_t numP, std::size_t numU, const float* __restrict bRe, const float* __restrict bIm,
              std::size_t numQ, std::size_t numS, float* __restrict sumRe, float* __restrict sumIm) {
    for (std::size_t p = 0; p < numP; ++p) {
        for (std::size_t q = 0; q < numQ; ++q) {
            const float gr = g[p * numQ + q].real(), gi = g[p * numQ + q].imag();
            for (std::size_t u = 0; u < numU; ++u) {
                const float a = aRe[p * numU + u], b = aIm[p * numU + u];
                const float r = gr * a - gi * b, i = gr * b + gi * a;
                for (std::size_t s = 0; s < numS; ++s) {
                    sumRe[u * numS + s] += r * bRe[q * numS + s] - i * bIm[q * numS + s];
                    sumIm[u * numS + s] += r * bIm[q * numS + s] + i * bRe[q * numS + s];
                }
            }
        }
    }
}

} // namespace edgelam::kernels
