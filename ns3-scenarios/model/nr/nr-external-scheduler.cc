// SPDX-License-Identifier: GPL-2.0-only
#include "nr-external-scheduler.h"

#include <algorithm>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrExternalScheduler");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(ExternalScheduler);

namespace {

constexpr double share_rounding = 1e-9; ///< by which a sum of shares may be above 1

} // namespace

ns3::TypeId ExternalScheduler::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::ExternalScheduler")
                                       .SetParent<RoundRobinScheduler>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<ExternalScheduler>();
    return tid;
}

std::uint32_t ExternalScheduler::AllowedGroups(const SchedulingRequest& request, std::uint32_t ue) const {
    const std::uint32_t size = request.prbsPerGroup, most = (m_caps[ue] + size - 1) / size;
    return std::min(most, static_cast<std::uint32_t>(std::max<std::int64_t>(m_credit[ue], 0) / size));
}

/// With what is left of at most one group before a slot, any number of slots have at most their caps plus one group.
void ExternalScheduler::Limit(const SchedulingRequest& request) {
    m_owed.resize(std::max<std::size_t>(m_owed.size(), request.candidates.back().ue + 1)); // they are by `ue`
    m_credit.resize(m_caps.size());
    for (std::size_t ue = 0; ue < m_caps.size(); ++ue) {
        m_credit[ue] = std::min<std::int64_t>(m_credit[ue], request.prbsPerGroup) + m_caps[ue];
    }
    for (std::size_t i = 0; i < request.candidates.size(); ++i) {
        const std::uint32_t ue = request.candidates[i].ue;
        if (Capped(request, ue) && m_caps[ue] > 0) { // under a cap of 0 it has only control to send
            m_needed[i] = std::min(m_needed[i], AllowedGroups(request, ue));
            NS_LOG_LOGIC("UE " << ue << ": its cap allows " << AllowedGroups(request, ue) << " groups");
        }
    }
}

bool ExternalScheduler::AdmitsRetransmission(const SchedulingRequest& request, std::size_t i) const {
    const auto& [ue, groups] = std::pair(request.candidates[i].ue, request.candidates[i].fixedGroups);
    if (!Capped(request, ue) || groups <= AllowedGroups(request, ue)) {
        return true;
    }
    const bool begunBefore = groups > (m_caps[ue] + request.prbsPerGroup - 1) / request.prbsPerGroup;
    return begunBefore && (m_caps[ue] == 0 || m_credit[ue] >= m_caps[ue]);
}

void ExternalScheduler::Divide(const SchedulingRequest& request, std::uint32_t free) {
    const auto& candidates = request.candidates;
    const auto give = [&](std::size_t i, std::uint32_t upTo) {
        if (!Open(request, i)) {
            return;
        }
        const std::uint32_t more = std::min({upTo - std::min(upTo, m_want[i]), free, Left(request, i)});
        Want(request, i, more);
        free -= more;
    };
    Signalling(request, [&] {
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            give(i, SignallingGroups(candidates[i], i));
        }
    });
    const auto shareOf = [&](std::uint32_t ue) { return ue < m_shares.size() ? m_shares[ue] : 0; };
    double shares = 0;
    std::uint64_t least = 0;
    for (const auto& each : candidates) {
        shares += shareOf(each.ue);
        least += each.fixedGroups == 0 && each.ue < m_leastGroups.size() ? m_leastGroups[each.ue] : 0;
    }
    const double scale = shares > 1 + share_rounding ? 1 / shares : 1;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (candidates[i].fixedGroups == 0 && candidates[i].ue < m_leastGroups.size()) {
            const std::uint64_t own = m_leastGroups[candidates[i].ue];
            give(i, std::min(m_needed[i], static_cast<std::uint32_t>(
                                              least > request.numGroups ? own * request.numGroups / least : own)));
        }
    }
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const auto& each = candidates[i];
        double& owed = m_owed[each.ue];
        owed += scale * shareOf(each.ue) * (request.numGroups - 1 + request.LastGroup());
        if (each.fixedGroups == 0) {
            give(i, std::min(m_needed[i], static_cast<std::uint32_t>(std::max(owed + 1e-9, 0.0))));
        }
    }
    RoundRobinScheduler::Divide(request, free);
}

void ExternalScheduler::Placed(const SchedulingRequest& request) {
    const auto& candidates = request.candidates;
    for (std::uint32_t g = 0; g < m_owner.size(); ++g) {
        if (m_owner[g] != nobody) {
            const std::uint32_t ue = candidates[m_owner[g]].ue;
            m_owed[ue] -= g + 1 == m_owner.size() ? request.LastGroup() : 1;
            if (ue < m_credit.size() && m_caps[ue] > 0) {
                m_credit[ue] -= request.Prbs(g);
            }
        }
    }
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        double& owed = m_owed[candidates[i].ue];
        // A debt is for the next slots, not for ever; what nobody else wanted is no debt.
        owed = std::clamp(owed, -1.0, 2.0 * request.numGroups);
        if (candidates[i].fixedGroups == 0 && m_want[i] == m_needed[i]) {
            owed = std::min(owed, 1.0);
        }
    }
}

} // namespace edgelam::nr
