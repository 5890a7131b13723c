// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The antenna arrays that scenarios use.
#pragma once

#include <cstdint>

#include "ns3/uniform-planar-array.h"

namespace edgelam {

/// What each element radiates: the same in all directions; the sector pattern of TR 38.901 table 7.3-1; or the wider
/// one for ceilings and for panels of UEs, 90 degrees and 5 dBi (TR 38.802 tables A.2.1-7 and -8, ns-3's INDOOR).
enum class ElementPattern : std::uint8_t { Isotropic, Sector, Indoor };

/// Rows and columns of elements half a wavelength apart. With two polarisations each place has an element at +45 and
/// one at -45 degrees (TR 38.901 7.3), with one it is vertical.
/// \param tiltRad how far the array, which faces +x, is turned towards the ground
ns3::Ptr<ns3::UniformPlanarArray> MakePlanarArray(std::uint32_t rows, std::uint32_t columns, bool dualPolarised,
                                                  ElementPattern pattern, double tiltRad = 0);

/// An array of ports: (M, N, P, Mg, Ng; Mp, Np) of TR 38.901 7.3 and TR 37.910. A port is a rectangle of
/// M / Mp x N / Np elements of one panel and polarisation with fixed weights (SubarrayAntenna). For the channel and the
/// radio, the elements of the array that is made are its ports.
struct ArrayLayout {
    std::uint32_t rows = 8, columns = 4;                         ///< M, N: elements of a panel and polarisation
    std::uint32_t polarisations = 2;                             ///< P: 1 or 2
    std::uint32_t panelRows = 1, panelColumns = 1;               ///< Mg, Ng
    std::uint32_t portRows = 0, portColumns = 0;                 ///< Mp, Np; 0: each element is a port
    double verticalSpacing = 0.5, horizontalSpacing = 0.5;       ///< dV, dH, wavelengths
    double panelVerticalSpacing = 0, panelHorizontalSpacing = 0; ///< dgV, dgH, wavelengths; 0: panels join seamlessly
    double slantDeg = 45; ///< of the first of two polarisations; the second is at right angles. One is vertical.
    ElementPattern pattern = ElementPattern::Sector;
    double bearingDeg = 0;        ///< the array faces this direction, from the x axis towards y
    double tiltDeg = 0;           ///< mechanical tilt towards the ground
    double electricalTiltDeg = 0; ///< of the beam of each port, below the perpendicular of the array
    double steeringDeg = 0;       ///< azimuth of the beam of each port from the perpendicular, as bearings turn

    std::uint32_t PortRows() const { return portRows == 0 ? rows : portRows; }
    std::uint32_t PortColumns() const { return portColumns == 0 ? columns : portColumns; }
    std::uint32_t NumPorts() const { return polarisations * panelRows * panelColumns * PortRows() * PortColumns(); }
};

/// Throws std::invalid_argument, with the value and what is legal, for ports that do not divide their panel, an array
/// of more than 1024 ports, or an electrical tilt where each port is one element.
ns3::Ptr<ns3::UniformPlanarArray> MakeArray(const ArrayLayout& layout);

} // namespace edgelam
