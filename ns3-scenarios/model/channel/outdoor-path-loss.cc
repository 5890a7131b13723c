// SPDX-License-Identifier: GPL-2.0-only
#include "outdoor-path-loss.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace edgelam {

namespace {

constexpr double breakpointLightSpeed = 3.0e8; ///< m/s, the value notes 1 and 5 of table 7.4.1-1 use

/// No nearer and no lower than the table goes.
LinkGeometry WithinTable(LinkGeometry g, double leastBsHeightM, double leastUtHeightM) {
    g.distance2dM = std::max(g.distance2dM, 10.0);
    g.bsHeightM = std::max(g.bsHeightM, leastBsHeightM);
    g.utHeightM = std::max(g.utHeightM, leastUtHeightM);
    return g;
}

LinkGeometry WithinRma(const LinkGeometry& g) {
    return WithinTable(g, 10, 1);
}
LinkGeometry WithinUrban(const LinkGeometry& g) {
    return WithinTable(g, 1.5, 1.5);
}

// Path loss, table 7.4.1-1. Distances in m (d2, d3), frequency in GHz.

double RmaLos(double d2, double height, double breakpoint, double fGHz) {
    constexpr double buildings = 5; // m, the table's default; street width, 20 m, matters in NLOS only
    const double h172 = std::pow(buildings, 1.72);
    auto near = [&](double d) {
        return 20 * std::log10(40 * std::numbers::pi * d * fGHz / 3) + std::min(0.03 * h172, 10.0) * std::log10(d) -
               std::min(0.044 * h172, 14.77) + 0.002 * std::log10(buildings) * d;
    };
    const double d3 = std::hypot(d2, height);
    if (d2 <= breakpoint)
        return near(d3);
    // The breakpoint's own straight distance, where the table has its horizontal one and so a step of up to 0.04 dB.
    const double start = std::hypot(breakpoint, height);
    return near(start) + 40 * std::log10(d3 / start);
}

double RmaNlos(double d3, double bsHeight, double utHeight, double fGHz) {
    constexpr double buildings = 5, street = 20;
    const double ratio = buildings / bsHeight, ut = std::log10(11.75 * utHeight), bs = std::log10(bsHeight);
    return 161.04 - 7.1 * std::log10(street) + 7.5 * std::log10(buildings) - (24.37 - 3.7 * ratio * ratio) * bs +
           (43.42 - 3.1 * bs) * (std::log10(d3) - 3) + 20 * std::log10(fGHz) - (3.2 * ut * ut - 4.97);
}

/// PL_1 up to the breakpoint of note 1, PL_2 beyond: intercept + slope lg d3 + 20 lg f.
double UrbanLos(double intercept, double slope, const LinkGeometry& g, double fGHz, double environment) {
    const double d3 = g.Distance3d();
    const double bs = std::max(g.bsHeightM - environment, 0.5), ut = std::max(g.utHeightM - environment, 0.5);
    const double breakpoint = 4 * bs * ut * fGHz * 1e9 / breakpointLightSpeed;
    const double start = std::hypot(breakpoint, g.bsHeightM - g.utHeightM); // straight distance at the breakpoint
    const double near = intercept + slope * std::log10(std::min(d3, start)) + 20 * std::log10(fGHz);
    return g.distance2dM <= breakpoint ? near : near + 40 * std::log10(d3 / start);
}

/// UMa in line of sight. `uniform` chooses h_E: 1 m with probability 1 / (1 + C), else one of 12, 15, ... m alike.
/// The loss is averaged over a window around `uniform`, which turns the steps between the choices into ramps.
double UmaLos(const LinkGeometry& g, double fGHz, double uniform) {
    auto loss = [&](double environment) { return UrbanLos(28, 22, g, fGHz, environment); };
    const double d2 = g.distance2dM;
    double c = 0; // C(d2, hUT)
    if (g.utHeightM >= 13 && d2 > 18)
        c = std::pow((g.utHeightM - 13) / 10, 1.5) * 1.25 * std::pow(d2 / 100, 3) * std::exp(-d2 / 150);
    if (c == 0)
        return loss(1);
    constexpr double window = 0.1;
    const double begin = std::clamp(uniform - window / 2, 0.0, 1 - window);
    auto share = [&](double from, double to) {
        return std::max(0.0, std::min(to, begin + window) - std::max(from, begin)) / window;
    };
    const double ground = 1 / (1 + c);
    double sum = share(0, ground) * loss(1);
    const int others = std::max(1, static_cast<int>((g.utHeightM - 1.5 - 12) / 3) + 1);
    for (int i = 0; i < others; ++i) {
        const double part = share(ground + (1 - ground) * i / others, ground + (1 - ground) * (i + 1) / others);
        if (part > 0)
            sum += part * loss(12 + 3 * i);
    }
    return sum;
}

} // namespace

double RmaBreakpointM(const LinkGeometry& geometry, double frequencyGHz) {
    const auto g = WithinRma(geometry);
    return 2 * std::numbers::pi * g.bsHeightM * g.utHeightM * frequencyGHz * 1e9 / breakpointLightSpeed;
}

double RmaPathLossDb(bool los, const LinkGeometry& geometry, double frequencyGHz, double lessDb) {
    const auto g = WithinRma(geometry);
    const double loss = RmaLos(g.distance2dM, g.bsHeightM - g.utHeightM, RmaBreakpointM(g, frequencyGHz), frequencyGHz);
    return los ? loss : std::max(loss, RmaNlos(g.Distance3d(), g.bsHeightM, g.utHeightM, frequencyGHz) - lessDb);
}

double UmaPathLossDb(bool los, const LinkGeometry& geometry, double frequencyGHz, double environmentHeightUniform) {
    const auto g = WithinUrban(geometry);
    const double loss = UmaLos(g, frequencyGHz, environmentHeightUniform);
    return los ? loss
               : std::max(loss, 13.54 + 39.08 * std::log10(g.Distance3d()) + 20 * std::log10(frequencyGHz) -
                                    0.6 * (g.utHeightM - 1.5));
}

double UmiPathLossDb(bool los, const LinkGeometry& geometry, double frequencyGHz) {
    const auto g = WithinUrban(geometry);
    const double loss = UrbanLos(32.4, 21, g, frequencyGHz, 1);
    return los ? loss
               : std::max(loss, 22.4 + 35.3 * std::log10(g.Distance3d()) + 21.3 * std::log10(frequencyGHz) -
                                    0.3 * (g.utHeightM - 1.5));
}

} // namespace edgelam
