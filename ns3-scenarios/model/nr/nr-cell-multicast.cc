// SPDX-License-Identifier: GPL-2.0-only
// A cell's multicast groups: one bearer in RLC UM, each block on the air once for all receivers (point-to-multipoint
// delivery of the multicast service, TS 38.300 16.10: one G-RNTI a group).
//
// A block has one layer over one beam (nr-multicast-beam) and the MCS that the worst receiver allows in each group of
// resource blocks, or a given one. Each receiver decodes it with its own SINR, its own luck and its own soft buffer.
// Retransmissions go to all, as long as one receiver says NACK (group-common feedback) and not more often than
// MulticastTransmissions; then what a receiver has not decoded is lost to it alone. One outer loop a group: a block
// that any receiver did not decode at first counts as lost; without feedback it stands still.
//
// A receiver that would not decode the lowest MCS with all of the power, its own beam and all transmissions together
// (CQI 0, "out of range") decides nothing: beam, MCS and retransmissions are for the others. If there are no others, it
// does.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "nr-cell.h"
#include "nr-multicast-beam.h"

namespace edgelam::nr {

std::uint32_t Cell::AddMulticast(const std::vector<std::uint32_t>& ues) {
    if (ues.empty()) {
        throw std::invalid_argument("NR cell: a multicast group of no UEs; legal is one or more");
    }
    for (auto ue = ues.begin(); ue != ues.end(); ++ue) {
        if (*ue >= m_ues.size() || std::find(ues.begin(), ue, *ue) != ue) {
            throw std::invalid_argument("NR cell: a multicast group with UE " + std::to_string(*ue) +
                                        "; legal are the UEs of the cell, 0 to " + std::to_string(m_ues.size() - 1) +
                                        ", each once");
        }
    }
    BearerSettings settings;
    settings.acknowledged = false;
    const std::uint32_t number = m_nextMulticast++;
    Multicast& multicast = m_multicasts.try_emplace(number, settings).first->second;
    Side& side = multicast.side;
    side.averagedSlot = NextSlot();
    side.bitsPerGroup.resize(m_numGroups);
    side.bearer.SetWake([this] { Wake(); }, {});
    if (m_multicastMcs >= 0) {
        side.givenMcs = static_cast<unsigned>(m_multicastMcs);
    }
    for (const auto ue : ues) {
        multicast.receivers.push_back(std::make_unique<Receiver>(ue, settings));
        multicast.receivers.back()->bearer.SetDeliver([this, ue](ns3::Ptr<ns3::Packet> packet) {
            if (m_atUe) {
                m_atUe(ue, packet->Copy());
            }
        });
        TracePackets(multicast.receivers.back()->bearer, {.ue = ue, .group = static_cast<std::int32_t>(number)});
    }
    return number;
}

bool Cell::SendMulticast(std::uint32_t group, ns3::Ptr<ns3::Packet> packet, unsigned priority) {
    return m_multicasts.at(group).side.bearer.Send(packet, priority);
}

const Bearer& Cell::MulticastBearer(std::uint32_t group) const {
    return m_multicasts.at(group).side.bearer;
}

bool Cell::RemoveMulticast(std::uint32_t group) {
    const auto found = m_multicasts.find(group);
    const auto& [side, receivers, beam, pendingBeam, reports] = found->second;
    if (side.bearer.BacklogBytes() > 0 || side.busy != 0 ||
        std::any_of(receivers.begin(), receivers.end(), [](const auto& each) { return each->bearer.Reorders(); })) {
        return false;
    }
    m_multicasts.erase(found);
    return true;
}

/// Who of the groups has something to send.
void Cell::AskMulticasts(std::uint64_t slot, unsigned symbols) {
    std::uint32_t turn = NumUes();
    for (auto& [number, multicast] : m_multicasts) {
        Side& side = multicast.side;
        const std::uint64_t waiting = side.bearer.BacklogBytes();
        if (side.again != 0 || (waiting > 0 && side.busy != UINT16_MAX)) {
            Measure(multicast, slot);
            AddCandidate(turn, {What::SendMulticast, number, &side}, slot, symbols, waiting, side.bearer.Priority());
        }
        ++turn;
    }
}

/// The pending beam, and which receivers are in reach.
void Cell::FindBeam(Multicast& multicast) {
    std::vector<std::vector<std::complex<float>>> beams, all;
    std::vector<double> gains, allGains;
    for (const auto& receiver : multicast.receivers) {
        const Side& side = m_ues[receiver->ue]->down;
        UeLink& link = m_ues[receiver->ue]->link;
        const auto& sinrs = link.Downlink(1, DownlinkSnr(), Beams::Measured, side.meanRise).values;
        double gain = 1e-30;
        for (const float sinr : sinrs) {
            gain += sinr / static_cast<double>(sinrs.size());
        }
        const double combined = EffectiveSinr(sinrs, m_beta[0]) * m_multicastTransmissions;
        receiver->reached = 10 * std::log10(std::max(combined, 1e-30)) >= m_thresholdDb[0];
        all.push_back(link.FirstBeam(Beams::Measured));
        allGains.push_back(gain);
        if (receiver->reached) {
            beams.push_back(all.back());
            gains.push_back(gain);
        }
    }
    if (beams.empty()) {
        for (const auto& receiver : multicast.receivers) {
            receiver->reached = true;
        }
        beams.swap(all);
        gains.swap(allGains);
    }
    multicast.pendingBeam.emplace(1, MulticastBeam(beams, gains));
}

bool Cell::GrantMulticast(Multicast& multicast, unsigned harq, unsigned symbols, std::uint64_t slot) {
    Side& side = multicast.side;
    if (GrantAgain(side, harq)) {
        return true;
    }
    Fill(side, harq, 1, symbols, 0);
    for (const auto& receiver : multicast.receivers) {
        receiver->harq[harq].Begin(m_random->GetValue());
        receiver->handed &= static_cast<std::uint16_t>(~(1u << harq));
    }
    return TakeData(side, harq, side.harq[harq].bits / 8, slot);
}

void Cell::DoMulticast(const Action& action, std::uint64_t slot) {
    Multicast& multicast = m_multicasts.at(action.number); // it stays while a process is busy
    Process& process = multicast.side.harq[action.harq];
    const auto bit = static_cast<std::uint16_t>(1u << action.harq);
    switch (action.what) {
    case What::SendMulticast:
        TransmitMulticast(action.number, multicast, action.harq, slot);
        return;
    case What::MulticastReceived:
        for (const auto& receiver : multicast.receivers) {
            if (receiver->harq[action.harq].decoded && (receiver->handed & bit) == 0) {
                receiver->handed |= bit;
                for (const auto& pdu : process.pdus) {
                    receiver->bearer.Receive(pdu);
                }
            }
        }
        return;
    default: { // MulticastFeedback
        const bool nack = std::any_of(multicast.receivers.begin(), multicast.receivers.end(), [&](const auto& each) {
            return each->reached && !each->harq[action.harq].decoded;
        });
        if (process.attempts == 1 && m_multicastTransmissions > 1) { // with a single one nobody answers
            Adapt(multicast.side, process, !nack);
        }
        Finish(multicast.side, action.harq, !nack, m_multicastTransmissions);
    }
    }
}

void Cell::TransmitMulticast(std::uint32_t number, Multicast& multicast, unsigned harq, std::uint64_t slot) {
    Process& process = multicast.side.harq[harq];
    const auto small = static_cast<std::uint8_t>(harq);
    TransportBlockRecord record{};
    record.slot = slot;
    record.group = static_cast<std::int32_t>(number);
    record.harq = small;
    for (const auto& receiver : multicast.receivers) {
        Reception& reception = receiver->harq[harq];
        if (!reception.decoded) {
            record.ue = receiver->ue;
            Ue& ue = *m_ues[receiver->ue];
            Decode(process, reception,
                   ue.link.DownlinkOver(*multicast.beam, DownlinkSnr(), Rise(ue, Direction::Downlink, slot)),
                   m_plan[slot % m_plan.size()].downSymbols, record);
            record.repeated = 1;
        }
    }
    ++process.attempts;
    At(slot + 1 + m_ueDelay, {What::MulticastReceived, small, number, 0});
    At(FeedbackSlot(slot), {What::MulticastFeedback, small, number, 0});
}

} // namespace edgelam::nr
