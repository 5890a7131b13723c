// SPDX-License-Identifier: GPL-2.0-only
#include "ue-ways.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace edgelam {

using ns3::Vector;

NamedRandom& UeWays::Random(std::uint32_t ue) {
    while (m_random.size() <= ue) {
        m_random.emplace_back(m_seed, std::initializer_list<std::uint64_t>{m_random.size()});
    }
    return m_random[ue];
}

double UeWays::DrawSpeed(std::uint32_t ue, double meanMps) {
    return Between(ue, (1 - m_settings.spread) * meanMps,
                   std::min((1 + m_settings.spread) * meanMps, m_settings.mostMps));
}

namespace {

constexpr double way_step_m = 1;

/// Whether the straight line stays in the area; it has some length.
bool Free(const WaySettings& settings, const Vector& from, const Vector& to) {
    const double length = std::hypot(to.x - from.x, to.y - from.y);
    const int steps = static_cast<int>(std::ceil(length / way_step_m));
    for (int i = 1; i <= steps; ++i) {
        const double part = static_cast<double>(i) / steps;
        if (!settings.inside({from.x + part * (to.x - from.x), from.y + part * (to.y - from.y), from.z})) {
            return false;
        }
    }
    return steps > 0;
}

class RandomWaypoint : public UeWays {
  public:
    RandomWaypoint(std::uint64_t seed, const WaySettings& settings) : UeWays(seed, settings) {}

    Vector Begin(std::uint32_t ue, const Vector& drawn, double meanMps) override {
        m_meanMps.resize(std::max<std::size_t>(m_meanMps.size(), ue + 1));
        m_meanMps[ue] = meanMps;
        return drawn;
    }
    WayLeg Next(std::uint32_t ue, const Vector& here) override {
        const ns3::Rectangle& bounds = m_settings.bounds;
        Vector to = here;
        for (int attempts = 0; attempts < 1000; ++attempts) { // few: areas are not far from convex
            const Vector drawn{Between(ue, bounds.xMin, bounds.xMax), Between(ue, bounds.yMin, bounds.yMax), here.z};
            if (Free(m_settings, here, drawn)) {
                to = drawn;
                break;
            }
        }
        const double speedMps = DrawSpeed(ue, m_meanMps[ue]);
        return {Between(ue, 0, m_settings.longestPauseS), to, speedMps};
    }

  private:
    std::vector<double> m_meanMps; ///< [ue]
};

class ManhattanGrid : public UeWays {
  public:
    ManhattanGrid(std::uint64_t seed, const WaySettings& settings) : UeWays(seed, settings) {}

    /// The nearest place of a street around that is in the area.
    Vector Begin(std::uint32_t ue, const Vector& drawn, double meanMps) override {
        struct Place {
            Vector at;
            bool alongX; ///< the street
        };
        const double block = m_settings.blockM, x = block * std::floor(drawn.x / block),
                     y = block * std::floor(drawn.y / block);
        std::array<Place, 4> places{{{{x, drawn.y, drawn.z}, false},
                                     {{x + block, drawn.y, drawn.z}, false},
                                     {{drawn.x, y, drawn.z}, true},
                                     {{drawn.x, y + block, drawn.z}, true}}};
        std::ranges::stable_sort(places, {}, [&](const Place& each) { return CalculateDistance(each.at, drawn); });
        const auto first = std::ranges::find_if(places, m_settings.inside, &Place::at);
        const Place& place = first == places.end() ? places.front() : *first;
        m_ues.resize(std::max<std::size_t>(m_ues.size(), ue + 1));
        const int sign = Random(ue).Sign();
        m_ues[ue] = {place.alongX ? sign : 0, place.alongX ? 0 : sign, DrawSpeed(ue, meanMps)};
        return place.at;
    }

