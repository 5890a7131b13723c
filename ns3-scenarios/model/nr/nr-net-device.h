// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Network devices of an NR cell: IPv4 packets into and out of its bearers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "ns3/channel.h"
#include "ns3/ipv4-address.h"
#include "ns3/ipv4.h"
#include "ns3/mac48-address.h"
#include "ns3/net-device.h"
#include "ns3/node.h"
#include "ns3/packet.h"
#include "ns3/traced-callback.h"

#include "nr-cell.h"
#include "wired-device.h"

namespace edgelam::nr {

/// What the gNB's and a UE's device have in common. It behaves like one end of a point-to-point link: there is no ARP,
/// link-layer addresses have no meaning, and the queue is that of the bearer (RLC), without a queue disc above it. It
/// carries IPv4 only.
class NrNetDevice : public ns3::NetDevice {
  public:
    static ns3::TypeId GetTypeId();
    static constexpr std::uint16_t largest_mtu = 9000; ///< the largest PDCP SDU, TS 38.323 4.3.1
    NrNetDevice();

    /// Packets of this device so far.
    struct Counters {
        std::uint64_t sent = 0, received = 0;
        std::uint64_t droppedFull = 0;    ///< the bearer's buffer was full
        std::uint64_t droppedUnknown = 0; ///< at the gNB: no UE has this destination; or the packet is not IPv4
    };
    const Counters& GetCounters() const { return m_counters; }

    void SetIfIndex(std::uint32_t index) override { m_index = index; }
    std::uint32_t GetIfIndex() const override { return m_index; }
    ns3::Ptr<ns3::Channel> GetChannel() const override { return nullptr; }
    void SetAddress(ns3::Address address) override { m_address = ns3::Mac48Address::ConvertFrom(address); }
    ns3::Address GetAddress() const override { return m_address; }
    /// 68 (RFC 791) to 9000 bytes, the largest PDCP SDU (TS 38.323 4.3.1); 1500 by default. Packets larger than
    /// PacketSize have the bytes of several on the air (see packet-train.h).
    bool SetMtu(std::uint16_t mtu) override;
    std::uint16_t GetMtu() const override { return m_mtu; }
    bool IsLinkUp() const override { return m_cell != nullptr; }
    /// The link is up from the beginning to the end, so the callback is never called.
    void AddLinkChangeCallback(ns3::Callback<void>) override {}
    bool IsBroadcast() const override { return true; }
    ns3::Address GetBroadcast() const override { return ns3::Mac48Address::GetBroadcast(); }
    bool IsMulticast() const override { return true; }
    ns3::Address GetMulticast(ns3::Ipv4Address) const override { return ns3::Mac48Address::GetBroadcast(); }
    ns3::Address GetMulticast(ns3::Ipv6Address) const override { return ns3::Mac48Address::GetBroadcast(); }
    bool IsBridge() const override { return false; }
    bool IsPointToPoint() const override { return true; }
    bool NeedsArp() const override { return false; }
    ns3::Ptr<ns3::Node> GetNode() const override { return m_node; }
    void SetNode(ns3::Ptr<ns3::Node> node) override { m_node = node; }
    void SetReceiveCallback(ReceiveCallback callback) override { m_receive = callback; }
    void SetPromiscReceiveCallback(PromiscReceiveCallback callback) override { m_promiscuous = callback; }
    bool SupportsSendFrom() const override { return false; }
    /// Which bearer packets with a code point (DSCP) take, from now on; at first all take bearer 0.
    using BearerMap = std::array<std::uint8_t, 64>;
    void SetBearers(const BearerMap& bearerOf) { m_bearerOf = bearerOf; }
    /// \return false if the packet was dropped
    bool Send(ns3::Ptr<ns3::Packet> packet, const ns3::Address& destination, std::uint16_t protocol) override;
    bool SendFrom(ns3::Ptr<ns3::Packet>, const ns3::Address&, const ns3::Address&, std::uint16_t) override {
        return false;
    }

