// SPDX-License-Identifier: GPL-2.0-only
#include "nr-max-rate-scheduler.h"

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(MaxRateScheduler);

ns3::TypeId MaxRateScheduler::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::MaxRateScheduler")
                                       .SetParent<GreedyScheduler>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<MaxRateScheduler>();
    return tid;
}

double MaxRateScheduler::Weight(const Candidate&) const {
    return 1;
}

} // namespace edgelam::nr
