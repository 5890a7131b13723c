// SPDX-License-Identifier: GPL-2.0-only
#include "nr-subband-reports.h"

#include <stdexcept>
#include <string>

namespace edgelam::nr {

SubbandReports::SubbandReports(const Carrier& carrier, const Beamformer& beamformer, const ns3::PhasedArrayModel& array)
    : m_groupsPerSubband(carrier.groupsPerSubband) {
    const CellSettings& settings = carrier.settings;
    const std::string csi = "NR cell: Csi '" + settings.csi + "'";
    if (settings.csi != "subband" && settings.csi != "etype2") {
        throw std::invalid_argument(csi + "; legal are band, subband, etype2");
    }
    if (!beamformer.TakesSubbandReports()) {
        throw std::invalid_argument(csi + " with Beams '" + settings.beams +
                                    "', which send by beams of the whole band or from outside; legal are zf, rzf, or a "
                                    "class that takes such reports");
    }
    if (settings.csi == "subband") {
        return;
    }
    try {
        m_ports.emplace(array, "enhanced Type II");
        m_codebook.emplace(m_ports->n1, m_ports->n2, settings.etypeTwoCombination, carrier.NumSubbands());
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(csi + ": " + error.what());
    }
    if (settings.maxLayers > m_codebook->MaxLayers()) {
        throw std::invalid_argument(csi + " with EtypeTwoCombination " + std::to_string(settings.etypeTwoCombination) +
                                    " and MaxLayers " + std::to_string(settings.maxLayers) +
                                    "; legal are at most 2 layers with combinations 7 and 8");
    }
}

SubbandReports::Reported SubbandReports::Quantise(std::span<const std::complex<float>> beams, unsigned count,
                                                  unsigned layers) const {
    const std::size_t ports = m_ports->element.size(), subbands = m_codebook->NumSubbands();
    std::vector<std::complex<float>> wanted(subbands * ports * layers);
    for (std::size_t t = 0; t < subbands; ++t) {
        for (std::size_t p = 0; p < ports; ++p) {
            for (unsigned l = 0; l < layers; ++l) {
                wanted[(t * ports + p) * layers + l] = beams[(t * ports + m_ports->element[p]) * count + l];
            }
        }
    }
    const auto report = m_codebook->Quantise(wanted, layers);
    Reported reported{layers, std::vector<std::complex<float>>(wanted.size()), m_codebook->Bits(report)};
    for (unsigned l = 0; l < layers; ++l) {
        const auto weights = m_codebook->Weights(report, l);
        for (std::size_t t = 0; t < subbands; ++t) {
            for (std::size_t p = 0; p < ports; ++p) {
                reported.weights[(t * ports + m_ports->element[p]) * layers + l] = weights[t * ports + p];
            }
        }
    }
    return reported;
}

} // namespace edgelam::nr
