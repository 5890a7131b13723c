// SPDX-License-Identifier: GPL-2.0-only
#include "nr-quality.h"

#include <charconv>
#include <cmath>
#include <stdexcept>
#include <string_view>

#include "nr-split.h"

namespace edgelam {

namespace {

[[noreturn]] void Refuse(std::string_view part, const std::string& legal) {
    throw std::invalid_argument("bearers: '" + std::string(part) + "' is not legal: " + legal);
}

unsigned Whole(std::string_view text, std::string_view part, unsigned most, const std::string& what) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > most) {
        Refuse(part, what + " is a whole number up to " + std::to_string(most));
    }
    return value;
}

double Rate(std::string_view text, std::string_view part) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    const double factor = unit == "bps" ? 1 : unit == "kbps" ? 1e3 : unit == "Mbps" ? 1e6 : unit == "Gbps" ? 1e9 : 0;
    if (error != std::errc() || factor == 0 || !(value > 0) || std::isinf(value)) {
        Refuse(part, "a guaranteed rate is as 128kbps or 5Mbps, above 0");
    }
    return value * factor;
}

} // namespace

NrQuality NrQuality::Parse(const std::string& text) {
    NrQuality quality;
    quality.bearers.clear();
    std::array<bool, 64> taken{};
    int rest = -1; // the bearer without DSCPs
    for (const auto part : nr::SplitAt(text, ',')) {
        const auto fields = nr::SplitAt(part, '/');
        const auto number = static_cast<std::uint8_t>(quality.bearers.size());
        nr::QosBearer bearer;
        bearer.fiveQi = Whole(fields[0], part, 255, "a 5QI");
        const nr::FiveQi& fiveQi = nr::FiveQiOf(bearer.fiveQi);
        const bool all = fields.size() < 2 || fields[1].empty();
        if (all && rest >= 0) {
            Refuse(text, "one bearer has no DSCPs; the others are as 1/46+40/128kbps");
        }
        rest = all ? number : rest;
        for (const auto dscp : all ? std::vector<std::string_view>{} : nr::SplitAt(fields[1], '+')) {
            const unsigned value = Whole(dscp, part, 63, "a DSCP");
            if (taken[value]) {
                Refuse(text, "each DSCP belongs to one bearer, and " + std::to_string(value) + " to two");
            }
            taken[value] = true;
            quality.bearerOf[value] = number;
        }
        const std::size_t rates = fields.size() < 3 ? 0 : fields.size() - 2;
        if (fiveQi.Guaranteed() != (rates > 0) || rates > 2) {
            Refuse(part, fiveQi.Guaranteed() ? "5QI " + std::to_string(fiveQi.value) +
                                                   " has a guaranteed rate, down, or down and up: 1/46/128kbps/64kbps"
                                             : "5QI " + std::to_string(fiveQi.value) + " has no guaranteed rate");
        }
        if (rates > 0) {
            bearer.guaranteedBps = {Rate(fields[2], part), Rate(fields.back(), part)};
        }
        quality.bearers.push_back(bearer);
    }
    if (rest < 0) {
        Refuse(text, "one bearer has no DSCPs, for all packets that the others do not have: 1/46/128kbps,9");
    }
    if (quality.bearers.size() > nr::Bearers::most) {
        Refuse(text, "at most " + std::to_string(nr::Bearers::most) + " bearers");
    }
    for (unsigned dscp = 0; dscp < taken.size(); ++dscp) {
        if (!taken[dscp]) {
            quality.bearerOf[dscp] = static_cast<std::uint8_t>(rest);
        }
    }
    return quality;
}

} // namespace edgelam
