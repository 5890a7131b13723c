// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The interface by which a cell asks for the interference at its receivers.
#pragma once

#include <cstdint>
#include <span>

#include "channel-link.h"

namespace edgelam::nr {

/// Interference from outside the cell, for example from other cells or a jammer. A cell without a source has no
/// interference.
///
/// It is the same at all antennas of a receiver and independent between them, like noise. Interference from a direction
/// would need a covariance matrix of the antennas instead of the one number here: receivers would whiten with its
/// inverse square root, where they now divide by the square root of the power (PhyLink).
class InterferenceSource {
  public:
    virtual ~InterferenceSource() = default;

    /// \param direction Downlink: received by UE `ue`; Uplink: received by the gNB together with the signal of that UE
    /// \param powerW to be filled: W in one resource block, at each SINR sample of the cell (Cell::SampleOffsetsHz), in
    /// one UE antenna (downlink) or one beam of the gNB (uplink); >= 0
    virtual void GetPower(Direction direction, std::uint32_t ue, std::uint64_t slot, std::span<float> powerW) = 0;
};

} // namespace edgelam::nr
