// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Where ns-3's ThreeGppChannelModel (3.44) departs from TR 38.901 v17, and what is done about it here:
/// - RMa LOS: mean and standard deviation of lg ZSD are exchanged. Table 7.5-9 is written here.
/// - RMa NLOS and O2I: the ZOD offset is in radians, all others in degrees. Degrees here.
/// - UMa NLOS and O2I: the ZOD offset lacks the term of the terminal's height (table 7.5-7). Here it is in.
/// - UMa and UMi O2I: ZSD and ZOD offset are those without line of sight, whatever the outdoor part has. Tables 7.5-7
///   and 7.5-8 know the outdoor part's two states only, and its own counts here.
/// - UMi NLOS: the higher end counts as the base station, so a terminal above it never widens ZSD (table 7.5-8).
/// - Notes of tables 7.5-6 to 7.5-10: below 6 GHz (UMa, InH) or 2 GHz (UMi), the statistics are those at that
///   frequency. ns-3 goes on with the formulas; here the frequency is held.

#include "cluster-tables.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "ns3/channel-condition-model.h"
#include "ns3/constant-position-mobility-model.h"
#include "ns3/three-gpp-channel-model.h"

namespace edgelam {

namespace {

/// Frequency in GHz below which the statistics stay put, table 7.5-6 parts 1 and 2, notes 6 and 7.
double LeastFrequencyGHz(Deployment deployment) {
    if (deployment == Deployment::UMa || IsOffice(deployment))
        return 6;
    return deployment == Deployment::UMiStreetCanyon ? 2 : 0;
}

/// Opens ns-3's table 7.5-6.
class Table : public ns3::ThreeGppChannelModel {
  public:
    Table(Deployment deployment, double frequencyGHz) {
        m_frequency = frequencyGHz * 1e9; // SetFrequency would assert above 100 GHz
        switch (deployment) {
        case Deployment::RMa:
        case Deployment::RMaLmlc:
            m_scenario = "RMa";
            break;
        case Deployment::UMa:
            m_scenario = "UMa";
            break;
        case Deployment::UMiStreetCanyon:
            m_scenario = "UMi-StreetCanyon";
            break;
        default: // all offices have the same statistics
            m_scenario = "InH-OfficeMixed";
        }
    }

