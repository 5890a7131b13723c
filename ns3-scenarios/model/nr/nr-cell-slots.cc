// SPDX-License-Identifier: GPL-2.0-only
// A cell's slots: what is due, transmissions, and HARQ.
#include <algorithm>
#include <bit>
#include <cmath>

#include "ns3/simulator.h"

#include "nr-cell.h"

namespace edgelam::nr {

namespace {

constexpr double outer_loop_step_db = 0.3; ///< down for a lost first transmission; up by what balances it
constexpr double least_loop_db = -20, most_loop_db = 10;
constexpr std::uint64_t request_bytes = 200; ///< a first grant: room for a buffer status report and a small packet

} // namespace

/// The next slot boundary, or this moment if it is one.
std::uint64_t Cell::NextSlot() const {
    const std::int64_t now = ns3::Simulator::Now().GetNanoSeconds();
    const std::int64_t slot = m_numerology->SlotAt(now);
    return std::max(m_slot, static_cast<std::uint64_t>(slot + (m_numerology->SlotStartNs(slot) < now)));
}

/// Something waits: go on at the next slot boundary.
void Cell::Wake() {
    if (m_running) {
        return;
    }
    m_running = true;
    m_slot = NextSlot();
    ScheduleSlot();
}

void Cell::ScheduleSlot() {
    m_event = ns3::Simulator::Schedule(ns3::NanoSeconds(m_numerology->SlotStartNs(static_cast<std::int64_t>(m_slot))) -
                                           ns3::Simulator::Now(),
                                       &Cell::Slot, this);
}

bool Cell::Busy() const {
    const auto sends = [](const auto& multicast) {
        return multicast.second.side.bearer.BacklogBytes() > 0 || multicast.second.side.again != 0;
    };
    return m_outstanding > 0 || std::any_of(m_multicasts.begin(), m_multicasts.end(), sends) ||
           std::any_of(m_ues.begin(), m_ues.end(), [](const auto& ue) {
               return ue->down.bearer.BacklogBytes() > 0 || ue->up.bearer.BacklogBytes() > 0 || ue->knownBytes > 0 ||
                      ue->down.again != 0 || ue->up.again != 0 || ue->down.bearer.StatusBytes() > 0 ||
                      ue->up.bearer.StatusBytes() > 0;
           });
}

void Cell::At(std::uint64_t slot, Action action) {
    m_ring[slot & (m_ring.size() - 1)].push_back(action);
    ++m_outstanding;
}

void Cell::Slot() {
    const std::uint64_t slot = m_slot++;
    auto& due = m_ring[slot & (m_ring.size() - 1)];
    for (const auto& action : due) { // what an action adds is for later slots
        --m_outstanding;
        Do(action, slot);
    }
    due.clear();
    if (const unsigned symbols = m_plan[(slot + m_gnbDelay) % m_plan.size()].downSymbols; symbols > 0) {
        ScheduleDown(slot, symbols);
    }
    const SlotPlan& plan = m_plan[slot % m_plan.size()];
    for (const unsigned ahead : plan.grantsFor) {
        ScheduleUp(slot, slot + ahead, m_plan[(slot + ahead) % m_plan.size()].upSymbols);
    }
    if (plan.uplink) {
        Request(slot);
    }
    if (Busy()) {
        ScheduleSlot();
    } else {
        m_running = false;
    }
}

void Cell::Do(const Action& action, std::uint64_t slot) {
    if (action.what >= What::SendMulticast) {
        DoMulticast(action, slot);
        return;
    }
    Ue& ue = *m_ues[action.number];
    switch (action.what) {
    case What::SendDown:
        TransmitDown(action.number, action.harq, slot);
        return;
    case What::SendUp:
        TransmitUp(action.number, action.harq, slot);
        return;
    case What::DownReceived: {
        Process& process = ue.down.harq[action.harq];
        for (const auto& pdu : process.pdus) {
            ue.down.bearer.Receive(pdu);
        }
        if (process.status) {
            ue.up.bearer.Receive(*process.status);
        }
        process.pdus.clear();
        process.status.reset();
        return;
    }
    case What::DownFeedback:
        Feedback(ue.down, action.harq, ue.down.harq[action.harq].reception.decoded);
        return;
    case What::Request:
        if (action.report > ue.heard) {
            ue.heard = action.report;
            ue.knownBytes = std::max(ue.knownBytes, request_bytes);
            ue.knownPriority = std::max<unsigned>(ue.knownPriority, action.priority);
        }
        return;
    case What::UpReceived:
        UpReceived(ue, action.harq);
        return;
    default:
        return;
    }
}

/// The gNB knows whether a block was decoded.
void Cell::Feedback(Side& side, unsigned harq, bool decoded) {
    if (side.harq[harq].attempts == 1) {
        Adapt(side, side.harq[harq], decoded);
    }
    Finish(side, harq, decoded, m_maxTransmissions);
}

/// A block is done with, or to be sent again.
void Cell::Finish(Side& side, unsigned harq, bool decoded, unsigned maxTransmissions) {
    Process& process = side.harq[harq];
    const auto bit = static_cast<std::uint16_t>(1u << harq);
    if (decoded || process.attempts >= maxTransmissions) {
        side.busy &= static_cast<std::uint16_t>(~bit);
        process.pdus.clear();
        process.status.reset();
    } else {
        side.again |= bit;
    }
}

/// The outer loop: nothing above the highest MCS, nor below the lowest, can be learnt.
void Cell::Adapt(Side& side, const Process& process, bool decoded) const {
    if (!decoded && !process.lowest) {
        side.outerLoopDb = std::max(side.outerLoopDb - outer_loop_step_db, least_loop_db);
    } else if (decoded && process.mcs + 1u < m_thresholdDb.size()) {
        const double up = outer_loop_step_db * m_blerTarget / (1 - m_blerTarget);
        side.outerLoopDb = std::min(side.outerLoopDb + up, most_loop_db);
    }
}

void Cell::UpReceived(Ue& ue, unsigned harq) {
    Process& process = ue.up.harq[harq];
    if (process.reception.decoded) {
        for (const auto& pdu : process.pdus) {
            ue.up.bearer.Receive(pdu);
        }
        if (process.status) {
            ue.down.bearer.Receive(*process.status);
        }
        if (process.report > ue.heard) {
            ue.heard = process.report;
            ue.knownBytes = process.reportedBytes;
            ue.knownPriority = process.reportedPriority;
        }
    } else if (process.attempts >= m_maxTransmissions && process.report == ue.lastReport) {
        ue.told = 0; // the report is lost too
    }
    Feedback(ue.up, harq, process.reception.decoded);
}

void Cell::TransmitDown(std::uint32_t number, unsigned harq, std::uint64_t slot) {
    Ue& ue = *m_ues[number];
    Process& process = ue.down.harq[harq];
    const auto small = static_cast<std::uint8_t>(harq);
    TransportBlockRecord record{};
    record.slot = slot;
    record.ue = number;
    record.harq = small;
    Decode(process, process.reception, DownlinkSinr(ue, process.layers, slot), m_plan[slot % m_plan.size()].downSymbols,
           record);
    ++process.attempts;
    if (process.reception.decoded) {
        At(slot + 1 + m_ueDelay, {What::DownReceived, small, number, 0});
    }
    At(FeedbackSlot(slot), {What::DownFeedback, small, number, 0});
}

/// When the gNB acts on HARQ feedback for a downlink block of this slot.
std::uint64_t Cell::FeedbackSlot(std::uint64_t slot) const {
    const auto soonest = static_cast<std::int64_t>(slot + std::max(m_k1, 1 + m_ueDelay));
    return static_cast<std::uint64_t>(m_pattern->NextUplink(soonest)) + 1 + m_gnbDelay;
}

/// UEs with data that the gNB does not know of ask for a grant.
void Cell::Request(std::uint64_t slot) {
    for (std::uint32_t i = 0; i < m_ues.size(); ++i) {
        Ue& ue = *m_ues[i];
        if (ue.told == 0 && ue.grants == 0 && !ue.requested &&
            (ue.up.bearer.BacklogBytes() > 0 || ue.down.bearer.StatusBytes() > 0)) {
            ue.requested = true;
            At(slot + 1 + m_gnbDelay, {What::Request, 0, i, ++ue.lastReport, UplinkPriority(ue)});
        }
    }
}

void Cell::TransmitUp(std::uint32_t number, unsigned harq, std::uint64_t slot) {
    Ue& ue = *m_ues[number];
    Process& process = ue.up.harq[harq];
    --ue.grants;
    if (process.attempts == 0) {
        std::uint32_t room = process.bits / 8 - std::min(process.bits / 8, report_bytes);
        if (ue.down.bearer.StatusBytes() > 0 && room >= least_status_bytes) {
            process.status = ue.down.bearer.TakeStatus(room);
            room -= std::min(room, process.status->Bytes());
        }
        if (m_schedulerUp->AdmitsData(number)) {
            ue.up.bearer.Take(room, process.pdus);
        }
        process.report = ++ue.lastReport;
        process.reportedBytes = ue.told = ue.up.bearer.BacklogBytes() + ue.down.bearer.StatusBytes();
        process.reportedPriority = UplinkPriority(ue);
    }
    const auto small = static_cast<std::uint8_t>(harq);
    TransportBlockRecord record{};
    record.slot = slot;
    record.ue = number;
    record.uplink = 1;
    record.harq = small;
    Decode(process, process.reception, UplinkSinr(ue, process, slot), m_plan[slot % m_plan.size()].upSymbols, record);
    ++process.attempts;
    At(slot + 1 + m_gnbDelay, {What::UpReceived, small, number, 0});
}

} // namespace edgelam::nr
