// SPDX-License-Identifier: GPL-2.0-only
#include "nr-ssb-burst.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace edgelam::nr {

namespace {

constexpr double few_blocks_hz = 3e9; ///< up to here there are 4 candidates
constexpr unsigned block_symbols = 4;

} // namespace

std::vector<SsbPlace> SsbCandidates(const Numerology& numerology, double frequencyHz) {
    std::vector<SsbPlace> places;
    const auto add = [&](unsigned symbolInHalfFrame, unsigned count) {
        places.push_back({symbolInHalfFrame / symbols_per_slot, symbolInHalfFrame % symbols_per_slot, count});
    };
    const unsigned mu = numerology.Mu();
    if (mu <= 1) {
        for (unsigned n = 0; n < (frequencyHz <= few_blocks_hz ? 2 : 4); ++n) {
            add(2 + symbols_per_slot * n, block_symbols);
            add(8 + symbols_per_slot * n, block_symbols);
        }
    } else if (mu <= 3) {
        const unsigned shorter = mu == 3 ? 1 : 2; // symbols of 120 kHz in one of the carrier
        for (unsigned n = 0; n < 19; ++n) {
            for (const unsigned first : {4U, 8U, 16U, 20U}) {
                if (n % 5 != 4) {
                    add((first + 2 * symbols_per_slot * n) / shorter, block_symbols / shorter);
                }
            }
        }
    } else {
        for (unsigned n = 0; n < 32; ++n) {
            add(2 + symbols_per_slot * n, block_symbols);
            add(9 + symbols_per_slot * n, block_symbols);
        }
    }
    return places;
}

std::vector<SsbPlace> SsbBurst::Usable(const Carrier& carrier) {
    std::vector<SsbPlace> usable;
    const std::uint64_t period = carrier.SlotsOf(carrier.settings.ssbPeriod),
                        repeats = 20 * carrier.numerology.SlotsPerSubframe(); // whole patterns fill 20 ms
    for (const auto& place : SsbCandidates(carrier.numerology, carrier.frequencyHz)) {
        bool down = true;
        for (std::uint64_t start = 0; start < std::max(repeats, period); start += period) {
            const auto& symbols = carrier.pattern.At(static_cast<std::int64_t>(start + place.slot)).downlink;
            down &= place.first >= symbols.first && place.first + place.count <= symbols.first + symbols.count;
        }
        if (down) {
            usable.push_back(place);
        }
    }
    return usable;
}

unsigned SsbBurst::Room(const Carrier& carrier) {
    return static_cast<unsigned>(Usable(carrier).size());
}

SsbBurst::SsbBurst(const Carrier& carrier, unsigned blocks)
    : m_period(carrier.SlotsOf(carrier.settings.ssbPeriod)), m_places(Usable(carrier)) {
    if (blocks < 1 || blocks > m_places.size()) {
        throw std::invalid_argument(
            "NR cell: " + std::to_string(blocks) + " SSBs in a burst (SsbRows times SsbColumns); with Pattern '" +
            carrier.settings.pattern + "' and numerology " + std::to_string(carrier.numerology.Mu()) +
            " legal are 1 to " + std::to_string(m_places.size()) + ", whose symbols are downlink");
    }
    m_places.resize(blocks);
    m_symbols.resize(m_places.back().slot + 1);
    for (const auto& place : m_places) {
        m_symbols[place.slot] += place.count;
    }
}

} // namespace edgelam::nr
