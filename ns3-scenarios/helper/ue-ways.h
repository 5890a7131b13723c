// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// How users choose where to go next: random waypoint, Manhattan grid, road. UeMotion moves them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "ns3/rectangle.h"
#include "ns3/vector.h"

#include "named-random.h"

namespace edgelam {

/// What comes next on a way: wait, then go there in a straight line.
struct WayLeg {
    double waitS;
    ns3::Vector to;
    double speedMps; ///< 0: stand for ever
};

/// What the ways have in common.
struct WaySettings {
    ns3::Rectangle bounds;                          ///< of the area
    std::function<bool(const ns3::Vector&)> inside; ///< the area itself
    double spread = 0;          ///< speeds are uniform within this part below and above a user's mean speed,
    double mostMps = 1000;      ///< and at most this
    double longestPauseS = 0;   ///< random waypoint: pauses are uniform from 0 to this
    double blockM = 100;        ///< Manhattan grid: distance of streets
    std::vector<double> lanesM; ///< road: places of the lanes across it, y; empty: one, at y = 0
};

/// The ways of all users of a run. Each user has a random stream of its own, so one user's way does not depend on
/// others.
class UeWays {
  public:
    virtual ~UeWays() = default;
    /// Where user `ue` begins, if the scenario drew this place for it. Users begin in the order of their numbers.
    /// \param meanMps its mean speed
    virtual ns3::Vector Begin(std::uint32_t ue, const ns3::Vector& drawn, double meanMps) = 0;
    /// What it does when it has arrived here (or begins).
    virtual WayLeg Next(std::uint32_t ue, const ns3::Vector& here) = 0;

  protected:
    UeWays(std::uint64_t seed, const WaySettings& settings) : m_settings(settings), m_seed(seed) {}
    NamedRandom& Random(std::uint32_t ue);
    double Between(std::uint32_t ue, double low, double high) { return low + (high - low) * Random(ue).Uniform(); }
    double DrawSpeed(std::uint32_t ue, double meanMps);

    const WaySettings m_settings;

  private:
    std::uint64_t m_seed;
    std::vector<NamedRandom> m_random;
};

/// Random waypoint (Johnson and Maltz, 1996): uniform places of the area, each reached in a straight line that stays in
/// it, with a pause at each.
std::unique_ptr<UeWays> MakeRandomWaypoint(std::uint64_t seed, const WaySettings& settings);
/// Manhattan grid (ETSI TR 101 112 B.1.6.4): streets along x and y; at each crossing half of the users go straight on,
/// a quarter turns to each side, as far as the streets go on inside the area.
std::unique_ptr<UeWays> MakeManhattanGrid(std::uint64_t seed, const WaySettings& settings);
/// A road along x: users stay in their lanes, those with y < 0 go towards +x and the others towards -x (traffic keeps
/// to the right), and turn into the opposite lane at the end. Each keeps its speed.
std::unique_ptr<UeWays> MakeRoad(std::uint64_t seed, const WaySettings& settings);

} // namespace edgelam
