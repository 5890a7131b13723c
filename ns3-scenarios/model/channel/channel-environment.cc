// SPDX-License-Identifier: GPL-2.0-only
#include "channel-environment.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "ns3/log.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamChannelEnvironment");

namespace {

using ns3::Vector;

constexpr double pi = std::numbers::pi;
constexpr double ramp = 0.0625; ///< of a cell's length, on either side of its border: where two drops are mixed

/// Rings around the base station: level 1 is nearer than this, and each further level than half as much.
constexpr double near_m = 30;
constexpr int finest_level = 4;
constexpr double fine_length = 0.125; ///< of the outer radius of a ring: longest square in it

/// A user takes part in up to four drops of each condition, and in as many of a second image of the site.
constexpr std::size_t recent_drops = 24;

/// What a random stream is for; the numbers are part of what a seed means.
enum Name : std::uint64_t {
    large_scale = 1,
    los_state,
    indoor_state,
    penetration,
    way_in,
    environment_height,
    drop,
    fine_phases
};

/// One dimension of Cells: the one or two cells that share a place, and the amplitude of each.
struct Share {
    int cell[2];
    double weight[2];
    int count;
};

Share SharesOf(double position, double lengthM) {
    const double cells = position / lengthM, below = std::floor(cells), inside = cells - below;
    const int i = static_cast<int>(below);
    if (inside < ramp) {
        const double angle = pi / 4 * (1 + inside / ramp);
        return {{i, i - 1}, {std::sin(angle), std::cos(angle)}, 2};
    }
    if (inside > 1 - ramp) {
        const double angle = pi / 4 * (1 + (inside - 1) / ramp);
        return {{i, i + 1}, {std::cos(angle), std::sin(angle)}, 2};
    }
    return {{i, 0}, {1, 0}, 1};
}

/// The one or two levels that share a place at this distance: the inner ring is faded in over the outer sixteenth of
/// it.
Share LevelsOf(double distanceM) {
    double radius = near_m;
    for (int level = 0; level < finest_level; ++level, radius /= 2) {
        if (distanceM >= radius) {
            return {{level, 0}, {1, 0}, 1};
        }
        if (const double inside = (1 - distanceM / radius) / ramp; inside < 1) {
            return {{level, level + 1}, {std::cos(pi / 2 * inside), std::sin(pi / 2 * inside)}, 2};
        }
    }
    return {{finest_level, 0}, {1, 0}, 1};
}

std::uint64_t Bits(int value) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
}

/// Sites are told apart by their place, to a decimetre: sectors of one site share its surroundings.
std::uint64_t SiteOf(const Vector& place) {
    const auto part = [](double value) { return static_cast<std::uint64_t>(std::llround(value * 10)); };
    return NamedRandom(part(place.x), {part(place.y), part(place.z)}).Bits();
}

} // namespace

ChannelEnvironment::ChannelEnvironment(const ChannelStatistics& statistics, double wavelengthM, std::uint64_t seed,
                                       std::uint64_t realisation, const Vector& baseStation)
    : m_statistics(statistics), m_wavelengthM(wavelengthM), m_seed(seed), m_realisation(realisation),
      m_site(SiteOf(baseStation)), m_baseStation(baseStation),
      m_los(Named({m_site, los_state}), statistics.LosCorrelationDistanceM()),
      // What belongs to the user's surroundings is the same for all sites.
      m_indoor(Named({indoor_state}), statistics.IndoorCorrelationDistanceM()),
      m_penetration(Named({penetration}), statistics.PenetrationCorrelationDistanceM()),
      m_wayIn1(Named({way_in, 1}), statistics.IndoorCorrelationDistanceM()),
      m_wayIn2(Named({way_in, 2}), statistics.IndoorCorrelationDistanceM()),
      m_environmentHeight(Named({m_site, environment_height}), statistics.LosCorrelationDistanceM()) {}

NamedRandom ChannelEnvironment::Named(std::initializer_list<std::uint64_t> name) const {
    NamedRandom own(m_seed, {m_realisation});
    return {own.Bits(), name};
}

double ChannelEnvironment::StateAt(double probability, const GaussianField& field, const Vector& user,
                                   bool hard) const {
    if (probability <= 0 || probability >= 1) {
        return probability <= 0 ? 0.0 : 1.0;
    }
    const double z = UniformToNormal(probability) + field(user.x, user.y);
    if (hard) {
        return z > 0 ? 1 : 0;
    }
    const double curve = 0.5 + std::atan(std::sqrt(20 / m_wavelengthM) * z) / pi;
    return std::clamp((curve - 0.1) / 0.8, 0.0, 1.0);
}

