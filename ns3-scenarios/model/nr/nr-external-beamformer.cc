// SPDX-License-Identifier: GPL-2.0-only
#include "nr-external-beamformer.h"

#include <algorithm>
#include <cmath>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrExternalBeamformer");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(ExternalBeamformer);

ns3::TypeId ExternalBeamformer::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::ExternalBeamformer")
                                       .SetParent<Beamformer>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<ExternalBeamformer>();
    return tid;
}

void ExternalBeamformer::SetPrecoder(std::uint32_t ue, const Precoder& precoder) {
    if (ue >= m_layers.size()) {
        m_layers.resize(ue + 1);
        m_weights.resize(ue + 1);
    }
    m_layers[ue] = precoder.layers;
    NS_LOG_LOGIC("UE " << ue << ": " << precoder.layers << " layers given");
    if (precoder.layers > 0) {
        m_weights[ue][precoder.layers - 1] = precoder.weights;
    }
}

void ExternalBeamformer::Form(std::uint32_t group, std::span<const ServedUe> ues, double power) {
    const double part = power / static_cast<double>(ues.size());
    const auto amplitude = static_cast<float>(std::sqrt(part));
    for (const auto& ue : ues) {
        if (SendsOwnBeams(ue.ue, ue.layers)) {
            UseOwnBeams(ue, part);
            continue;
        }
        const auto* weights = m_weights[ue.ue][ue.layers - 1].data() + group * ue.weights.size();
        std::transform(weights, weights + ue.weights.size(), ue.weights.begin(),
                       [&](const auto& each) { return amplitude * each; });
    }
}

} // namespace edgelam::nr
