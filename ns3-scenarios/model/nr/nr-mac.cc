// SPDX-License-Identifier: GPL-2.0-only
#include "nr-mac.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>
#include <utility>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrMac");

namespace edgelam::nr {

namespace {

constexpr std::uint64_t energy_slots = 64;   ///< slots after which energy is accounted for
constexpr std::uint64_t request_bytes = 200; ///< a first grant: room for a buffer status report and a small packet

} // namespace

Mac::Mac(const Carrier& carrier, Links& links, Grants& grants, BlockReceiver& receiver, MulticastGroups& multicast,
         RadioEnergy& energy, BeamManagement* beams)
    : m_carrier(carrier), m_links(links), m_grants(grants), m_receiver(receiver), m_multicast(multicast),
      m_energy(energy), m_beams(beams), m_ring(std::bit_ceil(carrier.longestDelay + 2)), m_feedbacks(m_ring.size()),
      m_analog(carrier, links, energy) {
    Join(std::make_shared<SlotClock>(carrier.numerology), 0);
}

Mac::~Mac() {
    for (const auto number : m_links.Ues()) { // bearers may live longer
        Quieten(*m_ues[number]);
    }
    m_clock->Remove(*this);
}

void Mac::Join(std::shared_ptr<SlotClock> clock, std::uint64_t rank) {
    if (m_clock) {
        m_clock->Remove(*this);
    }
    m_clock = std::move(clock);
    m_clock->Add(*this, rank);
}

std::size_t Mac::RequestRoom() const {
    const unsigned period = m_carrier.settings.srPeriod;
    return period == 0 ? SIZE_MAX : m_carrier.NumRequests() * m_carrier.RequestOffsets(period).size();
}

void Mac::CheckRoom() const {
    const CellSettings& settings = m_carrier.settings;
    const std::size_t room = RequestRoom();
    if (m_links.NumUes() >= room) {
        throw std::invalid_argument("NR cell: " + std::to_string(m_links.NumUes() + 1) + " UEs with SrPeriod " +
                                    std::to_string(settings.srPeriod) + " and SrPrbs " +
                                    std::to_string(settings.srPrbs) + ": scheduling requests have room for " +
                                    std::to_string(room) + "; legal is a longer period, or 0");
    }
}

Mac::Ue& Mac::UeOf(std::uint32_t number) const {
    if (number >= m_ues.size() || !m_ues[number]) {
        throw std::out_of_range("NR cell: UE " + std::to_string(number) + "; here are " + m_links.Names());
    }
    return *m_ues[number];
}

void Mac::AddUe(std::uint32_t number, std::shared_ptr<Connection> connection) {
    std::vector<bool> taken(m_links.NumUes());
    for (const auto other : m_links.Ues()) {
        if (other != number && m_ues[other]->place < taken.size()) {
            taken[m_ues[other]->place] = true;
        }
    }
    if (m_ues.size() <= number) {
        m_ues.resize(number + 1);
    }
    m_ues[number] = std::make_unique<Ue>(std::move(connection), m_links.Adaptation(number, Direction::Downlink),
                                         m_links.Adaptation(number, Direction::Uplink), m_carrier.harqProcesses);
    Ue& ue = *m_ues[number];
    ue.place = static_cast<std::uint32_t>(std::find(taken.begin(), taken.end(), false) - taken.begin());
    m_places = std::max(m_places, ue.place + 1);
    for (Sender* sender : {&ue.down, &ue.up}) {
        sender->averagedSlot = NextSlot();
        sender->bitsPerGroup.resize(m_carrier.numGroups);
        sender->bearers.SetWake([this] { Wake(); });
    }
    if (IsBusy(ue)) { // what waited while it was nowhere
        Wake();
    }
}

void Mac::RemoveUe(std::uint32_t number) {
    for (auto& due : m_ring) {
        for (auto& action : due) {
            if (action.number == number && action.kind < ActionKind::TransmitMulticast) { // not of several UEs
                action.kind = ActionKind::Nothing;
            }
        }
    }
    for (auto& feedbacks : m_feedbacks) {
        std::erase(feedbacks.ues, number);
    }
    Quieten(*m_ues[number]);
    m_ues[number].reset();
    m_energy.Leave(number, NextSlot());
    m_multicast.RemoveReceiver(number);
    m_links.Remove(number);
    m_places = 0;
    for (const auto other : m_links.Ues()) {
        m_places = std::max(m_places, m_ues[other]->place + 1);
    }
}

void Mac::Quieten(Ue& ue) {
    ue.down.bearers.SetWake({});
    ue.up.bearers.SetWake({});
}

bool Mac::IsBusy(const Ue& ue) {
    return ue.down.bearers.BacklogBytes() > 0 || ue.up.bearers.BacklogBytes() > 0 || ue.status.knownBytes > 0 ||
           ue.status.UciBytes() > 0 || ue.down.harq.Retransmits() || ue.up.harq.Retransmits() ||
           ue.down.bearers.StatusBytes() > 0 || ue.up.bearers.StatusBytes() > 0;
}

bool Mac::Busy() const {
    return m_outstanding > 0 || m_analog.Waiting() || m_multicast.Busy() ||
           std::ranges::any_of(m_links.Ues(), [this](std::uint32_t number) { return IsBusy(*m_ues[number]); });
}

void Mac::Schedule(std::uint64_t slot, const Action& action) {
    m_ring[slot & (m_ring.size() - 1)].push_back(action);
    ++m_outstanding;
}

void Mac::PutOnAir(std::uint64_t slot) {
    if (m_beams) {
        m_beams->Advance(slot);
        for (const auto number : m_links.Ues()) { // those of UEs without traffic count no more than their CSI
            Ue& ue = *m_ues[number];
            if (const std::uint32_t bytes = m_beams->TakeReportBytes(number); bytes > 0 && IsBusy(ue)) {
                ue.status.beamBytes = bytes;
            }
        }
    }
    Announce(m_ring[slot & (m_ring.size() - 1)], slot);
}

unsigned Mac::DownSymbols(std::uint64_t slot) const {
    const unsigned symbols = m_carrier.PlanOf(slot).downSymbols;
    return m_beams ? m_carrier.ForData(symbols - std::min(symbols, m_beams->Taken(slot))) : symbols;
}

void Mac::KeepOneBeam(Direction direction, std::uint64_t forSlot) {
    if (m_beams) {
        m_grants.KeepOneBeam(direction, forSlot, m_turns[static_cast<std::size_t>(direction)],
                             [&](std::uint32_t ue) { return m_beams->BeamAt(ue, forSlot); });
    }
}

void Mac::Announce(const std::vector<Action>& actions, std::uint64_t slot) {
    if (!m_links.AreHeard()) {
        return;
    }
    for (const auto& action : actions) {
        if (action.kind == ActionKind::TransmitDown) {
            m_links.PutOnAir(Direction::Downlink, slot, action.number, m_ues[action.number]->down.harq[action.harq]);
        } else if (action.kind == ActionKind::TransmitUp) {
            m_links.PutOnAir(Direction::Uplink, slot, action.number, m_ues[action.number]->up.harq[action.harq]);
        } else if (action.kind == ActionKind::TransmitMulticast) {
            m_multicast.PutOnAir(action.number, action.harq, slot);
        } else if (action.kind == ActionKind::TransmitAnalog) {
            m_analog.PutOnAir(slot);
        }
    }
}

void Mac::Execute(std::uint64_t slot) {
    auto& due = m_ring[slot & (m_ring.size() - 1)];
    for (const auto& action : due) { // what an action adds is for later slots
        --m_outstanding;
        Execute(action, slot);
    }
    due.clear();
}

void Mac::Prepare(std::uint64_t slot, SlotWork& work) {
    Prepare(m_ring[slot & (m_ring.size() - 1)], slot, work);
}

void Mac::Prepare(const std::vector<Action>& actions, std::uint64_t slot, SlotWork& work) {
    m_transmissions.clear();
    for (const auto& action : actions) {
        if (action.kind == ActionKind::TransmitDown || action.kind == ActionKind::TransmitUp) {
            const auto direction = action.kind == ActionKind::TransmitDown ? Direction::Downlink : Direction::Uplink;
            m_transmissions.push_back(
                {direction, action.number, action.harq, &Of(action.number, direction).harq[action.harq]});
        }
    }
    m_links.Prepare(m_transmissions, slot, work);
}

void Mac::PrepareDown(std::uint64_t slot, SlotWork& work) {
    m_freeCces = m_carrier.control.NumCces();
    if (DownSymbols(slot + m_carrier.settings.gnbDelay) > 0) {
        m_reservedCces = m_carrier.PlanOf(slot).grantsFor.empty() ? 0 : ReservedCces(m_freeCces);
        FindDown(slot);
        m_links.PrepareReports(m_candidates, slot, work);
    }
}

void Mac::DecideDown(std::uint64_t slot) {
    // All grants that are decided on here go in slot + GnbDelay.
    if (const unsigned symbols = DownSymbols(slot + m_carrier.settings.gnbDelay); symbols > 0) {
        m_freeCces = m_reservedCces + ScheduleDown(slot, symbols, m_freeCces - m_reservedCces);
    }
}

void Mac::ExecuteAtOnce(std::uint64_t slot) {
    {
        SlotWork work;
        Prepare(m_atOnce, slot, work);
        work.Run();
    }
    for (const auto& action : m_atOnce) {
        Execute(action, slot);
    }
    m_atOnce.clear();
}

void Mac::PrepareUp(std::uint64_t slot, SlotWork& work) {
    if (!m_carrier.PlanOf(slot).grantsFor.empty()) {
        FindUp(slot);
        m_links.PrepareReports(m_candidates, slot, work);
    }
}

void Mac::DecideUp(std::uint64_t slot) {
    const SlotPlan& plan = m_carrier.PlanOf(slot);
    unsigned cces = m_freeCces;
    auto left = static_cast<unsigned>(plan.grantsFor.size());
    for (const unsigned ahead : plan.grantsFor) {
        const unsigned part = (cces + left - 1) / left;
        cces -= part;
        cces += ScheduleUp(slot, slot + ahead, m_carrier.PlanOf(slot + ahead).upSymbols, part);
        --left;
    }
    if (plan.uplink) {
        RequestGrants(slot);
    }
    if (slot % energy_slots == 0) {
        m_energy.Advance(slot);
    }
}

void Mac::Execute(const Action& action, std::uint64_t slot) {
    const auto ue = [&]() -> Ue& { return *m_ues[action.number]; };
    switch (action.kind) {
    case ActionKind::Nothing:
        return;
    case ActionKind::TransmitDown:
        TransmitDown(action.number, action.harq, slot);
        return;
    case ActionKind::HandUpDown:
        HandUpDown(ue(), action.harq);
        return;
    case ActionKind::FeedbackDown:
        Feedback(ue().down, action.harq, ue().down.harq[action.harq].reception.decoded);
        return;
    case ActionKind::SchedulingRequest: {
        BufferStatus& status = ue().status;
        if (action.report > status.newestReport) {
            status.newestReport = action.report;
            const Bearers& bearers = ue().up.bearers;
            if (bearers.Plain() || status.knownBytes == 0 || !bearers.Guarantees(action.priority)) {
                status.knownPriority = std::max<unsigned>(status.knownPriority, action.priority);
            }
            if (!bearers.Plain()) {
                status.knownOf[action.priority] = std::max(status.knownOf[action.priority], request_bytes);
            }
            status.knownBytes = std::max(status.knownBytes, request_bytes);
            if (action.signalling) {
                status.knownSignalling = std::max(status.knownSignalling, request_bytes);
            }
        }
        return;
    }
    case ActionKind::TransmitUp:
        TransmitUp(action.number, action.harq, slot);
        return;
    case ActionKind::ReceiveUp:
        ReceiveUp(ue(), action.harq);
        return;
    case ActionKind::TransmitMulticast:
        m_multicast.Transmit(action.number, action.harq, slot);
        Schedule(slot + 1 + m_carrier.settings.ueDelay, {ActionKind::HandUpMulticast, action.harq, action.number});
        Schedule(m_carrier.FeedbackSlot(slot), {ActionKind::FeedbackMulticast, action.harq, action.number});
        return;
    case ActionKind::HandUpMulticast:
        m_multicast.HandUp(action.number, action.harq);
        return;
    case ActionKind::FeedbackMulticast:
        m_multicast.Feedback(action.number, action.harq);
        return;
    case ActionKind::TransmitAnalog:
        m_analog.Receive(slot);
        Schedule(slot + 1 + m_carrier.settings.gnbDelay, {ActionKind::HandUpAnalog, 0, 0});
        return;
    case ActionKind::HandUpAnalog:
        m_analog.HandUp(slot);
    }
}

bool Mac::MayRequest(std::uint32_t number, std::uint64_t slot) {
    const unsigned each = m_carrier.NumRequests();
    if (m_requestUes != m_places) {
        m_requestUes = m_places;
        const auto pattern = static_cast<unsigned>(m_carrier.plan.size());
        m_requestPeriod = m_carrier.settings.srPeriod > 0 ? m_carrier.settings.srPeriod : 1;
        m_requestOffsets = m_carrier.RequestOffsets(m_requestPeriod);
        while (m_carrier.settings.srPeriod == 0 && each * m_requestOffsets.size() < m_requestUes) {
            m_requestPeriod = m_requestPeriod < pattern ? pattern : m_requestPeriod + pattern;
            m_requestOffsets = m_carrier.RequestOffsets(m_requestPeriod);
        }
    }
    return slot % m_requestPeriod == m_requestOffsets[m_ues[number]->place / each % m_requestOffsets.size()];
}

void Mac::Feedback(Sender& sender, unsigned harq, bool decoded) {
    // Beside others, weights that no longer fit may cost many decibels: each further loss says that it is not enough.
    if (sender.harq[harq].attempts == 1 || (sender.harq[harq].shares && !decoded)) {
        m_links.Adapt(sender.adaptation, sender.harq[harq], decoded);
    }
    sender.harq.Finish(harq, decoded, m_carrier.settings.maxTransmissions);
}

void Mac::HandUpDown(Ue& ue, unsigned harq) {
    HarqProcess& process = ue.down.harq[harq];
    for (const auto& pdu : process.pdus) {
        ue.down.bearers.Receive(pdu);
    }
    for (const auto& status : process.statuses) {
        ue.up.bearers.Receive(status);
    }
    process.pdus.clear();
    process.statuses.clear();
}

void Mac::ReceiveUp(Ue& ue, unsigned harq) {
    HarqProcess& process = ue.up.harq[harq];
    if (process.reception.decoded) {
        for (const auto& pdu : process.pdus) {
            ue.up.bearers.Receive(pdu);
        }
        for (const auto& status : process.statuses) {
            ue.down.bearers.Receive(status);
        }
        if (process.report > ue.status.newestReport) {
            ue.status.newestReport = process.report;
            ue.status.knownBytes = process.reportedBytes;
            ue.status.knownSignalling = process.reportedSignalling;
            ue.status.knownPriority = process.reportedPriority;
            ue.status.knownGroups = process.reportedGroups;
            ue.status.knownOf = process.reportedOf;
        }
    } else if (process.attempts >= m_carrier.settings.maxTransmissions && process.report == ue.status.lastReport) {
        ue.status.reportedBytes = ue.status.reportedSignalling = 0; // the report is lost too
    }
    Feedback(ue.up, harq, process.reception.decoded);
}

void Mac::TransmitDown(std::uint32_t number, unsigned harq, std::uint64_t slot) {
    HarqProcess& process = m_ues[number]->down.harq[harq];
    const auto small = static_cast<std::uint8_t>(harq);
    TransportBlockRecord record{};
    record.slot = slot;
    record.ue = number;
    record.harq = small;
    m_receiver.Receive(process, process.reception, m_links.Arrived(Direction::Downlink, number, harq),
                       DownSymbols(slot), record);
    m_energy.SendGroups(slot, process.groups);
    m_energy.SendDown(number, slot, harq, process.reception.decoded);
    ++process.attempts;
    if (process.reception.decoded) {
        Schedule(slot + 1 + m_carrier.settings.ueDelay, {ActionKind::HandUpDown, small, number});
    }
    Schedule(m_carrier.FeedbackSlot(slot), {ActionKind::FeedbackDown, small, number});
}

void Mac::TransmitUp(std::uint32_t number, unsigned harq, std::uint64_t slot) {
    Ue& ue = *m_ues[number];
    HarqProcess& process = ue.up.harq[harq];
    --ue.status.grants;
    if (process.attempts == 0) {
        // Its size is known before what fits beside it: it may tell of less than that.
        std::uint32_t room = process.bits / 8 - process.csiBytes;
        room -= std::min(room, ReportBytes(ue.UplinkGroups()));
        room -= std::min(room, ue.down.bearers.TakeStatuses(room, process.statuses));
        ue.up.bearers.Take(room, process.pdus, m_grants.GetScheduler(Direction::Uplink)->SendsData(number));
        process.report = ++ue.status.lastReport;
        process.reportedBytes = ue.status.reportedBytes = ue.up.bearers.BacklogBytes() + ue.down.bearers.StatusBytes();
        process.reportedSignalling = ue.status.reportedSignalling = ue.UplinkSignalling();
        process.reportedPriority = ue.UplinkPriority();
        ue.status.reportedUrgency = ue.up.bearers.Urgency();
        process.reportedGroups = static_cast<std::uint8_t>(ue.UplinkGroups());
        ue.up.bearers.FillBacklog(process.reportedOf);
    }
    const auto small = static_cast<std::uint8_t>(harq);
    TransportBlockRecord record{};
    record.slot = slot;
    record.ue = number;
    record.uplink = 1;
    record.harq = small;
    m_receiver.Receive(process, process.reception, m_links.Arrived(Direction::Uplink, number, harq),
                       m_carrier.PlanOf(slot).upSymbols, record);
    m_energy.SendUp(number, slot, process, harq);
    ++process.attempts;
    Schedule(slot + 1 + m_carrier.settings.gnbDelay, {ActionKind::ReceiveUp, small, number});
}

void Mac::RequestGrants(std::uint64_t slot) {
    const CellSettings& settings = m_carrier.settings;
    for (const auto i : m_links.Ues()) {
        Ue& ue = *m_ues[i];
        BufferStatus& status = ue.status;
        // What has come since the last report is more urgent than all in it (a regular report, TS 38.321 5.4.5).
        const bool urgent = (!ue.up.bearers.Plain() && ue.up.bearers.Urgency() > status.reportedUrgency) ||
                            (status.reportedSignalling == 0 && ue.UplinkSignalling() > 0);
        const bool wants = (status.reportedBytes == 0 || urgent) && status.grants == 0 &&
                           (ue.up.bearers.BacklogBytes() > 0 || ue.down.bearers.StatusBytes() > 0);
        if (!wants || !MayRequest(i, slot) || (status.requests > 0 && slot < status.nextRequest) || !Reaches(i, slot)) {
            continue;
        }
        if (status.requests == settings.srTransMax) {
            status.requests = 0;
            if (!std::exchange(status.heard, false)) { // random access would not be heard either
                m_links.Radio(i).Fail(slot);
                continue;
            }
        }
        ++status.requests;
        m_energy.Request(i, slot);
        status.nextRequest = slot + m_carrier.SlotsOf(settings.srProhibit);
        const bool heard = !m_grants.Lost(m_links.RequestLoss(i));
        NS_LOG_LOGIC("slot " << slot << " UE " << i << " requests a grant" << (heard ? "" : ": not heard"));
        if (heard) {
            status.heard = true;
            Schedule(slot + 1 + settings.gnbDelay, {ActionKind::SchedulingRequest, 0, i, ++status.lastReport,
                                                    ue.UplinkUrgency(), ue.UplinkSignalling() > 0});
        }
    }
}

} // namespace edgelam::nr
