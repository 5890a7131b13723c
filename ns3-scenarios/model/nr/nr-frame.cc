// SPDX-License-Identifier: GPL-2.0-only
#include "nr-frame.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace edgelam::nr {

namespace {

// TS 38.211 4.1: Tc = 1 / (480 kHz x 4096) and kappa = 64, so that a subframe lasts 30720 kappa Tc.
constexpr std::int64_t kappa = 64;
constexpr std::int64_t tc_per_subframe = 30720 * kappa;

constexpr std::size_t max_slots = 320;

/// TS 38.331 dl-UL-TransmissionPeriodicity, us.
constexpr std::array<unsigned, 10> periods_us{500, 625, 1000, 1250, 2000, 2500, 3000, 4000, 5000, 10000};
constexpr unsigned frames_us = 20000; ///< two frames, which whole periods must fill

[[noreturn]] void Refuse(std::string_view text, const std::string& why) {
    throw std::invalid_argument("slot pattern '" + std::string(text) + "': " + why);
}

struct Split {
    std::array<unsigned, 3> symbols{10, 2, 2}; // downlink, guard, uplink
};

Split ParseSplit(std::string_view text, std::string_view split) {
    Split result;
    std::size_t count = 0;
    const char* at = split.data();
    const char* const end = at + split.size();
    while (count < 3) {
        const auto [rest, error] = std::from_chars(at, end, result.symbols[count]);
        if (error != std::errc() || rest == at) {
            break;
        }
        ++count;
        at = rest;
        if (count < 3) {
            if (at == end || *at != ',') {
                break;
            }
            ++at;
        }
    }
    const auto& s = result.symbols;
    if (count != 3 || at != end || std::max({s[0], s[1], s[2]}) > symbols_per_slot ||
        s[0] + s[1] + s[2] != symbols_per_slot) {
        Refuse(text, "the split '" + std::string(split) +
                         "' of special slots must be three numbers of symbols, downlink,guard,uplink, that add up to "
                         "14, as in 10,2,2");
    }
    if (s[1] == 0) {
        Refuse(text, "the split '" + std::string(split) + "' has no guard; it must have 1 to 14 symbols of guard");
    }
    return result;
}

} // namespace

Numerology::Numerology(unsigned mu) : m_mu(mu) {
    if (mu > 6 || mu == 4) {
        throw std::invalid_argument("numerology " + std::to_string(mu) +
                                    ": must be 0, 1, 2, 3 (15, 30, 60, 120 kHz), 5 or 6 (480, 960 kHz)");
    }
}

unsigned Numerology::DecodingSymbols() const {
    return std::array{8U, 10U, 17U, 20U, 0U, 80U, 160U}[m_mu];
}

unsigned Numerology::PreparationSymbols() const {
    return std::array{10U, 12U, 23U, 36U, 0U, 144U, 288U}[m_mu];
}

unsigned Numerology::MessageThreeSlots() const {
    return std::array{2U, 3U, 4U, 6U, 0U, 24U, 48U}[m_mu];
}

std::int64_t Numerology::SymbolStartNs(unsigned symbolInSubframe) const {
    const unsigned half = 7U << m_mu;
    // 2048 + 144 (x kappa >> mu) each, and 16 kappa more for symbols 0 and 7 x 2^mu.
    const std::int64_t tc = symbolInSubframe * ((std::int64_t{2048 + 144} * kappa) >> m_mu) +
                            16 * kappa * ((symbolInSubframe > 0) + (symbolInSubframe > half));
    return (2 * tc * subframe_ns + tc_per_subframe) / (2 * tc_per_subframe);
}

std::int64_t Numerology::SlotStartNs(std::int64_t slot) const {
    return SymbolStartNs(slot, 0);
}

std::int64_t Numerology::SymbolStartNs(std::int64_t slot, unsigned symbolInSlot) const {
    const auto inSubframe = static_cast<unsigned>(slot & ((1 << m_mu) - 1));
    return (slot >> m_mu) * subframe_ns + SymbolStartNs(inSubframe * symbols_per_slot + symbolInSlot);
}

std::int64_t Numerology::SymbolNs(std::int64_t slot, unsigned symbolInSlot) const {
    return SymbolStartNs(slot, symbolInSlot + 1) - SymbolStartNs(slot, symbolInSlot);
}

std::int64_t Numerology::SlotAt(std::int64_t timeNs) const {
    // Within a subframe, slots start at most 0.52 us after their place among equal ones.
    const std::int64_t slot = timeNs / MeanSlotNs();
    return SlotStartNs(slot) > timeNs ? slot - 1 : slot;
}

