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
#include <vector>

#include "ns3/event-id.h"

#include "nr-bearer-settings.h"
#include "nr-rlc-pdu.h"

namespace edgelam::nr {

/// Gives packets numbers, cuts them for transport blocks, polls, and sends again what status reports say is missing.
///
/// Priorities are of waiting only: all share one RLC entity, so that what has begun is finished first, and what is lost
/// holds up what was sent after it.
class TransmittingEntity {
  public:
    static constexpr unsigned num_priorities = 8;

    /// Throws std::invalid_argument as BearerSettings::Check does.
    explicit TransmittingEntity(const BearerSettings& settings);
    ~TransmittingEntity();
    TransmittingEntity(const TransmittingEntity&) = delete;
    TransmittingEntity& operator=(const TransmittingEntity&) = delete;

    /// Called when data begins to wait where none did.
    void SetWake(std::function<void()> wake) { m_wake = std::move(wake); }
    /// Called when an SDU was sent maxRetxThreshold times, to release both ends. Not set: this end alone is.
    void SetFail(std::function<void()> fail) { m_fail = std::move(fail); }

    /// \param priority 0 to 7: what waits and has not begun to be sent goes in the order of priorities, the highest
    /// first. Each has a buffer of its own, of bufferBytes.
    /// \return false if the buffer is full: the packet is dropped
    bool Send(ns3::Ptr<ns3::Packet> packet, unsigned priority = 0);
    /// Bit of each priority of which something waits to be sent.
    unsigned Priorities() const;
    /// The highest of them; 0 if nothing waits.
    unsigned Priority() const {
        const unsigned priorities = Priorities();
        return priorities == 0 ? 0 : static_cast<unsigned>(std::bit_width(priorities)) - 1;
    }
    /// The highest that any packet has had so far.
    unsigned HighestPriority() const { return m_highestPriority; }
    /// What waits, retransmissions first, with headers of whole SDUs: what a buffer status report tells.
    std::uint64_t BacklogBytes() const { return m_backlog + m_retransmitBytes; }
    /// Fill a transport block: add PDUs of together at most `bytes` to `out`. \return bytes used
    std::uint32_t Take(std::uint32_t bytes, std::vector<RlcPdu>& out);
    void Receive(const RlcStatus& status);

    struct Counters {
        std::uint64_t sentPackets = 0, droppedPackets = 0, retransmittedPdus = 0;
    };
    const Counters& counters() const { return m_counters; }
    /// AM: an SDU was sent maxRetxThreshold times, once or more often; the standard has RRC declare radio link failure.
    /// What waited was dropped, and the entity began anew: re-establishment over a link that is there takes no time.
    bool Failed() const { return m_failed; }
    /// What waits is dropped. \return the number of the next SDU
    std::uint64_t Release();

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
    // SDUs that wait, by priority, and have no number yet; and from m_firstSn on those that are being sent, which AM
    // keeps until acknowledged.
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
};

} // namespace edgelam::nr
