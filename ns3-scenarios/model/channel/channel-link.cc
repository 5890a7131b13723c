// SPDX-License-Identifier: GPL-2.0-only
#include "channel-link.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "ns3/log.h"
#include "ns3/node.h"

#include "radio-channel.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamChannelLink");

namespace {

using ns3::Vector;

constexpr double pi = std::numbers::pi;
constexpr double nearest_m = 1e-3;  ///< two ends closer than this are at one point
constexpr double window_fade = 0.1; ///< of a window's length: over which the new directions replace the old

bool Same(const Vector& a, const Vector& b) {
    return a.x == b.x && a.y == b.y && a.z == b.z;
}

std::string Text(const Vector& v) {
    return "(" + std::to_string(v.x) + ", " + std::to_string(v.y) + ", " + std::to_string(v.z) + ") m";
}

} // namespace

ChannelLink::ChannelLink(RadioChannel& channel, ns3::Ptr<ns3::MobilityModel> baseStation,
                         ns3::Ptr<ns3::PhasedArrayModel> bsArray, ns3::Ptr<ns3::MobilityModel> user,
                         ns3::Ptr<ns3::PhasedArrayModel> utArray)
    : m_channel(channel), m_bs(baseStation), m_ut(user), m_bsArray(bsArray), m_utArray(utArray),
      m_bsNode(baseStation->GetObject<ns3::Node>()->GetId()), m_utNode(user->GetObject<ns3::Node>()->GetId()),
      m_site(baseStation->GetPosition()) {
    CheckPlaces(user->GetPosition(), m_site);
    m_bsShape = ShapeOf(*bsArray);
    m_utShape = ShapeOf(*utArray);
}

ChannelLink::~ChannelLink() = default;

Direction ChannelLink::From(const ns3::MobilityModel& transmitter) const {
    if (&transmitter != ns3::PeekPointer(m_bs) && &transmitter != ns3::PeekPointer(m_ut)) {
        throw std::invalid_argument("this node is not an end of the link between node " + std::to_string(m_bsNode) +
                                    " (base station) and node " + std::to_string(m_utNode));
    }
    return &transmitter == ns3::PeekPointer(m_bs) ? Direction::Downlink : Direction::Uplink;
}

std::size_t ChannelLink::NumRx(Direction direction) const {
    return (direction == Direction::Downlink ? m_utArray : m_bsArray)->GetNumElems();
}

std::size_t ChannelLink::NumTx(Direction direction) const {
    return (direction == Direction::Downlink ? m_bsArray : m_utArray)->GetNumElems();
}

void ChannelLink::CheckPlaces(const Vector& ut, const Vector& bs) const {
    for (const auto& place : {ut, bs}) {
        if (!std::isfinite(place.x) || !std::isfinite(place.y) || !std::isfinite(place.z)) {
            throw std::invalid_argument("a node of the link between nodes " + std::to_string(m_bsNode) + " and " +
                                        std::to_string(m_utNode) + " is at " + Text(place) +
                                        "; legal are finite coordinates");
        }
    }
    if (ns3::CalculateDistance(ut, bs) < nearest_m) {
        throw std::invalid_argument("nodes " + std::to_string(m_bsNode) + " and " + std::to_string(m_utNode) +
                                    " are both at " + Text(bs) + "; legal are places 1 mm or more apart");
    }
}

/// Takes note of the present places.
void ChannelLink::Settle() {
    const Vector ut = m_ut->GetPosition(), bs = m_bs->GetPosition();
    const auto realisation = m_channel.RealisationOf(m_utNode);
    if (!m_environment || realisation != m_realisation) {
        m_parts.clear();
        m_environment = m_channel.Environment(m_site, m_channel.DeploymentAt(m_bsNode), realisation);
        m_realisation = realisation;
        m_placed = false;
    }
    const bool known = m_placed && Same(bs, m_bsPlace) && m_surroundingsVersion == m_channel.m_surroundingsVersion;
    if (known && Same(ut, m_utPlace)) {
        return;
    }
    CheckPlaces(ut, bs);
    m_utPlace = ut;
    const Vector home = m_channel.LargeScalePlaceOf(m_utNode, ut);
    if (known && Same(home, m_home)) { // only phases go on
        m_raysCurrent = false;
        return;
    }
    m_home = home;
    m_bsPlace = bs;
    m_surroundingsVersion = m_channel.m_surroundingsVersion;
    m_placed = true;
    m_viewsCurrent = m_partsCurrent = m_raysCurrent = false;
}

