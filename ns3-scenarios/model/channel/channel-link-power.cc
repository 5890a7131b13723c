// SPDX-License-Identifier: GPL-2.0-only
// The mean received power of a link: its rays, its angular spreads, or the straight line, seen through the antennas.
#include <array>
#include <cmath>
#include <numbers>

#include "channel-link.h"
#include "gaussian-field.h"
#include "radio-channel.h"

namespace edgelam {

namespace {

using ns3::Vector;

constexpr double deg = std::numbers::pi / 180;
constexpr std::size_t azimuths = 16, zeniths = 12;
/// Of the clusters' directions, as TR 38.901 7.5 steps 6 and 7 draw them, weighted by power: their spread over the
/// drawn one (1.02 to 1.10, from 12 to 20 clusters).
constexpr double drawn_share = 1.06;

/// The middles of equal shares of a distribution, stretched to a variance of 1.
template<std::size_t n, class Quantile>
std::array<double, n> Middles(Quantile quantile) {
    std::array<double, n> out;
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = quantile((static_cast<double>(i) + 0.5) / n);
        sum += out[i] * out[i];
    }
    for (auto& value : out) {
        value /= std::sqrt(sum / n);
    }
    return out;
}

/// Power over azimuth is Gaussian and over zenith Laplacian: TR 38.901 7.5 step 7.
const std::array<double, azimuths>& AzimuthShares() {
    static const auto shares = Middles<azimuths>(UniformToNormal);
    return shares;
}
const std::array<double, zeniths>& ZenithShares() {
    static const auto shares =
        Middles<zeniths>([](double p) { return p < 0.5 ? std::log(2 * p) : -std::log(2 * (1 - p)); });
    return shares;
}

/// Mean power of the two components of the field pattern.
struct Components {
    double theta = 0, phi = 0;
    double Sum() const { return theta + phi; }
};

/// Of the first polarisation, or the mean over all, over these directions.
Components MeanPower(const ns3::PhasedArrayModel& array, const std::vector<Vector>& directions, bool first) {
    const std::size_t count = directions.size();
    RawVector<double> xyz(3 * count);
    for (std::size_t i = 0; i < count; ++i) {
        xyz[i] = directions[i].x;
        xyz[count + i] = directions[i].y;
        xyz[2 * count + i] = directions[i].z;
    }
    const auto fields = RespondElements(array, xyz.data(), xyz.data() + count, xyz.data() + 2 * count, count);
    Components out;
    const std::size_t each = fields.numPolarisations, used = first ? 1 : each;
    for (std::size_t d = 0; d < count; ++d) {
        for (std::size_t p = 0; p < used; ++p) {
            out.theta += std::pow(static_cast<double>(fields.theta[d * each + p]), 2);
            out.phi += std::pow(static_cast<double>(fields.phi[d * each + p]), 2);
        }
    }
    const auto number = static_cast<double>(count * used);
    return {out.theta / number, out.phi / number};
}

/// Directions spread around one, each with the same power.
std::vector<Vector> Spread(double azimuthRad, double zenithRad, double azimuthSpreadDeg, double zenithSpreadDeg) {
    std::vector<Vector> out;
    for (const double z : ZenithShares()) {
        const double zenith = zenithRad + z * zenithSpreadDeg * deg, sine = std::sin(zenith), up = std::cos(zenith);
        for (const double a : AzimuthShares()) {
            const double azimuth = azimuthRad + a * azimuthSpreadDeg * deg;
            out.emplace_back(sine * std::cos(azimuth), sine * std::sin(azimuth), up);
        }
    }
    return out;
}

double Azimuth(const Vector& v) {
    return std::atan2(v.y, v.x);
}

double Zenith(const Vector& v) {
    return std::acos(v.z / v.GetLength());
}

Vector Unit(const Vector& v) {
    const double length = v.GetLength();
    return {v.x / length, v.y / length, v.z / length};
}

} // namespace

double ChannelLink::GetPortGain(AntennaGain gain) {
    RefreshLargeScale();
    if (gain == AntennaGain::Rays) {
        return RayGain();
    }
    double sum = 0;
    for (const auto& view : m_views) {
        if (gain == AntennaGain::Direction) {
            sum += view.image.weight * StraightGain(view);
            continue;
        }
        for (const auto condition : link_conditions) {
            if (view.weights[condition] > 0) {
                sum += view.image.weight * view.weights[condition] * view.gain[static_cast<std::size_t>(condition)] *
                       SpreadGain(view, condition);
            }
        }
    }
    return sum;
}

