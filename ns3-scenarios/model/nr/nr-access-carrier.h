// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Random access over the carrier of a cell.
#pragma once

#include <cstdint>
#include <functional>

#include "nr-carrier.h"
#include "nr-random-access.h"

namespace edgelam::nr {

/// \param carrier lives as long as the result is used; \param sent called when a UE sends a preamble or message 3
RandomAccessCarrier AccessOf(const Carrier& carrier, std::function<void(std::uint32_t ue, double dbm)> sent);

} // namespace edgelam::nr
