// SPDX-License-Identifier: GPL-2.0-only
#include "nr-pairs.h"

#include <set>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrPairs");

namespace edgelam {

std::vector<CellUe> NrPairs::Now() const {
    if (!m_selected.empty()) {
        return m_selected;
    }
    std::vector<CellUe> pairs;
    const auto numCells = static_cast<std::uint32_t>(m_which == "all" ? m_cells.All().size() : 1);
    for (std::uint32_t cell = 0; cell < numCells; ++cell) {
        for (std::uint32_t ue = 0; ue < m_cells.NumUes(); ++ue) {
            pairs.push_back({m_which == "all" ? cell : m_cells.LastCell(ue), ue});
        }
    }
    return pairs;
}

std::vector<Axis> NrPairs::Axes(const std::vector<Axis>& more) const {
    std::vector<Axis> axes{{"ue", m_cells.NumUes()}};
    if (m_which == "all") {
        axes.insert(axes.begin(), {"cell", static_cast<std::int64_t>(m_cells.All().size())});
    } else if (AreSelected()) {
        axes = {{"pair", -1}};
    }
    axes.insert(axes.end(), more.begin(), more.end());
    return axes;
}

std::vector<std::int64_t> NrPairs::Shape(std::size_t numPairs, const std::vector<Axis>& more) const {
    std::vector<std::int64_t> shape;
    for (const auto& axis : Axes(more)) {
        shape.push_back(axis.size < 0 ? static_cast<std::int64_t>(numPairs) : axis.size);
    }
    return shape;
}

std::string NrPairs::Select(const std::vector<std::uint32_t>& cellsAndUes) {
    const auto numCells = m_cells.All().size();
    std::vector<CellUe> pairs;
    for (std::size_t i = 0; i < cellsAndUes.size(); i += 2) {
        const CellUe pair{cellsAndUes[i], cellsAndUes[i + 1]};
        if (pair.cell >= numCells || pair.ue >= m_cells.NumUes()) {
            return "csi_pairs: cell " + std::to_string(pair.cell) + " and UE " + std::to_string(pair.ue) + " in row " +
                   std::to_string(i / 2) + "; legal are cells 0 to " + std::to_string(numCells - 1) + " and UEs 0 to " +
                   std::to_string(m_cells.NumUes() - 1);
        }
        pairs.push_back(pair);
    }
    if (pairs.empty() || std::set(pairs.begin(), pairs.end()).size() < pairs.size()) {
        return pairs.empty() ? "csi_pairs: no pairs; legal is at least one"
                             : "csi_pairs: a pair is there twice; legal are pairs that differ";
    }
    NS_LOG_INFO(pairs.size() << " pairs");
    m_selected = std::move(pairs);
    return {};
}

} // namespace edgelam
