// SPDX-License-Identifier: GPL-2.0-only
#include "site-options.h"

#include <cmath>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "channel-statistics.h"

namespace edgelam {

namespace {

constexpr const char* columns = "x,y,z,bearing[,power[,deployment]]";

} // namespace

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
    options.Integer("sectors", m_sectors, "cells of each site; three face 30, 150 and 270 degrees", 1, 6);
    options.Real("siteDistance", m_distanceM, "m",
                 "from a site to its neighbours; file: width of the area around a cell in which UEs are dropped", 5,
                 20000);
    options.Real("gnbHeight", m_heightM, "m", "height of the gNBs' antennas", 1, 150);
    options.Real("hallWidth", m_hallWidthM, "m", "office: width of the hall", 5, 1000);
    options.Flag("wrapAround", m_wrapAround, "hexagons of whole rings: a UE sees the nearest of 7 images of each site");
    options.Text("sitesFile", m_file,
                 std::string("CSV of further cells, such as small ones; columns ") + columns +
                     " in m, degrees, dBm, TR 38.901 deployment; empty: none");
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
        ReadFile();
    }
    if (listed) {
        if (m_cells.empty()) {
            throw std::invalid_argument("option --sitesFile=" + m_file + " is not legal: the file has no cells");
        }
        m_layout = SiteLayout::Listed({m_cells.begin(), m_cells.end()}, m_distanceM);
    }
}

void SiteOptions::ReadFile() {
    std::ifstream file(m_file);
    if (!file) {
        throw std::invalid_argument("option --sitesFile=" + m_file + " is not legal: the file cannot be read");
    }
    std::string line;
    for (std::size_t number = 1; std::getline(file, line); ++number) {
        if (!line.empty() && line.back() == '\r') {
            line.pop_back();
        }
        if (!line.empty() && line[0] != '#' && !(number == 1 && line[0] == 'x')) {
            ReadCell(line, number);
        }
    }
}

void SiteOptions::ReadCell(const std::string& line, std::size_t number) {
    const auto refuse = [&](const std::string& why) {
        throw std::invalid_argument(m_file + ", line " + std::to_string(number) + ": " + why + "; a line is " +
                                    columns);
    };
    std::vector<std::string> fields;
    std::istringstream parts(line);
    for (std::string part; std::getline(parts, part, ',');) {
        const auto begin = part.find_first_not_of(" \t"), end = part.find_last_not_of(" \t");
        fields.push_back(begin == std::string::npos ? "" : part.substr(begin, end - begin + 1));
    }
    if (fields.size() < 4 || fields.size() > 6) {
        refuse(std::to_string(fields.size()) + " fields");
    }
    const auto real = [&](const std::string& text, double least, double most) {
        char* end = nullptr;
        const double value = std::strtod(text.c_str(), &end);
        if (text.empty() || *end != '\0' || !(value >= least && value <= most)) {
            std::ostringstream legal;
            legal << "'" << text << "' is not a number from " << least << " to " << most;
            refuse(legal.str());
        }
        return value;
    };
    SiteCell cell;
    cell.place = {real(fields[0], -1e6, 1e6), real(fields[1], -1e6, 1e6), real(fields[2], 0.5, 1000)};
    cell.bearingDeg = real(fields[3], -360, 360);
    if (fields.size() > 4 && !fields[4].empty()) {
        cell.powerDbm = real(fields[4], -50, 100);
    }
    if (fields.size() > 5 && !fields[5].empty()) {
        try {
            DeploymentOf(fields[5]);
        } catch (const std::invalid_argument& error) {
            refuse(error.what());
        }
        cell.deployment = fields[5];
    }
    const auto same = [&](const SiteCell& other) {
        return other.place.x == cell.place.x && other.place.y == cell.place.y && other.place.z == cell.place.z;
    };
    cell.site = m_cells.empty() ? 0 : m_cells.back().site + 1;
    for (const auto& other : m_cells) {
        if (!same(other)) {
            continue;
        }
        if (std::remainder(other.bearingDeg - cell.bearingDeg, 360) == 0) {
            refuse("a cell at this place faces this direction already");
        }
        if (other.deployment != cell.deployment) {
            refuse("the other cells at this place have deployment '" + other.deployment + "'");
        }
        if (!same(m_cells.back())) {
            refuse("the cells at one place follow one another");
        }
        cell.site = other.site;
    }
    m_cells.push_back(cell);
}

} // namespace edgelam
