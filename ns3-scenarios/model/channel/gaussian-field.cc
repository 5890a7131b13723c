// SPDX-License-Identifier: GPL-2.0-only
#include "gaussian-field.h"

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>

#include "channel-kernels.h"

namespace edgelam {

GaussianField::GaussianField(NamedRandom random, double correlationDistanceM)
    : m_kx(num_waves), m_ky(num_waves), m_phase(num_waves) {
    constexpr double smallest = 1.0 / 30; // wavelength, in correlation distances
    for (std::size_t i = 0; i < num_waves; ++i) {
        m_phase[i] = random.Uniform();
        if (correlationDistanceM <= 0) {
            continue;
        }
        // The length r (radians per correlation distance) has the distribution function 1 - 1 / sqrt(1 + r^2). Strata
        // of equal probability, one a wave, keep the autocorrelation of one realisation near its mean.
        const double longest = 2 * std::numbers::pi / smallest;
        const double last = 1 - 1 / std::sqrt(1 + longest * longest);
        const double u = last * (static_cast<double>(i) + random.Uniform()) / num_waves;
        const double r = std::sqrt(1 / ((1 - u) * (1 - u)) - 1);
        const double direction = 2 * std::numbers::pi * random.Uniform();
        const double cyclesPerM = r / (2 * std::numbers::pi * correlationDistanceM);
        m_kx[i] = cyclesPerM * std::cos(direction);
        m_ky[i] = cyclesPerM * std::sin(direction);
    }
}

double GaussianField::operator()(double xM, double yM) const {
    return std::sqrt(2.0 / num_waves) *
           kernels::SumOfCosines(m_kx.data(), m_ky.data(), m_phase.data(), num_waves, xM, yM);
}

double NormalToUniform(double value) {
    return 0.5 * std::erfc(-value / std::numbers::sqrt2);
}

double UniformToNormal(double probability) {
    const double p = std::clamp(probability, 1e-300, 1 - 1e-16);
    return -std::numbers::sqrt2 * boost::math::erfc_inv(2 * p);
}

} // namespace edgelam
