// SPDX-License-Identifier: GPL-2.0-only
#include "nr-multicast-groups.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "ns3/log.h"

#include "nr-multicast-beam.h"

NS_LOG_COMPONENT_DEFINE("NrMulticastGroups");

namespace edgelam::nr {

std::uint32_t MulticastGroups::Add(const std::vector<std::uint32_t>& ues, std::uint64_t slot,
                                   const std::function<void()>& wake, const Connect& connect) {
    if (ues.empty()) {
        throw std::invalid_argument("NR cell: a multicast group of no UEs; legal is one or more");
    }
    for (auto ue = ues.begin(); ue != ues.end(); ++ue) {
        if (!m_links.Has(*ue) || std::find(ues.begin(), ue, *ue) != ue) {
            throw std::invalid_argument("NR cell: a multicast group with UE " + std::to_string(*ue) +
                                        "; legal are the UEs of the cell, " + m_links.Names() + ", each once");
        }
    }
    BearerSettings settings;
    settings.acknowledged = false;
    const std::uint32_t number = m_next++;
    Group& group = *m_groups.emplace(number, std::make_unique<Group>(settings, m_carrier.harqProcesses)).first->second;
    group.sender.averagedSlot = slot;
    group.sender.bitsPerGroup.resize(m_carrier.numGroups);
    group.sender.bearers.SetWake(wake);
    if (m_carrier.settings.multicastMcs >= 0) {
        group.adaptation.givenMcs = static_cast<unsigned>(m_carrier.settings.multicastMcs);
    }
    for (const auto ue : ues) {
        group.receivers.push_back(std::make_unique<Receiver>(ue, settings));
        connect(number, ue, group.receivers.back()->entity);
    }
    NS_LOG_INFO("group " << number << " of " << ues.size() << " UEs");
    return number;
}

bool MulticastGroups::Remove(std::uint32_t number) {
    const auto found = m_groups.find(number);
    const Group& group = *found->second;
    if (group.sender.bearers.BacklogBytes() > 0 || !group.sender.harq.Empty() ||
        std::any_of(group.receivers.begin(), group.receivers.end(),
                    [](const auto& each) { return each->entity.Reorders(); })) {
        return false;
    }
    m_groups.erase(found);
    return true;
}

void MulticastGroups::RemoveReceiver(std::uint32_t ue) {
    for (auto& [number, group] : m_groups) {
        std::erase_if(group->receivers, [&](const auto& each) { return each->ue == ue; });
    }
}

bool MulticastGroups::Busy() const {
    return std::any_of(m_groups.begin(), m_groups.end(), [](const auto& each) {
        const Sender& sender = each.second->sender;
        return sender.bearers.BacklogBytes() > 0 || sender.harq.Retransmits();
    });
}

void MulticastGroups::AddDemands(std::uint64_t slot, unsigned symbols) {
    std::uint32_t next = m_links.NumNumbers();
    for (auto& [number, group] : m_groups) {
        const std::uint32_t order = next++;
        Sender& sender = group->sender;
        const std::uint64_t waiting = sender.bearers.BacklogBytes();
        if (sender.harq.Retransmits() || (waiting > 0 && !sender.harq.Full())) {
            Measure(*group, slot);
            if (!group->reached) {
                NS_LOG_LOGIC("group " << number << ": nobody is in reach, what waits is lost");
                sender.harq.GiveUp();
                sender.bearers[0].TransmittingEntity::Release();
                continue;
            }
            unsigned cces = 0;
            for (const auto& receiver : group->receivers) {
                cces = std::max(cces, receiver->reached ? m_links.Cces(receiver->ue) : 0);
            }
            // NACKs of a group share one resource.
            m_grants.Add(order, {true, number, &sender}, slot, symbols, waiting, sender.bearers.Priority(), cces, 0);
        }
    }
}

/// The quality of a multicast group is that of its worst receiver in each group of resource blocks.
void MulticastGroups::Measure(Group& group, std::uint64_t slot) {
    std::vector<std::uint32_t> ues;
    for (const auto& receiver : group.receivers) {
        ues.push_back(receiver->ue);
    }
    for (const auto ue : m_links.Measure(ues, slot)) {
        m_energy.Report(ue, slot);
    }
    const auto measure = [&] {
        FindBeam(group);
        LinkQuality& worst = group.adaptation.pending;
        worst.sinrDb.assign(m_carrier.numGroups, m_carrier.thresholdDb.back());
        for (const auto& receiver : group.receivers) {
            if (!receiver->reached) {
                continue;
            }
            m_links.MeasureGroups(m_links.MeasuredDownlinkOver(receiver->ue, *group.pendingBeam), true, m_measured);
            for (unsigned g = 0; g < m_carrier.numGroups; ++g) {
                worst.sinrDb[g] = std::min(worst.sinrDb[g], m_measured.sinrDb[g]);
            }
        }
    };
    const auto adopt = [&] {
        if (group.reports.Adopts(slot)) {
            std::swap(group.adaptation.quality, group.adaptation.pending);
            std::swap(group.beam, group.pendingBeam);
        }
    };
    adopt();
    if (group.reports.Begin(m_carrier.settings, slot)) {
        measure();
        adopt();
    }
}

/// The pending beam, and which receivers are in reach.
void MulticastGroups::FindBeam(Group& group) {
    std::vector<std::vector<std::complex<float>>> beams, all;
    std::vector<double> gains, allGains;
    for (const auto& receiver : group.receivers) {
        const auto& sinrs = m_links.MeasuredDownlink(receiver->ue).values;
        double gain = 1e-30;
        for (const float sinr : sinrs) {
            gain += sinr / static_cast<double>(sinrs.size());
        }
        const double combined = EffectiveSinr(sinrs, m_carrier.beta[0]) * m_carrier.settings.multicastTransmissions;
        receiver->reached = DbOf(combined) >= m_carrier.thresholdDb[0] && !m_links.Radio(receiver->ue).Failed();
        all.push_back(m_links.Of(receiver->ue).FirstBeam(Beams::Measured));
        allGains.push_back(gain);
        if (receiver->reached) {
            beams.push_back(all.back());
            gains.push_back(gain);
        }
    }
    group.reached = !beams.empty();
    if (all.empty()) {
        return;
    }
    if (!group.reached) {
        beams.swap(all);
        gains.swap(allGains);
    }
    group.pendingBeam.emplace(1, MulticastBeam(beams, gains));
}

bool MulticastGroups::Grant(std::uint32_t number, unsigned harq, unsigned symbols, std::uint64_t slot) {
    Group& group = *m_groups.at(number);
    if (m_grants.SendAgain(group.sender, harq, slot)) {
        return true;
    }
    m_grants.NewBlock(group.sender, harq, symbols, 0, m_carrier.limitedBits);
    for (const auto& receiver : group.receivers) {
        receiver->harq[harq].Begin(m_random->GetValue());
        receiver->handed &= ~(1u << harq);
    }
    return m_grants.TakeData(group.sender, harq, group.sender.harq[harq].bits / 8, slot);
}

void MulticastGroups::PutOnAir(std::uint32_t number, unsigned harq, std::uint64_t slot) {
    const Group& group = *m_groups.at(number);
    m_links.PutOnAir(slot, *group.beam, group.sender.harq[harq].groups);
}

void MulticastGroups::Transmit(std::uint32_t number, unsigned harq, std::uint64_t slot) {
    Group& group = *m_groups.at(number); // it stays while a process is busy
    HarqProcess& process = group.sender.harq[harq];
    TransportBlockRecord record{};
    record.slot = slot;
    record.group = static_cast<std::int32_t>(number);
    record.harq = static_cast<std::uint8_t>(harq);
    m_energy.SendGroups(slot, process.groups);
    for (const auto& receiver : group.receivers) {
        Reception& reception = receiver->harq[harq];
        if (!reception.decoded) {
            record.ue = receiver->ue;
            m_receiver.Receive(process, reception, m_links.DownlinkOver(receiver->ue, *group.beam, process, slot),
                               m_carrier.PlanOf(slot).downSymbols, record);
            // NACKs only, and only where they matter (see Feedback).
            m_energy.SendMulticast(record.ue, slot,
                                   m_carrier.settings.multicastTransmissions > 1 && receiver->reached &&
                                       !reception.decoded);
            record.repeated = 1;
        }
    }
    ++process.attempts;
}

void MulticastGroups::HandUp(std::uint32_t number, unsigned harq) {
    Group& group = *m_groups.at(number);
    const std::uint32_t bit = 1u << harq;
    for (const auto& receiver : group.receivers) {
        if (receiver->harq[harq].decoded && (receiver->handed & bit) == 0) {
            receiver->handed |= bit;
            for (const auto& pdu : group.sender.harq[harq].pdus) {
                receiver->entity.Receive(pdu);
            }
        }
    }
}

void MulticastGroups::Feedback(std::uint32_t number, unsigned harq) {
    Group& group = *m_groups.at(number);
    const unsigned most = m_carrier.settings.multicastTransmissions;
    const bool nack = std::any_of(group.receivers.begin(), group.receivers.end(),
                                  [&](const auto& each) { return each->reached && !each->harq[harq].decoded; });
    if (group.sender.harq[harq].attempts == 1 && most > 1) { // with a single one nobody answers
        m_links.Adapt(group.adaptation, group.sender.harq[harq], !nack);
    }
    group.sender.harq.Finish(harq, !nack, most);
}

} // namespace edgelam::nr
