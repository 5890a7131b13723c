// SPDX-License-Identifier: GPL-2.0-only
#include "nr-greedy-selection.h"

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(GreedySelection);

ns3::TypeId GreedySelection::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::GreedySelection")
                                       .SetParent<GroupwiseSelection>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<GreedySelection>();
    return tid;
}

} // namespace edgelam::nr
