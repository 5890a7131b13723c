// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The connection of a UE with the network: what stays when it changes cells.
#pragma once

#include <span>

#include "nr-bearers.h"

namespace edgelam::nr {

/// The bearers of a UE in both directions. They keep their packets and numbers when the UE leaves a cell and enters
/// another one. What is in blocks on their way at that moment is lost: RLC AM finds it missing and sends it again.
struct Connection {
    explicit Connection(const BearerSettings& settings) : down(settings), up(settings) {}
    explicit Connection(std::span<const QosBearer> bearers)
        : down(bearers, Direction::Downlink), up(bearers, Direction::Uplink) {}
    Bearers down, up;
};

} // namespace edgelam::nr
