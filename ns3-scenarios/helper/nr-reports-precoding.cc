// SPDX-License-Identifier: GPL-2.0-only
// What who computes precoders needs: the channel, and the control that takes them.
#include <complex>

#include "nr-reports.h"

namespace edgelam {

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
    registry.Control<Array<Complex>>(
        "precoder", "",
        "downlink weights of each UE; in each PRB group the sum of |weight|^2 is at most 1; a layer of zeros in all "
        "groups is not used, a UE with zeros only has eigenvectors",
        [this](const Array<Complex>& weights) {
            return SetCells([&](std::uint32_t each) { return m_cells.All()[each]->Precoders(weights.values); });
        },
        {{"ue", numUes}, {"prb_group", groups}, {"element", elements}, {"layer", m_helper.MaxLayers()}});
}

} // namespace edgelam
