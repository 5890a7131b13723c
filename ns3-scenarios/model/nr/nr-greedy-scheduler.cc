// SPDX-License-Identifier: GPL-2.0-only
#include "nr-greedy-scheduler.h"

#include <algorithm>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrGreedyScheduler");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(GreedyScheduler);

ns3::TypeId GreedyScheduler::GetTypeId() {
    static const ns3::TypeId tid =
        ns3::TypeId("edgelam::nr::GreedyScheduler").SetParent<ExclusiveScheduler>().SetGroupName("Edgelam");
    return tid;
}

double GreedyScheduler::ClaimOfBeam(const SchedulingRequest& request, std::span<const std::uint64_t>) const {
    double claim = 0;
    for (std::uint32_t g = 0; g < request.numGroups; ++g) {
        double largest = 0;
        for (const auto& candidate : request.candidates) {
            largest = std::max(largest, candidate.bitsPerGroup[g] / Weight(candidate));
        }
        claim += largest;
    }
    return claim;
}

template<class Bits>
std::size_t GreedyScheduler::Best(const SchedulingRequest& request, Bits bits) const {
    const std::size_t count = request.candidates.size();
    std::size_t best = count;
    double largest = -1;
    for (std::size_t i = 0; i < count; ++i) {
        if (!Open(request, i)) {
            continue;
        }
        // What it is given in this slot does not count yet: of equals one has the slot, and then the other.
        const double metric = bits(i) / m_weight[i];
        if (metric > largest) {
            largest = metric;
            best = i;
        }
    }
    return best;
}

/// For allocations side by side: as many groups as each would win on its mean. In downlink, Place decides.
void GreedyScheduler::Divide(const SchedulingRequest& request, std::uint32_t free) {
    NS_LOG_FUNCTION(this << request.slot << free);
    m_weight.clear();
    for (const auto& each : request.candidates) {
        m_weight.push_back(Weight(each));
        NS_LOG_LOGIC("UE " << each.ue << ": " << m_meanBits[m_weight.size() - 1] << " bits in a group, divided by "
                           << m_weight.back());
    }
    if (request.direction == Direction::Downlink) {
        return;
    }
    ByPriority(request, [&] {
        for (; free > 0; --free) {
            const std::size_t best = Best(request, [&](std::size_t i) { return m_meanBits[i]; });
            if (best == request.candidates.size()) {
                return;
            }
            Want(request, best);
        }
    });
}

void GreedyScheduler::Place(const SchedulingRequest& request) {
    ByPriority(request, [&] {
        for (std::uint32_t g = 0; g < m_owner.size(); ++g) {
            if (m_owner[g] != nobody) {
                continue;
            }
            const std::size_t best =
                Best(request, [&](std::size_t i) { return request.candidates[i].bitsPerGroup[g]; });
            if (best < request.candidates.size()) {
                m_owner[g] = static_cast<std::uint32_t>(best);
                Want(request, best);
            }
        }
    });
}

} // namespace edgelam::nr
