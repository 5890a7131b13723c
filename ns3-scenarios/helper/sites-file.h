// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Cells at the places that a file gives.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "site-layout.h"

namespace edgelam {

/// A cell of a layout, or of a file.
struct SiteCell : CellPlace {
    std::optional<double> powerDbm;         ///< empty: that of all cells
    std::string deployment;                 ///< empty: that of the channel
    std::optional<double> frequencyHz = {}; ///< of its carrier; empty: that of --frequency
};

/// Of a file of sites.
constexpr const char* sites_columns = "x,y,z,bearing[,power[,deployment[,frequency]]]";

/// Add the cells of a CSV file to a list: places in m, directions in degrees, powers in dBm, TR 38.901 deployments,
/// carriers in Hz.
/// Empty lines, those that begin with #, and names of columns above the first cell are skipped; the cells of one place
/// follow one another and are one site. Throws std::invalid_argument, with the line and what is legal, for a file that
/// is not so, or cannot be read.
void ReadSites(const std::string& path, std::vector<SiteCell>& cells);

} // namespace edgelam
