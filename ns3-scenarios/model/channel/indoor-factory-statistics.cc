// SPDX-License-Identifier: GPL-2.0-only
#include "indoor-factory-statistics.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

namespace edgelam {

namespace {

bool IsDense(Deployment deployment) {
    return deployment == Deployment::InFDL || deployment == Deployment::InFDH;
}
bool IsHigh(Deployment deployment) {
    return deployment == Deployment::InFSH || deployment == Deployment::InFDH;
}

void Require(bool legal, const char* name, double value, const std::string& range) {
    if (legal)
        return;
    std::ostringstream text;
    text << name << " " << value << " is not legal: it takes " << range;
    throw std::invalid_argument(text.str());
}

std::string Text(double value) {
    std::ostringstream text;
    text << value;
    return text.str();
}

} // namespace

bool IsFactory(Deployment deployment) {
    return deployment >= Deployment::InFSL && deployment <= Deployment::InFHH;
}

FactoryHall CompleteHall(Deployment deployment, FactoryHall hall) {
    const bool dense = IsDense(deployment);
    if (hall.clutterSizeM == 0)
        hall.clutterSizeM = dense ? 2 : 10;
    if (hall.clutterDensity == 0)
        hall.clutterDensity = dense ? 0.6 : 0.2;
    if (hall.clutterHeightM == 0)
        hall.clutterHeightM = dense ? 6 : 2;

    Require(hall.lengthM > 0 && std::isfinite(hall.lengthM), "length of the hall", hall.lengthM, "more than 0 m");
    Require(hall.widthM > 0 && std::isfinite(hall.widthM), "width of the hall", hall.widthM, "more than 0 m");
    const double floor = hall.lengthM * hall.widthM;
    Require(floor >= 20 && floor <= 160000, "floor of the hall (length x width)", floor, "20 to 160000 m2");
    Require(hall.heightM >= 5 && hall.heightM <= 25, "height of the hall", hall.heightM, "5 to 25 m");
    Require(hall.clutterSizeM >= 0.1 && hall.clutterSizeM <= 100, "size of the clutter", hall.clutterSizeM,
            "0.1 to 100 m");
    const double ceiling = std::min(hall.heightM, 10.0);
    Require(hall.clutterHeightM > 0 && hall.clutterHeightM <= ceiling && hall.clutterHeightM < hall.heightM,
            "height of the clutter", hall.clutterHeightM,
            "more than 0 and at most " + Text(ceiling) + " m, and less than the hall's height");
    const double density = hall.clutterDensity;
    if (deployment == Deployment::InFHH)
        Require(density > 0 && density < 1, "density of the clutter", density, "more than 0 and less than 1");
    else if (dense)
        Require(density >= 0.4 && density < 1, "density of the clutter", density,
                "0.4 or more, less than 1, in a dense factory (" + NameOf(deployment) + ")");
    else
        Require(density > 0 && density < 0.4, "density of the clutter", density,
                "more than 0, less than 0.4, in a sparse factory (" + NameOf(deployment) + ")");
    return hall;
}

double FactoryLosProbability(Deployment deployment, const FactoryHall& hall, const LinkGeometry& geometry) {
    const double above = hall.clutterHeightM - geometry.utHeightM; // clutter above the terminal
    if (deployment == Deployment::InFHH || above <= 0)
        return 1;
    double k = -hall.clutterSizeM / std::log1p(-hall.clutterDensity);
    if (IsHigh(deployment)) // only the part of the path below the top of the clutter can be blocked
        k *= std::max(1.0, (geometry.bsHeightM - geometry.utHeightM) / above);
    return std::exp(-geometry.distance2dM / k);
}

double FactoryPathLossDb(Deployment deployment, LinkCondition condition, double distance3dM, double frequencyGHz) {
    const double d = std::log10(distance3dM), f = std::log10(frequencyGHz);
    const double los = 31.84 + 21.50 * d + 19.00 * f;
    if (HasLos(condition))
        return los;
    const double sparseLow = 33 + 25.5 * d + 20 * f;
    switch (deployment) {
    case Deployment::InFSL:
        return std::max(los, sparseLow);
    case Deployment::InFDL:
        return std::max({los, sparseLow, 18.6 + 35.7 * d + 20 * f});
    case Deployment::InFSH:
        return std::max(los, 32.4 + 23.0 * d + 20 * f);
    case Deployment::InFDH:
        return std::max(los, 33.63 + 21.9 * d + 20 * f);
    default:
        return los;
    }
}

double FactoryShadowingStdDb(Deployment deployment, LinkCondition condition) {
    if (condition != LinkCondition::Los)
        switch (deployment) {
        case Deployment::InFSL:
            return 5.7;
        case Deployment::InFDL:
            return 7.2;
        case Deployment::InFSH:
            return 5.9;
        case Deployment::InFDH:
            return 4.0;
        default:
            break;
        }
    return 4.3;
}

ClusterStatistics FactoryClusters(LinkCondition condition, const FactoryHall& hall, double frequencyGHz) {
    const bool los = condition == LinkCondition::Los;
    const double f = std::log10(1 + frequencyGHz);
    const double volume = hall.lengthM * hall.widthM * hall.heightM;
    const double surface = 2 * (hall.lengthM * hall.widthM + hall.lengthM * hall.heightM + hall.widthM * hall.heightM);
    const double ratio = volume / surface; // m

    ClusterStatistics s{};
    s.numClusters = 25;
    s.raysPerCluster = 20;
    s.hasK = los;
    //              SF K  DS                                                          ASD   ASA   ZSD   ZSA
    s.mean =
        los ? std::array{0.0, 7.0, std::log10(26 * ratio + 14) - 9.35, 1.56, -0.18 * f + 1.78, 1.35, -0.2 * f + 1.5}
            : std::array{0.0, 0.0, std::log10(30 * ratio + 32) - 9.44, 1.57, 1.72, 1.2, -0.13 * f + 1.45};
    s.std = los ? std::array{0.0, 8.0, 0.15, 0.25, 0.12 * f + 0.2, 0.35, 0.35}
                : std::array{0.0, 0.0, 0.19, 0.2, 0.3, 0.55, 0.45};
    s.correlationDistanceM.fill(10);
    for (std::size_t i = 0; i < 7; ++i)
        s.root[i][i] = 1;
    if (los) { // DS with K: -0.7, ASD with K: -0.5, all others uncorrelated; the Cholesky root of that by hand
        s.root[DS][K] = -0.7;
        s.root[DS][DS] = std::sqrt(1 - 0.7 * 0.7);
        s.root[ASD][K] = -0.5;
        s.root[ASD][DS] = -0.5 * 0.7 / s.root[DS][DS];
        s.root[ASD][ASD] = std::sqrt(1 - 0.5 * 0.5 - s.root[ASD][DS] * s.root[ASD][DS]);
    }
    s.zodOffsetDeg = 0;
    s.delayScaling = los ? 2.7 : 3;
    s.clusterDelaySpreadS = 3.91e-9;
    s.clusterAsdDeg = 5;
    s.clusterAsaDeg = 8;
    s.clusterZsaDeg = 9;
    s.xprMeanDb = los ? 12 : 11;
    s.xprStdDb = 6;
    s.clusterShadowingDb = los ? 4 : 3;
    return s;
}

} // namespace edgelam
