// SPDX-License-Identifier: GPL-2.0-only
#include "nr-downlink-path.h"

#include <utility>

#include "ns3/log.h"
#include "ns3/simulator.h"

NS_LOG_COMPONENT_DEFINE("NrDownlinkPath");

namespace edgelam::nr {

DownlinkPath::DownlinkPath(Network& network, Backhaul& backhaul, const std::vector<std::uint32_t>& gnbOf,
                           const Settings& settings)
    : m_network(network), m_backhaul(backhaul), m_settings(settings), m_ues(network.NumUes()) {
    for (std::uint32_t ue = 0; ue < m_ues.size(); ++ue) {
        m_ues[ue].home = m_ues[ue].path = gnbOf[network.ServingCell(ue).value()];
    }
}

DownlinkPath::~DownlinkPath() {
    for (auto& ue : m_ues) {
        ue.guard.Cancel();
    }
}

bool DownlinkPath::Send(std::uint32_t gnb, std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority,
                        unsigned bearer) {
    Ue& to = m_ues[ue];
    if (gnb != to.home) {
        if (!m_settings.forwarding && to.holds) {
            ++m_counts.dropped;
            return false;
        }
        Forward(ue, gnb, bearer, {packet, ns3::Simulator::Now(), static_cast<std::uint8_t>(priority), std::nullopt},
                true);
        return true;
    }
    if (to.holds) {
        to.held.push_back({packet, priority, bearer});
        return true;
    }
    return m_network.SendDown(ue, packet, priority, bearer);
}

void DownlinkPath::Forward(std::uint32_t ue, std::uint32_t gnb, unsigned bearer, const Backhaul::Forwarded& sdu,
                           bool fresh) {
    const std::uint32_t home = m_ues[ue].home;
    ++m_counts.forwarded;
    m_backhaul.Forward(gnb, home, sdu, [this, ue, home, bearer, fresh](const Backhaul::Forwarded& arrived) {
        if (home == m_ues[ue].home && fresh) {
            m_network.SendDown(ue, arrived.packet, arrived.priority, bearer);
        } else if (home == m_ues[ue].home) {
            m_network.GetConnection(ue).down[bearer].Restore(arrived);
        } else if (m_settings.forwarding) { // the UE has gone on
            Forward(ue, home, bearer, arrived, fresh);
        } else {
            ++m_counts.dropped;
        }
    });
}

void DownlinkPath::MoveTo(std::uint32_t ue, std::uint32_t gnb) {
    Ue& moving = m_ues[ue];
    const std::uint32_t from = std::exchange(moving.home, gnb);
    if (from == gnb) {
        return;
    }
    NS_LOG_INFO("UE " << ue << " moves from gNB " << from << " to " << gnb);
    ++moving.moves;
    Bearers& bearers = m_network.GetConnection(ue).down;
    if (m_settings.forwarding) {
        for (unsigned bearer = 0; bearer < bearers.Size(); ++bearer) {
            for (const auto& sdu : bearers[bearer].TakeForwarded()) {
                Forward(ue, from, bearer, sdu, false);
            }
        }
        for (auto& each : std::exchange(moving.held, {})) {
            Forward(ue, from, each.bearer,
                    {each.packet, ns3::Simulator::Now(), static_cast<std::uint8_t>(each.priority), {}}, true);
        }
    } else {
        bearers.Release();
        moving.held.clear();
    }
    moving.holds = true;
    if (moving.path == gnb) { // back where the UPF still sends: what was forwarded meanwhile comes first
        m_backhaul.Send(from, gnb, m_settings.endMarkerBytes, [this, ue, moves = moving.moves] {
            if (m_ues[ue].moves == moves) {
                EndMarker(ue);
            }
        });
    }
}

void DownlinkPath::SwitchPath(std::uint32_t ue) {
    Ue& moving = m_ues[ue];
    if (moving.path == moving.home) {
        return;
    }
    const std::uint32_t home = moving.home;
    m_backhaul.Send(home, Backhaul::upf, m_settings.pathSwitchBytes, [this, ue, home] {
        if (m_ues[ue].home != home) {
            return; // it has gone on
        }
        const std::uint32_t old = std::exchange(m_ues[ue].path, home);
        m_backhaul.SwitchPath(ue, home);
        m_backhaul.Send(Backhaul::upf, old, m_settings.endMarkerBytes, [this, ue, home, old] {
            m_backhaul.Send(old, home, m_settings.endMarkerBytes, [this, ue, home] {
                if (m_ues[ue].home == home) {
                    EndMarker(ue);
                }
            });
        });
    });
    moving.guard.Cancel();
    moving.guard = ns3::Simulator::Schedule(m_settings.endMarker, &DownlinkPath::EndMarker, this, ue);
}

void DownlinkPath::EndMarker(std::uint32_t ue) {
    Ue& moving = m_ues[ue];
    moving.guard.Cancel();
    moving.holds = false;
    Bearers& bearers = m_network.GetConnection(ue).down;
    for (unsigned bearer = 0; bearer < bearers.Size(); ++bearer) {
        bearers[bearer].GiveUpForwarded();
    }
    NS_LOG_INFO("UE " << ue << ": end marker; " << moving.held.size() << " packets have waited for it");
    for (const auto& each : std::exchange(moving.held, {})) {
        m_network.SendDown(ue, each.packet, each.priority, each.bearer);
    }
}

} // namespace edgelam::nr
