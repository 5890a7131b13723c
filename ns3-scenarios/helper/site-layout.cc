// SPDX-License-Identifier: GPL-2.0-only
#include "site-layout.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>

namespace edgelam {

using ns3::Vector;

namespace {

constexpr double deg = std::numbers::pi / 180;

/// Whether a point is in the hexagon around the origin whose corners are `radius` away, one of them at that angle.
bool InHexagon(double x, double y, double radius, double cornerDeg) {
    for (int side = 0; side < 6; ++side) {
        const double angle = (cornerDeg + 30 + 60 * side) * deg;
        if (x * std::cos(angle) + y * std::sin(angle) > radius * std::numbers::sqrt3 / 2) {
            return false;
        }
    }
    return true;
}

} // namespace

void SiteLayout::AddSite(double x, double y, double heightM, unsigned sectors) {
    for (unsigned sector = 0; sector < sectors; ++sector) {
        m_cells.push_back({Vector(x, y, heightM), 30 + sector * 360.0 / sectors, m_numSites});
    }
    ++m_numSites;
}

SiteLayout SiteLayout::Hexagons(double siteDistanceM, unsigned rings, unsigned sectors, double heightM) {
    SiteLayout layout;
    layout.m_distanceM = siteDistanceM;
    layout.m_rings = rings;
    layout.m_sectors = sectors;
    // Ring by ring, so that a smaller layout is the beginning of a larger one. Steps along two axes, 60 degrees apart.
    const int most = static_cast<int>(rings);
    for (int ring = 0; ring <= most; ++ring) {
        for (int b = -ring; b <= ring; ++b) {
            for (int a = -ring; a <= ring; ++a) {
                if (std::max({std::abs(a), std::abs(b), std::abs(a + b)}) == ring) {
                    layout.AddSite((a + 0.5 * b) * siteDistanceM, 0.5 * std::numbers::sqrt3 * b * siteDistanceM,
                                   heightM, sectors);
                }
            }
        }
    }
    return layout;
}

SiteLayout SiteLayout::Office(double siteDistanceM, unsigned perRow, double widthM, unsigned sectors, double heightM) {
    SiteLayout layout;
    layout.m_hexagons = false;
    layout.m_sectors = sectors;
    layout.m_lengthM = perRow * siteDistanceM;
    layout.m_widthM = widthM;
    for (const double y : {0.3 * widthM, 0.7 * widthM}) {
        for (unsigned i = 0; i < perRow; ++i) {
            layout.AddSite((i + 0.5) * siteDistanceM, y, heightM, sectors);
        }
    }
    return layout;
}

WrapAround SiteLayout::Images(double fadeM) const {
    return m_hexagons ? WrapAround::Hexagonal(m_distanceM, m_rings, fadeM) : WrapAround();
}

Vector SiteLayout::Drop(std::uint32_t cell, double leastM, NamedRandom& random) const {
    const CellPlace& at = m_cells.at(cell);
    while (true) {
        Vector place;
        if (m_hexagons) {
            // Of three sectors: a third of the site's area, in front of the antennas. Else: the whole, whose sides are
            // halfway to the neighbours.
            const bool third = m_sectors == 3;
            const double radius = third ? m_distanceM / 3 : m_distanceM / std::numbers::sqrt3;
            const double x = radius * (2 * random.Uniform() - 1), y = radius * (2 * random.Uniform() - 1);
            if (!InHexagon(x, y, radius, third ? at.bearingDeg : 30)) {
                continue;
            }
            place = {at.place.x + x, at.place.y + y, 0};
            if (third) {
                place.x += radius * std::cos(at.bearingDeg * deg);
                place.y += radius * std::sin(at.bearingDeg * deg);
            }
        } else {
            place.x = m_lengthM * random.Uniform();
            place.y = m_widthM * random.Uniform();
        }
        if (std::hypot(place.x - at.place.x, place.y - at.place.y) >= leastM) {
            return place;
        }
    }
}

} // namespace edgelam
