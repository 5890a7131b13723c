// SPDX-License-Identifier: GPL-2.0-only
// What who computes precoders needs: the channel, and the controls that take them.
#include <cmath>
#include <complex>
#include <stdexcept>
#include <utility>

#include "nr-reports.h"

namespace edgelam {

namespace {

constexpr double magnitude_rounding = 1e-3; ///< of a phase shifter, whose magnitude is 1

} // namespace

void NrReports::AddPrecoding(Registry& registry) {
    if (m_cells.NumUes() == 0) {
        return;
    }
    const auto& cell = m_cells.Front();
    const auto size = [](std::size_t n) { return static_cast<std::int64_t>(n); };
    const auto link = m_cells.GetLink(0); // all UEs have the same antennas, and all cells
    const auto antennas = size(link->NumRx(Direction::Downlink)), elements = size(link->NumTx(Direction::Downlink));
    const auto numUes = size(m_cells.NumUes()), groups = size(cell.NumGroups());
    using Complex = std::complex<float>;
    registry.Publish<Array<Complex>>(
        "ue_channel", "",
        "downlink channel of each UE in the middle of each PRB group of the scheduler, large-scale gain and element "
        "patterns included: received amplitude for a transmitted one of 1; uplink is its transpose",
        [this, numUes, antennas, elements, groups] {
            Array<Complex> h{{numUes, antennas, elements, groups}, {}};
            const auto perUe = static_cast<std::size_t>(antennas * elements * groups);
            h.values.resize(perUe * m_cells.NumUes());
            const auto centresHz = m_cells.Front().GroupCentresHz();
            for (std::uint32_t ue = 0; ue < m_cells.NumUes(); ++ue) {
                m_cells.GetLink(ue)->GetFrequencyResponse(Direction::Downlink, centresHz,
                                                          std::span(h.values).subspan(ue * perUe, perUe));
            }
            return h;
        },
        {{"ue", numUes}, {"ue_antenna", antennas}, {"element", elements}, {"prb_group", groups}});
    if (m_helper.RfChains() > 0) {
        AddHybridPrecoding(registry);
        return;
    }
    registry.Control<Array<Complex>>(
        "precoder", "",
        "downlink weights of each UE; in each PRB group the sum of |weight|^2 is at most 1; a layer of zeros in all "
        "groups is not used, a UE with zeros only has eigenvectors",
        [this](const Array<Complex>& weights) {
            return SetCells([&](std::uint32_t each) { return m_cells.All()[each]->Precoders(weights.values); });
        },
        {{"ue", numUes}, {"prb_group", groups}, {"element", elements}, {"layer", m_helper.MaxLayers()}});
}

void NrReports::AddHybridPrecoding(Registry& registry) {
    using Complex = std::complex<float>;
    const auto& cell = m_cells.Front();
    const auto chains = static_cast<std::size_t>(m_helper.RfChains()), elements = cell.GetGnbArray()->GetNumElems();
    if (chains > elements || (m_helper.IsPartlyConnected() && elements % chains != 0)) {
        throw std::invalid_argument("option --rfChains=" + std::to_string(chains) + " is not legal: the gNB has " +
                                    std::to_string(elements) + " ports" +
                                    (m_helper.IsPartlyConnected() ? ", and each chain must have as many" : ""));
    }
    const auto size = [](std::size_t n) { return static_cast<std::int64_t>(n); };
    registry.Control<Array<Complex>>(
        "analog_precoder", "",
        "phase shifters of the gNB, common to the band: magnitude 1 where a chain is connected to an element, 0 "
        "elsewhere",
        [this, chains, elements](const Array<Complex>& analog) -> std::string {
            const std::size_t part = elements / chains;
            for (std::size_t i = 0; i < analog.values.size(); ++i) {
                const std::size_t chain = i % chains, element = i / chains % elements;
                const bool connected = !m_helper.IsPartlyConnected() || element / part == chain;
                const double magnitude = std::abs(std::complex<double>(analog.values[i]));
                if (!(std::abs(magnitude - connected) <= magnitude_rounding)) { // nor NaN
                    return "analog_precoder: magnitude " + std::to_string(magnitude) + " of element " +
                           std::to_string(element) + " and chain " + std::to_string(chain) + "; legal is " +
                           (connected ? "1" : "0, since the chain is not connected to it");
                }
            }
            return SetHybrid(analog.values, m_digital);
        },
        m_cells.WithCells({{"element", size(elements)}, {"chain", size(chains)}}, 0));
    registry.Control<Array<Complex>>("precoder", "",
                                     "digital downlink weights of each UE; with analog_precoder in front, in each PRB "
                                     "group the sum of |weight|^2 of "
                                     "the elements is at most 1",
                                     [this](const Array<Complex>& digital) -> std::string {
                                         return m_analog.empty()
                                                    ? "precoder: analog_precoder has not been set; it comes first"
                                                    : SetHybrid(m_analog, digital.values);
                                     },
                                     {{"ue", size(m_cells.NumUes())},
                                      {"prb_group", size(cell.NumGroups())},
                                      {"chain", size(chains)},
                                      {"layer", m_helper.MaxLayers()}});
}

std::string NrReports::SetHybrid(std::vector<std::complex<float>> analog, std::vector<std::complex<float>> digital) {
    const std::size_t chains = m_helper.RfChains(), elements = m_cells.Front().GetGnbArray()->GetNumElems(),
                      layers = m_helper.MaxLayers(), rows = digital.size() / chains / layers;
    std::string refusal;
    if (!digital.empty()) {
        refusal = SetCells([&](std::uint32_t cell) {
            const auto* shifters = analog.data() + (m_cells.AreNetwork() ? cell * elements * chains : 0);
            std::vector<std::complex<float>> weights(rows * elements * layers);
            for (std::size_t row = 0; row < rows; ++row) {
                for (std::size_t e = 0; e < elements; ++e) {
                    for (std::size_t c = 0; c < chains; ++c) {
                        for (std::size_t l = 0; l < layers; ++l) {
                            weights[(row * elements + e) * layers + l] +=
                                shifters[e * chains + c] * digital[(row * chains + c) * layers + l];
                        }
                    }
                }
            }
            return m_cells.All()[cell]->Precoders(weights);
        });
    }
    if (refusal.empty()) {
        m_analog = std::move(analog);
        m_digital = std::move(digital);
    }
    return refusal;
}

} // namespace edgelam