SlotPattern SlotPattern::Parse(std::string_view text) {
    SlotPattern pattern;
    constexpr SymbolRange all{0, symbols_per_slot};
    if (text == "FDD") {
        pattern.m_slots.push_back({SlotKind::Paired, all, all});
        return pattern;
    }
    const auto colon = text.find(':');
    const auto letters = text.substr(0, colon);
    if (letters.empty() || letters.size() > max_slots) {
        Refuse(text, "must have 1 to 320 slots");
    }
    const auto unknown = letters.find_first_not_of("DSU");
    if (unknown != std::string_view::npos) {
        Refuse(text, "'" + std::string(letters.substr(unknown, 1)) +
                         "' is none of the letters D (downlink), S (special) and U (uplink); for FDD write 'FDD'");
    }
    if (colon != std::string_view::npos && letters.find('S') == std::string_view::npos) {
        Refuse(text, "it splits special slots but has none (letter S)");
    }
    const auto split = colon == std::string_view::npos ? Split{} : ParseSplit(text, text.substr(colon + 1));
    for (const char letter : letters) {
        if (letter == 'D') {
            pattern.m_slots.push_back({SlotKind::Downlink, all, {}});
        } else if (letter == 'U') {
            pattern.m_slots.push_back({SlotKind::Uplink, {}, all});
        } else {
            const auto [down, guard, up] = split.symbols;
            pattern.m_slots.push_back({SlotKind::Special, {0, down}, {down + guard, up}});
        }
    }
    if (pattern.UplinkSymbols() == 0) {
        Refuse(text, "has no uplink; at least one slot must be U, or S with uplink symbols");
    }
    if (pattern.DownlinkSymbols() == 0) {
        Refuse(text, "has no downlink; at least one slot must be D, or S with downlink symbols");
    }
    for (std::size_t i = 0; i < letters.size(); ++i) {
        const auto &now = pattern.m_slots[i], &next = pattern.At(static_cast<std::int64_t>(i) + 1);
        const bool endsDown = now.downlink.first + now.downlink.count == symbols_per_slot && now.downlink.count > 0;
        if (endsDown && next.uplink.count > 0 && next.uplink.first == 0) {
            Refuse(text, "goes from downlink to uplink without a guard; put a special slot (S) between D and U");
        }
    }
    return pattern;
}

void SlotPattern::CheckPeriod(const Numerology& numerology) const {
    if (IsFdd()) {
        return;
    }
    std::string letters;
    for (const auto& slot : m_slots) {
        letters += slot.kind == SlotKind::Downlink ? 'D' : slot.kind == SlotKind::Uplink ? 'U' : 'S';
    }
    const std::string written = letters;
    for (std::size_t length = 1; length < letters.size(); ++length) { // what is repeated
        if (letters.size() % length == 0 && (letters + letters).compare(length, letters.size(), letters) == 0) {
            letters.resize(length);
        }
    }
    const auto microseconds = [&](std::size_t slots) { // 0: no period has so many slots
        const auto us = std::find_if(periods_us.begin(), periods_us.end(), [&](unsigned each) {
            return std::size_t{each} * numerology.SlotsPerSubframe() == 1000 * slots;
        });
        return us == periods_us.end() ? 0 : *us;
    };
    const auto inOrder = [&](std::string_view part) {
        const auto special = part.find_first_not_of('D');
        const auto up = special == std::string_view::npos ? part.size() : special + (part[special] == 'S');
        return part.find_first_not_of('U', up) == std::string_view::npos;
    };
    for (std::size_t first = 1; first <= letters.size(); ++first) { // the whole of it: one part
        const std::string_view all(letters), before = all.substr(0, first), after = all.substr(first);
        const unsigned us = microseconds(before.size()), more = microseconds(after.size());
        if (us > 0 && (more > 0 || after.empty()) && frames_us % (us + more) == 0 && inOrder(before) &&
            inOrder(after)) {
            return;
        }
    }
    std::string legal;
    for (const unsigned us : periods_us) {
        if (us * numerology.SlotsPerSubframe() % 1000 == 0) {
            const unsigned slots = us * numerology.SlotsPerSubframe() / 1000;
            legal += (legal.empty() ? "" : ", ") + std::to_string(slots);
        }
    }
    Refuse(written, "TS 38.213 11.1 does not allow it with numerology " + std::to_string(numerology.Mu()) +
                        "; legal are downlink slots, then at most one special slot, then uplink slots, " + legal +
                        " of them together, or two such parts one after the other, if whole periods fill 20 ms (" +
                        std::to_string(20 * numerology.SlotsPerSubframe()) + " slots)");
}

unsigned SlotPattern::DownlinkSymbols() const {
    unsigned sum = 0;
    for (const auto& slot : m_slots) {
        sum += slot.downlink.count;
    }
    return sum;
}

unsigned SlotPattern::UplinkSymbols() const {
    unsigned sum = 0;
    for (const auto& slot : m_slots) {
        sum += slot.uplink.count;
    }
    return sum;
}

std::int64_t SlotPattern::NextUplink(std::int64_t slot, unsigned symbols) const {
    for (std::size_t i = 0; i < m_slots.size(); ++i, ++slot) {
        if (At(slot).uplink.count >= symbols) {
            return slot;
        }
    }
    return -1;
}

std::int64_t SlotPattern::NextDownlink(std::int64_t slot, unsigned symbols) const {
    for (std::size_t i = 0; i < m_slots.size(); ++i, ++slot) {
        if (At(slot).downlink.count >= symbols) {
            return slot;
        }
    }
    return -1;
}

} // namespace edgelam::nr
