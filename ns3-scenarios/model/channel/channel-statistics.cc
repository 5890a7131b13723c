// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Where ns-3's propagation loss models (3.44) depart from TR 38.901 v17: shadowing of 7 dB below 6 GHz in UMa and UMi,
/// line of sight or not (that is the old O2I model's, section 7.4.3.1); h_E of UMa from 12, 13, 14, ..., rounded down
/// to multiples of 3, not from 12, 15, 18, ..., and drawn anew at every call; UMi takes whichever end is exactly 10 m
/// high for the base station.

#include "channel-statistics.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "ns3/log.h"

#include "cluster-tables.h"
#include "indoor-factory-statistics.h"
#include "molecular-absorption.h"
#include "outdoor-path-loss.h"

NS_LOG_COMPONENT_DEFINE("EdgelamChannelStatistics");

namespace edgelam {

namespace {

constexpr std::pair<Deployment, const char*> names[]{
    {Deployment::RMa, "RMa"},
    {Deployment::UMa, "UMa"},
    {Deployment::UMiStreetCanyon, "UMi"},
    {Deployment::InHOfficeMixed, "InH-Mixed"},
    {Deployment::InHOfficeOpen, "InH-Open"},
    {Deployment::InHModelA, "InH-A"},
    {Deployment::InFSL, "InF-SL"},
    {Deployment::InFDL, "InF-DL"},
    {Deployment::InFSH, "InF-SH"},
    {Deployment::InFDH, "InF-DH"},
    {Deployment::InFHH, "InF-HH"},
    {Deployment::RMaLmlc, "RMa-LMLC"},
    {Deployment::Clarke, "Clarke"},
    {Deployment::Rayleigh, "Rayleigh"},
};

constexpr double lightSpeed = 299792458; ///< m/s
constexpr double large_cells_db = 12;    ///< ITU-R M.2412: less path loss in RMa-LMLC without line of sight

bool IsOutdoor(Deployment deployment) {
    return deployment <= Deployment::UMiStreetCanyon;
}

} // namespace

double LinkGeometry::Distance3d() const {
    return std::hypot(distance2dM, bsHeightM - utHeightM);
}

std::string NameOf(Deployment deployment) {
    for (const auto& [value, name] : names)
        if (value == deployment)
            return name;
    throw std::invalid_argument("no such deployment: " + std::to_string(static_cast<int>(deployment)));
}

Deployment DeploymentOf(const std::string& name) {
    std::string legal;
    for (const auto& [value, text] : names) {
        if (name == text)
            return value;
        legal += (legal.empty() ? "" : ", ") + std::string(text);
    }
    throw std::invalid_argument("deployment '" + name + "' is not legal: it is one of " + legal);
}

std::string NameOf(BuildingLoss loss) {
    return loss == BuildingLoss::Low ? "Low" : loss == BuildingLoss::High ? "High" : "Legacy";
}

BuildingLoss BuildingLossOf(const std::string& name) {
    for (const auto loss : {BuildingLoss::Low, BuildingLoss::High, BuildingLoss::Legacy})
        if (NameOf(loss) == name)
            return loss;
    throw std::invalid_argument("building loss '" + name + "' is not legal: it is one of Low, High, Legacy");
}

ChannelStatistics::ChannelStatistics(Deployment deployment, double frequencyHz, FactoryHall hall,
                                     BuildingLoss buildingLoss, bool absorptionBelow100GHz)
    : m_deployment(deployment), m_frequencyHz(frequencyHz), m_hall(hall), m_buildingLoss(buildingLoss) {
    if (!(frequencyHz >= smallest_carrier_hz && frequencyHz <= largest_carrier_hz)) { // so that NaN is refused
        std::ostringstream text;
        text << "frequency " << frequencyHz << " Hz is not legal: it takes 0.5e9 to 450e9 Hz (0.5 to 450 GHz)";
        throw std::invalid_argument(text.str());
    }
    if (IsRural(deployment) && buildingLoss == BuildingLoss::High)
        throw std::invalid_argument("building loss 'high' is not legal in RMa: TR 38.901 section 7.4.3.1 has only "
                                    "low-loss buildings there");
    if (deployment == Deployment::InHModelA && frequencyHz > 6e9) {
        std::ostringstream text;
        text << "frequency " << frequencyHz
             << " Hz is not legal for InH-A: channel model A of ITU-R M.2412 is for 0.5e9 to 6e9 Hz; InH-Open goes on";
        throw std::invalid_argument(text.str());
    }
    if (IsFactory(deployment))
        m_hall = CompleteHall(deployment, hall);
    if (frequencyHz > 100e9 || absorptionBelow100GHz) // P.676 begins at 1 GHz, where there is next to nothing
        m_absorptionDbPerKm = SpecificAttenuationDbPerKm(std::max(frequencyHz, 1e9));
    for (const auto condition : link_conditions) {
        auto& s = m_clusters[static_cast<std::size_t>(condition)];
        if (IsIsotropic(deployment))
            s = ClarkeClusters();
        else if (IsFactory(deployment))
            s = FactoryClusters(condition, m_hall, frequencyHz / 1e9);
        else
            s = ThreeGppClusters(deployment, frequencyHz / 1e9, condition);
    }
    NS_LOG_INFO(NameOf(deployment) << " at " << frequencyHz / 1e9 << " GHz, absorption of air " << m_absorptionDbPerKm
                                   << " dB/km");
}

double ChannelStatistics::LosProbability(const LinkGeometry& geometry) const {
    const double d = geometry.distance2dM;
    switch (m_deployment) {
    case Deployment::RMa:
    case Deployment::RMaLmlc:
        return d <= 10 ? 1 : std::exp(-(d - 10) / 1000);
    case Deployment::UMiStreetCanyon:
        return d <= 18 ? 1 : 18 / d + std::exp(-d / 36) * (1 - 18 / d);
    case Deployment::UMa: {
        if (d <= 18)
            return 1;
        const double height = std::min(geometry.utHeightM, 23.0); // the table's highest
        const double c = height <= 13 ? 0 : std::pow((height - 13) / 10, 1.5);
        return std::min(1.0, (18 / d + std::exp(-d / 63) * (1 - 18 / d)) *
                                 (1 + c * 1.25 * std::pow(d / 100, 3) * std::exp(-d / 150)));
    }
    case Deployment::InHOfficeMixed:
        if (d <= 1.2)
            return 1;
        return d < 6.5 ? std::exp(-(d - 1.2) / 4.7) : std::exp(-(d - 6.5) / 32.6) * 0.32;
    case Deployment::InHOfficeOpen:
        if (d <= 5)
            return 1;
        return d <= 49 ? std::exp(-(d - 5) / 70.8) : std::exp(-(d - 49) / 211.7) * 0.54;
    case Deployment::InHModelA:
        return d <= 18 ? 1 : d < 37 ? std::exp(-(d - 18) / 27) : 0.5;
    case Deployment::Clarke:
    case Deployment::Rayleigh:
        return 0;
    default:
        return FactoryLosProbability(m_deployment, m_hall, geometry);
    }
}

double ChannelStatistics::PathLossDb(LinkCondition condition, const LinkGeometry& geometry,
                                     double environmentHeightUniform) const {
    const bool los = HasLos(condition);
    const double fGHz = m_frequencyHz / 1e9, d3 = std::max(geometry.Distance3d(), 1.0);
    switch (m_deployment) {
    case Deployment::RMa:
        return RmaPathLossDb(los, geometry, fGHz);
    case Deployment::RMaLmlc:
        return RmaPathLossDb(los, geometry, fGHz, large_cells_db);
    case Deployment::UMa:
        return UmaPathLossDb(los, geometry, fGHz, environmentHeightUniform);
    case Deployment::UMiStreetCanyon:
        return UmiPathLossDb(los, geometry, fGHz);
    case Deployment::InHOfficeMixed:
    case Deployment::InHOfficeOpen: {
        const double loss = 32.4 + 17.3 * std::log10(d3) + 20 * std::log10(fGHz);
        return los ? loss : std::max(loss, 17.3 + 38.3 * std::log10(d3) + 24.9 * std::log10(fGHz));
    }
    case Deployment::InHModelA: {
        const double loss = 32.8 + 16.9 * std::log10(d3) + 20 * std::log10(fGHz);
        return los ? loss : std::max(loss, 11.5 + 43.3 * std::log10(d3) + 20 * std::log10(fGHz));
    }
    case Deployment::Clarke:
    case Deployment::Rayleigh:
        return 20 * std::log10(4 * std::numbers::pi * d3 * m_frequencyHz / lightSpeed);
    default:
        return FactoryPathLossDb(m_deployment, condition, d3, fGHz);
    }
}

double ChannelStatistics::ShadowingStdDb(LinkCondition condition, const LinkGeometry& geometry) const {
    const bool los = condition == LinkCondition::Los, o2i = IsIndoors(condition);
    switch (m_deployment) {
    case Deployment::RMa:
    case Deployment::RMaLmlc: {
        if (!los)
            return 8;
        const double breakpoint = RmaBreakpointM(geometry, m_frequencyHz / 1e9);
        // 4 dB before the breakpoint and 6 dB after: from 0.9 to 1.1 of it, in a straight line.
        return 4 + 2 * std::clamp((geometry.distance2dM / breakpoint - 0.9) / 0.2, 0.0, 1.0);
    }
    case Deployment::UMa:
        return los ? 4 : o2i ? 7 : 6;
    case Deployment::UMiStreetCanyon:
        return los ? 4 : o2i ? 7 : 7.82;
    case Deployment::InHOfficeMixed:
    case Deployment::InHOfficeOpen:
        return los ? 3 : 8.03;
    case Deployment::InHModelA:
        return los ? 3 : 4;
    case Deployment::Clarke:
    case Deployment::Rayleigh:
        return 0;
    default:
        return FactoryShadowingStdDb(m_deployment, condition);
    }
}

ClusterStatistics ChannelStatistics::Clusters(LinkCondition condition, const LinkGeometry& geometry) const {
    ClusterStatistics s = m_clusters[static_cast<std::size_t>(condition)];
    SetZenithOfDeparture(m_deployment, condition, m_frequencyHz / 1e9, geometry, s);
    s.std[SF] = ShadowingStdDb(condition, geometry);
    s.clusterZsdDeg = IsIsotropic(m_deployment) ? 0 : 0.375 * std::pow(10, s.mean[ZSD]);
    return s;
}

double ChannelStatistics::PenetrationMeanDb(BuildingLoss building, double indoorDistanceM) const {
    if (building == BuildingLoss::Legacy)
        return 20 + 0.5 * indoorDistanceM;
    // Table 7.4.3-1: loss of the materials in dB
    const double f = m_frequencyHz / 1e9, glass = 2 + 0.2 * f, infraredReflecting = 23 + 0.3 * f, concrete = 5 + 4 * f;
    auto share = [](double part, double loss) { return part * std::pow(10, -loss / 10); };
    const double passed = building == BuildingLoss::Low ? share(0.3, glass) + share(0.7, concrete)
                                                        : share(0.7, infraredReflecting) + share(0.3, concrete);
    return 5 - 10 * std::log10(passed) + 0.5 * indoorDistanceM;
}

double ChannelStatistics::PenetrationStdDb(BuildingLoss building) {
    return building == BuildingLoss::Low ? 4.4 : building == BuildingLoss::High ? 6.5 : 0;
}

double ChannelStatistics::LongestIndoorDistanceM() const {
    if (IsRural(m_deployment))
        return 10;
    return IsOutdoor(m_deployment) ? 25 : 0;
}

double ChannelStatistics::ClusterCorrelationDistanceM(LinkCondition condition) const {
    const auto i = static_cast<std::size_t>(condition);
    switch (m_deployment) {
    case Deployment::RMa:
    case Deployment::RMaLmlc:
        return std::array{50, 60, 15, 15}[i];
    case Deployment::UMa:
        return std::array{40, 50, 15, 15}[i];
    case Deployment::UMiStreetCanyon:
        return std::array{12, 15, 15, 15}[i];
    case Deployment::Clarke:
    case Deployment::Rayleigh:
        return 100;
    default:
        return 10;
    }
}

double ChannelStatistics::LosCorrelationDistanceM() const {
    switch (m_deployment) {
    case Deployment::RMa:
    case Deployment::RMaLmlc:
        return 60;
    case Deployment::UMa:
    case Deployment::UMiStreetCanyon:
    case Deployment::Clarke:
    case Deployment::Rayleigh:
        return 50;
    default:
        return IsFactory(m_deployment) ? m_hall.clutterSizeM / 2 : 10;
    }
}

} // namespace edgelam
