// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Settings of a data radio bearer.
#pragma once

#include <cstdint>

#include "ns3/nstime.h"

namespace edgelam::nr {

/// Settings of a bearer, named as in TS 38.331.
struct BearerSettings {
    bool acknowledged = true;                         ///< RLC AM; otherwise RLC UM
    std::uint32_t bufferBytes = 10'000'000;           ///< of the transmitting entity; what does not fit is dropped
    ns3::Time reassembly = ns3::MilliSeconds(35);     ///< t-Reassembly
    ns3::Time statusProhibit = ns3::MilliSeconds(5);  ///< t-StatusProhibit
    ns3::Time pollRetransmit = ns3::MilliSeconds(40); ///< t-PollRetransmit
    ns3::Time reordering = ns3::MilliSeconds(100);    ///< t-Reordering of PDCP, for UM
    std::uint32_t pollPdu = 256;                      ///< pollPDU
    std::uint32_t pollBytes = 125'000;                ///< pollByte
    std::uint32_t maxRetransmissions = 32;            ///< maxRetxThreshold
    /// Throws std::invalid_argument naming the value and the legal range.
    void Check() const;
};

} // namespace edgelam::nr
