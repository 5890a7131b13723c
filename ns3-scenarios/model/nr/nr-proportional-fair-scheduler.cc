// SPDX-License-Identifier: GPL-2.0-only
#include "nr-proportional-fair-scheduler.h"

#include <algorithm>

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(ProportionalFairScheduler);

ns3::TypeId ProportionalFairScheduler::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::ProportionalFairScheduler")
                                       .SetParent<GreedyScheduler>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<ProportionalFairScheduler>();
    return tid;
}

double ProportionalFairScheduler::Weight(const Candidate& candidate) const {
    return std::max(candidate.averageBps, 1.0);
}

} // namespace edgelam::nr
