// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Network devices of a network of NR cells, and what its gNBs and UPF send one another as real packets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "ns3/ipv4-address.h"
#include "ns3/ipv4-static-routing.h"
#include "ns3/socket.h"

#include "nr-handover.h"
#include "nr-net-device.h"

namespace edgelam {

/// What all devices of a network share. It lives as long as the run.
struct NrNetworkUes {
    ns3::Ptr<nr::Network> network;
    std::unique_ptr<nr::Handover> handover;
    std::unordered_map<std::uint32_t, std::uint32_t> ueOf; ///< by IPv4 address
};

/// A UE's end: what it sends waits for the cell that the UE enters next, if it is in none.
class NrNetworkUeDevice : public nr::NrNetDevice {
  public:
    static ns3::TypeId GetTypeId();
    void Set(std::shared_ptr<NrNetworkUes> ues, std::uint32_t ue);
    /// A packet from its cell.
    void Take(ns3::Ptr<ns3::Packet> packet) { Receive(packet); }

  private:
    void DoDispose() override;
    bool DoSend(ns3::Ptr<ns3::Packet> packet) override;
    std::shared_ptr<NrNetworkUes> m_ues;
    std::uint32_t m_ue = 0;
};

/// A gNB's end, for all of its cells: a packet goes to the UE that has its destination, wherever that UE is.
class NrNetworkGnbDevice : public nr::NrNetDevice {
  public:
    static ns3::TypeId GetTypeId();
    void Set(std::shared_ptr<NrNetworkUes> ues, std::uint32_t gnb);
    /// A packet from a UE.
    void Take(ns3::Ptr<ns3::Packet> packet) { Receive(packet); }

  private:
    void DoDispose() override;
    bool DoSend(ns3::Ptr<ns3::Packet> packet) override;
    bool Reaches(ns3::Ipv4Address address) const override { return m_ues->ueOf.contains(address.Get()); }
    std::shared_ptr<NrNetworkUes> m_ues;
    std::uint32_t m_gnb = 0;
};

/// Messages and tunnels as UDP datagrams between the addresses of the N3 links: they share these links with all else,
/// are queued there, and may be dropped. Only their sizes are simulated. A tunnelled SDU takes as much of a link as the
/// SDU does on its way to the gNB: the links have the tunnel's header as a gap.
class NrBackhaul : public nr::Backhaul {
  public:
    /// \param switchPath changes the UPF's route to a UE
    NrBackhaul(ns3::Ptr<ns3::Node> upf, std::function<void(std::uint32_t ue, std::uint32_t gnb)> switchPath);
    /// The next gNB. \param gnbAddress, upfAddress of the two ends of its N3 link
    void AddGnb(ns3::Ptr<ns3::Node> gnb, ns3::Ipv4Address gnbAddress, ns3::Ipv4Address upfAddress);

    void Send(std::uint32_t from, std::uint32_t to, std::uint32_t bytes, std::function<void()> arrived) override;
    void Forward(std::uint32_t from, std::uint32_t to, const Forwarded& sdu,
                 std::function<void(const Forwarded&)> arrived) override;
    void SwitchPath(std::uint32_t ue, std::uint32_t gnb) override { m_switchPath(ue, gnb); }

  private:
    ns3::Ptr<ns3::Socket> MakeSocket(ns3::Ptr<ns3::Node> node);
    void Received(ns3::Ptr<ns3::Socket> socket);

    struct Gnb {
        ns3::Ptr<ns3::Socket> socket;
        ns3::Ipv4Address address, upfAddress;
    };
    ns3::Ptr<ns3::Socket> m_upf;
    std::vector<Gnb> m_gnbs;
    std::function<void(std::uint32_t, std::uint32_t)> m_switchPath;
    std::map<std::uint64_t, std::function<void()>> m_arrived; ///< of what is on its way, by number
    std::uint64_t m_sent = 0;
};

} // namespace edgelam
