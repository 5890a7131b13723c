// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Mobility files of ns-2, as SUMO (traceExporter.py --ns2mobility-output) and BonnMotion write them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ns3/rectangle.h"
#include "ns3/vector.h"

namespace edgelam {

/// Where a node is at first, and where it heads for from a time on. A later movement ends the one before it, and who
/// arrives stands.
struct Ns2Way {
    struct Movement {
        double timeS;
        ns3::Vector2D to;
        double speedMps; ///< 0: stand
    };
    ns3::Vector2D start;
    std::vector<Movement> movements; ///< in the order of times
};

/// Where nodes may be: inside, which is part of a rectangle.
struct Ns2Area {
    std::function<bool(const ns3::Vector2D&)> inside;
    ns3::Rectangle bounds;
};

/// Reads
///
///     $node_(0) set X_ 150.98
///     $node_(0) set Y_ 20
///     $ns_ at 3.5 "$node_(0) setdest 300 20 13.9"
///
/// and skips empty lines, comments (#) and the lines of $god_. ns-3's Ns2MobilityHelper takes such files too, but
/// ignores what it does not understand.
/// \param numNodes nodes 0 to numNodes - 1, each of which must have its first place in the file
/// \param fastestMps the largest speed
/// Throws std::invalid_argument with file, line, value and what is legal: for a line that is none of these, for numbers
/// that are not finite, unknown nodes, places outside, speeds, and times of a node that go back.
std::vector<Ns2Way> ReadNs2Trace(const std::string& path, std::size_t numNodes, const Ns2Area& area, double fastestMps);

} // namespace edgelam