  protected:
    void DoDispose() override;
    void SetCell(ns3::Ptr<Cell> cell) { m_cell = cell; }
    Cell& GetCell() const { return *m_cell; }
    unsigned BearerOf(const ns3::Packet& packet) const;
    /// Puts a packet into the bearer or bearers. \return false if the packet, or a copy of it, was dropped
    virtual bool DoSend(ns3::Ptr<ns3::Packet> packet) = 0;
    /// What a train has more on the air than one packet is put at its end; the receiving IP takes it off as padding.
    void AddTrainBytes(ns3::Packet& packet) const;
    /// Hands a packet to the node at the present simulated time.
    void Receive(ns3::Ptr<ns3::Packet> packet);
    bool DropUnknown(ns3::Ptr<ns3::Packet> packet);
    /// From now on, take what comes over the wires of this node for a UE directly, without the node's IPv4, where IPv4
    /// would only route it here (see Forward). For the device of a gNB, after it has its node.
    void TakeFromWires();
    /// Whether there is a UE with this address.
    virtual bool Reaches(ns3::Ipv4Address) const { return false; }
    /// Counts and traces a packet, which the bearer has accepted or not. \return accepted
    bool Count(bool accepted, ns3::Ptr<ns3::Packet> packet);

  private:
    void HandUp();
    /// Do for a packet from a wire what the node's IPv4 would do for it: take one from its time to live, and send it.
    /// \return false, without having done anything, if IPv4 would do more: options, checksums, fragments, padding, no
    /// time to live left, no UE with this address, or an interface that is down or does not forward
    bool Forward(const WiredDevice& from, const ns3::Ptr<ns3::Packet>& packet, std::uint16_t protocol);

    ns3::Ptr<Cell> m_cell;
    ns3::Ptr<ns3::Ipv4> m_ipv4; ///< of the node, for Forward
    ns3::Ptr<ns3::Node> m_node;
    std::uint32_t m_index = 0;
    std::uint16_t m_mtu = 1500, m_packetBytes;
    BearerMap m_bearerOf{};
    ns3::Mac48Address m_address;
    ReceiveCallback m_receive;
    PromiscReceiveCallback m_promiscuous;
    std::vector<ns3::Ptr<ns3::Packet>> m_arrived, m_handed; ///< not at the node yet; on their way up
    Counters m_counters;
    ns3::TracedCallback<ns3::Ptr<const ns3::Packet>> m_sentTrace, m_droppedTrace, m_receivedTrace;

    friend class GnbNetDevice;
};

/// A UE's end: everything goes to the gNB.
class UeNetDevice : public NrNetDevice {
  public:
    static ns3::TypeId GetTypeId();
    std::uint32_t GetUe() const { return m_ue; }

  private:
    friend class GnbNetDevice;
    bool DoSend(ns3::Ptr<ns3::Packet> packet) override;
    std::uint32_t m_ue = 0;
};

/// The gNB's end: a packet goes to the UE that has its IPv4 destination, found by one look-up, or to the group of UEs
/// that has this address (Cell::AddMulticast). A multicast packet without a group, or a broadcast packet, goes to every
/// UE of the cell by replication: one copy in each UE's bearer, each with its own resource blocks on the air.
class GnbNetDevice : public NrNetDevice {
  public:
    static ns3::TypeId GetTypeId();
    /// Let the cell's packets come to this device from now on. The cell lives as long as this device.
    void SetCell(ns3::Ptr<Cell> cell);
    /// Make `device` the end of this UE, whose address is `address`. Throws std::invalid_argument for an address that
    /// another UE has.
    void AddUe(std::uint32_t ue, ns3::Ptr<UeNetDevice> device, ns3::Ipv4Address address);
    /// The number of the UE with this address.
    std::optional<std::uint32_t> FindUe(ns3::Ipv4Address address) const;
    /// Send packets to a multicast address to these UEs, once over the air. Throws std::invalid_argument for an address
    /// that is not a multicast address or has a group already, and in the cases of Cell::AddMulticast.
    void AddGroup(ns3::Ipv4Address address, const std::vector<std::uint32_t>& ues);
    /// \return false, and the group stays, while packets of it are in the cell
    bool RemoveGroup(ns3::Ipv4Address address);

  private:
    void DoDispose() override;
    bool DoSend(ns3::Ptr<ns3::Packet> packet) override;
    bool Reaches(ns3::Ipv4Address address) const override { return m_ueOf.contains(address.Get()); }

    std::unordered_map<std::uint32_t, std::uint32_t> m_ueOf;    ///< by IPv4 address
    std::unordered_map<std::uint32_t, std::uint32_t> m_groupOf; ///< the cell's number, by multicast address
    std::vector<ns3::Ptr<UeNetDevice>> m_ues;                   ///< by the cell's number
};

} // namespace edgelam::nr
