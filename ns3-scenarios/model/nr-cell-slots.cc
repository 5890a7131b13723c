// SPDX-License-Identifier: GPL-2.0-only
// A cell's slots: what is due, who may send, grants, and HARQ.
#include <algorithm>
#include <bit>
#include <cmath>

#include "ns3/simulator.h"

#include "nr-cell.h"

namespace edgelam::nr {

namespace {

constexpr double outer_loop_step_db = 0.3; ///< down for a lost first transmission; up by what balances it
constexpr double least_loop_db = -20, most_loop_db = 10;
constexpr std::uint64_t request_bytes = 200;     ///< a first grant: room for a buffer status report and a small packet
constexpr std::uint32_t report_bytes = 5;        ///< long buffer status report with its MAC subheader
constexpr std::uint64_t header_bytes = 16;       ///< room for the headers of two segments
constexpr std::uint32_t least_block_bits = 192;  ///< below, a block would be little but headers
constexpr std::uint32_t least_status_bytes = 16; ///< of room, for a report that tells of what is missing

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
    return m_outstanding > 0 || std::any_of(m_ues.begin(), m_ues.end(), [](const auto& ue) {
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
    Ue& ue = *m_ues[action.ue];
    switch (action.what) {
    case What::SendDown:
        TransmitDown(action.ue, action.harq, slot);
        return;
    case What::SendUp:
        TransmitUp(action.ue, action.harq, slot);
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
        Feedback(ue.down, action.harq);
        return;
    case What::Request:
        if (action.report > ue.heard) {
            ue.heard = action.report;
            ue.knownBytes = std::max(ue.knownBytes, request_bytes);
        }
        return;
    case What::UpReceived:
        UpReceived(ue, action.harq);
        return;
    }
}

/// The gNB knows whether a block was decoded.
void Cell::Feedback(Side& side, unsigned harq) {
    Process& process = side.harq[harq];
    if (process.attempts == 1) {
        // Nothing above the highest MCS, nor below the lowest, can be learnt.
        if (!process.decoded && process.mcs > 0) {
            side.outerLoopDb = std::max(side.outerLoopDb - outer_loop_step_db, least_loop_db);
        } else if (process.decoded && process.mcs + 1u < m_thresholdDb.size()) {
            const double up = outer_loop_step_db * m_blerTarget / (1 - m_blerTarget);
            side.outerLoopDb = std::min(side.outerLoopDb + up, most_loop_db);
        }
    }
    const auto bit = static_cast<std::uint16_t>(1u << harq);
    if (process.decoded || process.attempts >= m_maxTransmissions) {
        side.busy &= static_cast<std::uint16_t>(~bit);
        process.pdus.clear();
        process.status.reset();
    } else {
        side.again |= bit;
    }
}

void Cell::UpReceived(Ue& ue, unsigned harq) {
    Process& process = ue.up.harq[harq];
    if (process.decoded) {
        for (const auto& pdu : process.pdus) {
            ue.up.bearer.Receive(pdu);
        }
        if (process.status) {
            ue.down.bearer.Receive(*process.status);
        }
        if (process.report > ue.heard) {
            ue.heard = process.report;
            ue.knownBytes = process.reportedBytes;
        }
    } else if (process.attempts >= m_maxTransmissions && process.report == ue.lastReport) {
        ue.told = 0; // the report is lost too
    }
    Feedback(ue.up, harq);
}

void Cell::AddCandidate(Ue& ue, std::uint32_t number, Side& side, std::uint64_t slot, unsigned symbols,
                        std::uint64_t bytes) {
    Measure(ue, slot);
    FillRates(side, symbols);
    Average(side, slot, 0);
    const auto harq = static_cast<std::uint8_t>(
        std::countr_zero(side.again != 0 ? side.again : static_cast<std::uint16_t>(~side.busy)));
    const auto again = side.again != 0 ? static_cast<std::uint32_t>(side.harq[harq].groups.size()) : 0;
    m_candidates.push_back(
        {number, bytes + header_bytes, again, side.bitsPerGroup.data(), side.averageBps, side.share, side.leastGroups});
    m_candidateHarq.push_back(harq);
}

template<class Grant>
void Cell::Share(Scheduler& scheduler, bool uplink, Grant grant) {
    if (m_candidates.empty()) {
        return;
    }
    scheduler.Allocate(m_candidates, m_numGroups, uplink, m_owner);
    for (std::uint32_t c = 0; c < m_candidates.size(); ++c) {
        if (m_candidates[c].groups == 0) {
            continue;
        }
        Ue& ue = *m_ues[m_candidates[c].ue];
        Side& side = uplink ? ue.up : ue.down;
        auto& groups = side.harq[m_candidateHarq[c]].groups;
        groups.clear();
        for (std::uint32_t g = 0; g < m_numGroups; ++g) {
            if (m_owner[g] == c) {
                groups.push_back(g);
            }
        }
        grant(ue, m_candidates[c].ue, m_candidateHarq[c]);
    }
}

void Cell::ScheduleDown(std::uint64_t slot, unsigned symbols) {
    m_candidates.clear();
    m_candidateHarq.clear();
    for (std::uint32_t i = 0; i < m_ues.size(); ++i) {
        Ue& ue = *m_ues[i];
        const std::uint64_t waiting = ue.down.bearer.BacklogBytes() + ue.up.bearer.StatusBytes();
        if (ue.down.again != 0 || (waiting > 0 && ue.down.busy != UINT16_MAX)) {
            AddCandidate(ue, i, ue.down, slot, symbols, waiting);
        }
    }
    Share(*m_schedulerDown, false, [&](Ue& ue, std::uint32_t number, std::uint8_t harq) {
        if (!GrantDown(ue, harq, symbols, slot)) {
            return;
        }
        if (m_gnbDelay == 0) {
            TransmitDown(number, harq, slot);
        } else {
            At(slot + m_gnbDelay, {What::SendDown, harq, number, 0});
        }
    });
}

/// A new block on the groups of a process: how many bits, at which MCS.
void Cell::Fill(Side& side, unsigned harq, unsigned layers, unsigned symbols, double offsetDb) {
    Process& process = side.harq[harq];
    const unsigned elements = DataElements(PrbsOf(process.groups), symbols);
    unsigned mcs = McsFor(side, process.groups, offsetDb);
    process.bits = TransportBlockSize(elements, McsAt(m_mcsTable, mcs), layers);
    while (process.bits < least_block_bits && mcs + 1 < m_thresholdDb.size()) {
        process.bits = TransportBlockSize(elements, McsAt(m_mcsTable, ++mcs), layers);
    }
    process.mcs = static_cast<std::uint8_t>(mcs);
    process.layers = static_cast<std::uint8_t>(layers);
    process.blocks = Segment(process.bits, McsAt(m_mcsTable, mcs));
    process.attempts = 0;
    process.soft.Clear();
    process.luck = m_random->GetValue();
    side.busy |= static_cast<std::uint16_t>(1u << harq);
}

/// \return false if nothing fits into the block: nothing is sent
bool Cell::GrantDown(Ue& ue, unsigned harq, unsigned symbols, std::uint64_t slot) {
    Side& side = ue.down;
    const auto bit = static_cast<std::uint16_t>(1u << harq);
    if ((side.again & bit) != 0) {
        side.again &= static_cast<std::uint16_t>(~bit);
        return true;
    }
    Fill(side, harq, side.quality.layers, symbols, 0);
    Process& process = side.harq[harq];
    std::uint32_t room = process.bits / 8;
    if (ue.up.bearer.StatusBytes() > 0 && room >= least_status_bytes) {
        process.status = ue.up.bearer.TakeStatus(room);
        room -= std::min(room, process.status->Bytes());
    }
    const std::uint32_t used = side.bearer.Take(room, process.pdus);
    Average(side, slot, 8.0 * used);
    if (used == 0 && !process.status) {
        side.busy &= static_cast<std::uint16_t>(~bit);
        return false;
    }
    return true;
}

void Cell::TransmitDown(std::uint32_t number, unsigned harq, std::uint64_t slot) {
    Ue& ue = *m_ues[number];
    Process& process = ue.down.harq[harq];
    const auto small = static_cast<std::uint8_t>(harq);
    TransportBlockRecord record{};
    record.slot = slot;
    record.ue = number;
    record.harq = small;
    Decode(process, ue.phy.Downlink(process.layers, DownlinkSnr()), m_plan[slot % m_plan.size()].downSymbols, record);
    if (process.decoded) {
        At(slot + 1 + m_ueDelay, {What::DownReceived, small, number, 0});
    }
    const auto soonest = static_cast<std::int64_t>(slot + std::max(m_k1, 1 + m_ueDelay));
    At(static_cast<std::uint64_t>(m_pattern->NextUplink(soonest)) + 1 + m_gnbDelay,
       {What::DownFeedback, small, number, 0});
}

/// UEs with data that the gNB does not know of ask for a grant.
void Cell::Request(std::uint64_t slot) {
    for (std::uint32_t i = 0; i < m_ues.size(); ++i) {
        Ue& ue = *m_ues[i];
        if (ue.told == 0 && ue.grants == 0 && !ue.requested &&
            (ue.up.bearer.BacklogBytes() > 0 || ue.down.bearer.StatusBytes() > 0)) {
            ue.requested = true;
            At(slot + 1 + m_gnbDelay, {What::Request, 0, i, ++ue.lastReport});
        }
    }
}

std::uint64_t Cell::BytesComing(const Ue& ue) const {
    std::uint64_t bytes = 0;
    for (unsigned busy = ue.up.busy; busy != 0; busy &= busy - 1) {
        const Process& process = ue.up.harq[static_cast<unsigned>(std::countr_zero(busy))];
        if (process.report > ue.heard || process.attempts == 0) {
            bytes += process.bits / 8;
        }
    }
    return bytes;
}

void Cell::ScheduleUp(std::uint64_t slot, std::uint64_t forSlot, unsigned symbols) {
    m_candidates.clear();
    m_candidateHarq.clear();
    for (std::uint32_t i = 0; i < m_ues.size(); ++i) {
        Ue& ue = *m_ues[i];
        if (ue.up.again == 0 && (ue.knownBytes == 0 || ue.up.busy == UINT16_MAX)) {
            continue;
        }
        const std::uint64_t coming = BytesComing(ue);
        if (ue.up.again != 0 || ue.knownBytes > coming) {
            AddCandidate(ue, i, ue.up, slot, symbols, std::max(ue.knownBytes, coming) - coming + report_bytes);
        }
    }
    Share(*m_schedulerUp, true, [&](Ue& ue, std::uint32_t number, std::uint8_t harq) {
        GrantUp(ue, harq, symbols, slot);
        At(forSlot, {What::SendUp, harq, number, 0});
    });
}

void Cell::GrantUp(Ue& ue, unsigned harq, unsigned symbols, std::uint64_t slot) {
    Side& side = ue.up;
    const auto bit = static_cast<std::uint16_t>(1u << harq);
    ++ue.grants;
    ue.requested = false;
    if ((side.again & bit) != 0) {
        side.again &= static_cast<std::uint16_t>(~bit);
        return;
    }
    // The report was for another number of resource blocks than these share the power.
    const unsigned prbs = PrbsOf(side.harq[harq].groups);
    const double offsetDb = 10 * std::log10(UplinkPowerW(ue, prbs) / UplinkPowerW(ue, SoundedPrbs()));
    Fill(side, harq, side.quality.layers, symbols, offsetDb);
    Average(side, slot, side.harq[harq].bits);
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
        ue.up.bearer.Take(room, process.pdus);
        process.report = ++ue.lastReport;
        process.reportedBytes = ue.told = ue.up.bearer.BacklogBytes() + ue.down.bearer.StatusBytes();
    }
    const auto small = static_cast<std::uint8_t>(harq);
    TransportBlockRecord record{};
    record.slot = slot;
    record.ue = number;
    record.uplink = 1;
    record.harq = small;
    Decode(process, ue.phy.Uplink(process.layers, UplinkPowerW(ue, PrbsOf(process.groups)) / m_noiseUpW),
           m_plan[slot % m_plan.size()].upSymbols, record);
    At(slot + 1 + m_gnbDelay, {What::UpReceived, small, number, 0});
}

} // namespace edgelam::nr
