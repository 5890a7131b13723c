// SPDX-License-Identifier: GPL-2.0-only
#include "site-layout.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <string>

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

void SiteLayout::AddSite(double x, double y, double heightM, unsigned sectors, double firstDeg) {
    for (unsigned sector = 0; sector < sectors; ++sector) {
        m_cells.push_back({Vector(x, y, heightM), firstDeg + sector * 360.0 / sectors, m_numSites});
    }
    ++m_numSites;
}

SiteLayout SiteLayout::Hexagons(double siteDistanceM, unsigned rings, unsigned sectors, double heightM) {
    return FirstHexagons(siteDistanceM, 1 + 3 * rings * (rings + 1), sectors, heightM);
}

SiteLayout SiteLayout::FirstHexagons(double siteDistanceM, unsigned sites, unsigned sectors, double heightM) {
    SiteLayout layout;
    layout.m_distanceM = siteDistanceM;
    layout.m_sectors = sectors;
    while (1 + 3 * layout.m_rings * (layout.m_rings + 1) < sites) {
        ++layout.m_rings;
    }
    layout.m_wraps = 1 + 3 * layout.m_rings * (layout.m_rings + 1) == sites;
    // Ring by ring, so that a smaller layout is the beginning of a larger one. Steps along two axes, 60 degrees apart.
    const int most = static_cast<int>(layout.m_rings);
    // Three sectors face neighbours, so that the hexagons in front of them tile the plane; six face corners of the
    // site.
    const double firstDeg = sectors == 3 ? 0 : 30;
    for (int ring = 0; ring <= most; ++ring) {
        for (int b = -ring; b <= ring; ++b) {
            for (int a = -ring; a <= ring && layout.m_numSites < sites; ++a) {
                if (std::max({std::abs(a), std::abs(b), std::abs(a + b)}) == ring) {
                    layout.AddSite((a + 0.5 * b) * siteDistanceM, 0.5 * std::numbers::sqrt3 * b * siteDistanceM,
                                   heightM, sectors, firstDeg);
                }
            }
        }
    }
    return layout;
}

SiteLayout SiteLayout::Listed(const std::vector<CellPlace>& cells, double siteDistanceM) {
    SiteLayout layout;
    layout.m_distanceM = siteDistanceM;
    layout.m_sectors = 1;
    layout.m_cells = cells;
    layout.m_numSites = cells.empty() ? 0 : cells.back().site + 1;
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
            layout.AddSite((i + 0.5) * siteDistanceM, y, heightM, sectors, 30);
        }
    }
    return layout;
}

WrapAround SiteLayout::Images(double fadeM) const {
    return m_wraps ? WrapAround::Hexagonal(m_distanceM, m_rings, fadeM) : WrapAround();
}

std::vector<std::uint32_t> SiteLayout::SiteBySite() const {
    std::vector<std::uint32_t> rank(m_cells.size()), order(m_cells.size()), seen(m_numSites);
    for (std::size_t i = 0; i < m_cells.size(); ++i) {
        rank[i] = seen[m_cells[i].site]++;
    }
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return rank[a] < rank[b]; });
    return order;
}

SiteLayout::Hexagon SiteLayout::AreaOf(const CellPlace& cell) const {
    if (m_sectors != 3) { // the site's whole area, whose sides are halfway to the neighbours
        return {cell.place.x, cell.place.y, m_distanceM / std::numbers::sqrt3, 30};
    }
    const double radius = m_distanceM / 3; // a third of it, in front of the antennas
    return {cell.place.x + radius * std::cos(cell.bearingDeg * deg),
            cell.place.y + radius * std::sin(cell.bearingDeg * deg), radius, cell.bearingDeg};
}

Vector SiteLayout::Drop(std::uint32_t cell, double leastM, NamedRandom& random) const {
    const CellPlace& at = m_cells.at(cell);
    const double farthest = m_hexagons ? m_distanceM / (m_sectors == 3 ? 1.5 : std::numbers::sqrt3)
                                       : std::hypot(std::max(at.place.x, m_lengthM - at.place.x),
                                                    std::max(at.place.y, m_widthM - at.place.y));
    if (const double most = std::floor(0.99 * farthest); leastM > most) { // beyond: hardly a place, or none
        throw std::invalid_argument("a UE at least " + std::to_string(leastM) + " m from the antennas of cell " +
                                    std::to_string(cell) + " in the area of this cell; legal are up to " +
                                    std::to_string(static_cast<int>(most)) + " m there");
    }
    while (true) {
        Vector place;
        if (m_hexagons) {
            const Hexagon area = AreaOf(at);
            const double x = area.radiusM * (2 * random.Uniform() - 1), y = area.radiusM * (2 * random.Uniform() - 1);
            if (!InHexagon(x, y, area.radiusM, area.cornerDeg)) {
                continue;
            }
            place = {area.x + x, area.y + y, 0};
        } else {
            place.x = m_lengthM * random.Uniform();
            place.y = m_widthM * random.Uniform();
        }
        if (std::hypot(place.x - at.place.x, place.y - at.place.y) >= leastM) {
            return place;
        }
    }
}

bool SiteLayout::Inside(const Vector& place, double leastM) const {
    const auto near = [&](const CellPlace& cell) {
        return std::hypot(place.x - cell.place.x, place.y - cell.place.y) < leastM;
    };
    const auto around = [&](const CellPlace& cell) {
        const Hexagon area = AreaOf(cell);
        return InHexagon(place.x - area.x, place.y - area.y, area.radiusM, area.cornerDeg);
    };
    return std::none_of(m_cells.begin(), m_cells.end(), near) &&
           (m_hexagons ? std::any_of(m_cells.begin(), m_cells.end(), around)
                       : place.x >= 0 && place.x <= m_lengthM && place.y >= 0 && place.y <= m_widthM);
}

ns3::Rectangle SiteLayout::Bounds() const {
    if (!m_hexagons) {
        return {0, m_lengthM, 0, m_widthM};
    }
    ns3::Rectangle bounds(1e300, -1e300, 1e300, -1e300);
    for (const auto& cell : m_cells) {
        const Hexagon area = AreaOf(cell);
        bounds.xMin = std::min(bounds.xMin, area.x - area.radiusM);
        bounds.xMax = std::max(bounds.xMax, area.x + area.radiusM);
        bounds.yMin = std::min(bounds.yMin, area.y - area.radiusM);
        bounds.yMax = std::max(bounds.yMax, area.y + area.radiusM);
    }
    return bounds;
}

Vector SiteLayout::Middle() const {
    if (!m_hexagons) {
        return {0.5 * m_lengthM, 0.5 * m_widthM, 0};
    }
    const Hexagon area = AreaOf(m_cells.front());
    return {area.x + (m_sectors == 3 ? 0 : 0.5 * area.radiusM), area.y, 0}; // not below the antennas
}

} // namespace edgelam
