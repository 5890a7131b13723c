// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Where a cell asks for what disturbs its receivers.
#pragma once

#include <cstdint>
#include <span>

#include "channel-link.h"

namespace edgelam::nr {

/// Interference from outside the cell, as other cells or a jammer make it. A cell without a source has none, and asks
/// nobody.
///
/// It is the same at all antennas of a receiver and independent between them, like noise. Interference that comes from
/// a direction would be a covariance matrix of the antennas in place of one number here: receivers would whiten with
/// its inverse square root where they now divide by the square root of the power (PhyLink).
class InterferenceSource {
  public:
    virtual ~InterferenceSource() = default;

    /// \param direction Downlink: received by UE `ue`; Uplink: by the gNB in what it gets from that UE
    /// \param powerW filled: W in one resource block, at each SINR sample of the cell (Cell::SampleOffsetsHz), in one
    /// UE antenna (downlink) or one beam of the gNB (uplink); >= 0
    virtual void GetPower(Direction direction, std::uint32_t ue, std::uint64_t slot, std::span<float> powerW) = 0;
};

} // namespace edgelam::nr