Surroundings ChannelEnvironment::SurroundingsAt(double indoorFraction, const Vector& user) const {
    Surroundings out;
    out.indoor = StateAt(indoorFraction, m_indoor, user);
    if (out.indoor > 0) {
        const double first = NormalToUniform(m_wayIn1(user.x, user.y));
        const bool legacy = m_statistics.GetBuildingLoss() == BuildingLoss::Legacy; // table 7.4.3-3: one number
        out.wayInM = m_statistics.LongestIndoorDistanceM() *
                     (legacy ? first : std::min(first, NormalToUniform(m_wayIn2(user.x, user.y))));
        out.penetrationDb = m_statistics.PenetrationMeanDb(out.wayInM) +
                            m_statistics.PenetrationStdDb() * m_penetration(user.x, user.y);
    }
    return out;
}

ConditionWeights ChannelEnvironment::Conditions(const LosRule& rule, const LinkGeometry& geometry, const Vector& user,
                                                const Surroundings& surroundings) const {
    ConditionWeights out;
    const double indoor = surroundings.indoor;
    LinkGeometry outdoors = geometry; // table 7.4.2-1 counts the way to the building only
    outdoors.distance2dM = std::max(0.0, geometry.distance2dM - (indoor > 0 ? indoor * surroundings.wayInM : 0));
    out.outdoorLos = rule.fixed ? *rule.fixed : StateAt(m_statistics.LosProbability(outdoors), m_los, user, rule.hard);
    out.indoor = indoor;
    out.of = {(1 - indoor) * out.outdoorLos, (1 - indoor) * (1 - out.outdoorLos), indoor * (1 - out.outdoorLos),
              indoor * out.outdoorLos};
    return out;
}

const ChannelEnvironment::Fields& ChannelEnvironment::FieldsOf(LinkCondition condition,
                                                               const LinkGeometry& geometry) const {
    const auto number = static_cast<std::size_t>(IsIndoors(condition) ? LinkCondition::O2i : condition);
    auto& fields = m_fields[number];
    std::call_once(m_made[number], [&] {
        fields.emplace(Fields{{}, m_statistics.Clusters(condition, geometry)});
        for (std::uint64_t i = 0; i < 7; ++i) {
            fields->independent.emplace_back(Named({m_site, large_scale, number, i}),
                                             fields->statistics.correlationDistanceM[i]);
        }
    });
    return *fields;
}

double ChannelEnvironment::CorrelatedAt(const Fields& fields, std::size_t parameter, const Vector& user) const {
    double sum = 0;
    for (std::size_t i = 0; i < 7; ++i) {
        if (const double share = fields.statistics.root[parameter][i]; share != 0) {
            sum += share * fields.independent[i](user.x, user.y);
        }
    }
    return sum;
}

double ChannelEnvironment::Shadowing(LinkCondition condition, const LinkGeometry& geometry, const Vector& user) const {
    return m_statistics.ShadowingStdDb(condition, geometry) * CorrelatedAt(FieldsOf(condition, geometry), SF, user);
}

double ChannelEnvironment::KFactorDb(const LinkGeometry& geometry, const Vector& user) const {
    const Fields& fields = FieldsOf(LinkCondition::Los, geometry);
    return fields.statistics.mean[K] + fields.statistics.std[K] * CorrelatedAt(fields, K, user);
}

LargeScaleValues ChannelEnvironment::LargeScale(LinkCondition condition, const LinkGeometry& geometry,
                                                const Vector& user) const {
    const Fields& fields = FieldsOf(condition, geometry);
    const ClusterStatistics statistics = m_statistics.Clusters(condition, geometry);
    LargeScaleValues values{};
    for (std::size_t i = 0; i < 7; ++i) {
        values[i] = statistics.mean[i] + statistics.std[i] * CorrelatedAt(fields, i, user);
        if (i >= DS) {
            values[i] = std::pow(10, values[i]);
        }
    }
    values[ASA] = std::min(values[ASA], 104.0); // step 4: limits of the spreads
    values[ASD] = std::min(values[ASD], 104.0);
    values[ZSA] = std::min(values[ZSA], 52.0);
    values[ZSD] = std::min(values[ZSD], 52.0);
    return values;
}

double ChannelEnvironment::EnvironmentHeightUniform(const Vector& user) const {
    return NormalToUniform(m_environmentHeight(user.x, user.y));
}