void ChannelLink::Hold() {
    if (!CanBeHeld()) {
        throw std::logic_error("a link over a surface is not held");
    }
    if (!m_channel.m_stateTrace.IsEmpty() || !m_channel.m_dropTrace.IsEmpty()) {
        PlaceParts(); // who follows is told in the order of calls
    } else if (!m_held) {
        Settle();
        CheckArrays();
    }
    m_held = true;
}

bool ChannelLink::LacksDrops() const {
    return std::ranges::any_of(m_parts, [](const auto& part) { return !part->drop || part->drop->draw; });
}

void ChannelLink::TakeDrops(std::vector<std::shared_ptr<ClusterDrop>>& undrawn) {
    FindDrops();
    for (const auto& part : m_parts) {
        if (part->drop->draw) {
            undrawn.push_back(part->drop);
        }
    }
}

void ChannelLink::RefreshLargeScale() {
    if (!m_held) {
        Settle();
    }
    if (m_viewsCurrent) {
        return;
    }
    m_surroundings = m_channel.SurroundingsOf(m_utNode, *m_environment, m_home);
    m_views.clear();
    for (const auto& image : m_channel.m_wrapAround.Images(m_bsPlace, m_home)) {
        const Vector seen = m_home - image.shift;
        const double distance = std::hypot(seen.x - m_bsPlace.x, seen.y - m_bsPlace.y);
        m_views.push_back({image, seen, {distance, m_bsPlace.z, seen.z}, {}, {}});
    }
    for (auto& view : m_views) {
        RefreshView(view);
    }
    m_viewsCurrent = true;
    NS_LOG_LOGIC("nodes " << m_bsNode << " and " << m_utNode << ": large scale at " << Text(m_utPlace) << ", "
                          << m_views.size() << " images of the site");
    if (!m_channel.m_stateTrace.IsEmpty()) {
        m_channel.m_stateTrace(m_bsNode, m_utNode, GetState());
    }
}

void ChannelLink::RefreshView(View& view) {
    const auto& statistics = m_environment->statistics();
    const auto& geometry = view.geometry;
    view.weights = m_environment->Conditions(m_channel.m_los, geometry, view.utPlace, m_surroundings);
    const double uniform = m_environment->EnvironmentHeightUniform(view.utPlace);
    const double air = statistics.AbsorptionDb(geometry.Distance3d());
    for (const auto condition : link_conditions) {
        double& gain = view.gain[static_cast<std::size_t>(condition)];
        if (view.weights[condition] <= 0) {
            continue;
        }
        double db = -air;
        if (m_channel.m_shadowing) {
            db += m_environment->Shadowing(condition, geometry, view.utPlace);
        }
        db -= IsIndoors(condition) ? m_surroundings.penetrationDb : m_surroundings.carDb;
        gain = std::pow(10, -statistics.PathLossDb(condition, geometry, uniform) / 10);
        gain *= std::pow(10, db / 10);
    }
}

double ChannelLink::View::Gain() const {
    double sum = 0;
    for (const auto condition : link_conditions) {
        sum += weights[condition] * gain[static_cast<std::size_t>(condition)];
    }
    return sum;
}

double ChannelLink::GetLargeScaleGain() {
    RefreshLargeScale();
    double gain = 0;
    for (const auto& view : m_views) {
        gain += view.image.weight * view.Gain();
    }
    return gain;
}

LinkState ChannelLink::GetState() {
    const double gain = GetLargeScaleGain();
    const View& view = m_views.front();
    const auto& weights = view.weights;
    const auto& geometry = view.geometry;
    const Vector& place = view.utPlace;
    const auto strongest =
        *std::ranges::max_element(link_conditions, {}, [&](LinkCondition condition) { return weights[condition]; });
    const auto& statistics = m_environment->statistics();
    const auto values = m_environment->LargeScale(strongest, geometry, place);
    LinkState state{};
    state.distance_2d_m = geometry.distance2dM;
    state.distance_3d_m = geometry.Distance3d();
    state.los = weights.outdoorLos;
    state.indoor = weights.indoor;
    state.path_loss_db = statistics.PathLossDb(strongest, geometry, m_environment->EnvironmentHeightUniform(place));
    state.shadowing_db = m_channel.m_shadowing ? m_environment->Shadowing(strongest, geometry, place) : 0;
    state.penetration_db = IsIndoors(strongest) ? m_surroundings.penetrationDb : m_surroundings.carDb;
    state.absorption_db = statistics.AbsorptionDb(geometry.Distance3d());
    state.gain_db = 10 * std::log10(gain);
    state.k_factor_db = strongest == LinkCondition::Los ? values[K] : std::nan("");
    state.delay_spread_s = values[DS];
    state.asd_deg = values[ASD];
    state.asa_deg = values[ASA];
    state.zsd_deg = values[ZSD];
    state.zsa_deg = values[ZSA];
    return state;
}

