// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The way of downlink packets to a UE that changes gNBs: forwarding over Xn, path switch and end marker (TS 38.300
/// 9.2.3.2.2).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "ns3/event-id.h"

#include "nr-network.h"

namespace edgelam::nr {

/// What gNBs and the user plane function (UPF) send one another. Nothing that goes the same way overtakes.
class Backhaul {
  public:
    static constexpr std::uint32_t upf = UINT32_MAX;
    using Forwarded = TransmittingEntity::Forwarded;

    virtual ~Backhaul() = default;
    /// Send a message of this size from a gNB, or the UPF, to another one.
    virtual void Send(std::uint32_t from, std::uint32_t to, std::uint32_t bytes, std::function<void()> arrived) = 0;
    /// Send an SDU in a tunnel from one gNB to another.
    virtual void Forward(std::uint32_t from, std::uint32_t to, const Forwarded& sdu,
                         std::function<void(const Forwarded&)> arrived) = 0;
    /// At the UPF: packets to this UE go to this gNB from now on.
    virtual void SwitchPath(std::uint32_t ue, std::uint32_t gnb) = 0;
};

/// The UE's packets are kept by one gNB, where its PDCP entity is (its home). When the UE leaves it for another one,
/// SDUs that are not acknowledged, those that wait, and those that still come are forwarded to the new home. After the
/// path switch, the UPF sends an end marker behind the last packet on the old way. Until the new home has it, packets
/// that come to it directly wait, so that nothing is overtaken. All of this is for each bearer; the tunnels of a UE go
/// the same way, so one end marker is enough for them.
class DownlinkPath {
  public:
    struct Settings {
        /// false: what the old gNB has, and what comes to another gNB than the new one before the end marker, is lost
        bool forwarding = true;
        ns3::Time endMarker = ns3::Seconds(1); ///< longest wait for an end marker
        std::uint32_t pathSwitchBytes = 150, endMarkerBytes = 36;
    };
    /// All UEs begin at the gNBs of their cells. \param gnbOf [cell]
    DownlinkPath(Network& network, Backhaul& backhaul, const std::vector<std::uint32_t>& gnbOf,
                 const Settings& settings);
    ~DownlinkPath();
    DownlinkPath(const DownlinkPath&) = delete;
    DownlinkPath& operator=(const DownlinkPath&) = delete;

    /// A packet for a UE has come to a gNB. \return false if it is dropped
    bool Send(std::uint32_t gnb, std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority, unsigned bearer);
    /// The UE, which is in no cell, has a new home; its bearers have been re-established.
    void MoveTo(std::uint32_t ue, std::uint32_t gnb);
    /// The UE's home asks the UPF to send there.
    void SwitchPath(std::uint32_t ue);
    std::uint32_t Home(std::uint32_t ue) const { return m_ues[ue].home; }
    /// Whether the UPF sends to the UE's home, and nothing waits for an end marker.
    bool IsSwitched(std::uint32_t ue) const { return m_ues[ue].path == m_ues[ue].home && !m_ues[ue].holds; }

    struct Counts {
        std::uint64_t forwarded = 0; ///< SDUs over Xn
        std::uint64_t dropped = 0;   ///< packets at a gNB that the UE has left, without forwarding
    };
    const Counts& GetCounts() const { return m_counts; }

  private:
    struct Held {
        ns3::Ptr<ns3::Packet> packet;
        unsigned priority, bearer;
    };
    struct Ue {
        std::uint32_t home = 0, path = 0;
        bool holds = false;
        std::uint64_t moves = 0;
        std::vector<Held> held;
        ns3::EventId guard;
    };
    /// \param fresh no bearer has had it yet
    void Forward(std::uint32_t ue, std::uint32_t gnb, unsigned bearer, const Backhaul::Forwarded& sdu, bool fresh);
    void EndMarker(std::uint32_t ue);

    Network& m_network;
    Backhaul& m_backhaul;
    Settings m_settings;
    std::vector<Ue> m_ues;
    Counts m_counts;
};

} // namespace edgelam::nr
