// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What 3GPP TR 38.901 (release 17) says about a radio link in each of its deployments: probability of line of sight,
/// path loss, shadowing, penetration of buildings, and the statistics of clusters and rays. Numbers only: nothing here
/// draws at random, and every function is a function of frequency and geometry alone.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace edgelam {

/// Deployments of TR 38.901 section 7.2, and three more. "RMa-LMLC" is RMa with the path loss of ITU-R M.2412 for low
/// mobility and large cells: 12 dB less without line of sight, and no less than with it. "InH-A" is channel model A of
/// ITU-R M.2412 for indoor hotspots below 6 GHz: path loss, probability of line of sight and shadowing of its own, and
/// the clusters of TR 38.901, which below 6 GHz have the same spreads. For validation, "Clarke" is two-dimensional
/// isotropic scattering: free space loss, no shadowing, one cluster, never in line of sight.
enum class Deployment : std::uint8_t {
    RMa,
    RMaLmlc,
    UMa,
    UMiStreetCanyon,
    InHOfficeMixed,
    InHOfficeOpen,
    InHModelA,
    InFSL,
    InFDL,
    InFSH,
    InFDH,
    InFHH,
    Clarke,
    Rayleigh
};

/// Scattering without directions, which is no deployment of TR 38.901.
constexpr bool IsIsotropic(Deployment deployment) {
    return deployment == Deployment::Clarke || deployment == Deployment::Rayleigh;
}

constexpr bool IsOffice(Deployment deployment) {
    return deployment == Deployment::InHOfficeMixed || deployment == Deployment::InHOfficeOpen ||
           deployment == Deployment::InHModelA;
}

constexpr bool IsRural(Deployment deployment) {
    return deployment == Deployment::RMa || deployment == Deployment::RMaLmlc;
}

/// Carrier frequencies for which the statistics hold, Hz.
constexpr double smallest_carrier_hz = 0.5e9, largest_carrier_hz = 450e9;

/// "RMa", "UMa", "UMi", "InH-Mixed", "InH-Open", "InF-SL", "InF-DL", "InF-SH", "InF-DH", "InF-HH",
/// "RMa-LMLC", "InH-A", "Clarke" or "Rayleigh".
std::string NameOf(Deployment deployment);
/// The deployment of that name; throws std::invalid_argument, which lists the legal names, if there is none.
Deployment DeploymentOf(const std::string& name);

/// State of a link, TR 38.901 section 7.4.2: line of sight, none, or from outdoors to indoors, where the outdoor part
/// has no line of sight (O2i) or has one (O2iLos).
enum class LinkCondition : std::uint8_t { Los, Nlos, O2i, O2iLos };

constexpr std::array link_conditions{LinkCondition::Los, LinkCondition::Nlos, LinkCondition::O2i,
                                     LinkCondition::O2iLos};

constexpr bool IsIndoors(LinkCondition condition) {
    return condition == LinkCondition::O2i || condition == LinkCondition::O2iLos;
}
/// Whether the path, or its part outdoors, has line of sight.
constexpr bool HasLos(LinkCondition condition) {
    return condition == LinkCondition::Los || condition == LinkCondition::O2iLos;
}

/// Where the two ends of a link are, as far as the statistics depend on it.
struct LinkGeometry {
    double distance2dM; ///< horizontal distance, m
    double bsHeightM;   ///< height of the base station above ground, m
    double utHeightM;   ///< height of the user terminal above ground, m

    /// Length of the straight line, m.
    double Distance3d() const;
};

