// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The records of measurements and handovers, and their counts.
#pragma once

#include <cstdint>

#include "edgelam/bridge/schema.h"

namespace edgelam::nr {

/// One measurement of one cell by one UE, given by the trace source Measurement.
struct MeasurementRecord {
    std::int64_t time_ns;
    std::uint64_t slot;
    std::uint32_t ue, cell;
    std::int32_t serving;   ///< the cell that the UE is attached to; -1: none
    double rsrp_dbm;        ///< as measured
    double filtered_dbm;    ///< after layer 3 filtering
    std::uint8_t triggered; ///< 1: the cell is in the list of those that have triggered event A3
    std::uint8_t reported;  ///< 1: a measurement report is sent now
};
EDGELAM_MESSAGE(MeasurementRecord, time_ns, slot, ue, cell, serving, rsrp_dbm, filtered_dbm, triggered, reported)

/// What a HandoverRecord is about.
enum class HandoverEvent : std::uint8_t {
    Handover,           ///< a handover that succeeded
    HandoverFailure,    ///< T304 has run out before random access to the target succeeded
    LinkFailure,        ///< radio link failure in the cell `source`
    Reestablishment,    ///< the UE is back, in cell `target`, after one of the two failures
    Abandoned,          ///< the messages between gNBs took too long
    PreparationFailure, ///< the target has no room: the UE stays
    Rejection           ///< the cell in which the UE would re-establish its connection has no room
};

/// One event of a UE's mobility, given by the trace source Handover. Times are -1 where they do not apply.
struct HandoverRecord {
    std::int64_t time_ns = -1;
    std::int64_t started_ns = -1; ///< the decision; for a re-establishment, the failure
    std::int64_t left_ns = -1;    ///< the UE has left its cell
    std::int64_t access_ns = -1;  ///< random access has succeeded: the end of the interruption that began at left_ns
    std::uint32_t ue = 0;
    std::int32_t source = -1, target = -1;                    ///< cells; -1: none
    std::uint8_t event = 0;                                   ///< HandoverEvent
    std::uint8_t preambles = 0;                               ///< sent in random access
    std::uint8_t too_late = 0, too_early = 0, wrong_cell = 0; ///< of a re-establishment (TS 38.300 15.5.2.1)
    std::uint8_t ping_pong = 0;                               ///< of a handover: back within a second
};
EDGELAM_MESSAGE(HandoverRecord, time_ns, started_ns, left_ns, access_ns, ue, source, target, event, preambles, too_late,
                too_early, wrong_cell, ping_pong)

/// The sums over the records of one UE so far.
struct HandoverCounts {
    std::uint64_t handovers; ///< that succeeded
    std::uint64_t handover_failures, link_failures, reestablishments, abandoned;
    std::uint64_t too_late, too_early, wrong_cell, ping_pongs;
    std::uint64_t preparation_failures, rejections;
    std::uint64_t access_problems; ///< random accesses with preambleTransMax failed preambles
    double interruption_s;         ///< all times without a cell
};
EDGELAM_MESSAGE(HandoverCounts, handovers, handover_failures, link_failures, reestablishments, abandoned, too_late,
                too_early, wrong_cell, ping_pongs, preparation_failures, rejections, access_problems, interruption_s)

} // namespace edgelam::nr
