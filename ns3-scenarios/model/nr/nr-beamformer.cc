// SPDX-License-Identifier: GPL-2.0-only
#include "nr-beamformer.h"

#include <cmath>

#include "ns3/log.h"

#include "nr-component.h"

NS_LOG_COMPONENT_DEFINE("NrBeamformer");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(Beamformer);

ns3::TypeId Beamformer::GetTypeId() {
    static const ns3::TypeId tid =
        ns3::TypeId("edgelam::nr::Beamformer").SetParent<ns3::Object>().SetGroupName("Edgelam");
    return tid;
}

ns3::Ptr<Beamformer> Beamformer::Make(const std::string& name) {
    constexpr ShortName names[] = {{"eigen", "edgelam::nr::EigenBeamformer"},
                                   {"codebook", "edgelam::nr::CodebookBeamformer"},
                                   {"direct", "edgelam::nr::DirectBeamformer"},
                                   {"external", "edgelam::nr::ExternalBeamformer"}};
    return MakeComponent<Beamformer>("beams", name, names);
}

void Beamformer::UseOwnBeams(const ServedUe& ue, double power) {
    NS_LOG_LOGIC("group " << ue.group << ", UE " << ue.ue << ": its own " << ue.layers << " beams with power "
                          << power);
    const auto amplitude = static_cast<float>(std::sqrt(power / ue.layers));
    for (std::size_t e = 0; e < ue.elements; ++e) {
        for (unsigned l = 0; l < ue.layers; ++l) {
            ue.Weight(e, l) = amplitude * ue.Beam(e, l);
        }
    }
}

} // namespace edgelam::nr
