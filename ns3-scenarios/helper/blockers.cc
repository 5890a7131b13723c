// SPDX-License-Identifier: GPL-2.0-only
#include "blockers.h"

#include <cmath>
#include <numbers>

#include "ns3/log.h"
#include "ns3/random-variable-stream.h"
#include "ns3/simulator.h"

NS_LOG_COMPONENT_DEFINE("EdgelamBlockers");

namespace edgelam {

namespace {

double NowS() {
    return ns3::Simulator::Now().GetSeconds();
}

/// A place on a line that is folded at both ends of an interval.
double Fold(double x, double low, double high) {
    const double length = high - low, beyond = std::fmod(x - low, 2 * length);
    const double inside = beyond < 0 ? beyond + 2 * length : beyond;
    return low + (inside <= length ? inside : 2 * length - inside);
}

} // namespace

void Blockers::AddOptions(Options& options) {
    options.Section("Blockage");
    options.Integer("blockers", m_count, "bodies that go about and block rays", 0, 200);
    options.Real("blockerWidth", m_widthM, "m", "width of each", 0.01, 20);
    options.Real("blockerHeight", m_heightM, "m", "height of each, from the floor", 0.01, 20);
    options.Real("blockerSpeed", m_speedMps, "m/s", "speed of each; the seed decides places and headings", 0, 30);
    options.Time("blockerStep", m_stepS, "time between two steps of theirs", 1e-4, 1);
}

std::int64_t Blockers::Install(const ns3::Ptr<RadioChannel>& channel, const ns3::Rectangle& area, std::int64_t stream) {
    m_channel = channel;
    m_area = area;
    const auto random = ns3::CreateObject<ns3::UniformRandomVariable>();
    random->SetStream(stream);
    for (std::uint32_t i = 0; i < m_count; ++i) {
        const double x = random->GetValue(area.xMin, area.xMax), y = random->GetValue(area.yMin, area.yMax);
        const double heading = random->GetValue(-std::numbers::pi, std::numbers::pi);
        m_ways.push_back({{x, y}, {m_speedMps * std::cos(heading), m_speedMps * std::sin(heading)}});
    }
    return 1;
}

ns3::Vector2D Blockers::PlaceOf(const Way& way) const {
    const double passed = NowS() - way.sinceS;
    return {Fold(way.from.x + passed * way.velocity.x, m_area.xMin, m_area.xMax),
            Fold(way.from.y + passed * way.velocity.y, m_area.yMin, m_area.yMax)};
}

void Blockers::Step() {
    std::vector<BlockingScreen> screens;
    for (const auto& way : m_ways) {
        const ns3::Vector2D at = PlaceOf(way);
        screens.push_back({{at.x, at.y, m_heightM / 2}, m_widthM, m_heightM});
    }
    NS_LOG_LOGIC(screens.size() << " bodies");
    m_channel->SetScreens(std::move(screens));
}

void Blockers::Walk() {
    Step();
    if (m_speedMps > 0) {
        ns3::Simulator::Schedule(ns3::Seconds(m_stepS), &Blockers::Walk, this);
    }
}

std::string Blockers::SetPlaces(const std::vector<double>& xy) {
    for (std::size_t i = 0; i < m_ways.size(); ++i) {
        if (!m_area.IsInside({xy[2 * i], xy[2 * i + 1], 0})) { // nor NaN
            return "blocker_position: (" + std::to_string(xy[2 * i]) + ", " + std::to_string(xy[2 * i + 1]) +
                   ") m of blocker " + std::to_string(i) + "; legal are x from " + std::to_string(m_area.xMin) +
                   " to " + std::to_string(m_area.xMax) + " and y from " + std::to_string(m_area.yMin) + " to " +
                   std::to_string(m_area.yMax);
        }
    }
    for (std::size_t i = 0; i < m_ways.size(); ++i) {
        m_ways[i].from = {xy[2 * i], xy[2 * i + 1]};
        m_ways[i].sinceS = NowS();
    }
    Step();
    return {};
}

void Blockers::Start(Registry& registry, const NrHelper& helper) {
    if (m_ways.empty()) {
        return;
    }
    Walk();
    const std::vector<Axis> axes{{"blocker", static_cast<std::int64_t>(m_ways.size())}, {"xy", 2}};
    registry.Publish<Array<double>>(
        "blocker_position", "m", "middle of each body that blocks rays, at its last step",
        [this] {
            Array<double> places{{static_cast<std::int64_t>(m_ways.size()), 2}, {}};
            for (const auto& screen : m_channel->GetScreens()) {
                places.values.insert(places.values.end(), {screen.centre.x, screen.centre.y});
            }
            return places;
        },
        axes);
    registry.Control<Array<double>>(
        "blocker_position", "m", "place of each body that blocks rays, from which it goes on",
        [this](const Array<double>& places) { return SetPlaces(places.values); }, axes);
    registry.Publish<std::vector<double>>("direct_blockage_db", "dB",
                                          "what bodies take from the straight line between each UE and the gNB",
                                          [&helper] {
                                              std::vector<double> db;
                                              for (std::uint32_t ue = 0; ue < helper.NumUes(); ++ue) {
                                                  const double left = helper.GetLink(ue)->GetDirectBlockage();
                                                  db.push_back(-20 * std::log10(left));
                                              }
                                              return db;
                                          },
                                          {{"ue", helper.NumUes()}});
}

} // namespace edgelam
