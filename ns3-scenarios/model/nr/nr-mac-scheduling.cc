// SPDX-License-Identifier: GPL-2.0-only
// The MAC of a cell: for whom something waits, who is granted what, and what the gNB knows of UEs.
#include <algorithm>
#include <bit>

#include "nr-mac.h"

namespace edgelam::nr {

/// Bytes that wait for a UE, of data (if it may be sent any), messages and status reports.
std::uint64_t Mac::WaitsFor(const Ue& ue, std::uint32_t number) const {
    return (m_grants.GetScheduler(Direction::Downlink)->AdmitsData(number) ? ue.down.bearers.BacklogBytes()
                                                                           : ue.down.bearers.SignallingBytes()) +
           ue.up.bearers.StatusBytes();
}

void Mac::FindDown(std::uint64_t slot) {
    m_candidates.clear();
    for (const auto i : m_links.Ues()) {
        const Ue& ue = *m_ues[i];
        const HarqEntity& harq = ue.down.harq;
        if ((harq.Retransmits() || (!harq.Full() && WaitsFor(ue, i) > 0)) &&
            m_energy.Listens(i, slot + m_carrier.settings.gnbDelay)) {
            m_candidates.push_back(i);
        }
    }
}

unsigned Mac::ScheduleDown(std::uint64_t slot, unsigned symbols, unsigned cces) {
    const std::uint64_t forSlot = slot + m_carrier.settings.gnbDelay;
    const Scheduler& scheduler = *m_grants.GetScheduler(Direction::Downlink);
    Feedbacks& feedbacks = FeedbacksOf(forSlot);
    m_grants.Begin({cces, m_carrier.NumFeedbacks() - static_cast<unsigned>(feedbacks.ues.size())});
    FindDown(slot);
    Look(m_candidates, slot);
    for (const auto i : m_candidates) {
        Ue& ue = *m_ues[i];
        const std::uint64_t waiting = WaitsFor(ue, i);
        if (Reaches(i, slot)) {
            m_grants.Add(i, {false, i, &ue.down}, slot, symbols, waiting,
                         std::max(ue.down.bearers.Priority(), ue.up.bearers.StatusPriority()), m_links.Cces(i),
                         !std::ranges::binary_search(feedbacks.ues, i),
                         scheduler.AdmitsData(i) ? ue.down.bearers.Guaranteed() : Guarantee{}, ue.DownlinkSignalling());
        }
    }
    m_multicast.AddDemands(slot, symbols);
    KeepOneBeam(Direction::Downlink, forSlot);
    auto& granted = m_grants.Divide(Direction::Downlink, forSlot);
    std::erase_if(granted, [&](const Demand& each) {
        return each.multicast ? !m_multicast.Grant(each.number, each.harq, symbols, slot)
                              : !GrantDown(each.number, each.harq, symbols, slot);
    });
    m_grants.Share(Direction::Downlink, forSlot);
    for (const auto& each : granted) {
        if (!each.multicast) {
            m_energy.Grant(each.number, forSlot, Direction::Downlink, each.harq,
                           each.sender->harq[each.harq].attempts == 0);
        }
        const Action action{each.multicast ? ActionKind::TransmitMulticast : ActionKind::TransmitDown, each.harq,
                            each.number};
        if (forSlot == slot) {
            m_atOnce.push_back(action);
        } else {
            Schedule(forSlot, action);
        }
        if (!each.multicast) {
            const auto place = std::ranges::lower_bound(feedbacks.ues, each.number);
            if (place == feedbacks.ues.end() || *place != each.number) {
                feedbacks.ues.insert(place, each.number);
            }
        }
    }
    return m_grants.Room().cces;
}

/// Bytes that the gNB knows to wait at a UE, of data (if it may send any), messages and reports.
std::uint64_t Mac::WaitsOf(const Ue& ue, std::uint32_t number) const {
    return ue.status.UciBytes() +
           (m_grants.GetScheduler(Direction::Uplink)->AdmitsData(number) ? ue.status.knownBytes : ue.ControlBytes());
}

void Mac::FindUp(std::uint64_t slot) {
    m_candidates.clear();
    for (const auto i : m_links.Ues()) {
        const Ue& ue = *m_ues[i];
        const bool retransmits = ue.up.harq.Retransmits();
        if ((retransmits || (ue.status.knownBytes + ue.status.UciBytes() > 0 && !ue.up.harq.Full())) &&
            m_energy.Listens(i, slot + m_carrier.settings.gnbDelay) &&
            (retransmits || WaitsOf(ue, i) > ue.BytesComing())) {
            m_candidates.push_back(i);
        }
    }
}

std::uint32_t Mac::ScheduleAnalog(std::uint64_t slot, std::uint64_t forSlot, unsigned symbols, unsigned& cces) {
    const auto hears = [&](std::uint32_t ue) {
        return m_links.Has(ue) && m_energy.Listens(ue, slot + m_carrier.settings.gnbDelay) && Reaches(ue, slot);
    };
    const auto left = m_analog.Reserve(slot, forSlot, symbols, cces, hears);
    if (left) {
        Schedule(forSlot, {ActionKind::TransmitAnalog, 0, 0});
    }
    return left.value_or(m_carrier.numGroups);
}

unsigned Mac::ScheduleUp(std::uint64_t slot, std::uint64_t forSlot, unsigned symbols, unsigned cces) {
    const Scheduler& scheduler = *m_grants.GetScheduler(Direction::Uplink);
    const std::uint32_t groups =
        m_analog.Waiting() ? ScheduleAnalog(slot, forSlot, symbols, cces) : m_carrier.numGroups;
    FindUp(slot);
    Look(m_candidates, slot);
    if (groups == 0) {
        return cces;
    }
    m_grants.Begin({.cces = cces}, groups);
    for (const auto i : m_candidates) {
        Ue& ue = *m_ues[i];
        const std::uint64_t coming = ue.BytesComing(), wanted = WaitsOf(ue, i);
        if (Reaches(i, slot) && !m_analog.Sends(i, forSlot)) {
            Guarantee guarantee = scheduler.AdmitsData(i) ? ue.up.bearers.Guaranteed(ue.status.knownOf) : Guarantee{};
            guarantee.bytes -= std::min(guarantee.bytes, coming);
            m_grants.Add(i, {.multicast = false, .number = i, .sender = &ue.up, .uplink = true}, slot, symbols,
                         std::max(wanted, coming) - coming + ReportBytes(ue.status.knownGroups),
                         ue.status.knownPriority, m_links.Cces(i), 0, guarantee,
                         ue.status.knownSignalling - std::min(ue.status.knownSignalling, coming));
        }
    }
    KeepOneBeam(Direction::Uplink, forSlot);
    const auto& granted = m_grants.Divide(Direction::Uplink, forSlot);
    for (const auto& each : granted) {
        GrantUp(each.number, each.harq, symbols, slot);
        Schedule(forSlot, {ActionKind::TransmitUp, each.harq, each.number});
        m_energy.Grant(each.number, slot + m_carrier.settings.gnbDelay, Direction::Uplink, each.harq,
                       each.sender->harq[each.harq].attempts == 0);
    }
    m_grants.Share(Direction::Uplink, forSlot);
    return m_grants.Room().cces;
}

Mac::Feedbacks& Mac::FeedbacksOf(std::uint64_t slot) {
    const std::uint64_t uplink = m_carrier.UplinkOf(slot);
    Feedbacks& feedbacks = m_feedbacks[uplink & (m_feedbacks.size() - 1)];
    if (feedbacks.slot != uplink) {
        feedbacks.slot = uplink;
        feedbacks.ues.clear();
    }
    return feedbacks;
}

/// Half of the elements; where that is less than one grant, all of them every other time.
unsigned Mac::ReservedCces(unsigned free) {
    unsigned reserved = 0;
    m_uplinkTurn = !m_uplinkTurn;
    for (const auto i : m_links.Ues()) {
        const Ue& ue = *m_ues[i];
        if (ue.status.knownBytes > 0 || ue.status.UciBytes() > 0 || ue.up.harq.Retransmits()) {
            const unsigned more = reserved + m_links.Cces(i);
            if (more > free / 2 && (!m_uplinkTurn || reserved > 0 || more > free)) {
                break;
            }
            reserved = more;
        }
    }
    return reserved;
}

std::uint64_t Mac::Ue::BytesComing() const {
    std::uint64_t bytes = 0;
    for (unsigned busy = up.harq.Busy(); busy != 0; busy &= busy - 1) {
        const HarqProcess& process = up.harq[static_cast<unsigned>(std::countr_zero(busy))];
        if (process.report > status.newestReport || process.attempts == 0) {
            bytes += process.bits / 8 - process.csiBytes;
        }
    }
    return bytes;
}

bool Mac::GrantDown(std::uint32_t number, unsigned harq, unsigned symbols, std::uint64_t slot) {
    Ue& ue = *m_ues[number];
    Sender& sender = ue.down;
    if (m_grants.SendAgain(sender, harq, slot)) {
        return true;
    }
    m_grants.NewBlock(sender, harq, symbols, 0, m_carrier.limitedBits);
    HarqProcess& process = sender.harq[harq];
    std::uint32_t room = process.bits / 8;
    room -= std::min(room, ue.up.bearers.TakeStatuses(room, process.statuses));
    return m_grants.TakeData(sender, harq, room, slot, m_grants.GetScheduler(Direction::Downlink)->SendsData(number));
}

void Mac::GrantUp(std::uint32_t number, unsigned harq, unsigned symbols, std::uint64_t slot) {
    Ue& ue = *m_ues[number];
    Sender& sender = ue.up;
    ++ue.status.grants;
    ue.status.requests = 0;
    ue.status.heard = false;
    if (m_grants.SendAgain(sender, harq, slot)) {
        return;
    }
    // The report was for another number of resource blocks than these share the power.
    const double offsetDb = m_links.UplinkOffsetDb(number, m_carrier.PrbsOf(sender.harq[harq].groups));
    m_grants.NewBlock(sender, harq, symbols, offsetDb, 0);
    HarqProcess& process = sender.harq[harq];
    process.csiBytes = ue.status.TakeUci(process.bits / 8); // on PUSCH, multiplexed with data
    m_grants.Charge(sender, harq, slot, sender.harq[harq].bits);
}

void Mac::Look(std::span<const std::uint32_t> ues, std::uint64_t slot) {
    for (const auto number : m_links.Measure(ues, slot)) {
        m_energy.Report(number, slot);
        UeOf(number).status.csiBytes = m_links.ReportBytes(number);
    }
}

bool Mac::Reaches(std::uint32_t number, std::uint64_t slot) {
    Look({&number, 1}, slot);
    RadioLink& radio = m_links.Radio(number);
    radio.Advance(slot);
    if (radio.Failed()) { // the UE resets its MAC (TS 38.321 5.12)
        Ue& ue = *m_ues[number];
        ue.down.harq.GiveUp();
        ue.up.harq.GiveUp();
        ue.status.knownBytes = ue.status.reportedBytes = 0;
        ue.status.csiBytes = ue.status.beamBytes = 0;
        ue.status.knownSignalling = ue.status.reportedSignalling = 0;
        ue.status.knownOf = {};
        ue.status.requests = 0;
        m_energy.Reset(number, slot);
        if (radio.TakeRelease()) {
            ue.down.bearers.Release();
            ue.up.bearers.Release();
        }
    }
    return m_links.Reaches(number);
}

} // namespace edgelam::nr
