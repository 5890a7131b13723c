// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What is around a user, whichever site it looks at: a building and its walls, or a car.
#pragma once

#include "channel-statistics.h"

namespace edgelam {

/// The surroundings of a user at one place, as its links need them.
struct Surroundings {
    double indoor = 0;        ///< 0 to 1: weight of being indoors
    double wayInM = 0;        ///< length of the way inside the building, on the ground, m (d_2D-in)
    double penetrationDb = 0; ///< of the wall and of that way, if indoors
    double carDb = 0;         ///< of the body of a car, if outdoors
};

/// Surroundings that a user takes with it, wherever it goes (RadioChannel::SetSurroundings).
struct GivenSurroundings {
    bool indoor = false;
    double wayInM = 0;                         ///< d_2D-in, 0 to 1000 m
    BuildingLoss building = BuildingLoss::Low; ///< outer walls
    double deviation = 0; ///< of the building's loss from its mean in standard deviations (table 7.4.3-2), -10 to 10
    double carDb = 0;     ///< loss of the car's body, 0 to 100 dB; TR 38.901 7.4.3.2: mean 9 (or 20), deviation 5
};

} // namespace edgelam
