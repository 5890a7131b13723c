// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One direction of a data radio bearer: PDCP (3GPP TS 38.323) and RLC in unacknowledged or acknowledged mode
/// (TS 38.322).
#pragma once

#include "nr-receiving-entity.h"
#include "nr-transmitting-entity.h"

namespace edgelam::nr {

/// Both ends of a bearer. They share nothing: each knows about the other only what came in PDUs and status reports.
///
/// The bytes on the air are counted as in the standards: a PDCP header of 3 bytes (18 bit sequence number), and
/// RlcHeaderBytes. Sequence numbers do not wrap around, but the windows of 18 (AM) and 12 bits (UM, segmented SDUs)
/// hold. The RLC entity delivers out of order, and PDCP restores the order: as both count the same packets, one number
/// serves both. With AM, PDCP waits as long as necessary; with UM it waits for t-Reordering.
class Bearer : public TransmittingEntity, public ReceivingEntity {
  public:
    explicit Bearer(const BearerSettings& settings) : TransmittingEntity(settings), ReceivingEntity(settings) {
        SetFail([this] { Release(); });
    }

    using ReceivingEntity::Receive;
    using TransmittingEntity::Receive;

    /// Set the functions that are called when data or a status report begins to wait at an end that had none.
    void SetWake(std::function<void()> data, std::function<void()> status) {
        TransmittingEntity::SetWake(std::move(data));
        ReceivingEntity::SetWake(std::move(status));
    }
    /// Priority of the status report that waits at the receiving end: the highest that the bearer has had; 0 if no
    /// report waits.
    unsigned StatusPriority() const { return StatusBytes() > 0 ? HighestPriority() : 0; }

    /// The connection is released: what waits at both ends, and what is not delivered yet, is lost.
    void Release() {
        const std::uint64_t lost = counters().sentPackets - counters().deliveredPackets - counters().lostPackets;
        ReceivingEntity::Release(TransmittingEntity::Release(), lost);
    }

    /// RLC begins anew at both ends; PDCP goes on with its numbers.
    void Reestablish() {
        TransmittingEntity::Reestablish();
        ReceivingEntity::Reestablish();
    }
    /// What was forwarded and has not been restored is lost.
    void GiveUpForwarded() { GiveUp(TransmittingEntity::GiveUpForwarded()); }

    struct Counters : TransmittingEntity::Counters, ReceivingEntity::Counters {};
    Counters counters() const { return {TransmittingEntity::counters(), ReceivingEntity::counters()}; }
};

} // namespace edgelam::nr
