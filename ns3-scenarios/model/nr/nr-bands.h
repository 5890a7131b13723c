// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Frequency ranges, and how many resource blocks fit into a channel (TS 38.104 5.1, 5.3.2).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace edgelam::nr {

enum class FrequencyRange : std::uint8_t {
    Fr1,   ///< 410 to 7125 MHz
    Fr3,   ///< 7125 to 24250 MHz: the mid-band meant for 6G; not in TS 38.104
    Fr2_1, ///< 24250 to 52600 MHz
    Fr2_2, ///< 52600 to 71000 MHz
    SubThz ///< 71 to 450 GHz; not in TS 38.104
};

std::string NameOf(FrequencyRange range);

/// FR2, or above it.
constexpr bool IsMillimetre(FrequencyRange range) {
    return range >= FrequencyRange::Fr2_1;
}

/// Throws std::invalid_argument outside 410 MHz to 450 GHz.
FrequencyRange FrequencyRangeOf(double carrierHz);

/// Transmission bandwidth configuration N_RB of TS 38.104 tables 5.3.2-1 (FR1), 5.3.2-2 (FR2-1) and 5.3.2-3 (FR2-2).
///
/// FR3 has no table yet. Here it has the table of FR1 for 30 and 60 kHz. 200 and 400 MHz have two and four times the
/// resource blocks of 100 MHz: with 30 kHz, and with 60 kHz and 400 MHz, that is more than the 275 resource blocks of
/// one carrier in TS 38.331.
///
/// Nor has anything above 71 GHz. Here it has the table of FR2-2 for 480 and 960 kHz, and 3200, 4000, 6400 and 8000
/// MHz, which are multiples of 1600 and 2000 MHz.
///
/// Throws std::invalid_argument for a numerology or bandwidth that the range does not have, and lists those that it
/// has.
unsigned NumResourceBlocks(FrequencyRange range, unsigned mu, double bandwidthHz);

/// Numerologies of a range, ascending.
std::vector<unsigned> NumerologiesOf(FrequencyRange range);
/// Channel bandwidths in MHz, ascending; empty if the range does not have the numerology.
std::vector<unsigned> BandwidthsMhz(FrequencyRange range, unsigned mu);

} // namespace edgelam::nr
