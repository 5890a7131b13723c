// SPDX-License-Identifier: GPL-2.0-only
#include "nr-analog-beamformer.h"

#include "ns3/log.h"

#include "nr-analog-codebook.h"

NS_LOG_COMPONENT_DEFINE("NrAnalogBeamformer");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(AnalogBeamformer);

namespace {

using Complex = std::complex<float>;

constexpr int passes = 24; ///< of orthogonal iteration, for a few ports

} // namespace

ns3::TypeId AnalogBeamformer::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::AnalogBeamformer")
                                       .SetParent<WidebandBeamformer>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<AnalogBeamformer>();
    return tid;
}

void AnalogBeamformer::CheckArray(const ns3::PhasedArrayModel& array) const {
    AnalogCodebook::LayoutOf(array);
}

std::vector<Complex> AnalogBeamformer::FindBeams(const BeamSearch& search) const {
    if (search.gnbPorts == nullptr) {
        return EigenBeams(search);
    }
    const PortWeights &gnb = *search.gnbPorts, &ue = *search.uePorts;
    const std::size_t ports = gnb.numPorts(), antennas = ue.numPorts(), samples = search.offsetsHz.size();
    const unsigned count = search.count;
    const auto& h = search.link.GetEffectiveChannel(Direction::Downlink, ue, gnb, search.offsetsHz);
    std::vector<Complex> covariance(ports * ports); // sum of H^H H
    float trace = 0;
    for (std::size_t i = 0; i < ports; ++i) {
        for (std::size_t j = 0; j < ports; ++j) {
            for (std::size_t a = 0; a < antennas; ++a) {
                for (std::size_t f = 0; f < samples; ++f) {
                    covariance[i * ports + j] +=
                        std::conj(h[(a * ports + i) * samples + f]) * h[(a * ports + j) * samples + f];
                }
            }
        }
        trace += covariance[i * ports + i].real();
    }
    NS_LOG_LOGIC("UE at " << search.link.GetUserPlace() << ": " << count << " beams of " << ports << " ports");
    std::vector<Complex> beams(ports * count), next(ports * count); // over ports
    for (std::size_t i = 0; i < ports; ++i) {
        for (unsigned c = 0; c < count; ++c) { // a start that no eigenvector is orthogonal to
            beams[i * count + c] = static_cast<float>(1 + (i * (c + 1)) % ports);
        }
    }
    Orthonormalise(beams, ports, count);
    for (int pass = 0; pass < passes && trace > 0; ++pass) {
        std::fill(next.begin(), next.end(), 0);
        for (std::size_t i = 0; i < ports; ++i) {
            for (std::size_t j = 0; j < ports; ++j) {
                const Complex weight = covariance[i * ports + j] / trace;
                for (unsigned c = 0; c < count; ++c) {
                    next[i * count + c] += weight * beams[j * count + c];
                }
            }
        }
        Orthonormalise(next, ports, count);
        beams.swap(next);
    }
    std::vector<Complex> weights(gnb.numElements() * count);
    for (std::size_t e = 0; e < gnb.numElements(); ++e) {
        for (std::size_t p = 0; p < ports; ++p) {
            for (unsigned c = 0; c < count; ++c) {
                weights[e * count + c] += gnb.values()[e * ports + p] * beams[p * count + c];
            }
        }
    }
    return weights;
}

} // namespace edgelam::nr
