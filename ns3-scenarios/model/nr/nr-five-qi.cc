// SPDX-License-Identifier: GPL-2.0-only
#include "nr-five-qi.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

namespace edgelam::nr {

namespace {

constexpr auto gbr = ResourceType::Gbr, critical = ResourceType::DelayCriticalGbr, free_rate = ResourceType::NonGbr;

constexpr std::array table{
    FiveQi{1, gbr, 20, 100, 1e-2},         FiveQi{2, gbr, 40, 150, 1e-3},       FiveQi{3, gbr, 30, 50, 1e-3},
    FiveQi{4, gbr, 50, 300, 1e-6},         FiveQi{5, free_rate, 10, 100, 1e-6}, FiveQi{6, free_rate, 60, 300, 1e-6},
    FiveQi{7, free_rate, 70, 100, 1e-3},   FiveQi{8, free_rate, 80, 300, 1e-6}, FiveQi{9, free_rate, 90, 300, 1e-6},
    FiveQi{10, free_rate, 90, 1100, 1e-6}, FiveQi{65, gbr, 7, 75, 1e-2},        FiveQi{66, gbr, 20, 100, 1e-2},
    FiveQi{67, gbr, 15, 100, 1e-3},        FiveQi{69, free_rate, 5, 60, 1e-6},  FiveQi{70, free_rate, 55, 200, 1e-6},
    FiveQi{71, gbr, 56, 150, 1e-6},        FiveQi{72, gbr, 56, 300, 1e-4},      FiveQi{73, gbr, 56, 300, 1e-8},
    FiveQi{74, gbr, 56, 500, 1e-8},        FiveQi{76, gbr, 56, 500, 1e-4},      FiveQi{79, free_rate, 65, 50, 1e-2},
    FiveQi{80, free_rate, 68, 10, 1e-6},   FiveQi{82, critical, 19, 10, 1e-4},  FiveQi{83, critical, 22, 10, 1e-4},
    FiveQi{84, critical, 24, 30, 1e-5},    FiveQi{85, critical, 21, 5, 1e-5},   FiveQi{86, critical, 18, 5, 1e-4},
    FiveQi{87, critical, 25, 5, 1e-3},     FiveQi{88, critical, 25, 10, 1e-3},  FiveQi{89, critical, 25, 15, 1e-4},
    FiveQi{90, critical, 25, 20, 1e-4}};

} // namespace

std::span<const FiveQi> AllFiveQis() {
    return table;
}

const FiveQi& FiveQiOf(unsigned value) {
    const auto found =
        std::find_if(table.begin(), table.end(), [&](const FiveQi& each) { return each.value == value; });
    if (found == table.end()) {
        std::string legal;
        for (const auto& each : table) {
            legal += (legal.empty() ? "" : ", ") + std::to_string(each.value);
        }
        throw std::invalid_argument("5QI " + std::to_string(value) + "; legal are " + legal +
                                    " (TS 23.501 table 5.7.4-1)");
    }
    return *found;
}

unsigned ClassOf(unsigned priorityLevel) {
    constexpr std::array limits{10U, 20U, 30U, 40U, 55U, 65U, 80U};
    unsigned i = 0;
    while (i < limits.size() && priorityLevel > limits[i]) {
        ++i;
    }
    return 7 - i;
}

} // namespace edgelam::nr
