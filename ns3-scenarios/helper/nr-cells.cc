// SPDX-License-Identifier: GPL-2.0-only
#include "nr-cells.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace edgelam {

NrCells::NrCells(const NrHelper& helper) : m_helper(&helper), m_cells{helper.GetCell()}, m_gnbOf{0} {}

NrCells::NrCells(ns3::Ptr<nr::Network> network, std::vector<std::uint32_t> gnbOf)
    : m_network(std::move(network)), m_gnbOf(std::move(gnbOf)) {
    for (std::uint32_t cell = 0; cell < m_network->NumCells(); ++cell) {
        m_cells.push_back(m_network->GetCell(cell));
    }
}

const nr::Bearers& NrCells::GetBearers(std::uint32_t ue, Direction direction) const {
    if (!m_network) {
        return Front().GetBearers(ue, direction);
    }
    const nr::Connection& connection = m_network->GetConnection(ue);
    return direction == Direction::Downlink ? connection.down : connection.up;
}

void NrCells::SetGuaranteed(std::span<const double> bps) const {
    m_network ? m_network->SetGuaranteed(bps) : m_cells.front()->SetGuaranteed(bps);
}

ns3::Ptr<ChannelLink> NrCells::GetLink(std::uint32_t ue) const {
    return GetLink(LastCell(ue), ue);
}

ns3::Ptr<ChannelLink> NrCells::GetLink(std::uint32_t cell, std::uint32_t ue) const {
    return m_network ? m_network->GetLink(cell, ue) : m_helper->GetLink(ue);
}

double NrCells::UeJoules(std::uint32_t ue, Direction direction) const {
    return m_network ? m_network->UeJoules(ue, direction) : m_cells.front()->UeJoules(ue, direction);
}

Array<double> NrCells::GnbJoules() const {
    const std::size_t numGnbs = *std::ranges::max_element(m_gnbOf) + 1;
    Array<double> joules{{2}, std::vector<double>(2 * numGnbs)};
    if (m_network) {
        joules.shape.push_back(static_cast<std::int64_t>(numGnbs));
    }
    for (const Direction direction : {Direction::Downlink, Direction::Uplink}) {
        for (std::size_t cell = 0; cell < m_cells.size(); ++cell) {
            joules.values[static_cast<std::size_t>(direction) * numGnbs + m_gnbOf[cell]] +=
                m_cells[cell]->GnbJoules(direction);
        }
    }
    return joules;
}

std::vector<Axis> NrCells::WithCells(std::vector<Axis> axes, std::size_t place) const {
    if (m_network) {
        axes.insert(axes.begin() + static_cast<std::ptrdiff_t>(place),
                    {"cell", static_cast<std::int64_t>(m_cells.size())});
    }
    return axes;
}

std::uint64_t NrCells::Change(const std::function<nr::Cell::Change(std::uint32_t)>& prepare) const {
    std::vector<nr::Cell::Change> changes;
    for (std::uint32_t cell = 0; cell < m_cells.size(); ++cell) {
        try {
            changes.push_back(prepare(cell));
        } catch (const std::invalid_argument& refusal) {
            throw std::invalid_argument(refusal.what() +
                                        (m_network ? "; it is for cell " + std::to_string(cell) : std::string()));
        }
    }
    std::uint64_t slot = 0;
    for (const auto& change : changes) {
        slot = std::max(slot, change());
    }
    return slot;
}

} // namespace edgelam