/// The hall of an indoor factory (InF), TR 38.901 table 7.2-4. Zero means the default of the kind of factory:
///
/// | kind   | clutter size | density | height | legal density  | base station       |
/// |--------|--------------|---------|--------|----------------|--------------------|
/// | InF-SL | 10 m         | 0.2     | 2 m    | 0 < r < 0.4    | below the clutter  |
/// | InF-DL | 2 m          | 0.6     | 6 m    | 0.4 <= r < 1   | below the clutter  |
/// | InF-SH | 10 m         | 0.2     | 2 m    | 0 < r < 0.4    | above the clutter  |
/// | InF-DH | 2 m          | 0.6     | 6 m    | 0.4 <= r < 1   | above the clutter  |
/// | InF-HH | 10 m         | 0.2     | 2 m    | 0 < r < 1      | above, as both are |
///
/// (densities and heights: those of the calibration, TR 38.901 table 7.8-7 and TR 38.857 table 6.1-1).
struct FactoryHall {
    double lengthM = 120;      ///< m; the floor has 20 to 160000 m2
    double widthM = 60;        ///< m
    double heightM = 10;       ///< floor to ceiling, 5 to 25 m
    double clutterSizeM = 0;   ///< typical size of the machines, 0.1 to 100 m
    double clutterDensity = 0; ///< share of the floor they cover
    double clutterHeightM = 0; ///< effective height of the machines, less than heightM and at most 10 m
};

/// Which outer walls buildings have: the low-loss and high-loss model of TR 38.901 table 7.4.3-2, or the 20 dB of table
/// 7.4.3-3, which is for comparisons with older results below 6 GHz.
enum class BuildingLoss : std::uint8_t { Low, High, Legacy };

/// "Low", "High" or "Legacy".
std::string NameOf(BuildingLoss loss);
/// Throws std::invalid_argument, which lists the legal names, for another name.
BuildingLoss BuildingLossOf(const std::string& name);

/// Large-scale parameters, in the order in which every array of ClusterStatistics lists them.
enum LargeScale : std::uint8_t { SF, K, DS, ASD, ASA, ZSD, ZSA };

/// All of TR 38.901 tables 7.5-6 to 7.5-11 for one condition and geometry. Angles are in degrees, delays in seconds,
/// powers in dB.
struct ClusterStatistics {
    int numClusters;    ///< N
    int raysPerCluster; ///< M
    /// In LargeScale order: mean and standard deviation of SF in dB (mean 0), of K in dB, and of log10 of the other
    /// five (DS in seconds, spreads in degrees).
    std::array<double, 7> mean, std;
    std::array<double, 7> correlationDistanceM; ///< in the horizontal plane, m, > 0
    /// Square root of the cross-correlation matrix (lower triangular): correlated = root * independent. Where there is
    /// no K-factor its row and column are those of the identity.
    std::array<std::array<double, 7>, 7> root;
    bool hasK;                  ///< in line of sight only
    double zodOffsetDeg;        ///< mu_offset,ZOD
    double delayScaling;        ///< r_tau
    double clusterDelaySpreadS; ///< c_DS; 3.91 ns where the table has none
    double clusterAsdDeg;       ///< c_ASD
    double clusterAsaDeg;       ///< c_ASA
    double clusterZsaDeg;       ///< c_ZSA
    double clusterZsdDeg;       ///< 3/8 10^mu_lgZSD (eq. 7.5-20)
    double xprMeanDb;           ///< cross-polarisation ratio
    double xprStdDb;
    double clusterShadowingDb; ///< zeta
};

/// The statistics of one deployment at one carrier frequency.
///
/// TR 38.901 covers 0.5-100 GHz (RMa: to 30 GHz). Above, this class goes on with the same formulas, extrapolated, and
/// adds the absorption of air (AbsorptionDb). There are no standard statistics yet, so take the results with care.
///
/// The clusters' statistics come from ns-3's ThreeGppChannelModel (table 7.5-6), corrected where they differ from TR
/// 38.901 v17, see cluster-tables.cc. Path loss and probabilities of line of sight are written here and tested
/// against ns-3's classes, which cannot be used: see outdoor-path-loss.h.
///
/// Distances shorter than the table's (10 m horizontally outdoors, 1 m in a straight line elsewhere) give the loss at
/// that distance; longer ones are extrapolated. Terminals below 1.5 m (UMa, UMi) or 1 m (RMa) count as that high.
class ChannelStatistics {
  public:
    /// \param frequencyHz carrier, 0.5e9 to 450e9 Hz
    /// \param hall of InF; of no effect elsewhere
    /// \param buildingLoss outer walls; RMa has low-loss ones only
    /// \param absorptionBelow100GHz add the absorption of air also at 100 GHz and below, where TR 38.901 leaves it out
    /// Throws std::invalid_argument, with the value and the legal range.
    ChannelStatistics(Deployment deployment, double frequencyHz, FactoryHall hall = {},
                      BuildingLoss buildingLoss = BuildingLoss::Low, bool absorptionBelow100GHz = false);

