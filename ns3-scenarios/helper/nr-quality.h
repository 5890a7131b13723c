// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The bearers of UEs as an option gives them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "nr-bearers.h"

namespace edgelam {

/// Bearers, and which of them packets with a code point (DSCP) take.
struct NrQuality {
    std::vector<nr::QosBearer> bearers{{}};
    std::array<std::uint8_t, 64> bearerOf{}; ///< [DSCP]

    bool IsDefault() const { return bearers.size() == 1 && !nr::FiveQiOf(bearers[0].fiveQi).Guaranteed(); }

    /// "1/46+40/128kbps,2/34/5Mbps/1Mbps,9": for each bearer its 5QI, its DSCPs and, with guaranteed rate, that rate in
    /// downlink (and, if it is not the same, in uplink). One bearer has no DSCPs: that of all other packets. Throws
    /// std::invalid_argument with the part that is wrong and what is legal.
    static NrQuality Parse(const std::string& text);
};

} // namespace edgelam
