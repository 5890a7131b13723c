// SPDX-License-Identifier: GPL-2.0-only
#include "nr-connection.h"

#include <stdexcept>
#include <string>

namespace edgelam::nr {

void SetGuaranteedRates(std::span<const double> bps, const std::vector<std::array<Bearers*, 2>>& bearers,
                        const std::function<void(std::size_t ue, double bps, Direction)>& check) {
    const auto each = [&](const auto& visit) {
        std::size_t i = 0;
        for (const Direction direction : {Direction::Downlink, Direction::Uplink}) {
            for (std::size_t ue = 0; ue < bearers.size(); ++ue) {
                Bearers& own = *bearers[ue][static_cast<std::size_t>(direction)];
                for (unsigned bearer = 0; bearer < own.Size(); ++bearer, ++i) {
                    visit(own, ue, bearer, direction, i);
                }
            }
        }
        return i;
    };
    const std::size_t number = each([](Bearers&, std::size_t, unsigned, Direction, std::size_t) {});
    if (bps.size() != number) {
        throw std::invalid_argument("NR cell: " + std::to_string(bps.size()) + " guaranteed rates; legal is one for " +
                                    "each direction, UE and bearer, " + std::to_string(number));
    }
    each([&](Bearers& own, std::size_t ue, unsigned bearer, Direction direction, std::size_t i) {
        check(ue, bps[i], direction);
        own.CheckGuaranteed(bearer, bps[i]);
    });
    each([&](Bearers& own, std::size_t, unsigned bearer, Direction, std::size_t i) {
        own.SetGuaranteed(bearer, bps[i]);
    });
}

} // namespace edgelam::nr
