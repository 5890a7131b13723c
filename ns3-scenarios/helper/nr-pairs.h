// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Pairs of a cell and a UE: of which a program is told the channel, and for which it gives weights.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "nr-cells.h"
#include "registry.h"

namespace edgelam {

struct CellUe {
    std::uint32_t cell, ue;
    auto operator<=>(const CellUe&) const = default;
};

/// The option --csiPairs: `serving`, each UE with the cell that it is in, or was in last (axis `ue`); `all` (axes
/// `cell`, `ue`); or `selected` (axis `pair`), which takes the control
///
///     csi_pairs [pair, cell and ue]   different pairs, at least one; until it is set they are the serving ones
class NrPairs {
  public:
    /// \param cells lives as long as this
    NrPairs(const NrCells& cells, std::string which) : m_cells(cells), m_which(std::move(which)) {}

    bool AreServing() const { return m_which == "serving"; }
    bool AreSelected() const { return m_which == "selected"; }
    /// The pairs at this moment, in the order of the tensors.
    std::vector<CellUe> Now() const;
    /// The axes of a tensor: those of the pairs, and `more`.
    std::vector<Axis> Axes(const std::vector<Axis>& more) const;
    /// The shape of a tensor of so many pairs.
    std::vector<std::int64_t> Shape(std::size_t numPairs, const std::vector<Axis>& more) const;
    /// Take other pairs. \return why not, or empty
    std::string Select(const std::vector<std::uint32_t>& cellsAndUes);

  private:
    const NrCells& m_cells;
    std::string m_which;
    std::vector<CellUe> m_selected;
};

} // namespace edgelam
