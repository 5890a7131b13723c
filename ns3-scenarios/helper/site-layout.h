// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Where the sites of a network stand, and where its users may be.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "ns3/rectangle.h"
#include "ns3/vector.h"

#include "named-random.h"
#include "wrap-around.h"

namespace edgelam {

/// The antennas of one cell.
struct CellPlace {
    ns3::Vector place;
    double bearingDeg; ///< they face this way, from the x axis towards y
    std::uint32_t site;
};

/// Sites on a hexagonal grid, in rings around one in the middle, neighbours along the x axis; or those of an indoor
/// office, in two rows along the hall (TR 38.901 tables 7.2-1 and 7.2-2). The cells of a site face 30 + i 360 / sectors
/// degrees; three on a hexagonal grid face 0, 120 and 240, each towards a neighbour, as in the layout of ITU-R M.2412
/// (which has 30, 150 and 270, and neighbours along the y axis). A hall's y axis points to its back wall.
class SiteLayout {
  public:
    /// \param rings around the middle: 0, 1, 2, ... give 1, 7, 19, ... sites
    static SiteLayout Hexagons(double siteDistanceM, unsigned rings, unsigned sectors, double heightM);
    /// Only the first sites of as many rings as it takes. \param sites at least 1
    static SiteLayout FirstHexagons(double siteDistanceM, unsigned sites, unsigned sectors, double heightM);
    /// A hall from (0, 0) to (perRow siteDistanceM, widthM); rows at 0.3 and 0.7 of its width.
    static SiteLayout Office(double siteDistanceM, unsigned perRow, double widthM, unsigned sectors, double heightM);

    /// Cells at given places, each with the area of a hexagonal site around it.
    static SiteLayout Listed(const std::vector<CellPlace>& cells, double siteDistanceM);

    const std::vector<CellPlace>& Cells() const { return m_cells; }
    unsigned NumSites() const { return m_numSites; }
    /// The numbers of all cells: the first of each site, then the second of each, ...
    std::vector<std::uint32_t> SiteBySite() const;
    /// The images of a hexagonal layout of whole rings; none of others.
    WrapAround Images(double fadeM = 20) const;
    /// A place on the ground, uniform over the area of a cell, at least `leastM` away from its antennas on the ground.
    /// In hexagons, the area of a sector of three is the hexagon in front of it, with one corner at the site; of
    /// another number of sectors, that of the whole site. In an office it is the whole hall. Throws
    /// std::invalid_argument, with what is legal, where there is no such place.
    ns3::Vector Drop(std::uint32_t cell, double leastM, NamedRandom& random) const;
    /// Whether a place is in the area of some cell, and at least `leastM` away from all antennas on the ground.
    bool Inside(const ns3::Vector& place, double leastM) const;
    /// Around all areas.
    ns3::Rectangle Bounds() const;
    /// A place in the area of the first cell, or the middle of an office.
    ns3::Vector Middle() const;

  private:
    /// \param firstDeg direction of its first cell
    void AddSite(double x, double y, double heightM, unsigned sectors, double firstDeg);
    /// Of a cell's hexagon: its middle, its radius, and the direction of one corner.
    struct Hexagon {
        double x, y, radiusM, cornerDeg;
    };
    Hexagon AreaOf(const CellPlace& cell) const;

    bool m_hexagons = true, m_wraps = false;
    double m_distanceM = 0, m_lengthM = 0, m_widthM = 0;
    unsigned m_rings = 0, m_sectors = 0, m_numSites = 0;
    std::vector<CellPlace> m_cells;
};

} // namespace edgelam
