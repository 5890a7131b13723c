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
        m_given.resize(ue + 1);
    }
    m_layers[ue] = precoder.layers;
    NS_LOG_LOGIC("UE " << ue << ": " << precoder.layers << " layers given");
    if (precoder.layers > 0) {
        m_given[ue][precoder.layers - 1] = precoder;
    }
}

void ExternalBeamformer::Form(std::uint32_t group, std::span<const ServedUe> ues, double power) {
    const double part = power / static_cast<double>(ues.size());
    const auto amplitude = static_cast<float>(std::sqrt(m_together ? power : part));
    double sum = 0;
    for (const auto& ue : ues) {
        if (SendsOwnBeams(ue.ue, ue.layers)) {
            UseOwnBeams(ue, part);
        } else {
            const auto* weights = m_given[ue.ue][ue.layers - 1].weights.data() + group * ue.weights.size();
            std::transform(weights, weights + ue.weights.size(), ue.weights.begin(),
                           [&](const auto& each) { return amplitude * each; });
        }
        for (const auto& each : ue.weights) {
            sum += std::norm(each);
        }
    }
    if (m_together && sum > power) {
        const auto scale = static_cast<float>(std::sqrt(power / sum));
        for (const auto& ue : ues) {
            for (auto& each : ue.weights) {
                each *= scale;
            }
        }
    }
    if (LimitsElements()) {
        ScaleToElements(ues, power);
    }
}

} // namespace edgelam::nr
