// SPDX-License-Identifier: GPL-2.0-only
#include "nr-receiving-entity.h"

#include <algorithm>

#include "ns3/log.h"
#include "ns3/simulator.h"

NS_LOG_COMPONENT_DEFINE("NrReceivingEntity");

namespace edgelam::nr {

ReceivingEntity::ReceivingEntity(const BearerSettings& settings) : m_settings(settings) {
    settings.Check();
}

ReceivingEntity::~ReceivingEntity() {
    m_reassemblyEvent.Cancel();
    m_prohibitEvent.Cancel();
    m_reorderingEvent.Cancel();
}

/// Notes the bytes of a PDU. \return whether the SDU is whole now
bool ReceivingEntity::Add(Incoming& sdu, const RlcPdu& pdu) {
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

void ReceivingEntity::Receive(const RlcPdu& pdu) {
    NS_LOG_FUNCTION(this << pdu.sn << pdu.offset << pdu.length << pdu.last << pdu.poll);
    const bool done = pdu.sn < m_rxNext || (m_reorder.contains(pdu.sn)) || pdu.sn < m_deliverNext;
    if (!done) {
        auto part = m_incoming.find(pdu.sn);
        const bool atOnce = part == m_incoming.end() && pdu.offset == 0 && pdu.last; // nearly always
        if (!atOnce && part == m_incoming.end()) {
            part = m_incoming.try_emplace(pdu.sn).first;
        }
        const bool whole = atOnce || Add(part->second, pdu);
        m_rxHighest = std::max(m_rxHighest, pdu.sn + 1);
        if (whole) {
            ns3::Ptr<ns3::Packet> packet = pdu.sdu;
            if (!atOnce) {
                packet = std::move(part->second.packet);
                m_incoming.erase(part);
            }
            Hand(pdu.sn, {std::move(packet), pdu.arrived});
        }
        if (m_settings.acknowledged) {
            UpdateReassembly();
        }
    } else if (m_settings.acknowledged && pdu.sn >= m_rxHighest) { // whole before RLC began anew
        m_rxHighest = pdu.sn + 1;
        UpdateReassembly();
    }
    // TS 38.322 5.3.4: a poll is answered once the report can tell of its SDU, which HARQ may still be bringing.
    if (pdu.poll && m_settings.acknowledged) {
        if (pdu.sn < m_rxHighestStatus) {
            TriggerStatus();
        } else {
            m_polledTo = std::max(m_polledTo, pdu.sn + 1);
        }
    }
}

/// In order to whoever wants the packets (TS 38.323 5.2.2).
void ReceivingEntity::Hand(std::uint64_t sn, Complete sdu) {
    const auto give = [&](const Complete& each) {
        if (!each.packet) {
            ++m_counters.lostPackets;
            ++m_deliverNext;
            return;
        }
        ++m_counters.deliveredPackets;
        m_counters.deliveredBytes += each.packet->GetSize();
        ++m_deliverNext;
        if (m_trace) {
            m_trace(each.arrived, each.packet->GetSize());
        }
        if (m_deliver) {
            m_deliver(each.packet);
        }
    };
    if (sn == m_deliverNext) {
        give(sdu);
        while (!m_reorder.empty() && m_reorder.begin()->first == m_deliverNext) {
            const auto next = std::move(m_reorder.begin()->second);
            m_reorder.erase(m_reorder.begin());
            give(next);
        }
    } else {
        m_reorder.emplace(sn, std::move(sdu));
    }
    if (!m_settings.acknowledged) {
        if (m_reorderingEvent.IsPending() && m_deliverNext >= m_reorderTrigger) {
            m_reorderingEvent.Cancel();
        }
        if (!m_reorder.empty() && !m_reorderingEvent.IsPending()) {
            m_reorderTrigger = m_reorder.rbegin()->first + 1;
            m_reorderingEvent =
                ns3::Simulator::Schedule(m_settings.reordering, &ReceivingEntity::ReorderingExpired, this);
        }
    }
}

/// UM: what came before the trigger is given up; everything complete up to it is delivered.
void ReceivingEntity::ReorderingExpired() {
    const std::uint64_t trigger = m_reorderTrigger; // Hand may start the timer for those behind
    NS_LOG_LOGIC(this << ": t-Reordering has run out; SDUs " << m_deliverNext << " to " << trigger - 1
                      << " are delivered or given up");
    while (m_deliverNext < trigger) {
        const auto waiting = m_reorder.find(m_deliverNext);
        if (waiting == m_reorder.end()) {
            ++m_counters.lostPackets;
            ++m_deliverNext;
            continue;
        }
        const auto sdu = std::move(waiting->second);
        m_reorder.erase(waiting);
        Hand(m_deliverNext, sdu);
    }
    m_incoming.erase(m_incoming.begin(), m_incoming.lower_bound(m_deliverNext));
    if (!m_reorder.empty() && !m_reorderingEvent.IsPending()) {
        m_reorderTrigger = m_reorder.rbegin()->first + 1;
        m_reorderingEvent = ns3::Simulator::Schedule(m_settings.reordering, &ReceivingEntity::ReorderingExpired, this);
    }
}

/// TS 38.322 5.2.3.2.3: the variables of the receiving window, and t-Reassembly.
void ReceivingEntity::UpdateReassembly() {
    const auto complete = [&](std::uint64_t sn) { return sn < m_deliverNext || m_reorder.contains(sn); };
    while (complete(m_rxNext) && m_rxNext < m_rxHighest) {
        ++m_rxNext;
    }
    m_rxHighestStatus = std::max(m_rxHighestStatus, m_rxNext);
    while (complete(m_rxHighestStatus) && m_rxHighestStatus < m_rxHighest) {
        ++m_rxHighestStatus;
    }
    const bool gap = HasGap(m_rxNext);
    if (m_rxTrigger <= m_rxNext || (m_rxTrigger == m_rxNext + 1 && !gap)) {
        m_reassemblyEvent.Cancel();
    }
    if (!m_reassemblyEvent.IsPending() && (m_rxHighest > m_rxNext + 1 || gap)) {
        m_rxTrigger = m_rxHighest;
        m_reassemblyEvent = ns3::Simulator::Schedule(m_settings.reassembly, &ReceivingEntity::ReassemblyExpired, this);
    }
    if (m_polledTo > 0 && m_polledTo <= m_rxHighestStatus) {
        m_polledTo = 0;
        TriggerStatus();
    }
}

/// Whether bytes of an SDU are missing before the last that have come.
bool ReceivingEntity::HasGap(std::uint64_t sn) const {
    const auto part = m_incoming.find(sn);
    return part != m_incoming.end() && (part->second.pieces.size() > 1 || part->second.pieces[0].from > 0);
}

void ReceivingEntity::ReassemblyExpired() {
    const auto complete = [&](std::uint64_t sn) { return sn < m_deliverNext || m_reorder.contains(sn); };
    m_rxHighestStatus = m_rxTrigger;
    while (complete(m_rxHighestStatus) && m_rxHighestStatus < m_rxHighest) {
        ++m_rxHighestStatus;
    }
    NS_LOG_LOGIC(this << ": t-Reassembly has run out; missing from SDU " << m_rxNext << " on");
    m_polledTo = m_polledTo <= m_rxHighestStatus ? 0 : m_polledTo;
    TriggerStatus();
    if (m_rxHighest > m_rxHighestStatus + 1 || HasGap(m_rxHighestStatus)) {
        m_rxTrigger = m_rxHighest;
        m_reassemblyEvent = ns3::Simulator::Schedule(m_settings.reassembly, &ReceivingEntity::ReassemblyExpired, this);
    }
}

void ReceivingEntity::TriggerStatus() {
    const bool waited = m_statusWanted;
    m_statusWanted = true;
    if (!waited && !m_prohibitEvent.IsPending() && m_wake) {
        m_wake();
    }
}

std::uint32_t ReceivingEntity::StatusBytes() const {
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

RlcStatus ReceivingEntity::TakeStatus(std::uint32_t bytes) {
    RlcStatus status;
    status.ackSn = m_rxHighestStatus;
    std::uint32_t used = RlcStatus::header + 3; // with the longer MAC subheader
    const auto tell = [&](const RlcStatus::Missing& range) {
        used += range.Bytes();
        if (used <= bytes) {
            status.missing.push_back(range);
            return true;
        }
        // TS 38.322 5.3.4: the first that is not told of; of an SDU that is told of in part, the rest comes later.
        status.ackSn = range.sn + (!status.missing.empty() && status.missing.back().sn == range.sn);
        return false;
    };
    bool room = true;
    for (std::uint64_t sn = m_rxNext; room && sn < m_rxHighestStatus; ++sn) {
        if (sn < m_deliverNext || m_reorder.contains(sn)) {
            continue;
        }
        const auto part = m_incoming.find(sn);
        if (part == m_incoming.end()) {
            room = tell({sn, 0, RlcStatus::to_the_end});
            continue;
        }
        std::uint32_t from = 0;
        for (const auto& piece : part->second.pieces) {
            room = room && (piece.from == from || tell({sn, from, piece.from}));
            from = piece.to;
        }
        if (room && part->second.size == 0) {
            room = tell({sn, from, RlcStatus::to_the_end});
        }
    }
    NS_LOG_LOGIC(this << " reports all below SDU " << status.ackSn << " but " << status.missing.size() << " pieces");
    m_statusWanted = false;
    m_prohibitEvent.Cancel();
    m_prohibitEvent = ns3::Simulator::Schedule(m_settings.statusProhibit, [this] {
        if (m_statusWanted && m_wake) {
            m_wake();
        }
    });
    return status;
}

void ReceivingEntity::Reestablish() {
    m_incoming.clear();
    m_rxNext = m_rxHighest = m_rxHighestStatus = m_rxTrigger = m_deliverNext;
    m_polledTo = 0;
    m_statusWanted = false;
    m_reassemblyEvent.Cancel();
    m_prohibitEvent.Cancel();
}

void ReceivingEntity::GiveUp(const std::vector<std::uint64_t>& numbers) {
    for (const auto sn : numbers) {
        if (sn >= m_deliverNext && !m_reorder.contains(sn)) {
            m_incoming.erase(sn);
            Hand(sn, {});
        }
    }
    if (m_settings.acknowledged) {
        UpdateReassembly();
    }
}

void ReceivingEntity::Release(std::uint64_t next, std::uint64_t lost) {
    m_counters.lostPackets += lost;
    m_incoming.clear();
    m_reorder.clear();
    m_rxNext = m_rxHighest = m_rxHighestStatus = m_rxTrigger = m_deliverNext = m_reorderTrigger = next;
    m_polledTo = 0;
    m_statusWanted = false;
    m_reassemblyEvent.Cancel();
    m_reorderingEvent.Cancel();
    m_prohibitEvent.Cancel();
}

} // namespace edgelam::nr