double ChannelEnvironment::LengthM(LinkCondition condition, int level) const {
    double length = m_statistics.ClusterCorrelationDistanceM(condition);
    if (level > 0) {
        for (const double most = fine_length * near_m / (1 << (level - 1)); length > most;) {
            length /= 2;
        }
    }
    return length;
}

std::vector<CellWeight> ChannelEnvironment::Cells(LinkCondition condition, const Vector& user) const {
    const double length = LengthM(condition, 0);
    const Share x = SharesOf(user.x, length), y = SharesOf(user.y, length);
    std::vector<CellWeight> cells;
    for (int i = 0; i < x.count; ++i) {
        for (int j = 0; j < y.count; ++j) {
            cells.push_back({{x.cell[i], y.cell[j]}, x.weight[i] * y.weight[j]});
        }
    }
    const double distance = ns3::CalculateDistance(user, m_baseStation);
    if (distance >= near_m || IsIsotropic(m_statistics.GetDeployment())) {
        return cells;
    }
    const Share levels = LevelsOf(distance);
    std::vector<CellWeight> fine;
    for (int n = 0; n < levels.count; ++n) {
        const int level = levels.cell[n];
        if (level == 0) {
            for (const auto& cell : cells) {
                fine.push_back({cell.place, cell.weight * levels.weight[n]});
            }
            continue;
        }
        const double fineLength = LengthM(condition, level);
        const Share fineX = SharesOf(user.x, fineLength), fineY = SharesOf(user.y, fineLength);
        for (const auto& cell : cells) {
            for (int i = 0; i < fineX.count; ++i) {
                for (int j = 0; j < fineY.count; ++j) {
                    fine.push_back({{cell.place.x, cell.place.y, level, fineX.cell[i], fineY.cell[j]},
                                    cell.weight * levels.weight[n] * fineX.weight[i] * fineY.weight[j]});
                }
            }
        }
    }
    return fine;
}

int ChannelEnvironment::FloorOf(const Vector& user) {
    return static_cast<int>(std::lround((user.z - 1.5) / 3));
}

std::shared_ptr<const ClusterDrop> ChannelEnvironment::Drop(LinkCondition condition, const DropPlace& place,
                                                            int floor) {
    auto drop = UndrawnDrop(condition, place, floor);
    drop->Draw();
    return drop;
}

std::shared_ptr<ClusterDrop> ChannelEnvironment::UndrawnDrop(LinkCondition condition, const DropPlace& place,
                                                             int floor) {
    auto& slot = m_drops[{condition, place, floor}];
    if (auto known = slot.lock()) {
        return known;
    }
    const double length = LengthM(condition, place.level);
    const int x = place.level > 0 ? place.fineX : place.x, y = place.level > 0 ? place.fineY : place.y;
    Vector centre((x + 0.5) * length, (y + 0.5) * length, 1.5 + 3.0 * floor);
    if (ns3::CalculateDistance(centre, m_baseStation) < 1) {
        centre.x += 1; // the base station stands in the middle of the cell: any direction will do
    }
    const LinkGeometry geometry{std::hypot(centre.x - m_baseStation.x, centre.y - m_baseStation.y), m_baseStation.z,
                                centre.z};
    // The clusters are the cell's, from wherever they are seen.
    auto random =
        Named({m_site, drop, static_cast<std::uint64_t>(condition), Bits(place.x), Bits(place.y), Bits(floor)});
    std::optional<NamedRandom> phases;
    if (place.level > 0) {
        phases = Named({m_site, fine_phases, static_cast<std::uint64_t>(condition), Bits(place.x), Bits(place.y),
                        Bits(floor), Bits(place.level), Bits(x), Bits(y)});
    }
    auto made = std::make_shared<ClusterDrop>();
    made->draw = [this, condition, geometry, centre, length, random, phases]() mutable {
        const Deployment deployment = m_statistics.GetDeployment();
        return IsIsotropic(deployment)
                   ? DrawIsotropic(centre, m_baseStation, random, deployment == Deployment::Rayleigh)
                   : DrawClusters(m_statistics.Clusters(condition, geometry), condition,
                                  LargeScale(condition, geometry, centre), centre, m_baseStation, 2 * length, random,
                                  phases ? &*phases : nullptr);
    };
    slot = made;
    m_recent.push_back(made);
    if (m_recent.size() > recent_drops) {
        m_recent.pop_front();
    }
    ++m_numDrops;
    NS_LOG_LOGIC("drop " << m_numDrops << ": cell (" << place.x << ", " << place.y << "), level " << place.level
                         << ", floor " << floor << ", condition " << static_cast<int>(condition));
    return made;
}

} // namespace edgelam
