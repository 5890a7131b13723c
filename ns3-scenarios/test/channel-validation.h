// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Statistics for the tests that hold the radio channel against TR 38.901 over many drops, and the list of those tests.
///
/// Seeds are fixed, so a test that passes goes on passing. What a test allows is what a right model would exceed with
/// the stated probability if the seed were drawn anew: 0.1 % a test of Kolmogorov and Smirnov, 6e-5 a bound of four
/// standard errors.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "channel-testbed.h"

namespace edgelam::test {

/// Quantile of the Kolmogorov distribution at 0.1 %: sqrt(-ln(0.001 / 2) / 2).
constexpr double kolmogorov_limit = 1.9495;

/// Largest distance between the samples' distribution and `distribution`, as a share of what is allowed at 0.1 %: to be
/// at most 1. Only below `cap`, where samples may have been clipped.
inline double KolmogorovRatio(std::vector<double> samples, const std::function<double(double)>& distribution,
                              double cap = std::numeric_limits<double>::infinity()) {
    std::sort(samples.begin(), samples.end());
    const double count = static_cast<double>(samples.size());
    double largest = 0;
    for (std::size_t i = 0; i < samples.size() && samples[i] < cap; ++i) {
        const double expected = distribution(samples[i]), below = static_cast<double>(i) / count;
        largest = std::max({largest, expected - below, below + 1 / count - expected});
    }
    return largest * std::sqrt(count) / kolmogorov_limit;
}

/// The same for two sets of samples from one distribution.
inline double KolmogorovRatio(std::vector<double> a, std::vector<double> b) {
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    const double na = static_cast<double>(a.size()), nb = static_cast<double>(b.size());
    double largest = 0;
    for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
        (a[i] < b[j] ? i : j) += 1;
        largest = std::max(largest, std::abs(static_cast<double>(i) / na - static_cast<double>(j) / nb));
    }
    return largest * std::sqrt(na * nb / (na + nb)) / kolmogorov_limit;
}

inline double NormalDistribution(double value, double mean, double deviation) {
    return 0.5 * std::erfc(-(value - mean) / deviation / std::numbers::sqrt2);
}

/// Mean and standard deviation.
inline std::pair<double, double> Moments(const std::vector<double>& samples) {
    const double count = static_cast<double>(samples.size());
    double sum = 0, squares = 0;
    for (const double value : samples) {
        sum += value / count;
    }
    for (const double value : samples) {
        squares += (value - sum) * (value - sum) / (count - 1);
    }
    return {sum, std::sqrt(squares)};
}

/// Four standard errors of a frequency of that probability among `count`.
inline double FourSigma(double probability, double count) {
    return 4 * std::sqrt(probability * (1 - probability) / count);
}

struct NamedCase {
    std::string name;
    std::function<void(Case&)> body;
};

/// channel-validation-large-scale.cc: distributions, correlations among parameters and in space.
std::vector<NamedCase> LargeScaleCases();
/// channel-validation-fading.cc: autocorrelations, Clarke.
std::vector<NamedCase> FadingCases();
/// channel-validation-rays.cc: spreads of the rays, against ns-3's channel model too.
std::vector<NamedCase> RayCases();

} // namespace edgelam::test
