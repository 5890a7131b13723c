// SPDX-License-Identifier: GPL-2.0-only
// How blocks arrive: their SINR beside what else is on the air.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "nr-links.h"

namespace edgelam::nr {

void Links::Expect(const Transmission& sent, std::uint64_t slot, Arrival& arrival) {
    arrival.sent = sent;
    arrival.samples.clear();
    for (const auto group : sent.process->groups) {
        for (unsigned i = 0; i < m_carrier.samplesPerGroup; ++i) {
            arrival.samples.push_back(group * m_carrier.samplesPerGroup + i);
        }
    }
    const auto rise = Rise(sent.ue, sent.direction, slot);
    arrival.rise.assign(rise.begin(), rise.end());
}

void Links::Prepare(std::span<const Transmission> transmissions, std::uint64_t slot, SlotWork& work) {
    m_numArrivals = m_nextArrival = 0;
    if (transmissions.empty()) {
        return;
    }
    work.Use(m_workers);
    m_arrivals.resize(std::max(m_arrivals.size(), transmissions.size()));
    std::vector<std::uint32_t> order;
    for (const auto& sent : transmissions) {
        const bool shares = Shares(sent, slot);
        UpdateSelfNoise(*m_ues[sent.ue]);
        m_ues[sent.ue]->link.Fetch(sent.direction, sent.process->layers, !shares, work.Channels());
        if (AreHeard()) {
            FetchOthers(sent.ue, sent.direction, slot, Bits(sent.process->groups), work.Channels());
        }
        const auto number = static_cast<std::uint32_t>(m_numArrivals++);
        Arrival& arrival = m_arrivals[number];
        Expect(sent, slot, arrival);
        if (!m_beamformer->IsThreadSafe() || (shares && sent.direction == Direction::Uplink)) {
            work.AddAlone([this, slot, &arrival] { Receive(arrival, slot); });
            continue;
        }
        if (shares) { // the weights of all of them, once
            Shared(sent.direction, slot).Weights(sent.ue, *m_beamformer);
        }
        order.push_back(number);
    }
    const auto ueOf = [this](std::uint32_t number) { return m_arrivals[number].sent.ue; };
    std::ranges::stable_sort(order, {}, ueOf);
    for (auto begin = order.begin(); begin != order.end();) { // what one UE sends and receives is one part
        const auto end = std::ranges::upper_bound(begin, order.end(), ueOf(*begin), {}, ueOf);
        work.Add(*m_ues[ueOf(*begin)]->link.Phy().link(),
                 [this, slot, numbers = std::vector<std::uint32_t>(begin, end)] {
                     for (const auto number : numbers) {
                         Receive(m_arrivals[number], slot);
                     }
                 });
        begin = end;
    }
}

double Links::Arrived(Direction direction, std::uint32_t ue, unsigned harq) {
    while (m_nextArrival < m_numArrivals) {
        const Arrival& arrival = m_arrivals[m_nextArrival++];
        if (arrival.sent.direction == direction && arrival.sent.ue == ue && arrival.sent.harq == harq) {
            return arrival.sinr;
        }
    }
    throw std::logic_error("NR cell: a block of UE " + std::to_string(ue) + " arrives that was not prepared");
}

void Links::Receive(Arrival& arrival, std::uint64_t slot) {
    Noise noise = Around(arrival, slot);
    noise.samples = arrival.samples;
    const bool down = arrival.sent.direction == Direction::Downlink;
    const SinrMap& map = down ? Downlink(arrival.sent, slot, noise) : Uplink(arrival.sent, slot, noise);
    arrival.sinr = EffectiveSinr(map.values, m_carrier.beta[arrival.sent.process->mcs]);
}

Noise Links::Around(const Arrival& arrival, std::uint64_t slot) {
    if (!AreHeard()) {
        return arrival.rise;
    }
    const Transmission& sent = arrival.sent;
    UeLink& link = m_ues[sent.ue]->link;
    const PortWeights& beams = link.Receivers();
    const std::uint32_t groups = Bits(sent.process->groups);
    const bool down = sent.direction == Direction::Downlink;
    Covariance& around = m_ues[sent.ue]->around;
    around.Reset(down ? link.Phy().NumUeAntennas() : beams.numPorts(), m_carrier.offsetsHz.size(), arrival.samples);
    const bool any = down ? m_air->HearDown(m_cell, sent.ue, slot, groups, around)
                          : m_air->HearUp(m_cell, beams, slot, groups, around);
    if (!any) {
        return arrival.rise;
    }
    if (!arrival.rise.empty()) {
        for (const auto f : arrival.samples) {
            around.AddWhite(f, 1, arrival.rise[f] - 1);
        }
    }
    return around;
}

const SinrMap& Links::Downlink(const Transmission& sent, std::uint64_t slot, const Noise& noise) {
    SharedSlot& shared = Shared(Direction::Downlink, slot);
    return shared.Shares(slot, sent.ue)
               ? shared.Downlink(sent.ue, *m_beamformer, m_carrier.DownlinkSnr(), noise)
               : m_ues[sent.ue]->link.Downlink(sent.process->layers, m_carrier.DownlinkSnr(), Beams::InUse, noise);
}

const SinrMap& Links::Uplink(const Transmission& sent, std::uint64_t slot, const Noise& noise) {
    const std::uint32_t ue = sent.ue;
    SharedSlot& shared = Shared(Direction::Uplink, slot);
    if (!shared.Shares(slot, ue)) {
        const double powerW = UplinkPowerW(ue, m_carrier.PrbsOf(sent.process->groups));
        return m_ues[ue]->link.Uplink(sent.process->layers, powerW / m_carrier.noiseUpW, Beams::InUse, noise);
    }
    return shared.Uplink(
        ue, [this](std::uint32_t each, std::uint32_t groups) { return UplinkSnr(each, groups); }, noise);
}

double Links::DownlinkOver(std::uint32_t ue, const PortWeights& beam, const HarqProcess& process, std::uint64_t slot) {
    if (AreHeard()) {
        ChannelFetch fetch;
        FetchOthers(ue, Direction::Downlink, slot, Bits(process.groups), fetch);
        fetch.Run(*m_workers);
    }
    Arrival arrival;
    Expect({Direction::Downlink, ue, 0, &process}, slot, arrival);
    Noise noise = Around(arrival, slot);
    noise.samples = arrival.samples;
    return EffectiveSinr(m_ues[ue]->link.DownlinkOver(beam, m_carrier.DownlinkSnr(), noise).values,
                         m_carrier.beta[process.mcs]);
}

void Links::PutOnAir(std::uint64_t slot, std::uint32_t ue, const PortWeights& weights,
                     const std::vector<std::uint32_t>& groups, double powerW) {
    Emission& emission = m_air->SendUp(slot, m_cell, ue);
    emission.groups = Bits(groups);
    emission.layers = 1;
    emission.perGroup = false;
    emission.powerW = powerW;
    emission.weights = weights.values();
}

void Links::HearUp(std::uint32_t ue, std::uint64_t slot, const std::vector<std::uint32_t>& groups,
                   std::vector<float>& rise) {
    rise.assign(m_carrier.offsetsHz.size(), 1);
    if (AreHeard()) {
        ChannelFetch fetch;
        FetchOthers(ue, Direction::Uplink, slot, Bits(groups), fetch);
        fetch.Run(*m_workers);
        const PortWeights& elements = Of(ue).Phy().GnbElements();
        Covariance around;
        around.Reset(elements.numPorts(), rise.size());
        if (m_air->HearUp(m_cell, elements, slot, Bits(groups), around)) {
            around.MeanRise(rise);
        }
    }
    if (m_interference) {
        std::vector<float> power(rise.size());
        m_interference->GetPower(Direction::Uplink, ue, slot, power);
        for (std::size_t i = 0; i < rise.size(); ++i) {
            rise[i] += power[i] / static_cast<float>(m_carrier.noiseUpW);
        }
    }
}

} // namespace edgelam::nr