    /// Probability of line of sight, outdoor part of the path: table 7.4.2-1. Clarke: 0.
    double LosProbability(const LinkGeometry& geometry) const;

    /// Path loss in dB, table 7.4.1-1, without shadowing, penetration and absorption. Clarke: free space.
    /// Indoors it is that of the outdoor part.
    /// \param environmentHeightUniform in [0, 1): chooses h_E of note 1 for UMa terminals above 13 m, where the table
    ///        draws it at random. The loss is a continuous function of it (steps are smoothed over 0.1) and of the
    ///        distance, so a caller that takes it from a field over position gets a loss without jumps.
    double PathLossDb(LinkCondition condition, const LinkGeometry& geometry, double environmentHeightUniform = 0) const;

    /// Standard deviation of shadowing in dB: table 7.4.1-1, and table 7.5-6 indoors.
    double ShadowingStdDb(LinkCondition condition, const LinkGeometry& geometry) const;

    /// Tables 7.5-6 to 7.5-11. In offices and factories, which have no O2i, that counts as Nlos. In UMa and UMi, whose
    /// tables 7.5-7 and 7.5-8 have no column for O2I, zenith spread of departure and ZOD offset are those of the
    /// outdoor part: the waves leave the base station as they would leave it for the building's wall.
    ClusterStatistics Clusters(LinkCondition condition, const LinkGeometry& geometry) const;

    /// Mean loss of an outer wall (tables 7.4.3-2, 7.4.3-3) and of the way behind it (0.5 dB per metre), dB.
    double PenetrationMeanDb(BuildingLoss building, double indoorDistanceM) const;
    double PenetrationMeanDb(double indoorDistanceM) const {
        return PenetrationMeanDb(m_buildingLoss, indoorDistanceM);
    }
    /// sigma_P of these tables, dB.
    static double PenetrationStdDb(BuildingLoss building);
    double PenetrationStdDb() const { return PenetrationStdDb(m_buildingLoss); }
    /// d_2D-in is the least of two uniform numbers between 0 and this (Legacy: one number): 25 m in UMa and UMi, 10 m
    /// in RMa, else 0.
    double LongestIndoorDistanceM() const;

    /// Correlation distances of table 7.6.3.1-2 in m: cluster- and ray-specific random variables,
    double ClusterCorrelationDistanceM(LinkCondition condition) const;
    /// the state of line of sight,
    double LosCorrelationDistanceM() const;
    /// being indoors or outdoors,
    double IndoorCorrelationDistanceM() const { return 50; }
    /// and the random part of the penetration loss (our own choice: the report has none).
    double PenetrationCorrelationDistanceM() const { return 10; }

    /// Loss in the gases of air over that way, dB: ITU-R P.676 at 1013.25 hPa, 7.5 g/m3 of vapour and 288.15 K. 0 at
    /// 100 GHz and below unless asked for at construction.
    double AbsorptionDb(double distanceM) const { return distanceM / 1e3 * m_absorptionDbPerKm; }

    Deployment GetDeployment() const { return m_deployment; }
    double GetFrequencyHz() const { return m_frequencyHz; }
    BuildingLoss GetBuildingLoss() const { return m_buildingLoss; }
    /// The hall with its defaults filled in.
    const FactoryHall& GetFactoryHall() const { return m_hall; }

  private:
    Deployment m_deployment;
    double m_frequencyHz;
    FactoryHall m_hall;
    BuildingLoss m_buildingLoss;
    double m_absorptionDbPerKm = 0;
    std::array<ClusterStatistics, link_conditions.size()>
        m_clusters; ///< by LinkCondition, less what depends on the geometry
};

} // namespace edgelam
