// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The transmitting end of one direction of a bearer: the transmitting PDCP entity (3GPP TS 38.323) and that of RLC in
/// unacknowledged or acknowledged mode (TS 38.322).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "ns3/event-id.h"

#include "nr-bearer-settings.h"
#include "nr-rlc-pdu.h"

namespace edgelam::nr {

/// Numbers packets, segments them for transport blocks, polls, and sends again what is missing according to status
/// reports.
///
/// Priorities apply to waiting packets only: all share one RLC entity, so a packet that has begun is finished first,
/// and a lost packet delays those that were sent after it.
class TransmittingEntity {
  public:
    static constexpr unsigned num_priorities = 8;

    /// Throws std::invalid_argument as BearerSettings::Check does.
    explicit TransmittingEntity(const BearerSettings& settings);
    ~TransmittingEntity();
    TransmittingEntity(const TransmittingEntity&) = delete;
    TransmittingEntity& operator=(const TransmittingEntity&) = delete;

    /// Set the function that is called when data begins to wait and none waited before.
    void SetWake(std::function<void()> wake) { m_wake = std::move(wake); }
    /// Set the function that is called when an SDU was sent maxRetxThreshold times, to release both ends. If it is not
    /// set, only this end is released.
    void SetFail(std::function<void()> fail) { m_fail = std::move(fail); }

    /// \param priority 0 to 7: packets that wait and whose sending has not begun are sent in the order of priorities,
    /// the highest first. Each priority has a separate buffer of bufferBytes.
    /// \return false if the buffer is full: the packet is dropped
    bool Send(ns3::Ptr<ns3::Packet> packet, unsigned priority = 0);
    /// One bit for each priority; it is set if something of this priority waits to be sent.
    unsigned Priorities() const;
    /// The highest of these priorities; 0 if nothing waits.
    unsigned Priority() const {
        const unsigned priorities = Priorities();
        return priorities == 0 ? 0 : static_cast<unsigned>(std::bit_width(priorities)) - 1;
    }
    /// The highest priority that any packet has had so far.
    unsigned HighestPriority() const { return m_highestPriority; }
    /// The bytes that wait, including retransmissions, with headers of whole SDUs: this is the value in a buffer status
    /// report.
    std::uint64_t BacklogBytes() const { return m_backlog + m_retransmitBytes; }
    /// Fill a transport block: add PDUs of together at most `bytes` to `out`, until they have `enough`. \return bytes
    /// used
    std::uint32_t Take(std::uint32_t bytes, std::vector<RlcPdu>& out, std::uint32_t enough = UINT32_MAX);
    void Receive(const RlcStatus& status);

    struct Counters {
        std::uint64_t sentPackets = 0, droppedPackets = 0, retransmittedPdus = 0;
    };
    const Counters& counters() const { return m_counters; }
    /// AM: an SDU was sent maxRetxThreshold times, once or more often; in the standard, RRC then declares radio link
    /// failure. The waiting data was dropped, and the entity began anew: re-establishment over a link that works takes
    /// no time.
    bool Failed() const { return m_failed; }
    /// Drop what waits. \return the number of the next SDU
    std::uint64_t Release();

    /// RLC begins anew, as in a handover (TS 38.323 5.1.2): all SDUs that are not acknowledged are sent again from
    /// their beginnings, with the numbers they have. UM: what was sent in part is sent again as a whole.
    void Reestablish();
    /// An SDU on its way to another gNB, which goes on with this bearer.
    struct Forwarded {
        ns3::Ptr<ns3::Packet> packet;
        ns3::Time arrived;
        std::uint8_t priority = 0;
        std::optional<std::uint64_t> sn; ///< empty: not sent yet
    };
    /// Take all SDUs: those that are not acknowledged in the order of numbers, then those that wait in the order of
    /// sending. Their numbers are kept free until Restore or GiveUpForwarded. To be called after Reestablish.
    std::vector<Forwarded> TakeForwarded();
    /// An SDU of TakeForwarded has arrived: it is sent before what has not been sent yet, or waits behind that.
    void Restore(const Forwarded& sdu);
    /// No SDUs will be restored any more. \return the numbers of those that were not
    std::vector<std::uint64_t> GiveUpForwarded();

  private:
    struct Outgoing {
        ns3::Ptr<ns3::Packet> packet;
        std::uint32_t size; ///< with PDCP header
        ns3::Time arrived;
        std::uint8_t priority;
        std::uint32_t retransmissions = 0;
        bool acknowledged = false; ///< or given up
        bool away = false;         ///< forwarded, and not restored yet
    };
    struct Piece {
        std::uint32_t from, to;
    };

    std::uint32_t HeaderBytes(std::uint32_t length, bool whole, bool first) const;
    bool TakePiece(std::uint64_t sn, const Outgoing& sdu, Piece& piece, std::uint32_t& room, std::vector<RlcPdu>& out);
    bool Next();
    void Poll(std::vector<RlcPdu>& out);
    void PollExpired();
    bool Lose(std::uint64_t sn, Piece piece);
    void Fail();

    const BearerSettings m_settings;
    std::function<void()> m_wake, m_fail;
    Counters m_counters;
    // m_waiting has the SDUs that wait, by priority, and have no number yet. m_sdus has, from m_firstSn on, those that
    // are being sent, which AM keeps until they are acknowledged.
    std::array<std::deque<Outgoing>, num_priorities> m_waiting;
    unsigned m_waits = 0; ///< one bit for each priority: something of it waits
    unsigned m_highestPriority = 0;
    std::deque<Outgoing> m_sdus;
    std::uint64_t m_firstSn = 0, m_nextSn = 0; ///< the oldest kept; the next to be sent for the first time
    std::uint32_t m_sentOfNext = 0;            ///< bytes of it that have been sent
    std::uint64_t m_backlog = 0, m_retransmitBytes = 0;
    std::array<std::uint64_t, num_priorities> m_keptBytes{};
    std::map<std::uint64_t, std::vector<Piece>> m_retransmit;
    std::uint32_t m_pdusWithoutPoll = 0, m_bytesWithoutPoll = 0;
    std::uint64_t m_pollSn = 0; ///< the highest number sent at the time of the last poll
    ns3::EventId m_pollEvent;
    bool m_pollExpired = false, m_failed = false;
};

} // namespace edgelam::nr
