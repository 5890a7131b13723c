// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// When the channels of pairs of a cell and a UE are measured, and when what was found is known.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <utility>

#include "ns3/simulator.h"

#include "nr-cells.h"
#include "nr-pairs.h"

namespace edgelam {

/// Measurements of pairs. Every CsiPeriod slots (of the cell) all of them are made, in the next slot with symbols of a
/// direction, and known CsiDelay slots later. A pair that has not been measured yet when it is asked for is measured
/// then, and known at once.
/// \tparam Measured has the member `slot`
template<class Measured>
class NrCsiOccasions {
  public:
    /// \param cells, pairs live as long as this; \param measure gets a pair and the present slot
    NrCsiOccasions(const NrCells& cells, const NrPairs& pairs, Direction direction,
                   std::function<Measured(const CellUe&, std::uint64_t slot)> measure)
        : m_cells(cells), m_pairs(pairs), m_direction(direction), m_measure(std::move(measure)) {}

    /// The newest that is known of a pair. Occasions begin with the first call.
    const Measured& Newest(const CellUe& pair) {
        const std::uint64_t slot = SlotNow();
        if (!m_begun) {
            m_begun = true;
            Schedule(slot);
        }
        auto& measured = m_measured[pair];
        if (measured.empty()) {
            measured.push_back(m_measure(pair, slot));
        }
        Forget(measured, slot);
        return measured.front();
    }

  private:
    std::uint64_t SlotNow() const {
        const auto& numerology = m_cells.Front().GetNumerology();
        return static_cast<std::uint64_t>(numerology.SlotAt(ns3::Simulator::Now().GetNanoSeconds()));
    }
    /// The first occasion after a slot.
    std::uint64_t NextOccasion(std::uint64_t after) const {
        const nr::Carrier& carrier = m_cells.Front().GetCarrier();
        const std::uint64_t period = carrier.settings.csiPeriod;
        for (std::uint64_t begin = after / period * period;; begin += period) {
            const auto from = static_cast<std::int64_t>(begin);
            const auto slot =
                static_cast<std::uint64_t>(m_direction == Direction::Uplink ? carrier.pattern.NextUplink(from)
                                                                            : carrier.pattern.NextDownlink(from));
            if (slot > after) {
                return slot;
            }
        }
    }
    void Schedule(std::uint64_t after) {
        const std::int64_t at =
            m_cells.Front().GetNumerology().SlotStartNs(static_cast<std::int64_t>(NextOccasion(after)));
        ns3::Simulator::Schedule(ns3::NanoSeconds(at) - ns3::Simulator::Now(), [this] { MeasureAll(); });
    }
    /// Drop all before the newest that is known.
    void Forget(std::deque<Measured>& measured, std::uint64_t slot) const {
        const std::uint64_t delay = m_cells.Front().GetCarrier().settings.csiDelay;
        while (measured.size() > 1 && measured[1].slot + delay <= slot) {
            measured.pop_front();
        }
    }
    void MeasureAll() {
        const std::uint64_t slot = SlotNow();
        std::map<CellUe, std::deque<Measured>> kept;
        for (const auto& pair : m_pairs.Now()) {
            if (const auto before = m_measured.find(pair); before != m_measured.end()) { // somebody has asked for it
                auto& measured = kept[pair] = std::move(before->second);
                Forget(measured, slot);
                measured.push_back(m_measure(pair, slot));
            }
        }
        m_measured = std::move(kept);
        Schedule(slot);
    }

    const NrCells& m_cells;
    const NrPairs& m_pairs;
    Direction m_direction;
    std::function<Measured(const CellUe&, std::uint64_t)> m_measure;
    bool m_begun = false;
    std::map<CellUe, std::deque<Measured>> m_measured; ///< of each pair, the oldest first; the first one is known
};

} // namespace edgelam
