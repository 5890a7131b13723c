// SPDX-License-Identifier: GPL-2.0-only
#include "nr-self-noise.h"

#include <cmath>
#include <numbers>

namespace edgelam::nr {

/// By Simpson's rule. Only even powers of a are left, so that the sum for small a is taken of 1 - J0.
double IntercarrierShare(double dopplerOverSpacing) {
    constexpr int intervals = 64;
    const double turn = 2 * std::numbers::pi * dopplerOverSpacing;
    double sum = 0;
    for (int i = 0; i <= intervals; ++i) {
        const double x = double(i) / intervals, weight = i == 0 || i == intervals ? 1 : i % 2 == 0 ? 2 : 4;
        sum += weight * (1 - x) * (1 - std::cyl_bessel_j(0.0, turn * x));
    }
    return 2 * sum / (3 * intervals);
}

} // namespace edgelam::nr
