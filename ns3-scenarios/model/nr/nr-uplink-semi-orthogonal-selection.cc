// SPDX-License-Identifier: GPL-2.0-only
#include "nr-uplink-semi-orthogonal-selection.h"

#include "ns3/double.h"

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(UplinkSemiOrthogonalSelection);

ns3::TypeId UplinkSemiOrthogonalSelection::GetTypeId() {
    static const ns3::TypeId tid =
        ns3::TypeId("edgelam::nr::UplinkSemiOrthogonalSelection")
            .SetParent<UplinkGreedySelection>()
            .SetGroupName("Edgelam")
            .AddConstructor<UplinkSemiOrthogonalSelection>()
            .AddAttribute("Correlation", "Largest correlation of the channels of two UEs that share a group.",
                          ns3::DoubleValue(0.3), ns3::MakeDoubleAccessor(&UplinkSemiOrthogonalSelection::m_correlation),
                          ns3::MakeDoubleChecker<double>(0, 1));
    return tid;
}

bool UplinkSemiOrthogonalSelection::MayJoin(std::uint32_t group, std::uint32_t candidate) const {
    return Correlation(group, candidate) <= m_correlation;
}

} // namespace edgelam::nr
