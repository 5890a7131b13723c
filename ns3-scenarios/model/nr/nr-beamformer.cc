// SPDX-License-Identifier: GPL-2.0-only
#include "nr-beamformer.h"

#include <algorithm>
#include <cmath>
#include <limits>

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
    constexpr ShortName names[] = {
        {"eigen", "edgelam::nr::EigenBeamformer"},     {"codebook", "edgelam::nr::CodebookBeamformer"},
        {"direct", "edgelam::nr::DirectBeamformer"},   {"zf", "edgelam::nr::ZeroForcingBeamformer"},
        {"rzf", "edgelam::nr::RegularisedBeamformer"}, {"external", "edgelam::nr::ExternalBeamformer"},
        {"analog", "edgelam::nr::AnalogBeamformer"}};
    return MakeComponent<Beamformer>("beams", name, names);
}

void Beamformer::UseOwnBeams(const ServedUe& ue, double power) {
    NS_LOG_LOGIC("group " << ue.group << ", UE " << ue.ue << ": its own " << ue.layers << " beams with power "
                          << power);
    const auto amplitude = static_cast<float>(std::sqrt(power / ue.layers));
    for (unsigned l = 0; l < ue.layers && ue.state->bySubband; ++l) {
        const auto* heard = ue.state->Heard(ue.group, l);
        float norm = std::numeric_limits<float>::min();
        for (std::size_t e = 0; e < ue.elements; ++e) {
            norm += std::norm(heard[e]);
        }
        for (std::size_t e = 0; e < ue.elements; ++e) {
            ue.Weight(e, l) = amplitude / std::sqrt(norm) * std::conj(heard[e]);
        }
    }
    for (std::size_t e = 0; e < ue.elements && !ue.state->bySubband; ++e) {
        for (unsigned l = 0; l < ue.layers; ++l) {
            ue.Weight(e, l) = amplitude * ue.Beam(e, l);
        }
    }
}

std::vector<double> ElementPowers(std::span<const ServedUe> ues) {
    std::vector<double> powers(ues.front().elements);
    for (const auto& ue : ues) {
        for (std::size_t e = 0; e < ue.elements; ++e) {
            for (unsigned l = 0; l < ue.layers; ++l) {
                powers[e] += std::norm(std::complex<double>(ue.Weight(e, l)));
            }
        }
    }
    return powers;
}

void Beamformer::ScaleToElements(std::span<const ServedUe> ues, double power) {
    const auto powers = ElementPowers(ues);
    const double most = *std::ranges::max_element(powers) * static_cast<double>(powers.size());
    if (most <= power) {
        return;
    }
    const auto scale = static_cast<float>(std::sqrt(power / most));
    for (const auto& ue : ues) {
        for (auto& weight : ue.weights) {
            weight *= scale;
        }
    }
}

} // namespace edgelam::nr
