// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Blockage of rays by bodies: model B of TR 38.901 7.6.4.2.
#pragma once

#include "ns3/vector.h"

namespace edgelam {

/// An upright screen, which turns so that each path meets it at right angles: a body that stands there.
struct BlockingScreen {
    ns3::Vector centre; ///< m
    double widthM = 0, heightM = 0;
};

/// What a screen leaves of the amplitude of a path, 1 - (F_h1 + F_h2)(F_w1 + F_w2), by diffraction at its
/// four edges as knife edges; 1 for a screen that is not between the ends.
/// \param receiver, transmitter ends of the direct path
double DirectBlockage(const BlockingScreen& screen, const ns3::Vector& receiver, const ns3::Vector& transmitter,
                      double wavelengthM);
/// The same for any other path: the wave is plane, and the screen is at any distance from the receiver.
/// \param arrival unit vector from the receiver towards where the path comes from
double PathBlockage(const BlockingScreen& screen, const ns3::Vector& receiver, const ns3::Vector& arrival,
                    double wavelengthM);

} // namespace edgelam
