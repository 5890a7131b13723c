// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The connection of a UE with the network: what stays when it changes cells.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <vector>

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

/// Set guaranteed rates, bit/s, [direction, UE, bearer]. Throws std::invalid_argument, and changes nothing, for another
/// number of them, for rates that a bearer does not take, and for those that `check` refuses.
/// \param bearers [UE][direction]
void SetGuaranteedRates(std::span<const double> bps, const std::vector<std::array<Bearers*, 2>>& bearers,
                        const std::function<void(std::size_t ue, double bps, Direction)>& check);

} // namespace edgelam::nr
