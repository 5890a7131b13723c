// SPDX-License-Identifier: GPL-2.0-only
#include "nr-semi-orthogonal-selection.h"

#include "ns3/double.h"

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(SemiOrthogonalSelection);

ns3::TypeId SemiOrthogonalSelection::GetTypeId() {
    static const ns3::TypeId tid =
        ns3::TypeId("edgelam::nr::SemiOrthogonalSelection")
            .SetParent<GroupwiseSelection>()
            .SetGroupName("Edgelam")
            .AddConstructor<SemiOrthogonalSelection>()
            .AddAttribute("Correlation", "Largest correlation of the channels of two UEs that share a group.",
                          ns3::DoubleValue(0.3), ns3::MakeDoubleAccessor(&SemiOrthogonalSelection::m_correlation),
                          ns3::MakeDoubleChecker<double>(0, 1));
    return tid;
}

double SemiOrthogonalSelection::Gain(const Addition& addition) const {
    for (std::size_t l = 0; l < addition.steps.size(); ++l) {
        const double most = m_correlation * m_correlation * addition.power[l];
        for (std::size_t i = 0; i < addition.others; ++i) {
            if (std::norm(addition.steps[l].along[i]) > most) {
                return 0;
            }
        }
    }
    return addition.own;
}

} // namespace edgelam::nr
