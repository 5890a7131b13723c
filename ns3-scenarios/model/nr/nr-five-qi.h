// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// 5G quality of service: the standardised 5QI values (TS 23.501 table 5.7.4-1).
#pragma once

#include <cstdint>
#include <span>

namespace edgelam::nr {

enum class ResourceType : std::uint8_t { Gbr, DelayCriticalGbr, NonGbr };

struct FiveQi {
    unsigned value;
    ResourceType type;
    unsigned priority; ///< level: the lowest is served first
    unsigned delayMs;  ///< packet delay budget
    double errorRate;  ///< packet error rate
    bool Guaranteed() const { return type != ResourceType::NonGbr; }
};

/// All of them, ascending.
std::span<const FiveQi> AllFiveQis();
/// Throws std::invalid_argument for a value that the table does not have, and lists those that it has.
const FiveQi& FiveQiOf(unsigned value);

/// Class of a priority level, 7 (served first) to 0, as schedulers and buffer status reports know it: levels up to 10,
/// 20, 30, 40, 55, 65, 80 and above.
unsigned ClassOf(unsigned priorityLevel);

constexpr double averaging_window_s = 2; ///< of guaranteed rates, the default for all values

} // namespace edgelam::nr
