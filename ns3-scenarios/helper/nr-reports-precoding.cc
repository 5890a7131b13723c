// SPDX-License-Identifier: GPL-2.0-only
// The controls that take precoders; what they are computed from is published by NrCsi.
#include <algorithm>
#include <cmath>
#include <complex>
#include <stdexcept>
#include <utility>

#include "nr-reports.h"

namespace edgelam {

namespace {

constexpr double magnitude_rounding = 1e-3; ///< of a phase shifter, whose magnitude is 1

std::int64_t Signed(std::size_t n) {
    return static_cast<std::int64_t>(n);
}

} // namespace

void NrReports::AddPrecoding(Registry& registry) {
    if (m_cells.NumUes() == 0) {
        return;
    }
    m_csi.emplace(m_cells, m_pairs, m_helper.Csi());
    m_csi->Publish(registry, [this] { m_digital.clear(); });
    if (m_helper.RfChains() > 0) {
        AddHybridPrecoding(registry);
        return;
    }
    const auto& cell = m_cells.Front();
    registry.Control<Array<Complex>>(
        "precoder", "",
        "downlink weights of each UE; in each PRB group the sum of |weight|^2 is at most 1; a layer of zeros in all "
        "groups is not used, a UE with zeros only has eigenvectors",
        [this](const Array<Complex>& weights) { return SetPrecoders(m_pairs.Now(), weights.values); },
        m_pairs.Axes({{"prb_group", cell.NumGroups()},
                      {"element", Signed(cell.GetGnbArray()->GetNumElems())},
                      {"layer", m_helper.MaxLayers()}}));
}

std::string NrReports::SetPrecoders(const std::vector<CellUe>& pairs, std::span<const Complex> weights) {
    const auto& front = m_cells.Front();
    const std::size_t perPair = front.NumGroups() * front.GetGnbArray()->GetNumElems() * m_helper.MaxLayers();
    if (std::string refusal = CheckRows(pairs, weights.size() / perPair); !refusal.empty()) {
        return refusal;
    }
    std::vector ofCells(m_cells.All().size(), std::vector<nr::UeWeights>(m_cells.NumUes()));
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        const auto [cell, ue] = pairs[i];
        const auto row = weights.subspan(i * perPair, perPair);
        const auto serving = m_cells.ServingCell(ue);
        if (m_pairs.AreServing() || serving == cell) {
            ofCells[cell][ue] = row;
        } else if (!std::ranges::all_of(row, [](const Complex& each) { return each == Complex(0); })) { // nor NaN
            return "precoder: weights for UE " + std::to_string(ue) + " in cell " + std::to_string(cell) + ", but it " +
                   (serving ? "is in cell " + std::to_string(*serving) : "is in no cell") +
                   "; legal are zeros for cells in which a UE is not";
        }
    }
    return SetCells([&](std::uint32_t cell) { return m_cells.All()[cell]->PrecodersOf(ofCells[cell]); });
}

std::string NrReports::CheckRows(const std::vector<CellUe>& pairs, std::size_t rows) {
    return rows == pairs.size() ? std::string()
                                : "precoder: " + std::to_string(rows) + " rows; legal is one for each of the " +
                                      std::to_string(pairs.size()) + " pairs of csi_pairs";
}

void NrReports::AddHybridPrecoding(Registry& registry) {
    const auto& cell = m_cells.Front();
    const auto chains = static_cast<std::size_t>(m_helper.RfChains()), elements = cell.GetGnbArray()->GetNumElems();
    if (chains > elements || (m_helper.IsPartlyConnected() && elements % chains != 0)) {
        throw std::invalid_argument("option --rfChains=" + std::to_string(chains) + " is not legal: the gNB has " +
                                    std::to_string(elements) + " ports" +
                                    (m_helper.IsPartlyConnected() ? ", and each chain must have as many" : ""));
    }
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
        m_cells.WithCells({{"element", Signed(elements)}, {"chain", Signed(chains)}}, 0));
    registry.Control<Array<Complex>>(
        "precoder", "",
        "digital downlink weights of each UE; with analog_precoder in front, in each PRB group the sum of |weight|^2 "
        "of "
        "the elements is at most 1",
        [this](const Array<Complex>& digital) -> std::string {
            return m_analog.empty() ? "precoder: analog_precoder has not been set; it comes first"
                                    : SetHybrid(m_analog, digital.values);
        },
        m_pairs.Axes({{"prb_group", cell.NumGroups()}, {"chain", Signed(chains)}, {"layer", m_helper.MaxLayers()}}));
}

std::string NrReports::SetHybrid(std::vector<Complex> analog, std::vector<Complex> digital) {
    const auto& front = m_cells.Front();
    const std::size_t chains = m_helper.RfChains(), elements = front.GetGnbArray()->GetNumElems(),
                      layers = m_helper.MaxLayers(), groups = front.NumGroups();
    std::string refusal;
    if (!digital.empty()) {
        const auto pairs = m_pairs.Now();
        if (refusal = CheckRows(pairs, digital.size() / (groups * chains * layers)); !refusal.empty()) {
            return refusal;
        }
        std::vector<Complex> weights(pairs.size() * groups * elements * layers);
        for (std::size_t row = 0; row < pairs.size() * groups; ++row) {
            const std::size_t cell = m_cells.AreNetwork() ? pairs[row / groups].cell : 0;
            const auto* shifters = analog.data() + cell * elements * chains;
            for (std::size_t e = 0; e < elements; ++e) {
                for (std::size_t c = 0; c < chains; ++c) {
                    for (std::size_t l = 0; l < layers; ++l) {
                        weights[(row * elements + e) * layers + l] +=
                            shifters[e * chains + c] * digital[(row * chains + c) * layers + l];
                    }
                }
            }
        }
        refusal = SetPrecoders(pairs, weights);
    }
    if (refusal.empty()) {
        m_analog = std::move(analog);
        m_digital = std::move(digital);
    }
    return refusal;
}

} // namespace edgelam
