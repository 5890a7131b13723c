// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a UE's measurements lead to: layer 3 filtering (TS 38.331 5.5.3.2) and event A3, "neighbour becomes offset
/// better than serving" (5.5.4.4).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ns3/nstime.h"

namespace edgelam::nr {

/// The weight of a new measurement in the layer 3 filter, F = (1 - weight) F + weight M. The standard defines a =
/// 1 / 2^(k/4) for one measurement in `definedFor`; with another period the filter keeps its time constant: what is
/// left of an old value after the same time is the same. k = 0: no filter.
/// \param coefficient k, filterCoefficient
double FilterWeight(unsigned coefficient, ns3::Time period, ns3::Time definedFor);

/// The intra-frequency measurement period of layer 1 for which filter coefficients are defined: 200 ms in FR1 (TS
/// 38.133 table 9.2.5.2-1), in FR2 480 ms, 24 samples of an SSB period of 20 ms (power classes 2 to 4,
/// table 9.2.5.2-2).
ns3::Time FilterPeriod(double carrierHz);

/// One filtered value, dB: the first measurement is taken as it is.
class Layer3Filter {
  public:
    /// \return the filtered value
    double Add(double measurementDb, double weight);
    double ValueDb() const { return m_valueDb; } ///< NaN before the first measurement

  private:
    double m_valueDb = Empty();
    static double Empty();
};

/// Event A3 between a serving cell p and a neighbour n.
/// Enter: Mn + Ofn + Ocn - Hys > Mp + Ofp + Ocp + Off. Leave: Mn + Ofn + Ocn + Hys < Mp + Ofp + Ocp + Off.
struct EventA3Settings {
    double offDb = 3, hysteresisDb = 1;        ///< Off and Hys
    double cellDb = 0, servingDb = 0;          ///< Ocn and Ocp
    double frequencyDb = 0, servingFreqDb = 0; ///< Ofn and Ofp
    ns3::Time timeToTrigger = ns3::MilliSeconds(160);

    double EnterDb() const { return LeaveDb() + 2 * hysteresisDb; } ///< the least Mn - Mp, exclusive, to enter
    double LeaveDb() const {                                        ///< below this Mn - Mp the event is left
        return servingFreqDb + servingDb + offDb - frequencyDb - cellDb - hysteresisDb;
    }
    /// Throws std::invalid_argument naming the value and what is legal: Off and Hys of TS 38.331 6.3.2 (-15 to 15 dB, 0
    /// to 15 dB), the offsets of cells and frequencies -24 to 24 dB, time-to-trigger one of its list.
    void Check() const;
};

/// The values of TimeToTrigger in TS 38.331, ms.
std::span<const std::uint32_t> TimesToTrigger();

/// The event of one UE towards each cell. A cell enters the list of those that have triggered once its entering
/// condition has held in every measurement for the time-to-trigger, and leaves it once the leaving condition has. It is
/// looked at with each measurement and not in between.
class EventA3 {
  public:
    explicit EventA3(std::size_t numCells = 0) : m_cells(numCells) {}

    /// Forget everything: after a handover the new serving cell configures measurements anew.
    void Reset();
    /// Take filtered measurements. \param dbm [cell]; NaN: not measured, neither condition holds
    /// \param settings [cell] of the pair (serving cell, cell); that of the serving cell is not used
    /// \return whether a cell has entered the list
    bool Evaluate(ns3::Time now, std::span<const double> dbm, std::uint32_t serving,
                  std::span<const EventA3Settings> settings);
    /// The cells in the list, in the order of numbers; they stay valid until the next call.
    const std::vector<std::uint32_t>& Triggered() const { return m_triggered; }

  private:
    struct Towards {
        bool triggered = false;
        ns3::Time since = ns3::Time::Max(); ///< the condition that would change `triggered` has held since; Max: no
    };
    std::vector<Towards> m_cells;
    std::vector<std::uint32_t> m_triggered;
};

} // namespace edgelam::nr
