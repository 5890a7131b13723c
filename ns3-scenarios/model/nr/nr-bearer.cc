// SPDX-License-Identifier: GPL-2.0-only
#include "nr-bearer.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

#include "ns3/log.h"
#include "ns3/simulator.h"

NS_LOG_COMPONENT_DEFINE("NrBearer");

namespace edgelam::nr {

namespace {

constexpr std::uint32_t pdcp_header = 3;
constexpr std::uint32_t least_piece = 8;      ///< a shorter segment is not worth its header
constexpr std::uint64_t am_window = 1u << 17; ///< TS 38.322 7.2, 18 bit sequence numbers

std::uint32_t MacSubheader(std::uint32_t bytes) {
    return bytes < 256 ? 2 : 3; // TS 38.321 6.1.2
}

} // namespace

void BearerSettings::Check() const {
    const auto refuse = [](const char* name, const std::string& value, const char* legal) {
        throw std::invalid_argument(std::string("bearer: ") + name + " " + value + "; legal is " + legal);
    };
    if (bufferBytes < 1500) {
        refuse("bufferBytes", std::to_string(bufferBytes), "1500 or more");
    }
    for (const auto& [name, timer] :
         {std::pair{"t-Reassembly", reassembly}, std::pair{"t-StatusProhibit", statusProhibit},
          std::pair{"t-PollRetransmit", pollRetransmit}, std::pair{"t-Reordering", reordering}}) {
        if (timer.IsNegative() || timer > ns3::Seconds(60)) {
            refuse(name, std::to_string(timer.GetSeconds()) + " s", "0 to 60 s");
        }
    }
    if (pollRetransmit.IsZero()) {
        refuse("t-PollRetransmit", "0", "more than 0");
    }
    if (pollPdu == 0 || pollBytes == 0 || maxRetransmissions == 0) {
        refuse("pollPDU, pollByte or maxRetxThreshold", "0", "1 or more");
    }
}

std::uint32_t RlcStatus::Bytes() const {
    std::uint32_t bytes = 4; // D/C, CPT, 18 bit ACK_SN, E1
    for (const auto& each : missing) {
        bytes += each.from == 0 && each.to == RlcStatus::to_the_end ? 3 : 7; // 18 bit NACK_SN, E1-3; SOstart and SOend
    }
    return bytes + MacSubheader(bytes);
}

Bearer::Bearer(const BearerSettings& settings) : m_settings(settings) {
    settings.Check();
}

Bearer::~Bearer() {
    m_pollEvent.Cancel();
    m_reassemblyEvent.Cancel();
    m_prohibitEvent.Cancel();
    m_reorderingEvent.Cancel();
}

void Bearer::SetWake(std::function<void()> data, std::function<void()> status) {
    m_wakeData = std::move(data);
    m_wakeStatus = std::move(status);
}

std::uint32_t Bearer::HeaderBytes(std::uint32_t length, bool whole, bool first) const {
    const std::uint32_t rlc = m_settings.acknowledged ? (first ? 3 : 5) : whole ? 1 : first ? 2 : 4;
    return rlc + MacSubheader(length + rlc);
}

unsigned Bearer::Priority() const {
    unsigned highest = m_waits == 0 ? 0 : static_cast<unsigned>(std::bit_width(m_waits)) - 1;
    if (m_nextSn < m_firstSn + m_sdus.size()) {
        highest = std::max<unsigned>(highest, m_sdus[m_nextSn - m_firstSn].priority);
    }
    for (const auto& [sn, pieces] : m_retransmit) {
        highest = std::max<unsigned>(highest, m_sdus[sn - m_firstSn].priority);
    }
    return highest;
}

bool Bearer::Send(ns3::Ptr<ns3::Packet> packet, unsigned priority) {
    const std::uint32_t size = packet->GetSize() + pdcp_header;
    if (m_keptBytes[priority] + size > m_settings.bufferBytes || m_failed) {
        ++m_counters.droppedPackets;
        NS_LOG_LOGIC("dropped, priority " << priority << ": " << (m_failed ? "failed" : "full"));
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
    if (idle && m_wakeData) {
        m_wakeData();
    }
    return true;
}

/// One PDU of a piece, as long as the room allows. Shortens `piece` to what is left. \return false if nothing fitted
bool Bearer::TakePiece(std::uint64_t sn, const Outgoing& sdu, Piece& piece, std::uint32_t& room,
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
bool Bearer::Next() {
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

std::uint32_t Bearer::Take(std::uint32_t bytes, std::vector<RlcPdu>& out) {
    std::uint32_t room = bytes;
    const std::size_t before = out.size();
    while (!m_retransmit.empty()) {
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
    while ((!m_settings.acknowledged || m_nextSn < m_firstSn + am_window) && Next()) {
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
    return bytes - room;
}

/// TS 38.322 5.3.3.2: ask for a status report after so much, and with the last PDU that waits.
void Bearer::Poll(std::vector<RlcPdu>& out) {
    const bool nothingLeft = BacklogBytes() == 0 || m_nextSn >= m_firstSn + am_window;
    if (m_pdusWithoutPoll >= m_settings.pollPdu || m_bytesWithoutPoll >= m_settings.pollBytes || nothingLeft ||
        m_pollExpired) {
        out.back().poll = true;
        m_pdusWithoutPoll = m_bytesWithoutPoll = 0;
        m_pollExpired = false;
        m_pollSn = m_sentOfNext > 0 ? m_nextSn : m_nextSn - 1;
        m_pollEvent.Cancel();
        m_pollEvent = ns3::Simulator::Schedule(m_settings.pollRetransmit, &Bearer::PollExpired, this);
    }
}

/// TS 38.322 5.3.3.4: no report came; send something again, with a poll.
void Bearer::PollExpired() {
    if ((m_sdus.empty() && m_waits == 0) || m_failed) {
        return;
    }
    m_pollExpired = true;
    if (BacklogBytes() == 0) {
        for (std::uint64_t sn = m_nextSn; sn-- > m_firstSn;) { // the last one sent that is not acknowledged
            const Outgoing& sdu = m_sdus[sn - m_firstSn];
            if (!sdu.acknowledged) {
                Lose(sn, {0, sdu.size});
                break;
            }
        }
    }
}

/// A piece goes into the retransmission buffer, where it is not already.
void Bearer::Lose(std::uint64_t sn, Piece piece) {
    const bool idle = BacklogBytes() == 0;
    auto [entry, fresh] = m_retransmit.try_emplace(sn);
    if (fresh) {
        Outgoing& sdu = m_sdus[sn - m_firstSn];
        if (++sdu.retransmissions > m_settings.maxRetransmissions) {
            Fail();
            return;
        }
    }
    for (const auto& known : entry->second) {
        if (piece.from < known.to && known.from < piece.to) {
            return; // waiting already
        }
    }
    entry->second.push_back(piece);
    m_retransmitBytes += piece.to - piece.from;
    NS_LOG_LOGIC("SDU " << sn << ", bytes " << piece.from << " to " << piece.to << " are sent again");
    if (idle && m_wakeData) {
        m_wakeData();
    }
}

void Bearer::Fail() {
    NS_LOG_INFO("sent maxRetxThreshold times: radio link failure, nothing is sent any more");
    m_failed = true;
    m_pollEvent.Cancel();
    m_retransmit.clear();
    m_sdus.clear();
    m_waiting = {};
    m_waits = 0;
    m_firstSn = m_nextSn;
    m_sentOfNext = 0;
    m_retransmitBytes = m_backlog = 0;
    m_keptBytes = {};
}

void Bearer::Receive(const RlcStatus& status) {
    if (m_failed) {
        return;
    }
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
        if (!sdu.acknowledged && missing.from < to) {
            Lose(missing.sn, {missing.from, to});
        }
        if (m_failed) {
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
