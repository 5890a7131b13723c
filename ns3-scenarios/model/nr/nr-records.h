// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The records of the trace sources of an NR cell.
#pragma once

#include <cstdint>

#include "edgelam/bridge/schema.h"

namespace edgelam::nr {

/// One transmission of a transport block, given by the trace source TransportBlock. A transmission to a multicast group
/// has one record for each receiver that has not decoded the block yet: for sums over the air (prbs, bits), use the
/// records with `repeated` 0; for sums of what a UE gets, use all records of that UE.
struct TransportBlockRecord {
    std::int64_t time_ns; ///< start of the slot in which it is sent
    std::uint64_t slot;
    std::uint32_t ue;        ///< number of the UE in its cell; multicast: the receiver
    std::int32_t group = -1; ///< number of the multicast group; -1: the UE's own bearer
    std::uint8_t repeated;   ///< 1: this transmission has a record for another receiver already
    std::uint8_t uplink;     ///< 1: uplink
    std::uint8_t harq;       ///< process
    std::uint8_t attempt;    ///< 1: first transmission
    std::uint8_t mcs, layers;
    std::uint8_t received;         ///< 1: decoded
    std::uint16_t prbs, first_prb; ///< their number, and the lowest one
    std::uint32_t rbgs;            ///< bit g: resource block group g (TS 38.214 5.1.2.2.1) is part of it
    std::uint32_t bits;            ///< transport block size
    float sinr_db;                 ///< effective, of this transmission
    float bler;                    ///< probability that the block is not decoded with all transmissions so far
};
EDGELAM_MESSAGE(TransportBlockRecord, time_ns, slot, ue, group, repeated, uplink, harq, attempt, mcs, layers, received,
                prbs, first_prb, rbgs, bits, sinr_db, bler)

/// One CSI report of a UE, which the gNB uses from `adopted_slot` on; given by the trace source CsiReport.
struct CsiReportRecord {
    std::int64_t time_ns; ///< start of the slot in which it was measured
    std::uint64_t slot, adopted_slot;
    std::uint32_t ue;
    std::uint8_t rank;        ///< layers that the UE asks for
    std::uint8_t cqi;         ///< wideband: the highest that the mean over the band allows
    float sinr_db;            ///< downlink, effective, of one layer, mean over the resource block groups
    std::uint8_t uplink_rank; ///< from the gNB's own measurement
    float uplink_sinr_db;     ///< the same for uplink, with the power that it would have on a quarter of the band
    float path_loss_db;       ///< with shadowing, as power control uses it
};
EDGELAM_MESSAGE(CsiReportRecord, time_ns, slot, adopted_slot, ue, rank, cqi, sinr_db, uplink_rank, uplink_sinr_db,
                path_loss_db)

/// One packet that has crossed the cell, given by the trace source PacketDelivered.
struct PacketRecord {
    std::int64_t time_ns = 0;    ///< when PDCP handed it up
    std::int64_t arrived_ns = 0; ///< when PDCP took it; between the two: waiting, the air, RLC and reordering
    std::uint32_t ue = 0;        ///< multicast: the receiver
    std::int32_t group = -1;     ///< number of the multicast group; -1, -2, ...: the UE's first, second, ... bearer
    std::uint8_t uplink = 0;     ///< 1: uplink
    std::uint32_t bytes = 0;     ///< of the IP packet
};
EDGELAM_MESSAGE(PacketRecord, time_ns, arrived_ns, ue, group, uplink, bytes)

/// A stretch of slots in which the radio of a UE, or of the gNB, takes the same power; given by the trace source Power.
struct PowerRecord {
    enum State : std::uint8_t { deep_sleep, light_sleep, micro_sleep, control, data };
    std::int64_t time_ns; ///< start of the first slot
    std::uint64_t slot;   ///< the first slot
    std::uint32_t slots;  ///< their number
    std::int32_t ue;      ///< number of the UE in its cell; -1: the gNB
    std::uint8_t state;   ///< a State: a UE listens to PDCCH (control), or gets data; the gNB sends
    std::uint8_t uplink;  ///< 0: nothing is sent; 1: short PUCCH or sounding; 2: a block. The gNB receives it
    double power_w;       ///< mean over the slots
    double down_j, up_j;  ///< energy that belongs to downlink and uplink, that of entering and leaving sleep included
};
EDGELAM_MESSAGE(PowerRecord, time_ns, slot, slots, ue, state, uplink, power_w, down_j, up_j)

/// Something that happens with the analog beams of a UE; given by the trace source Beams.
struct BeamRecord {
    enum Event : std::uint8_t {
        sweep,   ///< the UE has measured a burst of SSBs with one of its beams: the strongest
        report,  ///< the gNB reads in a report that this beam has this L1-RSRP; one record for each beam in it
        refine,  ///< the UE has measured narrow beams (P2): the strongest
        receive, ///< the UE has measured with all of its beams (P3): the strongest
        changed, ///< from this slot on, this is the beam of the UE
        bad,     ///< the UE counts a beam failure instance: the serving beam
        failed,  ///< beam failure: the serving beam
        found    ///< the gNB has answered the preamble for this candidate
    };
    std::int64_t time_ns; ///< start of the slot
    std::uint64_t slot;
    std::uint32_t ue;
    std::uint8_t event;    ///< an Event
    std::uint32_t beam;    ///< of the gNB
    std::uint32_t ue_beam; ///< with which it is received
    float rsrp_dbm;        ///< as measured; in a report, as the gNB reads it
};
EDGELAM_MESSAGE(BeamRecord, time_ns, slot, ue, event, beam, ue_beam, rsrp_dbm)

} // namespace edgelam::nr
