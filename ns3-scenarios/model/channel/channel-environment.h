// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What surrounds one base station: everything about its links that is random and depends on where the user is.
#pragma once

#include <array>
#include <compare>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <vector>

#include "ns3/vector.h"

#include "channel-drop.h"
#include "channel-statistics.h"
#include "gaussian-field.h"
#include "user-surroundings.h"

namespace edgelam {

/// Where a drop is: a cell, and near the base station the finer square in whose middle its clusters are seen from.
struct DropPlace {
    int x, y;
    int level = 0; ///< 0: the middle of the cell
    int fineX = 0, fineY = 0;
    auto operator<=>(const DropPlace&) const = default;
};

/// One of the drops that a place takes part in. The squares of the weights at one place add up to 1.
struct CellWeight {
    DropPlace place;
    double weight;
};

/// How the state of a link is mixed: weights of power that add up to 1.
struct ConditionWeights {
    std::array<double, link_conditions.size()> of{}; ///< by LinkCondition
    double indoor = 0;
    double outdoorLos = 0; ///< line of sight of the outdoor part of the path, whether or not the user is indoors
    double operator[](LinkCondition condition) const { return of[static_cast<std::size_t>(condition)]; }
};

/// How a channel decides whether there is line of sight.
struct LosRule {
    std::optional<bool> fixed; ///< always, never, or (nothing) by the probability of TR 38.901 7.4.2
    bool hard = false; ///< by probability: one state or the other everywhere, without the soft state between them
};

/// Spatially consistent randomness (TR 38.901 7.6.3) as pure functions of position: the answer does not depend on the
/// order and number of calls.
///
/// The plane is tiled in squares as long as the correlation distance of cluster-specific variables (table 7.6.3.1-2).
/// Each has a drop (steps 5 to 10 at its centre, at the height of the user's floor, in steps of 3 m from 1.5 m), made
/// when first needed and kept while a link uses it. Within a sixteenth of that distance of a border both neighbours
/// take part, faded from one to the other; the squares of the weights add up to 1, so mean power is constant.
///
/// Within 30 m of the base station, the direction to the middle of a cell is not that to the user. So the clusters of a
/// cell are seen from the middle of a finer square there, at most an eighth as long as the distance's upper bound in
/// its ring (15 to 30 m, 7.5 to 15 m, 3.75 to 7.5 m, and nearer); each has phases of its own, and squares and rings are
/// faded into each other like cells.
class ChannelEnvironment {
  public:
    /// \param statistics outlives this object
    /// \param seed of everything random here; \p realisation 0 is the environment that users share
    ChannelEnvironment(const ChannelStatistics& statistics, double wavelengthM, std::uint64_t seed,
                       std::uint64_t realisation, const ns3::Vector& baseStation);

    /// Soft states of TR 38.901 7.6.3.3: 1/2 + atan(sqrt(20 / wavelength) (F + G)) / pi, where F gives the
    /// probability and G is the field. That curve never quite ends; below 0.1 and above 0.9 it is taken for 0 and 1
    /// (and stretched between), so that most places have one state and mixing stays the exception. Its use for being
    /// indoors is ours: the report has no soft state there.
    ConditionWeights Conditions(const LosRule& rule, const LinkGeometry& geometry, const ns3::Vector& user,
                                const Surroundings& surroundings) const;
    /// What is around a user there, the same for all sites. Building loss: wall, way behind it, and their deviation.
    /// \param indoorFraction share of places that are indoors
    Surroundings SurroundingsAt(double indoorFraction, const ns3::Vector& user) const;

    /// Shadowing in dB (positive: more power) and K-factor in dB at a place. Indoors there is a field of its own.
    double Shadowing(LinkCondition condition, const LinkGeometry& geometry, const ns3::Vector& user) const;
    double KFactorDb(const LinkGeometry& geometry, const ns3::Vector& user) const;
    /// All large-scale parameters.
    LargeScaleValues LargeScale(LinkCondition condition, const LinkGeometry& geometry, const ns3::Vector& user) const;
    /// In (0, 1), one for the place: see ChannelStatistics::PathLossDb.
    double EnvironmentHeightUniform(const ns3::Vector& user) const;

    std::vector<CellWeight> Cells(LinkCondition condition, const ns3::Vector& user) const;
    /// \p floor: FloorOf(user)
    std::shared_ptr<const ClusterDrop> Drop(LinkCondition condition, const DropPlace& place, int floor);
    /// The same, which may be still to be drawn (ClusterDrop::Draw, on any thread).
    std::shared_ptr<ClusterDrop> UndrawnDrop(LinkCondition condition, const DropPlace& place, int floor);
    static int FloorOf(const ns3::Vector& user);

    /// Drops made so far.
    std::uint64_t numDrops() const { return m_numDrops; }
    const ChannelStatistics& statistics() const { return m_statistics; }

  private:
    /// The seven fields of one condition, made when first needed.
    struct Fields {
        std::vector<GaussianField> independent;
        ClusterStatistics statistics; ///< root, mean and std of K: they do not depend on the geometry
    };
    const Fields& FieldsOf(LinkCondition condition, const LinkGeometry& geometry) const;
    /// 0 to 1: the state of a place that holds with this probability.
    double StateAt(double probability, const GaussianField& field, const ns3::Vector& user, bool hard = false) const;
    /// Length of the squares of a level.
    double LengthM(LinkCondition condition, int level) const;
    double CorrelatedAt(const Fields& fields, std::size_t parameter, const ns3::Vector& user) const;
    NamedRandom Named(std::initializer_list<std::uint64_t> name) const;

    const ChannelStatistics& m_statistics;
    double m_wavelengthM;
    std::uint64_t m_seed, m_realisation, m_site;
    ns3::Vector m_baseStation;
    mutable std::array<std::optional<Fields>, 3> m_fields; ///< both states of O2I share one
    mutable std::array<std::once_flag, 3> m_made;          ///< on whichever thread is first
    GaussianField m_los, m_indoor, m_penetration, m_wayIn1, m_wayIn2, m_environmentHeight;
    std::map<std::tuple<LinkCondition, DropPlace, int>, std::weak_ptr<ClusterDrop>> m_drops;
    std::deque<std::shared_ptr<const ClusterDrop>> m_recent; ///< kept a little longer: sectors look one after another
    std::uint64_t m_numDrops = 0;
};

} // namespace edgelam