void ChannelLink::CheckArrays() {
    if (m_held || m_frozen) {
        return;
    }
    const auto present = UnchangedArrays::Present();
    if (present != 0 && present == m_arraysChecked) {
        return;
    }
    m_arraysChecked = present;
    const bool sameBs = UnchangedArrays::Same(*m_bsArray, m_bsShape),
               sameUt = UnchangedArrays::Same(*m_utArray, m_utShape);
    if (!sameBs || !sameUt) {
        ++m_arrayVersion;
        m_partsCurrent = m_raysCurrent = false;
    }
}

void ChannelLink::PlaceParts() {
    RefreshLargeScale();
    CheckArrays();
    if (!m_partsCurrent) {
        FindParts();
    }
    if (!m_held) {
        FindDrops();
    }
}

void ChannelLink::FindParts() {
    std::vector<std::unique_ptr<Part>> parts;
    const auto take = [&](const View& view, LinkCondition condition, bool direct, const DropPlace& place) -> Part& {
        const auto known = std::find_if(m_parts.begin(), m_parts.end(), [&](const auto& part) {
            return part && part->condition == condition && part->direct == direct && part->place == place &&
                   Same(part->shift, view.image.shift);
        });
        if (known != m_parts.end()) { // the part of before, with its windows
            parts.push_back(std::move(*known));
        } else {
            parts.push_back(std::make_unique<Part>());
            parts.back()->condition = condition;
            parts.back()->direct = direct;
            parts.back()->place = place;
            parts.back()->shift = view.image.shift;
        }
        return *parts.back();
    };
    const auto add = [&](const View& view, LinkCondition condition) {
        double amplitude = std::sqrt(view.weights[condition] * view.gain[static_cast<std::size_t>(condition)]);
        amplitude *= std::sqrt(view.image.weight);
        if (condition == LinkCondition::Los) { // eq. 7.5-30
            const double k = std::pow(10, m_environment->KFactorDb(view.geometry, view.utPlace) / 10);
            Part& direct = take(view, condition, true, {});
            const std::size_t copies = m_channel.m_spherical ? m_utArray->GetNumElems() / m_utArray->GetNumPols() : 1;
            if (!direct.drop || direct.drop->rays.size() != copies) {
                direct.drop = LineOfSight(m_bsPlace, m_channel.GetWavelengthM(), copies);
            }
            direct.amplitude = amplitude * std::sqrt(k / (k + 1));
            amplitude *= std::sqrt(1 / (k + 1));
        }
        for (const auto& cell : m_environment->Cells(condition, view.utPlace)) {
            take(view, condition, false, cell.place).amplitude = amplitude * cell.weight;
        }
    };
    for (const auto& view : m_views) {
        for (const auto condition : link_conditions) {
            if (view.weights[condition] > 0) {
                add(view, condition);
            }
        }
    }
    m_parts = std::move(parts);
    m_partsCurrent = true;
}

void ChannelLink::FindDrops() {
    const int floor = ChannelEnvironment::FloorOf(m_home);
    const auto before = m_environment->numDrops();
    for (auto& part : m_parts) {
        if (!part->drop) {
            part->drop = m_environment->UndrawnDrop(part->condition, part->place, floor);
        }
    }
    if (m_environment->numDrops() != before) {
        NS_LOG_INFO("nodes " << m_bsNode << " and " << m_utNode << ": " << m_environment->numDrops()
                             << " drops of clusters now");
        m_channel.m_dropTrace(m_bsNode, m_utNode, m_environment->numDrops());
    }
}

void ChannelLink::RefreshRays() {
    PlaceParts();
    if (m_raysCurrent && m_screensVersion == m_channel.m_screensVersion) {
        return;
    }
    if (LacksDrops()) { // asked between Hold and Place
        FindDrops();
    }
    for (auto& part : m_parts) {
        part->drop->Draw();
        UpdateWindow(*part);
        for (auto* window : {part->window.get(), part->previous.get()}) {
            if (window && m_channel.m_screensVersion > 0) {
                Block(*part, *window);
            }
        }
    }
    m_screensVersion = m_channel.m_screensVersion;
    m_raysCurrent = true;
}

