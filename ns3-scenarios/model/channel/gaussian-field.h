// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A Gaussian random variable that is correlated in space.
#pragma once

#include <vector>

#include "named-random.h"

namespace edgelam {

/// A smooth function of the horizontal position whose values over many realisations are normal with mean 0, variance 1
/// and autocorrelation exp(-distance / correlationDistance), as TR 38.901 7.5 step 4 and 7.6.3.1 ask for.
///
/// It is a sum of 160 plane waves of random direction, phase and wavelength. The spectrum of the exponential
/// autocorrelation in the plane is a bivariate Cauchy distribution of wave vectors (Matern class, nu = 1/2).
/// Wavelengths below 1/30 of the correlation distance are redrawn, so the field has slopes everywhere; this reduces
/// the variance of the smallest scales by 0.5 %.
class GaussianField {
  public:
    /// \p correlationDistanceM: metres; at 0 or below the field is constant.
    GaussianField(NamedRandom random, double correlationDistanceM);

    double operator()(double xM, double yM) const;

  private:
    static constexpr std::size_t num_waves = 160;
    std::vector<double> m_kx, m_ky, m_phase; ///< cycles per metre, cycles
};

/// The standard normal distribution function, to make a uniform variable of a field.
double NormalToUniform(double value);
/// Its inverse, exact to 1e-12 between 1e-300 and 1 - 1e-16.
double UniformToNormal(double probability);

} // namespace edgelam