    ns3::Ptr<const ParamsTable> Look(LinkCondition condition) const {
        auto end = [](double x, double height) {
            auto position = ns3::CreateObject<ns3::ConstantPositionMobilityModel>();
            position->SetPosition({x, 0, height});
            return position;
        };
        auto state = ns3::CreateObject<ns3::ChannelCondition>();
        state->SetLosCondition(condition == LinkCondition::Los ? ns3::ChannelCondition::LOS
                                                               : ns3::ChannelCondition::NLOS);
        state->SetO2iCondition(IsIndoors(condition) ? ns3::ChannelCondition::O2I : ns3::ChannelCondition::O2O);
        // What depends on the geometry is replaced below, so any will do.
        return GetThreeGppTable(end(0, 10), end(100, 1.5), state);
    }
};

/// Correlation distances of table 7.5-6 in m, in LargeScale order. No K: any.
std::array<double, 7> CorrelationDistances(Deployment deployment, LinkCondition condition) {
    using Row = std::array<double, 7>;
    static constexpr Row rma[]{
        {37, 40, 50, 25, 35, 15, 15}, {120, 120, 36, 30, 40, 50, 50}, {120, 120, 36, 30, 40, 50, 50}};
    static constexpr Row uma[]{{37, 12, 30, 18, 15, 15, 15}, {50, 50, 40, 50, 50, 50, 50}, {7, 7, 10, 11, 17, 25, 25}};
    static constexpr Row umi[]{{10, 15, 7, 8, 8, 12, 12}, {13, 13, 10, 10, 9, 10, 10}, {7, 7, 10, 11, 17, 25, 25}};
    static constexpr Row office[]{{10, 4, 8, 7, 5, 4, 4}, {6, 6, 5, 3, 3, 4, 4}, {6, 6, 5, 3, 3, 4, 4}};
    const auto i = std::min<std::size_t>(static_cast<std::size_t>(condition), 2);
    switch (deployment) {
    case Deployment::RMa:
    case Deployment::RMaLmlc:
        return rma[i];
    case Deployment::UMa:
        return uma[i];
    case Deployment::UMiStreetCanyon:
        return umi[i];
    default:
        return office[i];
    }
}

} // namespace

ClusterStatistics ThreeGppClusters(Deployment deployment, double frequencyGHz, LinkCondition condition) {
    if (IsOffice(deployment) && IsIndoors(condition))
        condition = LinkCondition::Nlos;
    auto tables = ns3::Create<Table>(deployment, std::max(frequencyGHz, LeastFrequencyGHz(deployment)));
    const auto t = tables->Look(condition);
    ClusterStatistics s{};
    s.numClusters = t->m_numOfCluster;
    s.raysPerCluster = t->m_raysPerCluster;
    s.mean = {0, t->m_uK, t->m_uLgDS, t->m_uLgASD, t->m_uLgASA, t->m_uLgZSD, t->m_uLgZSA};
    s.std = {0, t->m_sigK, t->m_sigLgDS, t->m_sigLgASD, t->m_sigLgASA, t->m_sigLgZSD, t->m_sigLgZSA};
    s.correlationDistanceM = CorrelationDistances(deployment, condition);
    s.hasK = condition == LinkCondition::Los;
    // Without K, ns-3's matrix has six rows, and K is left out of the order.
    s.root[K][K] = 1;
    for (std::size_t i = 0; i < 7; ++i)
        for (std::size_t j = 0; j < 7; ++j)
            if (s.hasK)
                s.root[i][j] = t->m_sqrtC[i][j];
            else if (i != K && j != K)
                s.root[i][j] = t->m_sqrtC[i > K ? i - 1 : i][j > K ? j - 1 : j];
    s.delayScaling = t->m_rTau;
    s.clusterDelaySpreadS = t->m_cDS;
    s.clusterAsdDeg = t->m_cASD;
    s.clusterAsaDeg = t->m_cASA;
    s.clusterZsaDeg = t->m_cZSA;
    s.xprMeanDb = t->m_uXpr;
    s.xprStdDb = t->m_sigXpr;
    s.clusterShadowingDb = t->m_perClusterShadowingStd;
    return s;
}

/// A spread cannot be 0 in log10, so it is one that means nothing (1 ps, a thousandth of a degree).
ClusterStatistics ClarkeClusters() {
    ClusterStatistics s{};
    s.numClusters = 1;
    s.raysPerCluster = 20;
    s.mean = {0, 0, -12, -3, -3, -3, -3};
    s.correlationDistanceM.fill(100);
    for (std::size_t i = 0; i < 7; ++i)
        s.root[i][i] = 1;
    s.delayScaling = 1;
    s.xprMeanDb = 100;
    return s;
}

void SetZenithOfDeparture(Deployment deployment, LinkCondition condition, double frequencyGHz, const LinkGeometry& g,
                          ClusterStatistics& s) {
    // Only RMa's table, 7.5-9, has a column for O2I, which is that without line of sight.
    const bool los = IsRural(deployment) ? condition == LinkCondition::Los : HasLos(condition);
    const double km = g.distance2dM / 1000, up = 0.01 * (g.utHeightM - 1.5);
    switch (deployment) {
    case Deployment::UMa: {
        s.mean[ZSD] = std::max(-0.5, -2.1 * km - up + (los ? 0.75 : 0.9));
        s.std[ZSD] = los ? 0.40 : 0.49;
        const double f = std::log10(std::max(frequencyGHz, LeastFrequencyGHz(deployment)));
        const double exponent = (0.208 * f - 0.782) * std::log10(std::max(25.0, g.distance2dM)) - 0.13 * f + 2.03 -
                                0.07 * (g.utHeightM - 1.5);
        s.zodOffsetDeg = los ? 0 : 7.66 * f - 5.96 - std::pow(10, exponent);
        break;
    }
    case Deployment::UMiStreetCanyon: {
        const double higher = g.utHeightM - g.bsHeightM;
        s.mean[ZSD] = los ? std::max(-0.21, -14.8 * km + 0.01 * std::abs(higher) + 0.83)
                          : std::max(-0.5, -3.1 * km + 0.01 * std::max(higher, 0.0) + 0.2);
        s.std[ZSD] = 0.35;
        s.zodOffsetDeg = los ? 0 : -std::pow(10, -1.5 * std::log10(std::max(10.0, g.distance2dM)) + 3.3);
        break;
    }
    case Deployment::RMa:
    case Deployment::RMaLmlc:
        s.mean[ZSD] = los ? std::max(-1.0, -0.17 * km - up + 0.22) : std::max(-1.0, -0.19 * km - up + 0.28);
        s.std[ZSD] = los ? 0.34 : 0.30;
        s.zodOffsetDeg =
            los ? 0
                : (std::atan2(35 - 3.5, g.distance2dM) - std::atan2(35 - 1.5, g.distance2dM)) * 180 / std::numbers::pi;
        break;
    default:
        break;
    }
}

} // namespace edgelam