void ChannelLink::UpdateWindow(Part& part) {
    const bool exact = part.direct || m_channel.m_drifting;
    const double longest = m_channel.m_keepsLargeScale ? std::numeric_limits<double>::infinity()
                           : exact                     ? 0
                                                       : m_channel.m_windowM;
    const Vector place = m_utPlace - part.shift;
    const Vector lastUt = std::exchange(part.utPlace, place), lastBs = std::exchange(part.bsPlace, m_bsPlace);
    const bool sameArrays = part.window && part.arrayVersion == m_arrayVersion;
    const double moved = sameArrays ? part.window->Moved(place, m_bsPlace) : 0;
    if (sameArrays && moved <= longest) {
        if (part.previous && moved >= window_fade * longest) {
            part.previous.reset();
        }
        return;
    }
    // Who comes in a step longer than the fade takes would not see it.
    const double step = std::max(ns3::CalculateDistance(place, lastUt), ns3::CalculateDistance(m_bsPlace, lastBs));
    part.previous = sameArrays && !exact && step < window_fade * longest ? std::move(part.window) : nullptr;
    const Waves waves = !m_channel.m_spherical ? Waves::Plane : part.direct ? Waves::Direct : Waves::Spherical;
    part.window = std::make_unique<RayWindow>(part.drop, *m_utArray, *m_bsArray, m_home - part.shift, m_bsPlace,
                                              m_channel.GetWavelengthM(), waves);
    part.arrayVersion = m_arrayVersion;
}

void ChannelLink::CollectTaps(const PortWeights* utWeights, const PortWeights* bsWeights, Taps& taps) {
    RefreshRays();
    const auto check = [](const PortWeights* weights, const ns3::PhasedArrayModel& array, const char* end) {
        if (weights && weights->numElements() != array.GetNumElems()) {
            throw std::invalid_argument("weights for " + std::to_string(weights->numElements()) + " elements; the " +
                                        end + " has " + std::to_string(array.GetNumElems()));
        }
    };
    check(utWeights, *m_utArray, "user's array");
    check(bsWeights, *m_bsArray, "base station's array");
    const double air = m_environment->statistics().AbsorptionDb(1);
    taps.delayS.clear();
    taps.re.clear();
    taps.im.clear();
    const auto add = [&](RayWindow& window, const Vector& place, double amplitude) {
        if (utWeights) {
            window.AddPortTaps(*utWeights, *bsWeights, place, m_bsPlace, amplitude, air, taps);
        } else {
            window.AddElementTaps(place, m_bsPlace, amplitude, air, taps);
        }
    };
    for (auto& part : m_parts) {
        double share = 1;
        if (part->previous) {
            share = part->window->Moved(part->utPlace, m_bsPlace) / (window_fade * m_channel.m_windowM);
            add(*part->previous, part->utPlace, part->amplitude * (1 - share));
        }
        add(*part->window, part->utPlace, part->amplitude * share);
    }
}

std::vector<Ray> ChannelLink::GetRays() {
    RefreshRays();
    const Vector ut = m_ut->GetVelocity(), bs = m_bs->GetVelocity();
    const double wavelength = m_channel.GetWavelengthM(), air = m_environment->statistics().AbsorptionDb(1);
    const auto dot = [](const Vector& a, const Vector& b) { return a.x * b.x + a.y * b.y + a.z * b.z; };
    const auto azimuth = [](const Vector& v) { return std::atan2(v.y, v.x) * 180 / pi; };
    const auto zenith = [](const Vector& v) { return std::acos(std::clamp(v.z, -1.0, 1.0)) * 180 / pi; };
    std::vector<Ray> rays;
    std::uint32_t tap = 0;
    for (auto& part : m_parts) {
        RayWindow& window = *part->window;
        const auto delays = window.Delays(part->utPlace, m_bsPlace);
        for (std::size_t i = 0; i < delays.size(); ++i, ++tap) {
            for (std::size_t ray = window.drop().tapBegin[i]; ray < window.drop().tapBegin[i + 1]; ++ray) {
                const Vector arrival = window.Arrival(ray), departure = window.Departure(ray);
                const double excess = std::max(0.0, delays[i]) * speed_of_light;
                const double gain = window.Power(ray) * part->amplitude * part->amplitude;
                rays.push_back({delays[i], gain * std::pow(10, -air * excess / 10),
                                (dot(arrival, ut) + dot(departure, bs)) / wavelength, azimuth(departure),
                                zenith(departure), azimuth(arrival), zenith(arrival), tap});
            }
        }
    }
    return rays;
}

} // namespace edgelam
