// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One direction of a data radio bearer: PDCP (3GPP TS 38.323) and RLC in unacknowledged or acknowledged mode
/// (TS 38.322), the sending end and the receiving end together.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "ns3/event-id.h"
#include "ns3/nstime.h"
#include "ns3/packet.h"

namespace edgelam::nr {

/// Settings of a bearer, named as in TS 38.331.
struct BearerSettings {
    bool acknowledged = true;                         ///< RLC AM; otherwise RLC UM
    std::uint32_t bufferBytes = 10'000'000;           ///< of the sending end; what does not fit is dropped
    ns3::Time reassembly = ns3::MilliSeconds(35);     ///< t-Reassembly
    ns3::Time statusProhibit = ns3::MilliSeconds(5);  ///< t-StatusProhibit
    ns3::Time pollRetransmit = ns3::MilliSeconds(40); ///< t-PollRetransmit
    ns3::Time reordering = ns3::MilliSeconds(100);    ///< t-Reordering of PDCP, for UM
    std::uint32_t pollPdu = 256;                      ///< pollPDU
    std::uint32_t pollBytes = 125'000;                ///< pollByte
    std::uint32_t maxRetransmissions = 32;            ///< maxRetxThreshold
    /// Throws std::invalid_argument naming the value and the legal range.
    void Check() const;
};

/// A whole SDU or a segment of one, in a transport block. SDUs are references: nothing is copied.
struct RlcPdu {
    std::uint64_t sn;
    ns3::Ptr<ns3::Packet> sdu;
    std::uint32_t offset, length; ///< bytes of the SDU (PDCP header included)
    bool last;                    ///< it holds the SDU's end
    bool poll;                    ///< AM: asks for a status report
    std::uint32_t headerBytes;    ///< RLC header and MAC subheader
    ns3::Time arrived;            ///< when the sending end took the SDU
    std::uint32_t Bytes() const { return length + headerBytes; }
};

/// A status report of RLC AM.
struct RlcStatus {
    static constexpr std::uint32_t to_the_end = UINT32_MAX;
    struct Missing {
        std::uint64_t sn;
        std::uint32_t from, to; ///< bytes [from, to); to the end: to_the_end
    };
    std::uint64_t ackSn = 0; ///< everything below is received, but for what is missing
    std::vector<Missing> missing;
    /// On the air, MAC subheader included (TS 38.322 6.2.2.5, 18 bit sequence numbers).
    std::uint32_t Bytes() const;
};

/// The bytes on the air are counted as the standards have them: PDCP header of 3 bytes (18 bit sequence number), RLC
/// header of 1 (UM, whole SDU), 2 (UM, segment; +2 with an offset) or 3 (AM; +2 with an offset) bytes, MAC subheader of
/// 2 or 3 bytes. Sequence numbers do not wrap around, but the windows of 18 (AM) and 12 bits (UM, segmented SDUs) hold.
/// One RLC entity delivers out of order, PDCP puts in order: as both count the same packets, one number serves both;
/// with AM it waits as long as it takes, with UM for t-Reordering. Priorities are of waiting only: all share one RLC
/// entity, so that what has begun is finished first, and what is lost holds up what was sent after it.
class Bearer {
  public:
    using Deliver = std::function<void(ns3::Ptr<ns3::Packet>)>;

    explicit Bearer(const BearerSettings& settings);
    ~Bearer();
    Bearer(const Bearer&) = delete;
    Bearer& operator=(const Bearer&) = delete;

    /// What gets the packets at the receiving end, in order.
    void SetDeliver(Deliver deliver) { m_deliver = std::move(deliver); }
    /// Whom to tell of each packet delivered (empty: nobody): when Send took it, and its bytes.
    using Trace = std::function<void(ns3::Time arrived, std::uint32_t bytes)>;
    void SetTrace(Trace trace) { m_trace = std::move(trace); }
    /// Called when data or a status report begins to wait at an end that had none.
    void SetWake(std::function<void()> data, std::function<void()> status);

