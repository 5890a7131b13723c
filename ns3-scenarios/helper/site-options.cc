// SPDX-License-Identifier: GPL-2.0-only
#include "site-options.h"

#include <stdexcept>

namespace edgelam {

SiteOptions::SiteOptions(const SiteDefaults& defaults)
    : m_rings(defaults.rings), m_numSites(defaults.sites), m_distanceM(defaults.siteDistanceM),
      m_heightM(defaults.heightM) {}

void SiteOptions::AddOptions(Options& options) {
    options.Section("Sites");
    options.Choice("layout", m_kind,
                   "sites on a hexagonal grid, in two rows of an indoor office, or only those of --sitesFile",
                   {"hexagons", "office", "file"});
    options.Integer("rings", m_rings, "hexagons: rings around the site in the middle; 2: 19 sites", 0, 5);
    options.Integer("sites", m_numSites,
                    "hexagons: this many sites instead, from the middle outwards; 0: those of --rings", 0, 91);
    options.Integer("perRow", m_perRow, "office: sites in each row", 1, 50);
    options.Integer("sectors", m_sectors,
                    "cells of each site; three of a hexagonal grid face 0, 120 and 240 degrees, towards neighbours", 1,
                    6);
    options.Real("siteDistance", m_distanceM, "m",
                 "from a site to its neighbours; file: width of the area around a cell in which UEs are dropped", 5,
                 20000);
    options.Real("gnbHeight", m_heightM, "m", "height of the gNBs' antennas", 1, 150);
    options.Real("hallWidth", m_hallWidthM, "m", "office: width of the hall", 5, 1000);
    options.Flag("wrapAround", m_wrapAround, "hexagons of whole rings: a UE sees the nearest of 7 images of each site");
    options.Text("sitesFile", m_file,
                 std::string("CSV of further cells, such as small ones; columns ") + sites_columns +
                     " in m, degrees, dBm, TR 38.901 deployment, Hz; empty: none");
}

void SiteOptions::Build() {
    const bool listed = m_kind == "file";
    if (listed && m_file.empty()) {
        throw std::invalid_argument("option --layout=file is not legal without --sitesFile");
    }
    if (!listed) {
        m_layout = m_kind == "office" ? SiteLayout::Office(m_distanceM, m_perRow, m_hallWidthM, m_sectors, m_heightM)
                   : m_numSites > 0   ? SiteLayout::FirstHexagons(m_distanceM, m_numSites, m_sectors, m_heightM)
                                      : SiteLayout::Hexagons(m_distanceM, m_rings, m_sectors, m_heightM);
    }
    m_cells.clear();
    for (const auto& cell : m_layout.Cells()) {
        m_cells.push_back({cell, {}, {}});
    }
    if (!m_file.empty()) {
        ReadSites(m_file, m_cells);
    }
    if (listed) {
        if (m_cells.empty()) {
            throw std::invalid_argument("option --sitesFile=" + m_file + " is not legal: the file has no cells");
        }
        m_layout = SiteLayout::Listed({m_cells.begin(), m_cells.end()}, m_distanceM);
    }
}

} // namespace edgelam
