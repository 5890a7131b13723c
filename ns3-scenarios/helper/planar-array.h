// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The antenna arrays that scenarios use.
#pragma once

#include <cstdint>

#include "ns3/uniform-planar-array.h"

namespace edgelam {

/// What each element radiates: the same in all directions, or the sector pattern of TR 38.901 table 7.3-1.
enum class ElementPattern : std::uint8_t { Isotropic, Sector };

/// Rows and columns of elements half a wavelength apart. With two polarisations each place has an element at +45 and
/// one at -45 degrees (TR 38.901 7.3), with one it is vertical.
/// \param tiltRad how far the array, which faces +x, is turned towards the ground
ns3::Ptr<ns3::UniformPlanarArray> MakePlanarArray(std::uint32_t rows, std::uint32_t columns, bool dualPolarised,
                                                  ElementPattern pattern, double tiltRad = 0);

} // namespace edgelam
