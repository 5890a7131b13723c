// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The inner loops of the channel, written so that the compiler makes vector instructions of them. Complex arrays are
/// planar: real parts and imaginary parts apart, float32. Angles are in turns (cycles), so that reducing a phase to one
/// turn is exact. On x86-64 each loop exists twice, for AVX2 with FMA and for any CPU, chosen at start.
#pragma once

#include <complex>
#include <cstddef>

namespace edgelam::kernels {

/// re + j im = exp(j 2 pi turns), n of them; error below 3e-7.
void Phasors(const double* turns, std::size_t n, float* re, float* im);

/// The same for turns = direction . place, [direction, place].
void PlacePhasors(const double* x, const double* y, const double* z, std::size_t directions, const double* placeX,
                  const double* placeY, const double* placeZ, std::size_t places, float* re, float* im);

/// TR 38.901 table 7.3-1: radiation pattern of a single element.
struct SectorPattern {
    double verticalWidthDeg, horizontalWidthDeg; ///< where the gain is 3 dB less
    double verticalMostDb, mostDb;               ///< largest attenuation SLA_V and A_max
    double gainDb;                               ///< in the direction (1, 0, 0)
};

/// Amplitudes (square roots of power gains) towards n unit vectors (along, across, up); relative error below 3e-6.
void SectorAmplitudes(const SectorPattern& pattern, const double* along, const double* across, const double* up,
                      std::size_t n, float* amplitude);

/// Sum of cos(2 pi (kx x + ky y + phase)) over n waves.
double SumOfCosines(const double* kx, const double* ky, const double* phase, std::size_t n, double x, double y);

/// Where the mirror images of one end lie, and how they move with it: `n` of each array. See ClusterDrop.
struct ImageArrays {
    const double *x, *y, *z;         ///< metres, for the base station at its place of reference
    const double* q[9];              ///< rows of the isometry: image = (x, y, z) + Q moved
    const double *length0M, *turns0; ///< path length of reference and the phase there
};

/// What lies between the user and each image.
struct PathArrays {
    double *lengthM, *turns; ///< path length; phase, turns: turns0 - (length - length0) / wavelength
    double *ax, *ay, *az;    ///< unit vector from the user towards where the ray comes from
    double *bx, *by, *bz;    ///< unit vector from the base station towards where the ray leaves
};

/// \p ut: position of the user; \p moved: how far the base station is from its place of reference.
void Paths(const ImageArrays& images, std::size_t n, const double ut[3], const double moved[3], double wavelengthM,
           PathArrays out);

/// out = c0 + sum_i gradient[i] * delta[i], for n entries and 6 gradients of n entries each.
void Linear(const double* c0, const double* gradient, std::size_t n, const double delta[6], double* out);

/// out[row[j] * numFrequencies + f] = sum over taps of c[tap][j] * e[tap][f]. Rows of c are `n` long, rows of e
/// `stride` long, a multiple of 16.
void AddDelays(const float* cRe, const float* cIm, std::size_t numTaps, std::size_t n, const std::size_t* row,
               const float* eRe, const float* eIm, std::size_t numFrequencies, std::size_t stride,
               std::complex<float>* out);

/// The same as out[chunk of 4 f, j, 4], for all j. Frequencies beyond the last one have any values.
void AddDelaysByFour(const float* cRe, const float* cIm, std::size_t numTaps, std::size_t n, const float* eRe,
                     const float* eIm, std::size_t numFrequencies, std::size_t stride, std::complex<float>* out);

constexpr std::size_t lanes = 8; ///< floats that are worked on together

/// A complex matrix: entry (i, k) is at i * rowStep + k * columnStep.
struct Factor {
    const float *re, *im;
    std::size_t rowStep, columnStep;
};

/// out[i * outStride + j] = sum over k of a(i, k) b(k, j), for i < n, k < m, j < columns. Columns of b are one apart;
/// its rows are read up to `lanes` - 1 entries further than `columns`.
void Multiply(const Factor& a, std::size_t n, std::size_t m, const Factor& b, std::size_t columns, float* outRe,
              float* outIm, std::size_t outStride);

/// out[ray][u][s] = sum over q of a[ray][q][u] b[ray][q][s].
void JoinEnds(const float* aRe, const float* aIm, const float* bRe, const float* bIm, std::size_t numRays,
              std::size_t numQ, std::size_t numU, std::size_t numS, float* outRe, float* outIm);

} // namespace edgelam::kernels
