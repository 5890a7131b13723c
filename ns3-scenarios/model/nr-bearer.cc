// SPDX-License-Identifier: GPL-2.0-only
#include "nr-bearer.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "ns3/simulator.h"

namespace edgelam::nr {

namespace {

constexpr std::uint32_t pdcp_header = 3;
constexpr std::uint32_t least_piece = 8;      ///< a shorter segment is not worth its header
constexpr std::uint64_t am_window = 1u << 17; ///< TS 38.322 7.2, 18 bit sequence numbers
constexpr std::uint32_t to_the_end = UINT32_MAX;

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
        bytes += each.from == 0 && each.to == to_the_end ? 3 : 7; // 18 bit NACK_SN, E1-3; SOstart and SOend
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

bool Bearer::Send(ns3::Ptr<ns3::Packet> packet) {
    const std::uint32_t size = packet->GetSize() + pdcp_header;
    if (m_keptBytes + size > m_settings.bufferBytes || m_failed) {
        ++m_counters.droppedPackets;
        return false;
    }
    const bool idle = BacklogBytes() == 0;
    m_keptBytes += size;
    m_backlog += size + HeaderBytes(size, true, true);
    m_sdus.push_back({std::move(packet), size});
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
    out.push_back({sn, sdu.packet, piece.from, length, piece.from + length == sdu.size, false, header});
    room -= length + header;
    piece.from += length;
    ++m_pdusWithoutPoll;
    m_bytesWithoutPoll += length;
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
    while (m_nextSn < m_firstSn + m_sdus.size() && (!m_settings.acknowledged || m_nextSn < m_firstSn + am_window)) {
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
            m_keptBytes -= sdu.size;
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
    if (m_sdus.empty() || m_failed) {
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
    if (idle && m_wakeData) {
        m_wakeData();
    }
}

void Bearer::Fail() {
    m_failed = true;
    m_pollEvent.Cancel();
    m_retransmit.clear();
    m_sdus.clear();
    m_firstSn = m_nextSn;
    m_sentOfNext = 0;
    m_retransmitBytes = m_backlog = m_keptBytes = 0;
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
        m_keptBytes -= m_sdus.front().size;
        m_sdus.pop_front();
        ++m_firstSn;
    }
}

/// Notes the bytes of a PDU. \return whether the SDU is whole now
bool Bearer::Add(Incoming& sdu, const RlcPdu& pdu) {
    auto& pieces = sdu.pieces;
    if (pieces.empty()) {
        sdu.packet = pdu.sdu;
        sdu.first = ns3::Simulator::Now();
    } else if (!m_settings.acknowledged && ns3::Simulator::Now() - sdu.first > m_settings.reassembly) {
        pieces.clear(); // UM: what t-Reassembly has given up
        sdu.first = ns3::Simulator::Now();
    }
    if (pdu.last) {
        sdu.size = pdu.offset + pdu.length;
    }
    pieces.push_back({pdu.offset, pdu.offset + pdu.length});
    std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.from < b.from; });
    std::size_t kept = 0;
    for (std::size_t i = 1; i < pieces.size(); ++i) {
        if (pieces[i].from <= pieces[kept].to) {
            pieces[kept].to = std::max(pieces[kept].to, pieces[i].to);
        } else {
            pieces[++kept] = pieces[i];
        }
    }
    pieces.resize(kept + 1);
    return sdu.size > 0 && pieces.size() == 1 && pieces[0].from == 0 && pieces[0].to == sdu.size;
}

void Bearer::Receive(const RlcPdu& pdu) {
    const bool done = pdu.sn < m_rxNext || (m_reorder.contains(pdu.sn)) || pdu.sn < m_deliverNext;
    if (!done) {
        const auto entry = m_incoming.try_emplace(pdu.sn).first;
        const bool whole = Add(entry->second, pdu);
        m_rxHighest = std::max(m_rxHighest, pdu.sn + 1);
        if (whole) {
            ns3::Ptr<ns3::Packet> packet = std::move(entry->second.packet);
            m_incoming.erase(entry);
            Hand(pdu.sn, std::move(packet));
        }
        if (m_settings.acknowledged) {
            UpdateReassembly();
        }
    }
    if (pdu.poll && m_settings.acknowledged) {
        TriggerStatus();
    }
}

/// In order to whoever wants the packets (TS 38.323 5.2.2).
void Bearer::Hand(std::uint64_t sn, ns3::Ptr<ns3::Packet> packet) {
    const auto give = [&](const ns3::Ptr<ns3::Packet>& each) {
        ++m_counters.deliveredPackets;
        m_counters.deliveredBytes += each->GetSize();
        ++m_deliverNext;
        if (m_deliver) {
            m_deliver(each);
        }
    };
    if (sn == m_deliverNext) {
        give(packet);
        while (!m_reorder.empty() && m_reorder.begin()->first == m_deliverNext) {
            const auto next = std::move(m_reorder.begin()->second);
            m_reorder.erase(m_reorder.begin());
            give(next);
        }
    } else {
        m_reorder.emplace(sn, std::move(packet));
    }
    if (!m_settings.acknowledged) {
        if (m_reorderingEvent.IsPending() && m_deliverNext >= m_reorderTrigger) {
            m_reorderingEvent.Cancel();
        }
        if (!m_reorder.empty() && !m_reorderingEvent.IsPending()) {
            m_reorderTrigger = m_reorder.rbegin()->first + 1;
            m_reorderingEvent = ns3::Simulator::Schedule(m_settings.reordering, &Bearer::ReorderingExpired, this);
        }
    }
}

/// UM: what came before the trigger is given up; everything complete up to it is delivered.
void Bearer::ReorderingExpired() {
    while (m_deliverNext < m_reorderTrigger) {
        const auto waiting = m_reorder.find(m_deliverNext);
        if (waiting == m_reorder.end()) {
            ++m_counters.lostPackets;
            ++m_deliverNext;
            continue;
        }
        const auto packet = std::move(waiting->second);
        m_reorder.erase(waiting);
        Hand(m_deliverNext, packet);
    }
    m_incoming.erase(m_incoming.begin(), m_incoming.lower_bound(m_deliverNext));
    if (!m_reorder.empty() && !m_reorderingEvent.IsPending()) {
        m_reorderTrigger = m_reorder.rbegin()->first + 1;
        m_reorderingEvent = ns3::Simulator::Schedule(m_settings.reordering, &Bearer::ReorderingExpired, this);
    }
}

/// TS 38.322 5.2.3.2.3: the variables of the receiving window, and t-Reassembly.
void Bearer::UpdateReassembly() {
    const auto complete = [&](std::uint64_t sn) { return sn < m_deliverNext || m_reorder.contains(sn); };
    while (complete(m_rxNext) && m_rxNext < m_rxHighest) {
        ++m_rxNext;
    }
    m_rxHighestStatus = std::max(m_rxHighestStatus, m_rxNext);
    while (complete(m_rxHighestStatus) && m_rxHighestStatus < m_rxHighest) {
        ++m_rxHighestStatus;
    }
    if (m_reassemblyEvent.IsPending() && m_rxTrigger <= m_rxNext) {
        m_reassemblyEvent.Cancel();
    }
    // A gap: something above RX_Next has come, or a segment of RX_Next itself that is not its beginning.
    if (!m_reassemblyEvent.IsPending() && m_rxHighest > m_rxNext + 1) {
        m_rxTrigger = m_rxHighest;
        m_reassemblyEvent = ns3::Simulator::Schedule(m_settings.reassembly, &Bearer::ReassemblyExpired, this);
    }
}

void Bearer::ReassemblyExpired() {
    const auto complete = [&](std::uint64_t sn) { return sn < m_deliverNext || m_reorder.contains(sn); };
    m_rxHighestStatus = m_rxTrigger;
    while (complete(m_rxHighestStatus) && m_rxHighestStatus < m_rxHighest) {
        ++m_rxHighestStatus;
    }
    TriggerStatus();
    if (m_rxHighest > m_rxHighestStatus + 1) {
        m_rxTrigger = m_rxHighest;
        m_reassemblyEvent = ns3::Simulator::Schedule(m_settings.reassembly, &Bearer::ReassemblyExpired, this);
    }
}

void Bearer::TriggerStatus() {
    const bool waited = m_statusWanted;
    m_statusWanted = true;
    if (!waited && !m_prohibitEvent.IsPending() && m_wakeStatus) {
        m_wakeStatus();
    }
}

std::uint32_t Bearer::StatusBytes() const {
    if (!m_statusWanted || m_prohibitEvent.IsPending()) {
        return 0;
    }
    RlcStatus largest; // as many as are not whole; ranges within an SDU are rare
    std::size_t gaps = 0;
    for (std::uint64_t sn = m_rxNext; sn < m_rxHighestStatus && gaps < 200; ++sn) {
        gaps += sn >= m_deliverNext && !m_reorder.contains(sn);
    }
    largest.missing.resize(gaps, {0, 0, 0});
    return largest.Bytes();
}

RlcStatus Bearer::TakeStatus(std::uint32_t bytes) {
    RlcStatus status;
    status.ackSn = m_rxHighestStatus;
    std::uint32_t used = 4 + 3; // with the longer MAC subheader
    for (std::uint64_t sn = m_rxNext; sn < m_rxHighestStatus; ++sn) {
        if (sn < m_deliverNext || m_reorder.contains(sn)) {
            continue;
        }
        const auto part = m_incoming.find(sn);
        used += part == m_incoming.end() ? 3 : 7 * static_cast<std::uint32_t>(part->second.pieces.size() + 1);
        if (used > bytes && !status.missing.empty()) {
            status.ackSn = sn; // TS 38.322 5.3.4: up to the first that is not told of
            break;
        }
        if (part == m_incoming.end()) {
            status.missing.push_back({sn, 0, to_the_end});
            continue;
        }
        std::uint32_t from = 0;
        for (const auto& piece : part->second.pieces) {
            if (piece.from > from) {
                status.missing.push_back({sn, from, piece.from});
            }
            from = piece.to;
        }
        if (part->second.size == 0) {
            status.missing.push_back({sn, from, to_the_end});
        }
    }
    m_statusWanted = false;
    m_prohibitEvent.Cancel();
    m_prohibitEvent = ns3::Simulator::Schedule(m_settings.statusProhibit, [this] {
        if (m_statusWanted && m_wakeStatus) {
            m_wakeStatus();
        }
    });
    return status;
}

} // namespace edgelam::nr
