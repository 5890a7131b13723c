// SPDX-License-Identifier: GPL-2.0-only
#include "channel-drop.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("EdgelamChannelDrop");

namespace edgelam {

namespace {

using ns3::Vector;

constexpr double pi = std::numbers::pi;
constexpr double deg = pi / 180;

/// Table 7.5-3: angles of the rays of a cluster, degrees for a spread of 1 degree. Each with both signs.
constexpr std::array ray_offsets{0.0447, 0.1413, 0.2492, 0.3715, 0.5129, 0.6797, 0.8844, 1.1481, 1.5195, 2.1551};

/// Table 7.5-5: which rays (from 0) of the two strongest clusters belong to which sub-cluster.
constexpr std::array<std::size_t, 10> sub_cluster_1{0, 1, 2, 3, 4, 5, 6, 7, 18, 19};
constexpr std::array<std::size_t, 6> sub_cluster_2{8, 9, 10, 11, 16, 17};
constexpr std::array<std::size_t, 4> sub_cluster_3{12, 13, 14, 15};
constexpr std::array sub_cluster_delay{0.0, 1.28, 2.56}; ///< in cluster delay spreads

/// Tables 7.5-2 and 7.5-4: scaling factors for the number of clusters, linear between the rows.
struct ScalingRow {
    int clusters;
    double azimuth, zenith;
};
constexpr std::array<ScalingRow, 12> scaling_rows{{{4, 0.779, 0.779},
                                                   {5, 0.860, 0.860},
                                                   {8, 1.018, 0.889},
                                                   {10, 1.090, 0.957},
                                                   {11, 1.123, 1.031},
                                                   {12, 1.146, 1.104},
                                                   {14, 1.190, 1.106},
                                                   {15, 1.211, 1.1088},
                                                   {16, 1.226, 1.127},
                                                   {19, 1.273, 1.184},
                                                   {20, 1.289, 1.178},
                                                   {25, 1.358, 1.282}}};

ScalingRow Scaling(int clusters) {
    auto above = std::find_if(scaling_rows.begin(), scaling_rows.end(),
                              [&](const ScalingRow& row) { return row.clusters >= clusters; });
    if (above == scaling_rows.end()) {
        return scaling_rows.back();
    }
    if (above->clusters == clusters || above == scaling_rows.begin()) {
        return *above;
    }
    const auto below = above - 1;
    const double share = double(clusters - below->clusters) / (above->clusters - below->clusters);
    return {clusters, std::lerp(below->azimuth, above->azimuth, share), std::lerp(below->zenith, above->zenith, share)};
}

Vector Direction(double azimuthDeg, double zenithDeg) {
    const double sine = std::sin(zenithDeg * deg);
    return {sine * std::cos(azimuthDeg * deg), sine * std::sin(azimuthDeg * deg), std::cos(zenithDeg * deg)};
}

double AzimuthDeg(const Vector& v) {
    return std::atan2(v.y, v.x) / deg;
}

double ZenithDeg(const Vector& v) {
    return std::acos(std::clamp(v.z / v.GetLength(), -1.0, 1.0)) / deg;
}

/// Zenith angles beyond a pole come back on the other side (TR 38.901 7.5 step 7: to 360 - angle).
double FoldZenith(double zenithDeg) {
    const double wrapped = zenithDeg - 360 * std::floor(zenithDeg / 360);
    return wrapped > 180 ? 360 - wrapped : wrapped;
}

struct Cluster {
    double delayS, power, aoaDeg, zoaDeg, aodDeg, zodDeg;
};

/// Steps 5 to 7: delays, powers, and the angles of the clusters' centres.
std::vector<Cluster> Clusters(const ClusterStatistics& statistics, LinkCondition condition,
                              const LargeScaleValues& values, const Vector& toBs, NamedRandom& random) {
    const bool los = condition == LinkCondition::Los;
    const std::size_t count = static_cast<std::size_t>(statistics.numClusters);
    const double spread = values[DS], scaling = statistics.delayScaling;
    std::vector<double> delays(count);
    for (auto& delay : delays) {
        delay = -scaling * spread * std::log(random.Uniform()); // 7.5-1
    }
    std::sort(delays.begin(), delays.end());
    const double first = delays.front();
    std::vector<Cluster> clusters(count);
    double sum = 0;
    for (std::size_t n = 0; n < count; ++n) {
        auto& cluster = clusters[n];
        cluster.delayS = delays[n] - first; // 7.5-2
        const double shadowing = random.Normal() * statistics.clusterShadowingDb;
        cluster.power =
            std::exp(-cluster.delayS * (scaling - 1) / (scaling * spread)) * std::pow(10, -shadowing / 10); // 7.5-5
        sum += cluster.power;
    }
    const double kDb = values[K], k = los ? std::pow(10, kDb / 10) : 0;
    double strongest = 0;
    const auto withLos = [&](std::size_t n) { // 7.5-8, for angles and for what is dropped
        return clusters[n].power / (k + 1) + (n == 0 ? k / (k + 1) : 0);
    };
    for (std::size_t n = 0; n < count; ++n) {
        clusters[n].power /= sum; // 7.5-6
        strongest = std::max(strongest, withLos(n));
    }
    double azimuthScale = Scaling(statistics.numClusters).azimuth, zenithScale = Scaling(statistics.numClusters).zenith;
    double delayScale = 1;
    if (los) {
        azimuthScale *= 1.1035 - 0.028 * kDb - 0.002 * kDb * kDb + 0.0001 * kDb * kDb * kDb;  // 7.5-10
        zenithScale *= 1.3086 + 0.0339 * kDb - 0.0077 * kDb * kDb + 0.0002 * kDb * kDb * kDb; // 7.5-15
        delayScale = 0.7705 - 0.0433 * kDb + 0.0002 * kDb * kDb + 0.000017 * kDb * kDb * kDb; // 7.5-3
        // Far out in the tail of K (InF: below -9 dB) the cubic fits for angles pass zero.
        azimuthScale = std::max(azimuthScale, 0.3);
        zenithScale = std::max(zenithScale, 0.3);
    }
    const Vector fromBs(-toBs.x, -toBs.y, -toBs.z);
    const double zodCentre = ZenithDeg(fromBs) + statistics.zodOffsetDeg;
    std::vector<std::array<double, 4>> offsets(count); // AOA, AOD, ZOA, ZOD
    for (std::size_t n = 0; n < count; ++n) {
        const double decay = std::log(withLos(n) / strongest);
        const auto azimuth = [&](double as) { // 7.5-9, 7.5-11
            const double angle = 2 * (as / 1.4) * std::sqrt(std::max(0.0, -decay)) / azimuthScale;
            return random.Sign() * angle + random.Normal() * as / 7;
        };
        const auto zenith = [&](double zs) { // 7.5-14, 7.5-16
            return random.Sign() * (-zs * decay / zenithScale) + random.Normal() * zs / 7;
        };
        offsets[n] = {azimuth(values[ASA]), azimuth(values[ASD]), zenith(values[ZSA]), zenith(values[ZSD])};
    }
    for (std::size_t n = 0; n < count; ++n) {
        const auto relative = [&](std::size_t i) { // 7.5-12, 7.5-17: in line of sight the first cluster is straight on
            return offsets[n][i] - (los ? offsets[0][i] : 0);
        };
        auto& cluster = clusters[n];
        cluster.aoaDeg = AzimuthDeg(toBs) + relative(0);
        cluster.aodDeg = AzimuthDeg(fromBs) + relative(1);
        // 7.5-16: indoors, waves come in horizontally on average
        cluster.zoaDeg = (IsIndoors(condition) ? 90 : ZenithDeg(toBs)) + relative(2);
        cluster.zodDeg = (los ? ZenithDeg(fromBs) : zodCentre) + relative(3); // 7.5-18, 7.5-19
        cluster.delayS /= delayScale;                                         // 7.5-4
    }
    std::vector<Cluster> kept; // those less than 25 dB below the strongest
    double total = 0;
    for (std::size_t n = 0; n < count; ++n) {
        if (withLos(n) >= strongest * std::pow(10, -2.5)) {
            kept.push_back(clusters[n]);
            total += clusters[n].power;
        }
    }
    for (auto& cluster : kept) {
        cluster.power /= total;
    }
    return kept;
}

void Polarise(ClusterDrop& drop, double amplitude, double xprDb, NamedRandom& random) {
    const double cross = std::pow(10, -xprDb / 20);
    for (std::size_t i = 0; i < 4; ++i) { // 7.5-22: initial phases of step 10, cross-polar power 1 / kappa of step 9
        const double size = amplitude * (i == 1 || i == 2 ? cross : 1.0);
        drop.polarisation[i].push_back(std::polar<float>(size, 2 * pi * random.Uniform()));
    }
}

} // namespace

void Images::Add(const Vector& user, const Vector& arrival, const Vector& departure, int handed, double lengthM,
                 double turns) {
    x.push_back(user.x + arrival.x * lengthM);
    y.push_back(user.y + arrival.y * lengthM);
    z.push_back(user.z + arrival.z * lengthM);
    length0M.push_back(lengthM);
    turns0.push_back(turns);
    // Q = -a b^T + theta_a theta_b^T - handed phi_a phi_b^T, with the spherical unit vectors at both ends; for the
    // direct ray (a = -b, handed 1) that is the identity.
    const auto frame = [](const Vector& r) {
        const double flat = std::hypot(r.x, r.y);
        const double c = flat > 0 ? r.x / flat : 1, s = flat > 0 ? r.y / flat : 0;
        return std::array<Vector, 3>{r, Vector(r.z * c, r.z * s, -flat), Vector(-s, c, 0)};
    };
    const auto a = frame(arrival), b = frame(departure);
    const std::array<double, 3> sign{-1, 1, -static_cast<double>(handed)};
    const auto part = [](const Vector& v, int i) { return i == 0 ? v.x : i == 1 ? v.y : v.z; };
    for (int row = 0; row < 3; ++row) {
        for (int column = 0; column < 3; ++column) {
            double sum = 0;
            for (std::size_t i = 0; i < 3; ++i) {
                sum += sign[i] * part(a[i], row) * part(b[i], column);
            }
            q[static_cast<std::size_t>(3 * row + column)].push_back(sum);
        }
    }
}

kernels::ImageArrays Images::Arrays() const {
    kernels::ImageArrays out{x.data(), y.data(), z.data(), {}, length0M.data(), turns0.data()};
    for (std::size_t i = 0; i < 9; ++i) {
        out.q[i] = q[i].data();
    }
    return out;
}

std::shared_ptr<ClusterDrop> DrawClusters(const ClusterStatistics& statistics, LinkCondition condition,
                                          const LargeScaleValues& values, const Vector& user, const Vector& baseStation,
                                          double nearestM, NamedRandom random, NamedRandom* phases) {
    const Vector toBs = baseStation - user;
    const double direct = toBs.GetLength();
    const auto clusters = Clusters(statistics, condition, values, toBs, random);
    const std::size_t numRays = static_cast<std::size_t>(statistics.raysPerCluster);

    std::vector<std::size_t> byPower(clusters.size());
    std::iota(byPower.begin(), byPower.end(), 0);
    std::stable_sort(byPower.begin(), byPower.end(),
                     [&](std::size_t i, std::size_t j) { return clusters[i].power > clusters[j].power; });

    auto drop = std::make_shared<ClusterDrop>();
    drop->bsPosition = baseStation;
    drop->tapBegin.push_back(0);
    for (std::size_t n = 0; n < clusters.size(); ++n) {
        const Cluster& cluster = clusters[n];
        const bool split = std::find(byPower.begin(), byPower.begin() + std::min<std::size_t>(2, byPower.size()), n) !=
                               byPower.begin() + std::min<std::size_t>(2, byPower.size()) &&
                           numRays == 20;
        std::vector<std::vector<std::size_t>> parts;
        if (split) {
            parts = {{sub_cluster_1.begin(), sub_cluster_1.end()},
                     {sub_cluster_2.begin(), sub_cluster_2.end()},
                     {sub_cluster_3.begin(), sub_cluster_3.end()}};
        } else {
            parts.emplace_back(numRays);
            std::iota(parts[0].begin(), parts[0].end(), 0);
        }
        std::array<std::vector<std::size_t>, 3> coupled; // step 8: which AOD, ZOA, ZOD each AOA goes with
        for (auto& order : coupled) {
            order.resize(numRays);
            for (const auto& part : parts) { // within its sub-cluster
                auto shuffled = part;
                random.Shuffle(std::span(shuffled));
                for (std::size_t i = 0; i < part.size(); ++i) {
                    order[part[i]] = shuffled[i];
                }
            }
        }
        const auto offset = [&](std::size_t m) { // table 7.5-3, rays in pairs of both signs
            return ray_offsets[(m / 2) % ray_offsets.size()] * (m % 2 ? -1 : 1);
        };
        const double amplitude = std::sqrt(cluster.power / static_cast<double>(numRays));
        const int handed = random.Sign();
        for (std::size_t p = 0; p < parts.size(); ++p) {
            const double delay =
                cluster.delayS + sub_cluster_delay[p] * statistics.clusterDelaySpreadS * split; // 7.5-26
            const double absolute = delay + direct / speed_of_light;
            const double length = std::max(absolute * speed_of_light, nearestM);
            for (const std::size_t m : parts[p]) {
                const Vector arrival = Direction(
                    cluster.aoaDeg + statistics.clusterAsaDeg * offset(m),
                    FoldZenith(cluster.zoaDeg + statistics.clusterZsaDeg * offset(coupled[1][m]))); // 7.5-13, 18
                const Vector departure =
                    Direction(cluster.aodDeg + statistics.clusterAsdDeg * offset(coupled[0][m]),
                              FoldZenith(cluster.zodDeg + statistics.clusterZsdDeg * offset(coupled[2][m]))); // 7.5-20
                // The initial phase is in the polarisation, and what `phases` adds to it here.
                drop->rays.Add(user, arrival, departure, handed, length, phases ? phases->Uniform() : 0);
                Polarise(*drop, amplitude, statistics.xprMeanDb + statistics.xprStdDb * random.Normal(), random);
            }
            drop->taps.Add(user, Direction(cluster.aoaDeg, FoldZenith(cluster.zoaDeg)),
                           Direction(cluster.aodDeg, FoldZenith(cluster.zodDeg)), handed, length, 0);
            drop->tapDelayS.push_back(absolute);
            drop->tapBegin.push_back(drop->rays.size());
        }
    }
    NS_LOG_LOGIC("around " << user
                           << (condition == LinkCondition::Los    ? ", LOS"
                               : condition == LinkCondition::Nlos ? ", NLOS"
                               : condition == LinkCondition::O2i  ? ", O2I"
                                                                  : ", O2I, line of sight outdoors")
                           << ": delay spread " << values[DS] * 1e9 << " ns, " << clusters.size() << " clusters, "
                           << drop->numTaps() << " taps, " << drop->rays.size() << " rays");
    return drop;
}

std::shared_ptr<ClusterDrop> DrawIsotropic(const Vector& user, const Vector& baseStation, NamedRandom random,
                                           bool bothEnds) {
    const std::size_t count = bothEnds ? 240 : 120;
    constexpr double far = 1e5; // m: images so far away that their directions are even in the whole cell
    const Vector toBs = baseStation - user;
    const double direct = toBs.GetLength(), turn = random.Uniform();
    const Vector departure(-toBs.x / direct, -toBs.y / direct, -toBs.z / direct);
    std::vector<std::size_t> coupled(count); // which direction of departure each direction of arrival goes with
    double departureTurn = 0;
    if (bothEnds) {
        std::iota(coupled.begin(), coupled.end(), 0);
        random.Shuffle(std::span(coupled));
        departureTurn = random.Uniform();
    }
    const auto sphere = [&](std::size_t m, double turned) { // a Fibonacci lattice
        const double zenith = std::acos(1 - (2 * static_cast<double>(m) + 1) / static_cast<double>(count)) * 180 / pi;
        return Direction(360 * (static_cast<double>(m) * std::numbers::phi + turned), zenith);
    };
    auto drop = std::make_shared<ClusterDrop>();
    drop->bsPosition = baseStation;
    drop->tapBegin = {0, count};
    for (std::size_t m = 0; m < count; ++m) {
        const double azimuth = 360 * (static_cast<double>(m) + turn) / static_cast<double>(count);
        drop->rays.Add(user, bothEnds ? sphere(m, turn) : Direction(azimuth, 90),
                       bothEnds ? sphere(coupled[m], departureTurn) : departure, 1, far, 0);
        const auto amplitude = static_cast<float>(1 / std::sqrt(static_cast<double>(count)));
        for (std::size_t i = 0; i < 4; ++i) {
            drop->polarisation[i].push_back(
                i == 0 || bothEnds ? std::polar<float>(amplitude, static_cast<float>(2 * pi * random.Uniform()))
                                   : std::complex<float>(0));
        }
    }
    // The delay is that of the straight line everywhere.
    drop->taps.Add(user, Vector(-departure.x, -departure.y, -departure.z), departure, 1, direct, 0);
    drop->tapDelayS = {direct / speed_of_light};
    return drop;
}

std::shared_ptr<ClusterDrop> LineOfSight(const Vector& baseStation, double wavelengthM, std::size_t copies) {
    auto drop = std::make_shared<ClusterDrop>();
    drop->bsPosition = baseStation;
    drop->tapBegin = {0, copies};
    const Vector toBs(1, 0, 0), fromBs(-1, 0, 0);
    drop->taps.Add(baseStation, toBs, fromBs, 1, 0, 0); // at the base station itself: phase -length / wavelength
    for (std::size_t i = 0; i < copies; ++i) {
        drop->rays.Add(baseStation, toBs, fromBs, 1, 0, 0);
    }
    drop->tapDelayS = {0};
    drop->polarisation = {std::vector<std::complex<float>>(copies, 1), std::vector<std::complex<float>>(copies, 0),
                          std::vector<std::complex<float>>(copies, 0), std::vector<std::complex<float>>(copies, -1)};
    return drop;
}

} // namespace edgelam
