// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Large-scale parameters of the radio channel over many drops and places: distributions and correlations of TR 38.901
/// table 7.5-6, written here anew.

#include <array>

#include "channel-validation.h"

namespace edgelam::test {

namespace {

using ns3::Vector;

constexpr double frequency = 28e9;
const double lg28 = std::log10(28.0), lg29 = std::log10(29.0);

/// Large-scale parameters in the order of TR 38.901: SF, K, DS, ASD, ASA, ZSD, ZSA.
using Row = std::array<double, 7>;
const char* const parameter_names[]{"SF", "K", "lg DS", "lg ASD", "lg ASA", "lg ZSD", "lg ZSA"};

struct Table {
    const char *deployment, *los;
    Vector place;
    double bsHeight;
    Row mean, deviation;
    std::vector<double> correlations; ///< K-SF; DS-SF, DS-K; ASD-SF, ASD-K, ASD-DS; ... row by row; no K: 0
};

/// Table 7.5-6 at 28 GHz, with tables 7.5-7 to 7.5-11 for ZSD, and 7.4.1-1 for SF. InF: a hall of 120 m x 60 m x 10 m,
/// volume over surface 4 m.
std::vector<Table> Tables() {
    const double km = 0.15; // horizontal distance outdoors
    const Vector macro(120, 90, 1.5), office(16, 12, 1), factory(24, 18, 1.5);
    return {
        {"UMa",
         "Always",
         macro,
         25,
         {0, 9, -6.955 - 0.0963 * lg28, 1.06 + 0.1114 * lg28, 1.81, 0.75 - 2.1 * km, 0.95},
         {4, 3.5, 0.66, 0.28, 0.20, 0.40, 0.16},
         {0, -.4, -.4, -.5, 0, .4, -.5, -.2, .8, 0, 0, 0, -.2, .5, -.3, -.8, 0, 0, 0, .4, 0}},
        {"UMa",
         "Never",
         macro,
         25,
         {0, 0, -6.28 - 0.204 * lg28, 1.5 - 0.1144 * lg28, 2.08 - 0.27 * lg28, 0.9 - 2.1 * km, 1.512 - 0.3236 * lg28},
         {6, 0, 0.39, 0.28, 0.11, 0.49, 0.16},
         {0, -.4, 0, -.6, 0, .4, 0, 0, .6, .4, 0, 0, -.5, .5, 0, -.4, 0, 0, -.1, 0, 0}},
        {"UMi",
         "Always",
         macro,
         10,
         {0, 9, -7.14 - 0.24 * lg29, 1.21 - 0.05 * lg29, 1.73 - 0.08 * lg29, -0.21, 0.73 - 0.1 * lg29},
         {4, 5, 0.38, 0.41, 0.28 + 0.014 * lg29, 0.35, 0.34 - 0.04 * lg29},
         {.5, -.4, -.7, -.5, -.2, .5, -.4, -.3, .8, .4, 0, 0, 0, .5, 0, 0, 0, .2, .3, 0, 0}},
        {"UMi",
         "Never",
         macro,
         10,
         {0, 0, -6.83 - 0.24 * lg29, 1.53 - 0.23 * lg29, 1.81 - 0.08 * lg29, 0.2 - 3.1 * km, 0.92 - 0.04 * lg29},
         {7.82, 0, 0.28 + 0.16 * lg29, 0.33 + 0.11 * lg29, 0.30 + 0.05 * lg29, 0.35, 0.41 - 0.07 * lg29},
         {0, -.7, 0, 0, 0, 0, -.4, 0, .4, 0, 0, 0, -.5, .5, 0, 0, 0, 0, .5, .2, 0}},
        {"RMa",
         "Always",
         macro,
         35,
         {0, 7, -7.49, 0.90, 1.52, 0.22 - 0.17 * km, 0.47},
         {4, 4, 0.55, 0.38, 0.24, 0.34, 0.40},
         {0, -.5, 0, 0, 0, 0, 0, 0, 0, 0, .01, 0, -.05, .73, -.2, -.17, -.02, .27, -.14, .24, -.07}},
        {"RMa",
         "Never",
         macro,
         35,
         {0, 0, -7.43, 0.95, 1.52, 0.28 - 0.19 * km, 0.58},
         {8, 0, 0.48, 0.45, 0.13, 0.30, 0.37},
         {0, -.5, 0, .6, 0, -.4, 0, 0, 0, 0, -.04, 0, -.1, .42, -.18, -.25, 0, -.4, -.27, .26, -.27}},
        {"InH-Mixed",
         "Always",
         office,
         3,
         {0, 7, -7.692 - 0.01 * lg29, 1.60, 1.781 - 0.19 * lg29, 2.228 - 1.43 * lg29, 1.44 - 0.26 * lg29},
         {3, 4, 0.18, 0.18, 0.119 + 0.12 * lg29, 0.30 + 0.13 * lg29, 0.264 - 0.04 * lg29},
         {.5, -.8, -.5, -.4, 0, .6, -.5, 0, .8, .4, .2, 0, .1, .5, 0, .3, .1, .2, 0, .5, 0}},
        {"InH-Open",
         "Never",
         office,
         3,
         {0, 0, -7.173 - 0.28 * lg29, 1.62, 1.863 - 0.11 * lg29, 1.08, 1.387 - 0.15 * lg29},
         {8.03, 0, 0.055 + 0.10 * lg29, 0.25, 0.059 + 0.12 * lg29, 0.36, 0.746 - 0.09 * lg29},
         {0, -.5, 0, 0, 0, .4, -.4, 0, 0, 0, 0, 0, -.27, .35, -.08, 0, 0, -.06, .23, .43, .42}},
        {"InF-DH",
         "Always",
         factory,
         8,
         {0, 7, std::log10(26 * 4 + 14) - 9.35, 1.56, 1.78 - 0.18 * lg29, 1.35, 1.5 - 0.2 * lg29},
         {4.3, 8, 0.15, 0.25, 0.2 + 0.12 * lg29, 0.35, 0.35},
         {0, 0, -.7, 0, -.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
        {"InF-DH",
         "Never",
         factory,
         8,
         {0, 0, std::log10(30 * 4 + 32) - 9.44, 1.57, 1.72, 1.2, 1.45 - 0.13 * lg29},
         {4.0, 0, 0.19, 0.2, 0.3, 0.55, 0.45},
         std::vector<double>(21, 0)}};
}

/// Each parameter is normal (Kolmogorov-Smirnov, 0.1 %) with the table's mean and standard deviation (four standard
/// errors), each pair has the table's correlation (four standard errors of Fisher's z). Spreads of angles are clipped
/// at 104 and 52 degrees; where that touches more than 1 in 10,000, moments are left out, and a pair is held to the
/// probability of being on the same side of both means, 1/2 + asin(correlation) / pi.
void LargeScaleParameters(Case& test) {
    constexpr int drops = 3000;
    for (const auto& table : Tables()) {
        const auto channel =
            MakeChannel({.deployment = table.deployment, .los = table.los, .frequency = frequency, .stream = 21});
        const auto bs = MakeEnd({0, 0, table.bsHeight}), ut = MakeEnd(table.place);
        const auto link = Link(channel, bs, ut);
        const bool los = std::string(table.los) == "Always";
        std::array<std::vector<double>, 7> samples;
        for (int drop = 0; drop < drops; ++drop) {
            channel->Redraw(ut.mobility);
            const auto s = link->GetState();
            const Row values{s.shadowing_db,        s.k_factor_db,         std::log10(s.delay_spread_s),
                             std::log10(s.asd_deg), std::log10(s.asa_deg), std::log10(s.zsd_deg),
                             std::log10(s.zsa_deg)};
            for (std::size_t i = 0; i < 7; ++i) {
                samples[i].push_back(values[i]);
            }
        }
        const std::string what = std::string(table.deployment) + (los ? " LOS " : " NLOS ");
        const double infinite = std::numeric_limits<double>::infinity();
        const double lg104 = std::log10(104.0), lg52 = std::log10(52.0);
        const Row caps{infinite, infinite, infinite, lg104, lg104, lg52, lg52};
        std::array<bool, 7> clipped{};
        for (std::size_t i = 0; i < 7; ++i) {
            const double mean = table.mean[i], deviation = table.deviation[i];
            const auto name = what + parameter_names[i];
            if (i == 1 && !los) {
                test.True(std::isnan(samples[i][0]), name + " is not a number");
                continue;
            }
            clipped[i] = (caps[i] - mean) / deviation < 3.72;
            const double ratio = KolmogorovRatio(
                samples[i], [&](double x) { return NormalDistribution(x, mean, deviation); }, caps[i] - 1e-9);
            test.True(ratio < 1, name + ": Kolmogorov-Smirnov " + std::to_string(ratio) + " of the limit");
            if (!clipped[i]) {
                const auto [m, s] = Moments(samples[i]);
                test.Near((m - mean) / deviation, 0, 4 / std::sqrt(drops), name + ", mean in deviations");
                test.Near(s / deviation, 1, 4 / std::sqrt(2.0 * drops), name + ", standard deviation");
            }
        }
        std::size_t next = 0;
        for (std::size_t i = 1; i < 7; ++i) {
            for (std::size_t j = 0; j < i; ++j, ++next) {
                const double expected = table.correlations[next];
                if ((i == 1 || j == 1) && !los) {
                    continue;
                }
                const auto name = what + parameter_names[i] + " with " + parameter_names[j];
                const auto [meanA, deviationA] = Moments(samples[i]);
                const auto [meanB, deviationB] = Moments(samples[j]);
                double same = 0, correlation = 0;
                for (std::size_t n = 0; n < drops; ++n) {
                    const double a = samples[i][n], b = samples[j][n];
                    same += (a - table.mean[i]) * (b - table.mean[j]) > 0 ? 1.0 / drops : 0;
                    correlation += (a - meanA) * (b - meanB) / (deviationA * deviationB * (drops - 1));
                }
                if (clipped[i] || clipped[j]) {
                    const double probability = 0.5 + std::asin(expected) / std::numbers::pi;
                    test.Near(same, probability, FourSigma(probability, drops), name + ", share on one side");
                } else {
                    test.Near(std::atanh(correlation), std::atanh(expected), 4 / std::sqrt(drops - 3.0),
                              name + ", Fisher's z");
                }
            }
        }
    }
}

/// Shadowing over a distance, in several directions: exp(-d / d_cor) within 0.04, which is four standard errors of the
/// measurement (at most 0.036) and the variance that the shortest waves, left out, would add.
void ShadowingInSpace(Case& test) {
    struct Of {
        const char *deployment, *los;
        double bsHeight, correlationM;
    };
    for (const auto& of : {Of{"UMa", "Always", 25, 37}, Of{"UMa", "Never", 25, 50}, Of{"UMi", "Never", 10, 13},
                           Of{"RMa", "Never", 35, 120}, Of{"InH-Open", "Always", 3, 10}}) {
        const auto channel =
            MakeChannel({.deployment = of.deployment, .los = of.los, .frequency = frequency, .stream = 22});
        const auto bs = MakeEnd({0, 0, of.bsHeight}), ut = MakeEnd({100, 0, 1.4});
        const auto link = Link(channel, bs, ut);
        const auto shadowing = [&](const Vector& place) {
            ut.MoveTo(place);
            return link->GetState().shadowing_db;
        };
        const std::array lags{0.05, 0.2, 0.5, 1.0, 2.0};
        std::array<double, 5> sums{};
        double squares = 0;
        const int drops = 500, places = 25;
        for (int drop = 0; drop < drops; ++drop) {
            channel->Redraw(ut.mobility);
            for (int i = 0; i < places; ++i) { // far apart
                const Vector here(20 + 7 * of.correlationM * (i % 5), 10 + 7 * of.correlationM * (i / 5), 1.4);
                const double first = shadowing(here), heading = 0.9 * i;
                squares += first * first;
                for (std::size_t k = 0; k < lags.size(); ++k) {
                    const double d = lags[k] * of.correlationM;
                    sums[k] += first * shadowing({here.x + d * std::cos(heading), here.y + d * std::sin(heading), 1.4});
                }
            }
        }
        for (std::size_t k = 0; k < lags.size(); ++k) {
            test.Near(sums[k] / squares, std::exp(-lags[k]), 0.04,
                      std::string(of.deployment) + " shadowing over " + std::to_string(lags[k]) + " d_cor");
        }
    }
}

} // namespace

std::vector<NamedCase> LargeScaleCases() {
    return {{"large-scale parameters", LargeScaleParameters}, {"shadowing in space", ShadowingInSpace}};
}

} // namespace edgelam::test