    WayLeg Next(std::uint32_t ue, const Vector& here) override {
        State& state = m_ues[ue];
        const bool crossing = Near(here.x, Street(here.x)) && Near(here.y, Street(here.y));
        if (crossing) {
            const double drawn = Random(ue).Uniform();
            const State ahead = state, left{-state.dy, state.dx, state.speedMps},
                        right{state.dy, -state.dx, state.speedMps}, back{-state.dx, -state.dy, state.speedMps};
            const std::array order = drawn < 0.5    ? std::array{ahead, left, right, back}
                                     : drawn < 0.75 ? std::array{left, ahead, right, back}
                                                    : std::array{right, ahead, left, back};
            for (const State& each : order) {
                state = each;
                if (Free(m_settings, here, Crossing(here, state))) {
                    break;
                }
            }
        } else if (!Free(m_settings, here, Crossing(here, state))) {
            state.dx = -state.dx;
            state.dy = -state.dy;
        }
        const Vector to = Crossing(here, state);
        return {0, Free(m_settings, here, to) ? to : here, state.speedMps};
    }

  private:
    struct State {
        int dx = 0, dy = 0; ///< heading
        double speedMps = 0;
    };
    double Street(double coordinate) const { return m_settings.blockM * std::round(coordinate / m_settings.blockM); }
    static bool Near(double a, double b) { return std::abs(a - b) < 1e-6; }
    /// The next crossing on the way.
    Vector Crossing(const Vector& here, const State& state) const {
        const double block = m_settings.blockM;
        const auto next = [block](double at, int step) {
            return step == 0  ? at
                   : step > 0 ? block * (std::floor(at / block + 1e-9) + 1)
                              : block * (std::ceil(at / block - 1e-9) - 1);
        };
        return {next(here.x, state.dx), next(here.y, state.dy), here.z};
    }

    std::vector<State> m_ues;
};

class Road : public UeWays {
  public:
    Road(std::uint64_t seed, const WaySettings& settings)
        : UeWays(seed, settings), m_lanesM(settings.lanesM.empty() ? std::vector{0.0} : settings.lanesM) {}

    Vector Begin(std::uint32_t ue, const Vector& drawn, double meanMps) override {
        m_ues.resize(std::max<std::size_t>(m_ues.size(), ue + 1));
        const auto lane = Random(ue).Below(m_lanesM.size());
        const double y = m_lanesM[lane];
        m_ues[ue] = {lane, y < 0 || (y == 0 && Random(ue).Sign() > 0), DrawSpeed(ue, meanMps)};
        return {drawn.x, y, drawn.z};
    }

    WayLeg Next(std::uint32_t ue, const Vector& here) override {
        State& state = m_ues[ue];
        const double end = state.up ? m_settings.bounds.xMax : m_settings.bounds.xMin;
        if (std::abs(here.x - end) > 1e-6) {
            return {0, {end, here.y, here.z}, state.speedMps};
        }
        state.up = !state.up;
        state.lane = m_lanesM.size() - 1 - state.lane; // lanes are in order, the mirror image goes back
        const double y = m_lanesM[state.lane];
        if (std::abs(here.y - y) > 1e-6) {
            return {0, {here.x, y, here.z}, state.speedMps};
        }
        return {0, {state.up ? m_settings.bounds.xMax : m_settings.bounds.xMin, y, here.z}, state.speedMps};
    }

  private:
    struct State {
        std::size_t lane = 0;
        bool up = true; ///< towards +x
        double speedMps = 0;
    };
    std::vector<double> m_lanesM;
    std::vector<State> m_ues;
};

} // namespace

std::unique_ptr<UeWays> MakeRandomWaypoint(std::uint64_t seed, const WaySettings& settings) {
    return std::make_unique<RandomWaypoint>(seed, settings);
}

std::unique_ptr<UeWays> MakeManhattanGrid(std::uint64_t seed, const WaySettings& settings) {
    return std::make_unique<ManhattanGrid>(seed, settings);
}

std::unique_ptr<UeWays> MakeRoad(std::uint64_t seed, const WaySettings& settings) {
    return std::make_unique<Road>(seed, settings);
}

} // namespace edgelam
