// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What all UEs of a network measure, and when they report it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ns3/event-id.h"

#include "nr-event-a3.h"
#include "nr-handover-records.h"
#include "nr-network.h"

namespace edgelam::nr {

struct MeasurementSettings {
    ns3::Time period = ns3::MilliSeconds(40);
    unsigned filterCoefficient = 4;                    ///< k of layer 3 filtering
    ns3::Time reportInterval = ns3::MilliSeconds(240); ///< between two reports while a cell is in the list
    EventA3Settings event;                             ///< of all pairs of cells at first
    /// Throws std::invalid_argument naming the value and what is legal.
    void Check() const;
};

/// With every period, each UE takes the RSRP of each cell on the carrier frequency that serves it or not, filters it,
/// and looks at event A3 towards its serving cell. Reports are due when a cell enters the list of those that have
/// triggered, and again after each report interval while there is one.
///
/// Simplified: all UEs measure at the same time and all cells, without errors of measurement, without gaps, and as
/// often when they sleep.
class Measurements {
  public:
    Measurements(Network& network, const MeasurementSettings& settings);
    ~Measurements() { m_tick.Cancel(); }
    Measurements(const Measurements&) = delete;
    Measurements& operator=(const Measurements&) = delete;

    struct Listener {
        /// A report is due about these cells, the best first.
        std::function<void(std::uint32_t ue, const std::vector<std::uint32_t>& cells)> report;
        std::function<void()> after;                         ///< all UEs have measured
        std::function<void(const MeasurementRecord&)> trace; ///< each measurement; empty: nobody wants to know
    };
    /// Measure a period from now, and from then on.
    void Start(Listener listener);
    /// Set the function that gets each measurement.
    void SetTrace(std::function<void(const MeasurementRecord&)> trace) { m_listener.trace = std::move(trace); }

    double FilteredDbm(std::uint32_t ue, std::uint32_t cell) const { return m_ues[ue].filteredDbm[cell]; }
    const std::vector<double>& FilteredDbm(std::uint32_t ue) const { return m_ues[ue].filteredDbm; }
    /// After a change of cells: the new cell configures measurements anew, filters go on (TS 38.331 5.5.6.1).
    void Restart(std::uint32_t ue);

    const EventA3Settings& Pair(std::uint32_t serving, std::uint32_t cell) const {
        return m_pairs[serving * m_numCells + cell];
    }
    /// Change what one serving cell configures towards another cell. Throws std::invalid_argument as
    /// EventA3Settings::Check does, and changes nothing.
    void SetPair(std::uint32_t serving, std::uint32_t cell, const EventA3Settings& settings);

  private:
    struct Ue {
        std::vector<Layer3Filter> filters; ///< [cell]
        std::vector<double> filteredDbm;   ///< [cell]
        EventA3 event;
        ns3::Time nextReport;
    };
    void Tick();
    void Look(std::uint32_t number);

    Network& m_network;
    MeasurementSettings m_settings;
    std::uint32_t m_numCells;
    std::vector<double> m_weight;         ///< [cell] of layer 3 filtering
    std::vector<EventA3Settings> m_pairs; ///< [serving, cell]
    std::vector<Ue> m_ues;
    std::vector<double> m_rsrpDbm; ///< [cell] used within one call
    Listener m_listener;
    ns3::EventId m_tick;
};

} // namespace edgelam::nr
