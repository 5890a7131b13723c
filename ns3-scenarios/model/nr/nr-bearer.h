// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One direction of a data radio bearer: PDCP (3GPP TS 38.323) and RLC in unacknowledged or acknowledged mode
/// (TS 38.322).
#pragma once

#include <memory>

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

    /// Add a signalling bearer (SRB1) beside this one. What it has to send, messages and status reports, goes first.
    /// \return it; Send puts a message into it
    Bearer& AddSignalling(const BearerSettings& settings) {
        m_signalling = std::make_unique<Bearer>(settings);
        return *m_signalling;
    }
    Bearer* GetSignalling() const { return m_signalling.get(); }

    void Receive(const RlcPdu& pdu) {
        (pdu.signalling ? static_cast<ReceivingEntity&>(*m_signalling) : *this).Receive(pdu);
    }
    void Receive(const RlcStatus& status) {
        (status.signalling ? static_cast<TransmittingEntity&>(*m_signalling) : *this).Receive(status);
    }
    std::uint64_t BacklogBytes() const { return TransmittingEntity::BacklogBytes() + SignallingBytes(); }
    /// The messages that wait in the signalling bearer.
    std::uint64_t SignallingBytes() const { return m_signalling ? m_signalling->BacklogBytes() : 0; }
    /// Fill a transport block: add PDUs of together at most `bytes` to `out`, until they have `enough`.
    /// \param data false: messages only \return bytes used
    std::uint32_t Take(std::uint32_t bytes, std::vector<RlcPdu>& out, bool data = true,
                       std::uint32_t enough = UINT32_MAX);
    /// One bit for each priority; it is set if something of this priority waits to be sent. Messages have the highest.
    unsigned Priorities() const {
        return TransmittingEntity::Priorities() | (SignallingBytes() > 0 ? 1U << (num_priorities - 1) : 0);
    }
    unsigned Priority() const { return SignallingBytes() > 0 ? num_priorities - 1 : TransmittingEntity::Priority(); }
    /// Bytes of the status reports that wait.
    std::uint32_t StatusBytes() const {
        return ReceivingEntity::StatusBytes() + (m_signalling ? m_signalling->StatusBytes() : 0);
    }
    /// The next status report; another one may be left.
    RlcStatus TakeStatus(std::uint32_t bytes = UINT32_MAX);

    /// Set the functions that are called when data or a status report begins to wait at an end that had none.
    void SetWake(const std::function<void()>& data, const std::function<void()>& status) {
        TransmittingEntity::SetWake(data);
        ReceivingEntity::SetWake(status);
        if (m_signalling) {
            m_signalling->SetWake(data, status);
        }
    }
    /// Priority of the status report that waits at the receiving end: the highest that the bearer has had; 0 if no
    /// report waits.
    unsigned StatusPriority() const {
        return m_signalling && m_signalling->StatusBytes() > 0 ? num_priorities - 1
               : StatusBytes() > 0                             ? HighestPriority()
                                                               : 0;
    }

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

  private:
    std::unique_ptr<Bearer> m_signalling; ///< null: there is none
};

} // namespace edgelam::nr
