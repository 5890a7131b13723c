// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The cells of a scenario and their UEs, as its observables and controls see them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ns3/ptr.h"

#include "nr-helper.h"
#include "nr-network.h"
#include "value.h"

namespace edgelam {

/// One cell with its UEs, or all cells of a network with UEs of network-wide numbers, which move between them.
class NrCells {
  public:
    /// The one cell of a helper, which lives as long as this.
    explicit NrCells(const NrHelper& helper);
    /// All cells of a network. \param gnbOf [cell] numbers of gNBs
    NrCells(ns3::Ptr<nr::Network> network, std::vector<std::uint32_t> gnbOf);

    /// Whether this is a network: what belongs to a cell has an axis `cell`, even if there is only one.
    bool AreNetwork() const { return m_network != nullptr; }
    const std::vector<ns3::Ptr<nr::Cell>>& All() const { return m_cells; }
    /// The first cell, for what all cells of a scenario have alike.
    const nr::Cell& Front() const { return *m_cells.front(); }
    std::uint32_t NumUes() const { return m_network ? m_network->NumUes() : Front().NumUes(); }
    /// The cell that a UE is in; empty: none.
    std::optional<std::uint32_t> ServingCell(std::uint32_t ue) const {
        return m_network ? m_network->ServingCell(ue) : std::optional(0U);
    }
    const nr::Bearers& GetBearers(std::uint32_t ue, Direction direction) const;
    void SetGuaranteed(std::span<const double> bps) const;
    /// The link of a UE and its cell; of one that is in none, that with its last cell.
    ns3::Ptr<ChannelLink> GetLink(std::uint32_t ue) const;
    /// The link of a UE and a cell, whether they serve each other or not.
    ns3::Ptr<ChannelLink> GetLink(std::uint32_t cell, std::uint32_t ue) const;
    /// The cell that a UE is in, or was in last; 0 if it has never been in one.
    std::uint32_t LastCell(std::uint32_t ue) const { return m_network ? m_network->LastCell(ue).value_or(0) : 0; }
    double UeJoules(std::uint32_t ue, Direction direction) const;
    /// [direction, gNB] of a network, [direction] of one cell.
    Array<double> GnbJoules() const;

    /// These axes, and `cell` behind the first `place` of them in a network.
    std::vector<Axis> WithCells(std::vector<Axis> axes, std::size_t place) const;
    /// Change all cells, or none: `prepare(cell)` throws std::invalid_argument for a value that is not legal there; the
    /// text then names the cell of a network. \return the first slot for which the change holds in all of them
    std::uint64_t Change(const std::function<nr::Cell::Change(std::uint32_t cell)>& prepare) const;

  private:
    const NrHelper* m_helper = nullptr; ///< null: a network
    ns3::Ptr<nr::Network> m_network;
    std::vector<ns3::Ptr<nr::Cell>> m_cells;
    std::vector<std::uint32_t> m_gnbOf;
};

} // namespace edgelam
