// SPDX-License-Identifier: GPL-2.0-only
// A cell's grants: who has something to send in a slot, which resource blocks each gets, and the blocks to put on them.
#include <algorithm>
#include <bit>
#include <cmath>

#include "nr-cell.h"

namespace edgelam::nr {

namespace {

constexpr std::uint64_t header_bytes = 16;      ///< room for the headers of two segments
constexpr std::uint32_t least_block_bits = 192; ///< below, a block would be little but headers

} // namespace

/// Downlink data of this slot + GnbDelay.
void Cell::ScheduleDown(std::uint64_t slot, unsigned symbols) {
    m_candidates.clear();
    m_asking.clear();
    for (std::uint32_t i = 0; i < m_ues.size(); ++i) {
        Ue& ue = *m_ues[i];
        const std::uint64_t waiting =
            (m_schedulerDown->AdmitsData(i) ? ue.down.bearer.BacklogBytes() : 0) + ue.up.bearer.StatusBytes();
        if (ue.down.again != 0 || (waiting > 0 && ue.down.busy != UINT16_MAX)) {
            Measure(ue, slot);
            AddCandidate(i, {What::SendDown, i, &ue.down}, slot, symbols, waiting,
                         std::max(ue.down.bearer.Priority(), ue.up.bearer.StatusPriority()));
        }
    }
    AskMulticasts(slot, symbols);
    Share(*m_schedulerDown, Direction::Downlink, slot + m_gnbDelay);
    std::erase_if(m_asking, [&](const Asking& each) {
        return each.what == What::SendDown ? !GrantDown(*m_ues[each.number], each.harq, symbols, slot)
                                           : !GrantMulticast(m_multicasts.at(each.number), each.harq, symbols, slot);
    });
    Together(m_sharedDown, slot + m_gnbDelay);
    for (const auto& each : m_asking) {
        const Action action{each.what, each.harq, each.number, 0};
        if (m_gnbDelay == 0) {
            Do(action, slot);
        } else {
            At(slot + m_gnbDelay, action);
        }
    }
}

/// Uplink data of slot `forSlot`.
void Cell::ScheduleUp(std::uint64_t slot, std::uint64_t forSlot, unsigned symbols) {
    m_candidates.clear();
    m_asking.clear();
    for (std::uint32_t i = 0; i < m_ues.size(); ++i) {
        Ue& ue = *m_ues[i];
        if (ue.up.again == 0 && (ue.knownBytes == 0 || ue.up.busy == UINT16_MAX)) {
            continue;
        }
        const std::uint64_t coming = BytesComing(ue);
        const std::uint64_t wanted = m_schedulerUp->AdmitsData(i) ? ue.knownBytes : StatusAsked(ue);
        if (ue.up.again != 0 || wanted > coming) {
            Measure(ue, slot);
            AddCandidate(i, {What::SendUp, i, &ue.up}, slot, symbols, std::max(wanted, coming) - coming + report_bytes,
                         ue.knownPriority);
        }
    }
    Share(*m_schedulerUp, Direction::Uplink, forSlot);
    for (const auto& each : m_asking) {
        GrantUp(*m_ues[each.number], each.harq, symbols, slot);
    }
    Together(m_sharedUp, forSlot);
    for (const auto& each : m_asking) {
        At(forSlot, {each.what, each.harq, each.number, 0});
    }
}

/// A block to be sent again goes before a new one.
void Cell::AddCandidate(std::uint32_t turn, Asking asking, std::uint64_t slot, unsigned symbols, std::uint64_t bytes,
                        unsigned priority) {
    Side& side = *asking.side;
    FillRates(side, symbols);
    Average(side, slot, 0);
    asking.harq = static_cast<std::uint8_t>(
        std::countr_zero(side.again != 0 ? side.again : static_cast<std::uint16_t>(~side.busy)));
    const auto again = side.again != 0 ? static_cast<std::uint32_t>(side.harq[asking.harq].groups.size()) : 0;
    m_candidates.push_back({turn, bytes + header_bytes, again, side.bitsPerGroup.data(), side.averageBps,
                            asking.what == What::SendMulticast, static_cast<std::uint8_t>(priority)});
    m_asking.push_back(asking);
}

/// What a UE that may not send data is asked for: the RLC status report that it has been polled for.
std::uint64_t Cell::StatusAsked(const Ue& ue) {
    return std::min<std::uint64_t>(ue.knownBytes, ue.down.bearer.StatusBytes());
}

/// Those who have been granted groups of a slot, if any of these is shared.
void Cell::Together(std::vector<SharedSlot>& slots, std::uint64_t slot) {
    if (!m_sharing) {
        return;
    }
    for (const auto& each : m_asking) {
        if (each.what != What::SendMulticast) {
            const Process& process = each.side->harq[each.harq];
            slots[slot & (slots.size() - 1)].Add(slot, m_ues[each.number]->link, process.groups, process.layers);
        }
    }
}

void Cell::Share(Scheduler& scheduler, Direction direction, std::uint64_t forSlot) {
    m_sharing = false;
    m_layersOnGroup.clear();
    if (m_candidates.empty()) {
        return;
    }
    m_allocation.resize(m_numGroups);
    for (auto& users : m_allocation) {
        users.clear();
    }
    const SchedulingRequest request{direction, forSlot, m_candidates, m_numGroups, m_prbsPerGroup, m_numPrbs};
    scheduler.Allocate(request, m_allocation);
    CheckAllocation(scheduler, request, m_allocation, m_granted);
    const auto groupsOf = [&](std::size_t c) -> auto& { return m_asking[c].side->harq[m_asking[c].harq].groups; };
    for (std::size_t c = 0; c < m_asking.size(); ++c) {
        if (m_granted[c].count > 0) {
            groupsOf(c).clear();
        }
    }
    for (std::uint32_t g = 0; g < m_numGroups; ++g) {
        for (const auto c : m_allocation[g]) {
            groupsOf(c).push_back(g);
        }
    }
    m_sharing =
        std::any_of(m_allocation.begin(), m_allocation.end(), [](const auto& users) { return users.size() > 1; });
    if (m_sharing && direction == Direction::Downlink) {
        for (const auto& users : m_allocation) {
            unsigned layers = 0;
            for (const auto c : users) {
                const Side& side = *m_asking[c].side;
                layers += m_candidates[c].fixedGroups > 0 ? side.harq[m_asking[c].harq].layers : side.quality.layers;
            }
            m_layersOnGroup.push_back(layers);
        }
    }
    std::size_t got = 0;
    for (std::size_t c = 0; c < m_granted.size(); ++c) {
        if (m_granted[c].count > 0) {
            m_asking[got++] = m_asking[c];
        }
    }
    m_asking.resize(got);
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

/// A new block on the groups of a process: how many bits, at which MCS.
void Cell::Fill(Side& side, unsigned harq, unsigned layers, unsigned symbols, double offsetDb) {
    Process& process = side.harq[harq];
    const unsigned elements = DataElements(PrbsOf(process.groups), symbols);
    const unsigned wanted = McsFor(side, process.groups, offsetDb);
    unsigned mcs = wanted;
    process.bits = TransportBlockSize(elements, McsAt(m_mcsTable, mcs), layers);
    while (process.bits < least_block_bits && mcs + 1 < m_thresholdDb.size()) {
        process.bits = TransportBlockSize(elements, McsAt(m_mcsTable, ++mcs), layers);
    }
    process.mcs = static_cast<std::uint8_t>(mcs);
    process.lowest = mcs == 0 || mcs > wanted;
    process.layers = static_cast<std::uint8_t>(layers);
    process.blocks = Segment(process.bits, McsAt(m_mcsTable, mcs));
    process.attempts = 0;
    process.reception.Begin(m_random->GetValue());
    side.busy |= static_cast<std::uint16_t>(1u << harq);
}

/// \return whether the process holds a block that is to be sent again, and now will be
bool Cell::GrantAgain(Side& side, unsigned harq) {
    const auto bit = static_cast<std::uint16_t>(1u << harq);
    const bool again = (side.again & bit) != 0;
    side.again &= static_cast<std::uint16_t>(~bit);
    return again;
}

/// Data for a new block. \return false if the block is empty then, and given up
bool Cell::TakeData(Side& side, unsigned harq, std::uint32_t room, std::uint64_t slot, bool admitted) {
    Process& process = side.harq[harq];
    const std::uint32_t used = admitted ? side.bearer.Take(room, process.pdus) : 0;
    Average(side, slot, 8.0 * used);
    if (used == 0 && !process.status) {
        side.busy &= static_cast<std::uint16_t>(~(1u << harq));
        return false;
    }
    return true;
}

/// \return false if nothing fits into the block: nothing is sent
bool Cell::GrantDown(Ue& ue, unsigned harq, unsigned symbols, std::uint64_t slot) {
    Side& side = ue.down;
    if (GrantAgain(side, harq)) {
        return true;
    }
    Fill(side, harq, side.quality.layers, symbols, 0);
    Process& process = side.harq[harq];
    std::uint32_t room = process.bits / 8;
    if (ue.up.bearer.StatusBytes() > 0 && room >= least_status_bytes) {
        process.status = ue.up.bearer.TakeStatus(room);
        room -= std::min(room, process.status->Bytes());
    }
    return TakeData(side, harq, room, slot, m_schedulerDown->AdmitsData(ue.number));
}

void Cell::GrantUp(Ue& ue, unsigned harq, unsigned symbols, std::uint64_t slot) {
    Side& side = ue.up;
    ++ue.grants;
    ue.requested = false;
    if (GrantAgain(side, harq)) {
        return;
    }
    // The report was for another number of resource blocks than these share the power.
    const unsigned prbs = PrbsOf(side.harq[harq].groups);
    const double offsetDb = 10 * std::log10(UplinkPowerW(ue, prbs) / UplinkPowerW(ue, SoundedPrbs()));
    Fill(side, harq, side.quality.layers, symbols, offsetDb);
    Average(side, slot, side.harq[harq].bits);
}

} // namespace edgelam::nr
