// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The receiving end of one direction of a bearer: the receiving RLC entity (3GPP TS 38.322) and that of PDCP
/// (TS 38.323).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "ns3/event-id.h"

#include "nr-bearer-settings.h"
#include "nr-rlc-pdu.h"

namespace edgelam::nr {

/// Reassembles segments, puts packets in order, and reports what is missing.
class ReceivingEntity {
  public:
    /// Throws std::invalid_argument as BearerSettings::Check does.
    explicit ReceivingEntity(const BearerSettings& settings);
    ~ReceivingEntity();
    ReceivingEntity(const ReceivingEntity&) = delete;
    ReceivingEntity& operator=(const ReceivingEntity&) = delete;

    /// The function that gets the packets, in order.
    using Deliver = std::function<void(ns3::Ptr<ns3::Packet>)>;
    void SetDeliver(Deliver deliver) { m_deliver = std::move(deliver); }
    /// The function that is called for each delivered packet (empty: none), with the time when the transmitting entity
    /// took it, and its bytes.
    using Trace = std::function<void(ns3::Time arrived, std::uint32_t bytes)>;
    void SetTrace(Trace trace) { m_trace = std::move(trace); }
    /// Set the function that is called when a status report begins to wait and none waited before.
    void SetWake(std::function<void()> wake) { m_wake = std::move(wake); }

    void Receive(const RlcPdu& pdu);
    /// Whether packets wait for one before them.
    bool Reorders() const { return !m_reorder.empty(); }
    /// Bytes of the status report that waits to be sent in the other direction; 0 if none waits.
    std::uint32_t StatusBytes() const;
    /// The report at the time of sending, of at most `bytes` bytes (16 or more): it contains as much as fits.
    RlcStatus TakeStatus(std::uint32_t bytes = UINT32_MAX);

    /// Drop what waits; SDUs below `next` will not come any more. \param lost number of packets that are counted as
    /// lost
    void Release(std::uint64_t next, std::uint64_t lost);

    /// RLC begins anew, as in a handover (TS 38.323 5.1.2): parts of SDUs are dropped; SDUs that are whole, and the
    /// numbers, are kept.
    void Reestablish();
    /// These SDUs will not come any more: what waits behind them is delivered.
    void GiveUp(const std::vector<std::uint64_t>& numbers);

    struct Counters {
        std::uint64_t deliveredPackets = 0, deliveredBytes = 0, lostPackets = 0;
    };
    const Counters& counters() const { return m_counters; }

  private:
    struct Piece {
        std::uint32_t from, to;
    };
    struct Incoming {
        ns3::Ptr<ns3::Packet> packet;
        std::uint32_t size = 0;    ///< 0 until the last segment has come
        std::vector<Piece> pieces; ///< received bytes, merged, in order
        ns3::Time first;           ///< when the first piece came
    };
    struct Complete {
        ns3::Ptr<ns3::Packet> packet; ///< null: it was given up
        ns3::Time arrived;            ///< at the transmitting entity
    };

    bool Add(Incoming& sdu, const RlcPdu& pdu);
    void UpdateReassembly();
    void ReassemblyExpired();
    bool HasGap(std::uint64_t sn) const;
    void TriggerStatus();
    void Hand(std::uint64_t sn, Complete sdu);
    void ReorderingExpired();

    const BearerSettings m_settings;
    Deliver m_deliver;
    Trace m_trace;
    std::function<void()> m_wake;
    Counters m_counters;
    std::map<std::uint64_t, Incoming> m_incoming; ///< SDUs of which some bytes have come, from m_rxNext on
    std::uint64_t m_rxNext = 0, m_rxHighest = 0, m_rxHighestStatus = 0, m_rxTrigger = 0; ///< names of TS 38.322 7.1
    ns3::EventId m_reassemblyEvent, m_prohibitEvent, m_reorderingEvent;
    std::uint64_t m_polledTo = 0; ///< one above the highest polled SDU that no report could cover yet; 0: none
    bool m_statusWanted = false;
    std::map<std::uint64_t, Complete> m_reorder; ///< waiting for one before them
    std::uint64_t m_deliverNext = 0, m_reorderTrigger = 0;
};

} // namespace edgelam::nr
