// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The sites of a network, as a command line gives them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "options.h"
#include "site-layout.h"
#include "sites-file.h"

namespace edgelam {

/// The defaults that differ between scenarios.
struct SiteDefaults {
    std::uint32_t rings = 2, sites = 0;
    double siteDistanceM = 500, heightM = 25;
};

/// The options of the section "Sites".
class SiteOptions {
  public:
    explicit SiteOptions(const SiteDefaults& defaults = {});
    void AddOptions(Options& options);

    /// Throws std::invalid_argument, with the line, for a file that is not as --sitesFile says.
    void Build();
    /// Those of the layout first.
    const std::vector<SiteCell>& Cells() const { return m_cells; }
    const SiteLayout& Layout() const { return m_layout; }
    /// How users see the sites; nothing wraps around where the layout has no images, or with --wrapAround=false.
    WrapAround Images() const { return m_wrapAround ? m_layout.Images() : WrapAround(); }
    /// Cells of the layout, in whose area UEs are dropped in turn.
    std::uint32_t NumLayoutCells() const { return static_cast<std::uint32_t>(m_layout.Cells().size()); }

  private:
    std::string m_kind = "hexagons", m_file;
    std::uint32_t m_rings, m_numSites, m_sectors = 3, m_perRow = 6;
    double m_distanceM, m_heightM, m_hallWidthM = 50;
    bool m_wrapAround = true;
    SiteLayout m_layout;
    std::vector<SiteCell> m_cells;
};

} // namespace edgelam
