// SPDX-License-Identifier: GPL-2.0-only
// A cell's slots: what is due, who may send, and HARQ.
#include <algorithm>
#include <cmath>

#include "ns3/simulator.h"

#include "nr-cell.h"

namespace edgelam::nr {

namespace {

constexpr double outer_loop_step_db = 0.3;   ///< down for a lost first transmission; up by what balances it
constexpr std::uint32_t request_bytes = 200; ///< a first grant: room for a buffer status report and a small packet
constexpr std::uint32_t report_bytes = 5;    ///< long buffer status report with its MAC subheader

} // namespace

/// Something waits: go on at the next slot boundary.
void Cell::Wake() {
    if (m_running) {
        return;
    }
    m_running = true;
    const std::int64_t now = ns3::Simulator::Now().GetNanoSeconds();
    std::int64_t slot = m_numerology->SlotAt(now);
    if (m_numerology->SlotStartNs(slot) < now) {
        ++slot;
    }
    m_slot = std::max(m_slot, static_cast<std::uint64_t>(slot));
    m_event = ns3::Simulator::Schedule(
        ns3::NanoSeconds(m_numerology->SlotStartNs(static_cast<std::int64_t>(m_slot)) - now), &Cell::Slot, this);
}

bool Cell::Busy() const {
    return m_outstanding > 0 || std::any_of(m_ues.begin(), m_ues.end(), [](const auto& ue) {
               return ue->down.bearer.BacklogBytes() > 0 || ue->up.bearer.BacklogBytes() > 0 ||
                      ue->down.bearer.StatusBytes() > 0 || ue->up.bearer.StatusBytes() > 0 || ue->knownBytes > 0;
           });
}

void Cell::At(std::uint64_t slot, Action action) {
    m_ring[slot % ring].push_back(action);
    ++m_outstanding;
}

void Cell::Slot() {
    const std::uint64_t slot = m_slot++;
    auto& due = m_ring[slot % ring];
    for (std::size_t i = 0; i < due.size(); ++i) { // an action may add others, for later slots
        --m_outstanding;
        Do(due[i], slot);
    }
    due.clear();
    // What is sent in slot n + GnbDelay is decided in slot n; uplink slots get their grants K2 slots before or earlier.
    const auto later = static_cast<std::int64_t>(slot + m_gnbDelay);
    if (m_pattern->At(later).downlink.count > m_controlSymbols) {
        ScheduleDown(slot);
    }
    // Each uplink slot is granted by the last slot with downlink symbols that leaves K2 slots.
    const auto grantable = [&](std::uint64_t uplinkSlot) {
        for (std::uint64_t at = uplinkSlot - m_k2; at + 320 > uplinkSlot && at + 1 > 0; --at) {
            if (m_pattern->At(static_cast<std::int64_t>(at)).downlink.count > 0) {
                return at;
            }
        }
        return uplinkSlot;
    };
    for (std::uint64_t up = slot + m_k2; up < slot + m_k2 + m_pattern->NumSlots(); ++up) {
        if (m_pattern->At(static_cast<std::int64_t>(up)).uplink.count > 2 && grantable(up) == slot) {
            ScheduleUp(slot, up);
        }
    }
    if (m_pattern->At(static_cast<std::int64_t>(slot)).uplink.count > 0) {
        Request(slot);
    }
    if (Busy()) {
        m_event = ns3::Simulator::Schedule(
            ns3::NanoSeconds(m_numerology->SlotStartNs(static_cast<std::int64_t>(m_slot))) - ns3::Simulator::Now(),
            &Cell::Slot, this);
    } else {
        m_running = false;
    }
}

void Cell::Do(const Action& action, std::uint64_t slot) {
    Ue& ue = *m_ues[action.ue];
    switch (action.what) {
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
    case What::UpReceived: {
        const bool down = action.what == What::DownFeedback;
        Side& side = down ? ue.down : ue.up;
        Process& process = side.harq[action.harq];
        if (process.attempts == 1) {
            const double up = outer_loop_step_db * m_blerTarget / (1 - m_blerTarget);
            side.outerLoopDb = std::clamp(side.outerLoopDb + (process.decoded ? up : -outer_loop_step_db), -20.0, 10.0);
        }
        if (!down) {
            ue.grantedBytes -= std::min<std::uint64_t>(ue.grantedBytes, process.bytesGranted);
            process.bytesGranted = 0;
        }
        if (process.decoded && !down) {
            for (const auto& pdu : process.pdus) {
                ue.up.bearer.Receive(pdu);
            }
            if (process.status) {
                ue.down.bearer.Receive(*process.status);
            }
            ue.knownBytes = process.reportedBytes;
        }
        if (process.decoded || process.attempts >= m_maxTransmissions) {
            process.busy = process.again = false;
            process.pdus.clear();
            process.status.reset();
        } else {
            process.again = true;
        }
        return;
    }
    case What::Request:
        ue.requested = false;
        ue.knownBytes = std::max<std::uint64_t>(ue.knownBytes, request_bytes);
        return;
    }
}

void Cell::ScheduleDown(std::uint64_t slot) {
    const std::uint64_t sent = slot + m_gnbDelay;
    const unsigned symbols = m_pattern->At(static_cast<std::int64_t>(sent)).downlink.count - m_controlSymbols;
    m_candidates.clear();
    m_candidateHarq.clear();
    for (std::uint32_t i = 0; i < m_ues.size(); ++i) {
        Ue& ue = *m_ues[i];
        Side& side = ue.down;
        std::size_t harq = num_harq, free = num_harq;
        for (std::size_t h = 0; h < num_harq; ++h) {
            if (side.harq[h].again && harq == num_harq) {
                harq = h;
            } else if (!side.harq[h].busy && free == num_harq) {
                free = h;
            }
        }
        const std::uint64_t waiting = side.bearer.BacklogBytes() + ue.up.bearer.StatusBytes();
        if (harq == num_harq && (waiting == 0 || free == num_harq)) {
            continue;
        }
        Measure(ue, slot);
        Adopt(ue.down, slot);
        Adopt(ue.up, slot);
        FillRates(side, symbols);
        Average(side, slot, 0);
        const bool again = harq < num_harq;
        m_candidates.push_back({i, waiting + 1, again ? side.harq[harq].groups : 0, side.bitsPerGroup.data(),
                                side.averageBps, side.share, side.leastGroups});
        m_candidateHarq.push_back(static_cast<std::uint8_t>(again ? harq : free));
    }
    if (m_candidates.empty()) {
        return;
    }
    m_schedulerDown->Allocate(m_candidates, m_numGroups, false, m_owner);
    for (std::uint32_t c = 0; c < m_candidates.size(); ++c) {
        if (m_candidates[c].groups == 0) {
            continue;
        }
        m_taken.clear();
        for (std::uint32_t g = 0; g < m_numGroups; ++g) {
            if (m_owner[g] == c) {
                m_taken.push_back(g);
            }
        }
        TransmitDown(*m_ues[m_candidates[c].ue], m_candidates[c].ue, m_candidateHarq[c], m_taken, slot);
    }
}

void Cell::TransmitDown(Ue& ue, std::uint32_t number, std::size_t harq, const std::vector<std::uint32_t>& groups,
                        std::uint64_t slot) {
    const std::uint64_t sent = slot + m_gnbDelay;
    Side& side = ue.down;
    Process& process = side.harq[harq];
    const unsigned symbols = m_pattern->At(static_cast<std::int64_t>(sent)).downlink.count - m_controlSymbols;
    unsigned prbs = 0;
    for (const auto g : groups) {
        prbs += PrbsOf(g);
    }
    if (!process.again) {
        process.mcs = static_cast<std::uint8_t>(ChooseMcs(side, groups));
        process.layers = static_cast<std::uint8_t>(side.quality.layers);
        process.bits = TransportBlockSize(DataElements(prbs, symbols), McsAt(m_mcsTable, process.mcs), process.layers);
        process.groups = static_cast<std::uint32_t>(groups.size());
        process.attempts = 0;
        process.blocks = Segment(process.bits, McsAt(m_mcsTable, process.mcs));
        std::uint32_t room = process.bits / 8;
        if (const auto status = ue.up.bearer.StatusBytes(); status > 0 && status <= room) {
            process.status = ue.up.bearer.TakeStatus();
            room -= std::min(room, process.status->Bytes());
        }
        const std::uint32_t used = side.bearer.Take(room, process.pdus);
        if (used == 0 && !process.status) {
            return; // not even a header fits: nothing is sent
        }
        Average(side, slot, 8.0 * used);
    }
    process.busy = true;
    process.again = false;
    ++process.attempts;
    Decode(process, ue.phy.Downlink(process.layers, DownlinkSnr()), groups, DataElements(prbs, symbols),
           {m_numerology->SlotStartNs(static_cast<std::int64_t>(sent)), sent, number, 0,
            static_cast<std::uint8_t>(harq), process.attempts, process.mcs, process.layers, 0,
            static_cast<std::uint16_t>(prbs), process.bits, 0, 0});
    const auto action = [&](What what) { return Action{what, number, static_cast<std::uint8_t>(harq)}; };
    if (process.decoded) {
        At(sent + 1 + m_ueDelay, action(What::DownReceived));
    }
    const auto feedback = static_cast<std::uint64_t>(m_pattern->NextUplink(static_cast<std::int64_t>(sent + m_k1)));
    At(std::max(feedback + 1 + m_gnbDelay, sent + 2 + m_ueDelay), action(What::DownFeedback));
}

/// UEs with data and nothing on its way ask for a grant.
void Cell::Request(std::uint64_t slot) {
    for (std::uint32_t i = 0; i < m_ues.size(); ++i) {
        Ue& ue = *m_ues[i];
        const std::uint64_t waiting = ue.up.bearer.BacklogBytes() + ue.down.bearer.StatusBytes();
        if (waiting > 0 && ue.knownBytes == 0 && ue.grants == 0 && ue.grantedBytes == 0 && !ue.requested) {
            ue.requested = true;
            At(slot + 1 + m_gnbDelay, {What::Request, i, 0});
        }
    }
}

void Cell::ScheduleUp(std::uint64_t slot, std::uint64_t forSlot) {
    const unsigned symbols = m_pattern->At(static_cast<std::int64_t>(forSlot)).uplink.count;
    m_candidates.clear();
    m_candidateHarq.clear();
    for (std::uint32_t i = 0; i < m_ues.size(); ++i) {
        Ue& ue = *m_ues[i];
        Side& side = ue.up;
        std::size_t harq = num_harq, free = num_harq;
        for (std::size_t h = 0; h < num_harq; ++h) {
            if (side.harq[h].again && harq == num_harq) {
                harq = h;
            } else if (!side.harq[h].busy && free == num_harq) {
                free = h;
            }
        }
        const bool again = harq < num_harq;
        if (!again && (ue.knownBytes <= ue.grantedBytes || free == num_harq)) {
            continue;
        }
        Measure(ue, slot);
        Adopt(ue.down, slot);
        Adopt(ue.up, slot);
        FillRates(side, symbols);
        Average(side, slot, 0);
        m_candidates.push_back({i, again ? 1 : ue.knownBytes - ue.grantedBytes + report_bytes,
                                again ? side.harq[harq].groups : 0, side.bitsPerGroup.data(), side.averageBps,
                                side.share, side.leastGroups});
        m_candidateHarq.push_back(static_cast<std::uint8_t>(again ? harq : free));
    }
    if (m_candidates.empty()) {
        return;
    }
    m_schedulerUp->Allocate(m_candidates, m_numGroups, true, m_owner);
    for (std::uint32_t c = 0; c < m_candidates.size(); ++c) {
        if (m_candidates[c].groups == 0) {
            continue;
        }
        m_taken.clear();
        for (std::uint32_t g = 0; g < m_numGroups; ++g) {
            if (m_owner[g] == c) {
                m_taken.push_back(g);
            }
        }
        Ue& ue = *m_ues[m_candidates[c].ue];
        Process& process = ue.up.harq[m_candidateHarq[c]];
        process.firstGroup = m_taken.front();
        if (!process.again) {
            unsigned prbs = 0;
            for (const auto g : m_taken) {
                prbs += PrbsOf(g);
            }
            process.mcs = static_cast<std::uint8_t>(ChooseMcs(ue.up, m_taken));
            process.layers = 1;
            process.bits = TransportBlockSize(DataElements(prbs, symbols), McsAt(m_mcsTable, process.mcs), 1);
            process.groups = static_cast<std::uint32_t>(m_taken.size());
            process.attempts = 0;
            process.blocks = Segment(process.bits, McsAt(m_mcsTable, process.mcs));
            process.bytesGranted = process.bits / 8;
            ue.grantedBytes += process.bytesGranted;
        }
        process.busy = true;
        ++ue.grants;
        At(forSlot, {What::SendUp, m_candidates[c].ue, m_candidateHarq[c]});
    }
}

void Cell::TransmitUp(std::uint32_t number, std::size_t harq, std::uint64_t slot) {
    Ue& ue = *m_ues[number];
    Process& process = ue.up.harq[harq];
    --ue.grants;
    if (!process.again) {
        std::uint32_t room = process.bits / 8 - std::min(process.bits / 8, report_bytes);
        if (const auto status = ue.down.bearer.StatusBytes(); status > 0 && status <= room) {
            process.status = ue.down.bearer.TakeStatus();
            room -= std::min(room, process.status->Bytes());
        }
        const std::uint32_t used = ue.up.bearer.Take(room, process.pdus);
        process.reportedBytes = ue.up.bearer.BacklogBytes() + ue.down.bearer.StatusBytes();
        Average(ue.up, std::max(slot, ue.up.averagedSlot), 8.0 * used);
    }
    process.again = false;
    ++process.attempts;
    unsigned prbs = 0;
    m_taken.clear();
    for (std::uint32_t g = process.firstGroup; g < process.firstGroup + process.groups; ++g) {
        m_taken.push_back(g);
        prbs += PrbsOf(g);
    }
    const unsigned symbols = m_pattern->At(static_cast<std::int64_t>(slot)).uplink.count;
    Decode(process, ue.phy.Uplink(UplinkPowerW(ue, prbs) / m_noiseUpW), m_taken, DataElements(prbs, symbols),
           {m_numerology->SlotStartNs(static_cast<std::int64_t>(slot)), slot, number, 1,
            static_cast<std::uint8_t>(harq), process.attempts, process.mcs, 1, 0, static_cast<std::uint16_t>(prbs),
            process.bits, 0, 0});
    At(slot + 1 + m_gnbDelay, {What::UpReceived, number, static_cast<std::uint8_t>(harq)});
}

} // namespace edgelam::nr
