// SPDX-License-Identifier: GPL-2.0-only
#include "sites-file.h"

#include <cmath>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "channel-statistics.h"
#include "text-lines.h"

namespace edgelam {

namespace {

/// Adds the cell of one line.
void ReadCell(const std::string& path, const std::string& line, std::size_t number, std::vector<SiteCell>& cells) {
    const auto refuse = [&](const std::string& why) {
        throw std::invalid_argument(path + ", line " + std::to_string(number) + ": " + why + "; a line is " +
                                    sites_columns);
    };
    std::vector<std::string> fields;
    std::istringstream parts(line);
    for (std::string part; std::getline(parts, part, ',');) {
        const auto begin = part.find_first_not_of(" \t"), end = part.find_last_not_of(" \t");
        fields.push_back(begin == std::string::npos ? "" : part.substr(begin, end - begin + 1));
    }
    if (fields.size() < 4 || fields.size() > 7) {
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
    if (fields.size() > 6 && !fields[6].empty()) {
        cell.frequencyHz = real(fields[6], smallest_carrier_hz, largest_carrier_hz);
    }
    const auto same = [&](const SiteCell& other) {
        return other.place.x == cell.place.x && other.place.y == cell.place.y && other.place.z == cell.place.z;
    };
    cell.site = cells.empty() ? 0 : cells.back().site + 1;
    for (const auto& other : cells) {
        if (!same(other)) {
            continue;
        }
        if (std::remainder(other.bearingDeg - cell.bearingDeg, 360) == 0 && other.frequencyHz == cell.frequencyHz) {
            refuse("a cell at this place faces this direction already");
        }
        if (other.deployment != cell.deployment) {
            refuse("the other cells at this place have deployment '" + other.deployment + "'");
        }
        if (!same(cells.back())) {
            refuse("the cells at one place follow one another");
        }
        cell.site = other.site;
    }
    cells.push_back(cell);
}

} // namespace

void ReadSites(const std::string& path, std::vector<SiteCell>& cells) {
    std::size_t number = 0;
    bool first = true;
    for (const auto& line : ReadTextLines(path, "option --sitesFile=")) {
        ++number;
        const auto begin = line.find_first_not_of(" \t");
        if (begin == std::string::npos || line[begin] == '#') {
            continue;
        }
        if (!first || (line[begin] != 'x' && line[begin] != 'X')) { // otherwise the names of the columns
            ReadCell(path, line, number, cells);
        }
        first = false;
    }
}

} // namespace edgelam
