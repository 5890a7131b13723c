// SPDX-License-Identifier: GPL-2.0-only
#include "nr-radio-energy.h"

#include <algorithm>

namespace edgelam::nr {

RadioEnergy::RadioEnergy(const Carrier& carrier, Links& links, std::size_t elements, const Trace& trace)
    : m_carrier(carrier), m_links(links), m_trace(trace),
      m_drx(carrier.settings, carrier.numerology, carrier.settings.gnbDelay),
      m_always(DrxSettings{}, carrier.numerology, carrier.settings.gnbDelay), m_gnb(carrier, elements, trace) {}

void RadioEnergy::AddUe(std::uint32_t ue, unsigned antennas, std::uint64_t slot) {
    if (m_ues.size() <= ue) {
        m_ues.resize(ue + 1);
        m_earlier.resize(ue + 1);
        m_antennas.resize(ue + 1);
    }
    m_antennas[ue] = antennas;
    m_ues[ue] = std::make_unique<UeEnergy>(m_carrier, m_drx, ue, antennas, slot, m_trace);
}

void RadioEnergy::Leave(std::uint32_t ue, std::uint64_t slot) {
    RemoveUe(ue, slot);
    m_ues[ue] = std::make_unique<UeEnergy>(m_carrier, m_always, ue, m_antennas[ue], slot, m_trace);
}

void RadioEnergy::SendPreamble(std::uint32_t ue, std::uint64_t slot, double dbm) {
    if (m_ues[ue]) {
        m_ues[ue]->SendLong(slot, dbm, 1, slot);
    }
}

void RadioEnergy::RemoveUe(std::uint32_t ue, std::uint64_t slot) {
    if (!m_ues[ue]) {
        return;
    }
    m_ues[ue]->Advance(slot);
    for (const auto direction : {Direction::Downlink, Direction::Uplink}) {
        m_earlier[ue][static_cast<std::size_t>(direction)] += m_ues[ue]->Joules(direction);
    }
    m_ues[ue].reset();
}

void RadioEnergy::SendShort(std::uint32_t ue, std::uint64_t slot, std::uint64_t known) {
    m_ues[ue]->SendShort(slot, PowerDbm(ue, 1), known);
    m_gnb.ReceiveShort(slot);
}

void RadioEnergy::Grant(std::uint32_t ue, std::uint64_t slot, Direction direction, unsigned harq, bool fresh) {
    m_ues[ue]->GetDrx().Grant(slot, direction, harq, fresh);
    if (direction == Direction::Uplink) {
        m_gnb.SendGrant(slot, m_links.Cces(ue));
    }
}

void RadioEnergy::Request(std::uint32_t ue, std::uint64_t slot) {
    m_ues[ue]->GetDrx().Request(slot);
    SendShort(ue, slot, slot);
}

void RadioEnergy::Report(std::uint32_t ue, std::uint64_t slot) {
    const auto at = static_cast<std::uint64_t>(m_carrier.pattern.NextUplink(static_cast<std::int64_t>(slot)));
    m_ues[ue]->SendShort(at, PowerDbm(ue, m_carrier.SoundedPrbs()), slot);
    m_gnb.ReceiveShort(at);
}

void RadioEnergy::SendDown(std::uint32_t ue, std::uint64_t slot, unsigned harq, bool decoded) {
    const std::uint64_t feedback = m_carrier.UplinkOf(slot);
    m_ues[ue]->Receive(slot);
    SendShort(ue, feedback, slot);
    if (!decoded) {
        m_ues[ue]->GetDrx().AwaitRetransmission(feedback, Direction::Downlink, harq, slot);
    }
}

void RadioEnergy::SendMulticast(std::uint32_t ue, std::uint64_t slot, bool answers) {
    m_ues[ue]->Receive(slot);
    if (answers) {
        SendShort(ue, m_carrier.UplinkOf(slot), slot);
    }
}

void RadioEnergy::SendUp(std::uint32_t ue, std::uint64_t slot, const HarqProcess& process, unsigned harq) {
    m_ues[ue]->SendLong(slot, PowerDbm(ue, m_carrier.PrbsOf(process.groups)), process.layers,
                        slot - std::min<std::uint64_t>(slot, m_carrier.settings.k2));
    m_ues[ue]->GetDrx().AwaitRetransmission(slot, Direction::Uplink, harq, slot);
    m_gnb.ReceiveBlock(slot);
}

void RadioEnergy::SendAnalog(std::uint32_t ue, std::uint64_t slot) {
    m_ues[ue]->SendLong(slot, m_carrier.settings.uePowerDbm, 1,
                        slot - std::min<std::uint64_t>(slot, m_carrier.settings.k2));
    m_gnb.ReceiveBlock(slot);
}

double RadioEnergy::UePeakW() const {
    double peak = 0;
    for (const unsigned antennas : m_antennas) {
        if (antennas > 0) {
            const UePowerModel model(m_carrier.range, m_carrier.settings.bandwidthHz, antennas);
            peak = std::max(peak, m_carrier.settings.uePowerUnitW * model.Peak(m_carrier.settings.uePowerDbm));
        }
    }
    return peak;
}

void RadioEnergy::Advance(std::uint64_t slot) {
    if (slot <= m_advanced) {
        return;
    }
    m_advanced = slot;
    for (auto& ue : m_ues) {
        if (ue) {
            ue->Advance(slot);
        }
    }
    m_gnb.Advance(slot);
}

} // namespace edgelam::nr
