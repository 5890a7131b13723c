// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A point-to-point link that costs little to simulate.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include "ns3/channel.h"
#include "ns3/data-rate.h"
#include "ns3/error-model.h"
#include "ns3/mac48-address.h"
#include "ns3/net-device.h"
#include "ns3/node.h"
#include "ns3/nstime.h"
#include "ns3/packet.h"
#include "ns3/traced-callback.h"

#include "packet-train.h"

namespace edgelam {

class WiredDevice;

/// The wire between two devices.
class WiredChannel : public ns3::Channel {
  public:
    static ns3::TypeId GetTypeId();
    /// Connect two devices, which have no wire yet.
    void Connect(ns3::Ptr<WiredDevice> a, ns3::Ptr<WiredDevice> b);
    std::size_t GetNDevices() const override { return m_devices[0] ? m_devices.size() : 0; }
    ns3::Ptr<ns3::NetDevice> GetDevice(std::size_t i) const override;
    const ns3::Time& GetDelay() const { return m_delay; }

  private:
    void DoDispose() override;
    ns3::Time m_delay;
    std::array<ns3::Ptr<WiredDevice>, 2> m_devices;
};

/// One end of a full-duplex link, with a drop-tail queue. Packets leave and arrive at the same times as with
/// ns3::PointToPointNetDevice, with its 2 bytes of PPP header on the wire; but the header is only counted, an idle link
/// queues nothing, and what nobody traces costs nothing. A packet larger than PacketSize is a train (packet-train.h):
/// it takes the time of its packets, and after a link from which it came the first of them does not wait for the last.
class WiredDevice : public ns3::NetDevice {
  public:
    static ns3::TypeId GetTypeId();
    static constexpr std::uint32_t header_bytes = 2; ///< PPP, on the wire

    WiredDevice();

    /// Takes effect with the next packet that begins.
    void SetDataRate(ns3::DataRate rate);
    ns3::DataRate GetDataRate() const { return m_rate; }
    /// Takes a packet, with the number of its protocol, that has arrived here. \return false: it does not want this one
    using Taker = std::function<bool(const ns3::Ptr<ns3::Packet>& packet, std::uint16_t protocol)>;
    /// Give what arrives to this function before the node; the node does not get what it takes.
    void SetTaker(Taker taker) { m_taker = std::move(taker); }
    /// Packets for which it says so are lost on their way here. Null: none.
    void SetReceiveErrorModel(ns3::Ptr<ns3::ErrorModel> model) { m_errors = model; }

    /// What waits, without the packet that is being sent; bytes with their headers.
    std::uint32_t NumWaiting() const { return m_waitingPackets; }
    std::uint32_t WaitingBytes() const { return m_waitingBytes; }
    /// Packets that found the queue full, so far.
    std::uint64_t NumDropped() const { return m_dropped; }

    void SetIfIndex(std::uint32_t index) override { m_index = index; }
    std::uint32_t GetIfIndex() const override { return m_index; }
    ns3::Ptr<ns3::Channel> GetChannel() const override { return m_channel; }
    void SetAddress(ns3::Address address) override { m_address = ns3::Mac48Address::ConvertFrom(address); }
    ns3::Address GetAddress() const override { return m_address; }
    bool SetMtu(std::uint16_t mtu) override;
    std::uint16_t GetMtu() const override { return m_mtu; }
    bool IsLinkUp() const override { return m_channel != nullptr; }
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
    /// \return false if the queue was full: the packet is dropped
    bool Send(ns3::Ptr<ns3::Packet> packet, const ns3::Address& destination, std::uint16_t protocol) override;
    bool SendFrom(ns3::Ptr<ns3::Packet>, const ns3::Address&, const ns3::Address&, std::uint16_t) override {
        return false;
    }

  protected:
    void DoDispose() override;

  private:
    friend class WiredChannel;
    struct Waiting {
        ns3::Ptr<ns3::Packet> packet;
        std::uint16_t protocol;
        PacketTrain train;
    };
    /// Times on the wire of the sizes sent last: most packets have one of two.
    struct KnownTime {
        std::uint32_t bytes = 0;
        ns3::Time time;
    };

    void Begin(Waiting next);
    /// When the last packet of a train that begins now is through. Gives it its lead at the other end.
    ns3::Time EndOfTrain(const Waiting& next);
    static std::uint32_t BytesOf(const Waiting& next) {
        return next.packet->GetSize() + header_bytes + next.train.MoreBytes(header_bytes);
    }
    void End();
    void Receive(ns3::Ptr<ns3::Packet> packet, std::uint16_t protocol);
    bool IsLost(const ns3::Ptr<ns3::Packet>& packet);
    const ns3::Time& TimeOf(std::uint32_t bytes);

    ns3::DataRate m_rate;
    ns3::Time m_gap;
    std::uint32_t m_queuePackets, m_packetBytes;
    ns3::Ptr<ns3::ErrorModel> m_errors;
    ns3::Ptr<ns3::Node> m_node;
    ns3::Ptr<WiredChannel> m_channel;
    ns3::Ptr<WiredDevice> m_peer;
    std::uint32_t m_index = 0;
    std::uint16_t m_mtu = 1500;
    ns3::Mac48Address m_address;
    ReceiveCallback m_receive;
    PromiscReceiveCallback m_promiscuous;

    bool m_busy = false;
    ns3::Time m_free; ///< when the last transmission ended
    std::deque<Waiting> m_queue;
    std::uint32_t m_waitingPackets = 0, m_waitingBytes = 0; ///< of trains: their packets, and their bytes on the wire
    std::uint64_t m_dropped = 0;
    std::array<KnownTime, 2> m_known;
    unsigned m_newest = 0; ///< of m_known
    ns3::TracedCallback<ns3::Ptr<const ns3::Packet>> m_sentTrace, m_droppedTrace, m_receivedTrace, m_lostTrace;
    Taker m_taker;
};

} // namespace edgelam
