// SPDX-License-Identifier: GPL-2.0-only
#include "nr-exclusive-scheduler.h"

#include <algorithm>
#include <cmath>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrExclusiveScheduler");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(ExclusiveScheduler);

namespace {

constexpr double retransmission_slots = 8; ///< whole ones that a UE may take for retransmissions at once

float MeanBits(const Candidate& candidate, std::uint32_t numGroups) {
    float sum = 0;
    for (std::uint32_t g = 0; g < numGroups; ++g) {
        sum += candidate.bitsPerGroup[g];
    }
    return sum / static_cast<float>(numGroups);
}

} // namespace

ns3::TypeId ExclusiveScheduler::GetTypeId() {
    static const ns3::TypeId tid =
        ns3::TypeId("edgelam::nr::ExclusiveScheduler").SetParent<Scheduler>().SetGroupName("Edgelam");
    return tid;
}

void ExclusiveScheduler::Allocate(const SchedulingRequest& request, Allocation& allocation) {
    const auto& candidates = request.candidates;
    const std::uint32_t numGroups = request.numGroups;
    m_owner.assign(numGroups, nobody);
    m_want.assign(candidates.size(), 0);
    m_meanBits.resize(candidates.size());
    m_needed.resize(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        m_meanBits[i] = std::max(MeanBits(candidates[i], numGroups), 1e-3f);
        const double groups = std::ceil(8.0 * static_cast<double>(candidates[i].wantedBytes) / m_meanBits[i]);
        const std::uint32_t most = candidates[i].mostGroups == 0 ? numGroups : candidates[i].mostGroups;
        m_needed[i] = groups >= most ? most : static_cast<std::uint32_t>(groups);
    }
    m_room = request.room;
    Limit(request);
    if (m_budget.Active()) {
        m_budget.Begin(request);
    }
    std::uint32_t next = 0;
    const auto give = [&](std::size_t i, std::uint32_t count) {
        for (; count > 0 && next < numGroups; ++next) {
            if (m_owner[next] == nobody) {
                m_owner[next] = static_cast<std::uint32_t>(i);
                --count;
            }
        }
    };
    const double part = static_cast<double>(numGroups) / static_cast<double>(candidates.size());
    const double most = retransmission_slots * numGroups;
    if (candidates.back().ue >= m_again.size()) {
        m_again.resize(candidates.back().ue + 1, most);
    }
    for (std::size_t k = 0; k < candidates.size(); ++k) {
        const std::size_t i = (m_first + k) % candidates.size();
        double& again = m_again[candidates[i].ue];
        again = std::min(again + part, most);
        if (candidates[i].fixedGroups > 0 && candidates[i].fixedGroups <= numGroups - next &&
            candidates[i].fixedGroups <= again && m_room.Fits(candidates[i]) && AdmitsRetransmission(request, i) &&
            (!m_budget.Active() || m_budget.AdmitsRetransmission(candidates[i].ue, candidates[i].fixedGroups))) {
            m_room.Take(candidates[i]);
            m_budget.Take(candidates[i].ue, candidates[i].fixedGroups);
            give(i, candidates[i].fixedGroups);
            again -= candidates[i].fixedGroups;
            NS_LOG_LOGIC("UE " << candidates[i].ue << ": retransmission of " << candidates[i].fixedGroups << " groups");
        }
    }
    m_roomOfNew = m_room;
    m_budget.Keep();
    Divide(request, numGroups - next);
    ++m_first; // the last group may be a small one: everybody has it in turn
    if (request.direction == Direction::Uplink) {
        for (std::size_t k = 0; k < candidates.size(); ++k) {
            const std::size_t i = (m_first + k) % candidates.size();
            give(i, m_want[i]);
        }
    } else {
        Place(request);
    }
    Placed(request);
    if (m_budget.Active()) {
        m_unserved.assign(candidates.size(), false);
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            m_unserved[i] = candidates[i].fixedGroups > 0 || m_want[i] < m_needed[i];
        }
        m_budget.End(request, m_owner, m_unserved);
    }
    for (std::uint32_t g = 0; g < numGroups; ++g) {
        if (m_owner[g] != nobody) {
            allocation[g].push_back(m_owner[g]);
        }
    }
}

void ExclusiveScheduler::Place(const SchedulingRequest& request) {
    const std::size_t count = request.candidates.size();
    std::uint32_t g = 0;
    for (std::size_t k = 0; k < count; ++k) {
        const std::size_t i = (m_first + k) % count;
        for (std::uint32_t left = m_want[i]; left > 0 && g < m_owner.size(); ++g) {
            if (m_owner[g] == nobody) {
                m_owner[g] = static_cast<std::uint32_t>(i);
                --left;
            }
        }
    }
}

} // namespace edgelam::nr
