// SPDX-License-Identifier: GPL-2.0-only
#include "nr-round-robin-scheduler.h"

#include "ns3/log.h"
NS_LOG_COMPONENT_DEFINE("NrRoundRobinScheduler");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(RoundRobinScheduler);

ns3::TypeId RoundRobinScheduler::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::RoundRobinScheduler")
                                       .SetParent<ExclusiveScheduler>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<RoundRobinScheduler>();
    return tid;
}

void RoundRobinScheduler::Divide(const SchedulingRequest& request, std::uint32_t free) {
    NS_LOG_FUNCTION(this << request.slot << free << m_turn);
    const auto& candidates = request.candidates;
    const std::size_t count = candidates.size();
    std::size_t begin = 0;
    while (begin < count && candidates[begin].ue < m_turn) {
        ++begin;
    }
    ByPriority(request, [&] {
        bool given = true;
        while (free > 0 && given) {
            given = false;
            for (std::size_t i = 0; i < count && free > 0; ++i) {
                const std::size_t at = (begin + i) % count;
                if (Open(request, at)) {
                    Want(request, at);
                    --free;
                    given = true;
                    m_turn = candidates[at].ue + 1;
                }
            }
        }
    });
    if (m_turn > candidates.back().ue) {
        m_turn = 0;
    }
    for (std::size_t i = 0; i < count; ++i) {
        NS_LOG_LOGIC("UE " << candidates[i].ue << ": " << m_want[i] << " of the " << m_needed[i] << " groups needed");
    }
    NS_LOG_LOGIC("the next turn is UE " << m_turn << "'s");
}

} // namespace edgelam::nr
