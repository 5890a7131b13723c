// SPDX-License-Identifier: GPL-2.0-only
#include "nr-transmitting-entity.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "ns3/log.h"
#include "ns3/simulator.h"

NS_LOG_COMPONENT_DEFINE("NrTransmittingEntity");

namespace edgelam::nr {

namespace {

constexpr std::uint32_t pdcp_header = 3;
constexpr std::uint32_t least_piece = 8;      ///< a shorter segment is not worth its header
constexpr std::uint64_t am_window = 1u << 17; ///< TS 38.322 7.2, 18 bit sequence numbers

} // namespace

TransmittingEntity::TransmittingEntity(const BearerSettings& settings) : m_settings(settings) {
    settings.Check();
}

TransmittingEntity::~TransmittingEntity() {
    m_pollEvent.Cancel();
}

std::uint32_t TransmittingEntity::HeaderBytes(std::uint32_t length, bool whole, bool first) const {
    return RlcHeaderBytes(m_settings.acknowledged, length, whole, first);
}

unsigned TransmittingEntity::Priorities() const {
    unsigned bits = m_waits;
    if (m_nextSn < m_firstSn + m_sdus.size()) {
        bits |= 1U << m_sdus[m_nextSn - m_firstSn].priority;
    }
    for (const auto& [sn, pieces] : m_retransmit) {
        bits |= 1U << m_sdus[sn - m_firstSn].priority;
    }
    return bits;
}

bool TransmittingEntity::Send(ns3::Ptr<ns3::Packet> packet, unsigned priority) {
    NS_LOG_FUNCTION(this << packet << priority);
    const std::uint32_t size = packet->GetSize() + pdcp_header;
    if (m_keptBytes[priority] + size > m_settings.bufferBytes) {
        ++m_counters.droppedPackets;
        NS_LOG_LOGIC(this << " drops a packet of priority " << priority << ": full");
        return false;
    }
    const bool idle = BacklogBytes() == 0;
    m_keptBytes[priority] += size;
    m_highestPriority = std::max(m_highestPriority, priority);
    m_backlog += size + HeaderBytes(size, true, true);
    m_waiting[priority].push_back(
        {std::move(packet), size, ns3::Simulator::Now(), static_cast<std::uint8_t>(priority)});
    m_waits |= 1U << priority;
    ++m_counters.sentPackets;
    if (idle && m_wake) {
        m_wake();
    }
    return true;
}

/// One PDU of a piece, as long as the room allows. Shortens `piece` to what is left. \return false if nothing fitted
bool TransmittingEntity::TakePiece(std::uint64_t sn, const Outgoing& sdu, Piece& piece, std::uint32_t& room,
                                   std::vector<RlcPdu>& out) {
    const std::uint32_t left = piece.to - piece.from;
    const bool first = piece.from == 0;
    std::uint32_t length = left, header = HeaderBytes(left, first && piece.to == sdu.size, first);
    if (length + header > room) {
        header = HeaderBytes(left, false, first);
        length = room > header ? std::min(left, room - header) : 0;
        if (length < std::min(left, least_piece)) {
            return false;
        }
    }
    out.push_back({sn, sdu.packet, piece.from, length, piece.from + length == sdu.size, false, header, sdu.arrived});
    room -= length + header;
    piece.from += length;
    ++m_pdusWithoutPoll;
    m_bytesWithoutPoll += length;
    return true;
}

/// The SDU that is sent next has a number. \return false if there is none
bool TransmittingEntity::Next() {
    if (m_nextSn < m_firstSn + m_sdus.size()) {
        return true;
    }
    if (m_waits == 0) {
        return false;
    }
    const auto priority = static_cast<unsigned>(std::bit_width(m_waits)) - 1;
    m_sdus.push_back(std::move(m_waiting[priority].front()));
    m_waiting[priority].pop_front();
    if (m_waiting[priority].empty()) {
        m_waits &= ~(1U << priority);
    }
    return true;
}

std::uint32_t TransmittingEntity::Take(std::uint32_t bytes, std::vector<RlcPdu>& out, std::uint32_t enough) {
    std::uint32_t room = bytes;
    const std::size_t before = out.size();
    while (!m_retransmit.empty() && bytes - room < enough) {
        const auto entry = m_retransmit.begin();
        auto& pieces = entry->second;
        Piece& piece = pieces.front();
        const std::uint32_t start = piece.from;
        if (!TakePiece(entry->first, m_sdus[entry->first - m_firstSn], piece, room, out)) {
            break;
        }
        ++m_counters.retransmittedPdus;
        m_retransmitBytes -= piece.from - start;
        if (piece.from == piece.to) {
            pieces.erase(pieces.begin());
        }
        if (pieces.empty()) {
            m_retransmit.erase(entry);
        }
    }
    while (bytes - room < enough && (!m_settings.acknowledged || m_nextSn < m_firstSn + am_window) && Next()) {
        const Outgoing& sdu = m_sdus[m_nextSn - m_firstSn];
        Piece piece{m_sentOfNext, sdu.size};
        const std::uint32_t whole = HeaderBytes(sdu.size, true, true);
        if (!TakePiece(m_nextSn, sdu, piece, room, out)) {
            break;
        }
        m_backlog -= piece.from - m_sentOfNext + (m_sentOfNext == 0 ? whole : 0);
        m_sentOfNext = piece.from;
        if (piece.from < piece.to) {
            break; // the block is full
        }
        m_sentOfNext = 0;
        ++m_nextSn;
        if (!m_settings.acknowledged) {
            m_keptBytes[sdu.priority] -= sdu.size;
            m_sdus.pop_front();
            ++m_firstSn;
        }
    }
    if (m_settings.acknowledged && out.size() > before) {
        Poll(out);
    }
    NS_LOG_LOGIC(this << " puts " << out.size() - before << " PDUs of " << bytes - room << " bytes into a block of "
                      << bytes << "; " << BacklogBytes() << " wait");
    return bytes - room;
}

/// TS 38.322 5.3.3.2: ask for a status report after so much, and with the last PDU that waits.
void TransmittingEntity::Poll(std::vector<RlcPdu>& out) {
    const bool nothingLeft = BacklogBytes() == 0 || m_nextSn >= m_firstSn + am_window;
    if (m_pdusWithoutPoll >= m_settings.pollPdu || m_bytesWithoutPoll >= m_settings.pollBytes || nothingLeft ||
        m_pollExpired) {
        NS_LOG_LOGIC(this << " polls with SDU " << out.back().sn);
        out.back().poll = true;
        m_pdusWithoutPoll = m_bytesWithoutPoll = 0;
        m_pollExpired = false;
        m_pollSn = m_sentOfNext > 0 ? m_nextSn : m_nextSn - 1;
        m_pollEvent.Cancel();
        m_pollEvent = ns3::Simulator::Schedule(m_settings.pollRetransmit, &TransmittingEntity::PollExpired, this);
    }
}

/// TS 38.322 5.3.3.4: no report came; send something again, with a poll.
void TransmittingEntity::PollExpired() {
    if (m_sdus.empty() && m_waits == 0) {
        return;
    }
    NS_LOG_LOGIC(this << ": t-PollRetransmit has run out");
    m_pollExpired = true;
    if (BacklogBytes() == 0) {
        for (std::uint64_t sn = m_nextSn; sn-- > m_firstSn;) { // the last one sent that is not acknowledged
            const Outgoing& sdu = m_sdus[sn - m_firstSn];
            if (!sdu.acknowledged && !sdu.away) {
                Lose(sn, {0, sdu.size});
                break;
            }
        }
    }
}

/// A piece goes into the retransmission buffer, where it is not already.
/// \return false if that was once too often, and nothing waits any more
bool TransmittingEntity::Lose(std::uint64_t sn, Piece piece) {
    if (m_sdus[sn - m_firstSn].away) {
        return true; // sent again once it is here
    }
    const bool idle = BacklogBytes() == 0;
    auto [entry, fresh] = m_retransmit.try_emplace(sn);
    if (fresh) {
        Outgoing& sdu = m_sdus[sn - m_firstSn];
        if (++sdu.retransmissions > m_settings.maxRetransmissions) {
            Fail();
            return false;
        }
    }
    for (const auto& known : entry->second) {
        if (piece.from < known.to && known.from < piece.to) {
            return true; // waiting already
        }
    }
    entry->second.push_back(piece);
    m_retransmitBytes += piece.to - piece.from;
    NS_LOG_LOGIC(this << ": SDU " << sn << ", bytes " << piece.from << " to " << piece.to << " are sent again");
    if (idle && m_wake) {
        m_wake();
    }
    return true;
}

void TransmittingEntity::Fail() {
    NS_LOG_INFO(this << ": sent maxRetxThreshold times: radio link failure");
    m_failed = true;
    if (m_fail) {
        m_fail();
    } else {
        Release();
    }
}

std::uint64_t TransmittingEntity::Release() {
    NS_LOG_INFO(this << ": what waits is dropped");
    m_pollEvent.Cancel();
    m_pollExpired = false;
    m_pdusWithoutPoll = m_bytesWithoutPoll = 0;
    m_retransmit.clear();
    m_sdus.clear();
    m_waiting = {};
    m_waits = 0;
    m_nextSn += m_sentOfNext > 0; // segments of it may still be on the air
    m_firstSn = m_nextSn;
    m_sentOfNext = 0;
    m_retransmitBytes = m_backlog = 0;
    m_keptBytes = {};
    return m_nextSn;
}

void TransmittingEntity::Reestablish() {
    NS_LOG_INFO(this << ": RLC begins anew at SDU " << m_firstSn);
    m_pollEvent.Cancel();
    m_pollExpired = false;
    m_pdusWithoutPoll = m_bytesWithoutPoll = 0;
    m_retransmit.clear();
    m_retransmitBytes = 0;
    if (m_firstSn + m_sdus.size() > m_nextSn) { // the one whose sending had begun waits again
        Outgoing& sdu = m_sdus.back();
        m_backlog += m_sentOfNext > 0 ? m_sentOfNext + HeaderBytes(sdu.size, true, true) : 0;
        m_sentOfNext = 0;
        m_waits |= 1U << sdu.priority;
        m_waiting[sdu.priority].push_front(std::move(sdu));
        m_sdus.pop_back();
    }
    for (std::uint64_t sn = m_firstSn; sn < m_nextSn; ++sn) {
        Outgoing& sdu = m_sdus[sn - m_firstSn];
        sdu.retransmissions = 0;
        if (!sdu.acknowledged && !sdu.away) {
            m_retransmit[sn] = {{0, sdu.size}};
            m_retransmitBytes += sdu.size;
        }
    }
}

std::vector<TransmittingEntity::Forwarded> TransmittingEntity::TakeForwarded() {
    std::vector<Forwarded> taken;
    for (const auto& [sn, pieces] : m_retransmit) {
        Outgoing& sdu = m_sdus[sn - m_firstSn];
        taken.push_back({std::exchange(sdu.packet, nullptr), sdu.arrived, sdu.priority, sn});
        sdu.away = true;
        m_keptBytes[sdu.priority] -= sdu.size;
    }
    m_retransmit.clear();
    m_retransmitBytes = 0;
    while (m_waits != 0) {
        const auto priority = static_cast<unsigned>(std::bit_width(m_waits)) - 1;
        for (auto& sdu : m_waiting[priority]) {
            m_keptBytes[priority] -= sdu.size;
            taken.push_back({std::move(sdu.packet), sdu.arrived, sdu.priority, std::nullopt});
        }
        m_waiting[priority].clear();
        m_waits &= ~(1U << priority);
    }
    m_backlog = 0;
    NS_LOG_INFO(this << ": " << taken.size() << " SDUs are forwarded");
    return taken;
}

void TransmittingEntity::Restore(const Forwarded& forwarded) {
    const bool idle = BacklogBytes() == 0;
    const std::uint32_t size = forwarded.packet->GetSize() + pdcp_header;
    if (forwarded.sn) {
        if (*forwarded.sn < m_firstSn || !m_sdus[*forwarded.sn - m_firstSn].away) {
            return; // given up
        }
        Outgoing& sdu = m_sdus[*forwarded.sn - m_firstSn];
        sdu.packet = forwarded.packet;
        sdu.away = false;
        m_retransmit[*forwarded.sn] = {{0, size}};
        m_retransmitBytes += size;
    } else {
        m_backlog += size + HeaderBytes(size, true, true);
        m_waiting[forwarded.priority].push_back({forwarded.packet, size, forwarded.arrived, forwarded.priority});
        m_waits |= 1U << forwarded.priority;
    }
    m_keptBytes[forwarded.priority] += size;
    if (idle && m_wake) {
        m_wake();
    }
}

std::vector<std::uint64_t> TransmittingEntity::GiveUpForwarded() {
    std::vector<std::uint64_t> lost;
    for (std::uint64_t sn = m_firstSn; sn < m_nextSn; ++sn) {
        Outgoing& sdu = m_sdus[sn - m_firstSn];
        if (std::exchange(sdu.away, false)) {
            sdu.acknowledged = true;
            sdu.size = 0; // it is not kept
            lost.push_back(sn);
        }
    }
    return lost;
}

void TransmittingEntity::Receive(const RlcStatus& status) {
    NS_LOG_FUNCTION(this << status.ackSn << status.missing.size());
    if (status.ackSn > m_pollSn) { // TS 38.322 5.3.3.3; an older report must not stop the timer
        m_pollEvent.Cancel();
    }
    std::size_t next = 0;
    for (std::uint64_t sn = m_firstSn; sn < std::min(status.ackSn, m_nextSn); ++sn) {
        while (next < status.missing.size() && status.missing[next].sn < sn) {
            ++next;
        }
        if (next < status.missing.size() && status.missing[next].sn == sn) {
            continue;
        }
        Outgoing& sdu = m_sdus[sn - m_firstSn];
        if (!sdu.acknowledged) {
            sdu.acknowledged = true;
            sdu.packet = nullptr;
            if (std::exchange(sdu.away, false)) {
                sdu.size = 0; // it is not kept
            }
            if (const auto waiting = m_retransmit.find(sn); waiting != m_retransmit.end()) {
                for (const auto& piece : waiting->second) {
                    m_retransmitBytes -= piece.to - piece.from;
                }
                m_retransmit.erase(waiting);
            }
        }
    }
    for (const auto& missing : status.missing) {
        // What the report calls missing may be the SDU that is going out now: only what went out is lost.
        if (missing.sn < m_firstSn || missing.sn > m_nextSn || missing.sn - m_firstSn >= m_sdus.size()) {
            continue;
        }
        const Outgoing& sdu = m_sdus[missing.sn - m_firstSn];
        const std::uint32_t sent = missing.sn == m_nextSn ? m_sentOfNext : sdu.size;
        const std::uint32_t to = std::min(missing.to, sent);
        if (!sdu.acknowledged && missing.from < to && !Lose(missing.sn, {missing.from, to})) {
            return;
        }
    }
    while (!m_sdus.empty() && m_sdus.front().acknowledged && m_firstSn < m_nextSn) {
        m_keptBytes[m_sdus.front().priority] -= m_sdus.front().size;
        m_sdus.pop_front();
        ++m_firstSn;
    }
}

} // namespace edgelam::nr
