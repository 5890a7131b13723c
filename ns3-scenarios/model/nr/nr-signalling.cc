// SPDX-License-Identifier: GPL-2.0-only
#include "nr-signalling.h"

#include <utility>

#include "ns3/simulator.h"

namespace edgelam::nr {

namespace {

/// SRB1 of TS 38.331 9.2.1.
BearerSettings SignallingBearer() {
    BearerSettings settings;
    settings.reassembly = ns3::MilliSeconds(35);
    settings.statusProhibit = ns3::MilliSeconds(0);
    settings.pollRetransmit = ns3::MilliSeconds(45);
    settings.maxRetransmissions = 8;
    return settings;
}

} // namespace

Signalling::Signalling(Network& network) : m_ues(network.NumUes()) {
    for (std::uint32_t ue = 0; ue < network.NumUes(); ++ue) {
        Connection& connection = network.GetConnection(ue);
        for (Way* way : {&m_ues[ue].down, &m_ues[ue].up}) {
            Bearer& data = way == &m_ues[ue].down ? connection.down[0] : connection.up[0];
            way->bearer = &data.AddSignalling(SignallingBearer());
            way->bearer->SetDeliver([way](const ns3::Ptr<ns3::Packet>&) {
                ns3::Simulator::ScheduleNow(std::exchange(way->arrived.front(), {}));
                way->arrived.pop_front();
            });
            way->bearer->SetFail([this, way, ue] {
                way->bearer->Release();
                way->arrived.clear();
                ns3::Simulator::ScheduleNow([this, ue] { m_failed(ue); });
            });
        }
    }
}

void Signalling::SendDown(std::uint32_t ue, std::uint32_t bytes, std::function<void()> arrived) {
    Send(m_ues[ue].down, bytes, std::move(arrived));
}

void Signalling::SendUp(std::uint32_t ue, std::uint32_t bytes, std::function<void()> arrived) {
    Send(m_ues[ue].up, bytes, std::move(arrived));
}

void Signalling::Send(Way& way, std::uint32_t bytes, std::function<void()> arrived) {
    way.arrived.push_back(std::move(arrived));
    if (!way.bearer->Send(ns3::Create<ns3::Packet>(bytes))) {
        way.arrived.pop_back(); // there are megabytes of messages already
    }
}

void Signalling::Reset(std::uint32_t ue) {
    for (Way* way : {&m_ues[ue].down, &m_ues[ue].up}) {
        way->bearer->Release();
        way->arrived.clear();
    }
}

} // namespace edgelam::nr
