// SPDX-License-Identifier: GPL-2.0-only
#include "nr-wideband-beamformer.h"

#include "ns3/log.h"
NS_LOG_COMPONENT_DEFINE("NrWidebandBeamformer");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(WidebandBeamformer);

ns3::TypeId WidebandBeamformer::GetTypeId() {
    static const ns3::TypeId tid =
        ns3::TypeId("edgelam::nr::WidebandBeamformer").SetParent<Beamformer>().SetGroupName("Edgelam");
    return tid;
}

void WidebandBeamformer::Form(std::uint32_t group, std::span<const ServedUe> ues, double power) {
    NS_LOG_FUNCTION(this << group << ues.size() << power);
    unsigned layers = 0;
    for (const auto& ue : ues) {
        layers += ue.layers;
    }
    for (const auto& ue : ues) {
        UseOwnBeams(ue, power * ue.layers / layers);
    }
}

} // namespace edgelam::nr
