// SPDX-License-Identifier: GPL-2.0-only
#include "nr-slices.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "nr-split.h"

namespace edgelam::nr {

namespace {

constexpr std::uint32_t most_ues = 10000;
constexpr double rounding = 1e-9;

template<class T>
bool Read(std::string_view text, T& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

[[noreturn]] void Refuse(const std::string& what) {
    throw std::invalid_argument("slices: " + what);
}

} // namespace

void SliceSettings::CheckShares(const std::vector<double>& shares) {
    double sum = 0;
    for (const double share : shares) {
        if (!(share >= 0 && share <= 1)) {
            std::ostringstream text;
            text << "share " << share << "; legal are 0 to 1";
            Refuse(text.str());
        }
        sum += share;
    }
    if (sum > 1 + rounding) {
        std::ostringstream text;
        text << "shares with a sum of " << sum << "; legal is at most 1";
        Refuse(text.str());
    }
}

SliceSettings SliceSettings::Parse(const std::string& text) {
    SliceSettings settings;
    if (text.empty()) {
        return settings;
    }
    std::vector<double> shares;
    for (const auto part : SplitAt(text, ',')) {
        const auto fields = SplitAt(part, ':');
        Slice slice{0, 1};
        const auto refuse = [&] {
            Refuse("'" + std::string(part) +
                   "'; legal is UEs:share or UEs:share:most, as 0-4:0.3:0.6 or 5+7:0.7, with 0 <= share <= most <= 1");
        };
        if (fields.size() < 2 || fields.size() > 3 || !Read(fields[1], slice.share) ||
            (fields.size() == 3 && !Read(fields[2], slice.most)) ||
            !(slice.share >= 0 && slice.share <= slice.most && slice.most <= 1)) {
            refuse();
        }
        for (const auto range : SplitAt(fields[0], '+')) {
            const auto ends = SplitAt(range, '-');
            std::uint32_t first = 0, last = 0;
            if (ends.size() > 2 || !Read(ends[0], first) || !Read(ends.back(), last) || first > last ||
                last >= most_ues) {
                refuse();
            }
            settings.sliceOf.resize(std::max<std::size_t>(settings.sliceOf.size(), last + 1), -1);
            for (std::uint32_t ue = first; ue <= last; ++ue) {
                if (settings.sliceOf[ue] >= 0) {
                    Refuse("'" + text + "' has UE " + std::to_string(ue) + " twice; legal is at most once");
                }
                settings.sliceOf[ue] = static_cast<std::int32_t>(settings.slices.size());
            }
        }
        settings.slices.push_back(slice);
        shares.push_back(slice.share);
    }
    CheckShares(shares);
    return settings;
}

void SliceBudget::SetSlices(const SliceSettings& settings, std::uint32_t numPrbs) {
    m_sliceOf = settings.sliceOf;
    m_slices.assign(settings.slices.size(), {});
    for (std::size_t i = 0; i < m_slices.size(); ++i) {
        const auto& [share, most] = settings.slices[i];
        m_slices[i].share = share;
        m_slices[i].cap = most >= 1 ? no_cap : static_cast<std::uint32_t>(std::lround(most * numPrbs));
    }
}

void SliceBudget::SetShares(const std::vector<double>& shares) {
    for (std::size_t i = 0; i < m_slices.size(); ++i) {
        m_slices[i].share = shares[i];
    }
}

void SliceBudget::SetCaps(const std::vector<std::uint32_t>& prbs) {
    for (std::size_t i = 0; i < m_slices.size(); ++i) {
        m_slices[i].cap = prbs[i];
    }
}

void SliceBudget::Begin(Account& account, const SchedulingRequest& request) const {
    account.used = account.kept = 0;
    account.allowed = request.numGroups;
    if (account.cap < request.numPrbs) {
        const std::uint32_t size = request.prbsPerGroup;
        account.credit = std::min<std::int64_t>(account.credit, size) + account.cap;
        account.allowed = std::min((account.cap + size - 1) / size,
                                   static_cast<std::uint32_t>(std::max<std::int64_t>(account.credit, 0) / size));
    }
    account.owed += account.share * (request.numGroups - 1 + request.LastGroup());
    account.least = std::min(account.allowed, static_cast<std::uint32_t>(std::max(account.owed + rounding, 0.0)));
}

void SliceBudget::Begin(const SchedulingRequest& request) {
    m_prbsPerGroup = request.prbsPerGroup;
    for (auto& each : m_slices) {
        Begin(each, request);
    }
    Begin(m_cell, request);
}

std::uint32_t SliceBudget::Room(std::uint32_t ue, bool least) const {
    const auto left = [](std::uint32_t most, std::uint32_t used) { return most - std::min(most, used); };
    const std::uint32_t ofCell = left(m_cell.allowed, m_cell.used);
    const Account* slice = Of(ue);
    if (slice == nullptr) {
        return least ? 0 : ofCell;
    }
    return std::min(ofCell, left(least ? slice->least : slice->allowed, slice->used));
}

std::uint32_t SliceBudget::RoomForControl(std::uint32_t ue) const {
    const auto left = [](const Account& account) {
        return account.cap == 0 ? no_cap : account.allowed - std::min(account.allowed, account.used);
    };
    const Account* slice = Of(ue);
    return std::min(left(m_cell), slice == nullptr ? no_cap : left(*slice));
}

bool SliceBudget::AdmitsRetransmission(std::uint32_t ue, std::uint32_t groups) const {
    const auto admits = [&](const Account& account) {
        if (account.used + groups <= account.allowed || account.cap == no_cap) {
            return true;
        }
        const bool begunBefore = groups > (account.cap + m_prbsPerGroup - 1) / m_prbsPerGroup;
        return begunBefore && account.used == 0 && (account.cap == 0 || account.credit >= account.cap);
    };
    const Account* slice = Of(ue);
    return admits(m_cell) && (slice == nullptr || admits(*slice));
}

void SliceBudget::Take(std::uint32_t ue, std::uint32_t groups) {
    m_cell.used += groups;
    if (Account* slice = Of(ue)) {
        slice->used += groups;
    }
}

void SliceBudget::Keep() {
    for (auto& each : m_slices) {
        each.kept = each.used;
    }
    m_cell.kept = m_cell.used;
}

void SliceBudget::Rewind() {
    for (auto& each : m_slices) {
        each.used = each.kept;
    }
    m_cell.used = m_cell.kept;
}

void SliceBudget::End(const SchedulingRequest& request, const std::vector<std::uint32_t>& owner,
                      const std::vector<bool>& unserved) {
    const auto& candidates = request.candidates;
    const auto charge = [&](Account& account, std::uint32_t group) {
        account.owed -= group + 1 == request.numGroups ? request.LastGroup() : 1;
        if (account.cap > 0 && account.cap < request.numPrbs) {
            account.credit -= request.Prbs(group);
        }
    };
    for (std::uint32_t g = 0; g < owner.size(); ++g) {
        if (owner[g] < candidates.size()) {
            charge(m_cell, g);
            if (Account* slice = Of(candidates[owner[g]].ue)) {
                charge(*slice, g);
            }
        }
    }
    m_cell.owed = 0;
    for (std::size_t s = 0; s < m_slices.size(); ++s) {
        // A debt is for the next slots, not for ever; what a slice did not want is not owed to it.
        double& owed = m_slices[s].owed;
        owed = std::clamp(owed, -1.0, 2.0 * request.numGroups);
        bool wants = false;
        for (std::size_t i = 0; i < candidates.size() && !wants; ++i) {
            wants = unserved[i] && Of(candidates[i].ue) == &m_slices[s];
        }
        owed = wants ? owed : std::min(owed, 1.0);
    }
}

} // namespace edgelam::nr