/// TR 36.873 eq. 8.1-1: the powers of the rays, each with the gains of both antennas in its directions.
double ChannelLink::RayGain() {
    const bool inUse = !m_parts.empty();
    RefreshRays();
    const double air = m_environment->statistics().AbsorptionDb(1);
    double sum = 0;
    for (const auto& part : m_parts) {
        const RayWindow& window = *part->window;
        const auto delays = window.Delays(part->utPlace, m_bsPlace);
        for (std::size_t tap = 0; tap < delays.size(); ++tap) {
            double power = 0;
            for (std::size_t ray = window.drop().tapBegin[tap]; ray < window.drop().tapBegin[tap + 1]; ++ray) {
                power += window.PortPower(ray);
            }
            const double excessM = std::max(0.0, delays[tap]) * speed_of_light;
            sum += part->amplitude * part->amplitude * power * std::pow(10, -air * excessM / 10);
        }
    }
    if (!inUse) {
        m_parts.clear();
        m_partsCurrent = m_raysCurrent = false;
    }
    return sum;
}

/// What the antennas add to a link in one condition, on average over the angles that TR 38.901 7.5 draws for it.
double ChannelLink::SpreadGain(const View& view, LinkCondition condition) {
    const Vector fromBs = view.utPlace - m_bsPlace, toBs = m_bsPlace - view.utPlace;
    const bool los = condition == LinkCondition::Los;
    const auto values = m_environment->LargeScale(condition, view.geometry, view.utPlace);
    const auto statistics = m_environment->statistics().Clusters(condition, view.geometry);
    const double zod = Zenith(fromBs) + (los ? 0 : statistics.zodOffsetDeg * deg);
    const double zoa = IsIndoors(condition) ? 90 * deg : Zenith(toBs);
    // Directions are those from the middle of the user's cell: as wide as a cell is seen from the base station.
    const double flat = std::max(view.geometry.distance2dM, 1.0);
    const double whole = m_environment->statistics().ClusterCorrelationDistanceM(condition);
    const double cell = flat < 30 ? std::min(whole, flat / 4) : whole; // finer nearby, see ChannelEnvironment
    const double azimuth = cell / std::sqrt(12) / flat / deg;
    // Rays that arrive from above or below also turn up or down when the user is elsewhere in its cell, the less the
    // longer their way is.
    const double longer = 1 + values[DS] * speed_of_light / view.geometry.Distance3d();
    const double zenith = azimuth * std::hypot(fromBs.z * flat / (flat * flat + fromBs.z * fromBs.z),
                                               std::sin(std::min(values[ZSA], 90.0) * deg) / longer);
    const auto spread = [](double ofClusters, double ofRays, double ofCell) {
        return std::sqrt(std::pow(drawn_share * ofClusters, 2) + ofRays * ofRays + ofCell * ofCell);
    };
    const auto bs = MeanPower(*m_bsArray,
                              Spread(Azimuth(fromBs), zod, spread(values[ASD], statistics.clusterAsdDeg, azimuth),
                                     spread(values[ZSD], statistics.clusterZsdDeg, zenith)),
                              true);
    const auto ut = MeanPower(*m_utArray,
                              Spread(Azimuth(toBs), zoa, spread(values[ASA], statistics.clusterAsaDeg, azimuth),
                                     spread(values[ZSA], statistics.clusterZsaDeg, zenith)),
                              false);
    // Mean of 1 / kappa, which is log-normal; initial phases are independent, so that products of components vanish.
    const double sigma = statistics.xprStdDb * std::numbers::ln10 / 10;
    const double cross = std::pow(10, -statistics.xprMeanDb / 10) * std::exp(0.5 * sigma * sigma);
    const double mean = ut.theta * bs.theta + ut.phi * bs.phi + cross * (ut.theta * bs.phi + ut.phi * bs.theta);
    if (!los) {
        return mean;
    }
    // The direct ray (eq. 7.5-29) keeps its polarisation.
    const double k = std::pow(10, values[K] / 10);
    return (k * DirectGain(Unit(fromBs), Unit(toBs)) + mean) / (k + 1);
}

/// Of the direct ray, from the first port to the mean over the user's polarisations.
double ChannelLink::DirectGain(const Vector& fromBs, const Vector& toBs) const {
    const auto bs = RespondElements(*m_bsArray, &fromBs.x, &fromBs.y, &fromBs.z, 1);
    const auto ut = RespondElements(*m_utArray, &toBs.x, &toBs.y, &toBs.z, 1);
    double sum = 0;
    for (std::size_t p = 0; p < ut.numPolarisations; ++p) {
        const double field = static_cast<double>(ut.theta[p]) * static_cast<double>(bs.theta[0]) -
                             static_cast<double>(ut.phi[p]) * static_cast<double>(bs.phi[0]);
        sum += field * field;
    }
    return sum / static_cast<double>(ut.numPolarisations);
}

/// The whole of a view's gain, and the antennas as if all power went along the straight line.
double ChannelLink::StraightGain(const View& view) const {
    const Vector fromBs = Unit(view.utPlace - m_bsPlace), toBs = Unit(m_bsPlace - view.utPlace);
    return view.Gain() * MeanPower(*m_bsArray, {fromBs}, true).Sum() * MeanPower(*m_utArray, {toBs}, false).Sum();
}

} // namespace edgelam