    // The sending end.
    static constexpr unsigned num_priorities = 8;
    /// \param priority 0 to 7: what waits and has not begun to be sent goes in the order of priorities, the highest
    /// first. Each has a buffer of its own, of bufferBytes.
    /// \return false if the buffer is full: the packet is dropped
    bool Send(ns3::Ptr<ns3::Packet> packet, unsigned priority = 0);
    /// The highest priority of what waits to be sent; 0 if nothing does.
    unsigned Priority() const;
    /// That of the status report which waits at the receiving end: the highest that the bearer has had; 0 if none does.
    unsigned StatusPriority() const { return StatusBytes() > 0 ? m_highestPriority : 0; }
    /// What waits, retransmissions first, with headers of whole SDUs: what a buffer status report tells.
    std::uint64_t BacklogBytes() const { return m_backlog + m_retransmitBytes; }
    /// Fill a transport block: add PDUs of together at most `bytes` to `out`. \return bytes used
    std::uint32_t Take(std::uint32_t bytes, std::vector<RlcPdu>& out);
    void Receive(const RlcStatus& status);

    // The receiving end.
    void Receive(const RlcPdu& pdu);
    /// Packets that wait for one before them.
    bool Reorders() const { return !m_reorder.empty(); }
    /// Bytes of the status report that waits to be sent the other way, 0 if none does.
    std::uint32_t StatusBytes() const;
    /// The report, as it is when it is sent, of at most so many bytes (16 or more): it tells as much as fits.
    RlcStatus TakeStatus(std::uint32_t bytes = UINT32_MAX);

    struct Counters {
        std::uint64_t sentPackets = 0, droppedPackets = 0, deliveredPackets = 0, deliveredBytes = 0, lostPackets = 0,
                      retransmittedPdus = 0;
    };
    const Counters& counters() const { return m_counters; }
    /// AM: an SDU was sent maxRetxThreshold times; the standard has RRC declare radio link failure. What waited is
    /// dropped, and nothing is sent any more.
    bool Failed() const { return m_failed; }

  private:
    struct Outgoing {
        ns3::Ptr<ns3::Packet> packet;
        std::uint32_t size; ///< with PDCP header
        ns3::Time arrived;
        std::uint8_t priority;
        std::uint32_t retransmissions = 0;
        bool acknowledged = false;
    };
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
        ns3::Ptr<ns3::Packet> packet;
        ns3::Time arrived; ///< at the sending end
    };

    std::uint32_t HeaderBytes(std::uint32_t length, bool whole, bool first) const;
    bool TakePiece(std::uint64_t sn, const Outgoing& sdu, Piece& piece, std::uint32_t& room, std::vector<RlcPdu>& out);
    bool Next();
    void Poll(std::vector<RlcPdu>& out);
    void PollExpired();
    void Lose(std::uint64_t sn, Piece piece);
    void Fail();

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
    std::function<void()> m_wakeData, m_wakeStatus;
    Counters m_counters;

    // Sending: SDUs that wait, by priority, and have no number yet; and from m_firstSn on those that are being sent,
    // which AM keeps until acknowledged.
    std::array<std::deque<Outgoing>, num_priorities> m_waiting;
    unsigned m_waits = 0; ///< bit of each priority of which something waits
    unsigned m_highestPriority = 0;
    std::deque<Outgoing> m_sdus;
    std::uint64_t m_firstSn = 0, m_nextSn = 0; ///< oldest kept; next to be sent for the first time
    std::uint32_t m_sentOfNext = 0;            ///< bytes of it that have gone
    std::uint64_t m_backlog = 0, m_retransmitBytes = 0;
    std::array<std::uint64_t, num_priorities> m_keptBytes{};
    std::map<std::uint64_t, std::vector<Piece>> m_retransmit;
    std::uint32_t m_pdusWithoutPoll = 0, m_bytesWithoutPoll = 0;
    std::uint64_t m_pollSn = 0; ///< the highest one sent when a poll last was
    ns3::EventId m_pollEvent;
    bool m_pollExpired = false, m_failed = false;

    // Receiving.
    std::map<std::uint64_t, Incoming> m_incoming; ///< SDUs of which something has come, from m_rxNext on
    std::uint64_t m_rxNext = 0, m_rxHighest = 0, m_rxHighestStatus = 0, m_rxTrigger = 0; ///< names of TS 38.322 7.1
    ns3::EventId m_reassemblyEvent, m_prohibitEvent, m_reorderingEvent;
    std::uint64_t m_polledTo = 0; ///< one above the highest polled SDU that no report could tell of yet; 0: none
    bool m_statusWanted = false;
    std::map<std::uint64_t, Complete> m_reorder; ///< waiting for one before
    std::uint64_t m_deliverNext = 0, m_reorderTrigger = 0;
};

} // namespace edgelam::nr
