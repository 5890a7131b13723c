// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One transfer over UDP: paced datagrams, and which of them arrived where.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ns3/address.h"
#include "ns3/event-id.h"
#include "ns3/ipv4-address.h"
#include "ns3/ptr.h"
#include "ns3/simple-ref-count.h"
#include "ns3/socket.h"
#include "ns3/tag.h"

#include "transfer.h"

namespace edgelam {

/// Says which bytes of which transfer a datagram carries. A byte tag, because those survive the segmentation of a
/// radio's RLC layer; it takes no room on the simulated wire.
class DatagramTag : public ns3::Tag {
  public:
    static ns3::TypeId GetTypeId();
    ns3::TypeId GetInstanceTypeId() const override;
    std::uint32_t GetSerializedSize() const override;
    void Serialize(ns3::TagBuffer buffer) const override;
    void Deserialize(ns3::TagBuffer buffer) override;
    void Print(std::ostream& os) const override;

    std::uint32_t source = 0; ///< id of the sending node
    std::uint64_t serial = 0; ///< of the transfer, among those of its source
    std::uint64_t offset = 0; ///< of the datagram's first byte in it
};

/// Sends the datagrams of a transfer at a constant rate of application bytes, the first at once. A share ends when
/// the transfer's last byte arrives, or `give_up_ns` after the last datagram was sent; what has not arrived by then is
/// lost. Reordering past the last byte counts as loss.
class UdpFlow : public ns3::SimpleRefCount<UdpFlow> {
  public:
    /// Datagrams go from `socket` to each of `destinations`: one for each share, or one multicast group for all.
    /// \param group held to the end; null without one
    UdpFlow(ns3::Ptr<Transfer> transfer, ns3::Ptr<ns3::Socket> socket, std::vector<ns3::Address> destinations,
            std::shared_ptr<const ns3::Ipv4Address> group, std::uint32_t datagramBytes, std::uint64_t rateBps);
    ~UdpFlow();

    void Start();
    /// A datagram has arrived at the receiver of share i.
    void Arrived(std::size_t i, std::uint64_t offset);
    /// True until the last datagram has been sent.
    bool Sending() const { return m_next < NumDatagrams(); }
    void Stop();
    /// Every share that has not ended has failed for `reason`.
    void Fail(const std::string& reason);

  private:
    void SendNext();
    void GiveUp();
    void Finish(std::size_t i);
    std::uint64_t NumDatagrams() const;
    std::uint64_t BytesOf(std::uint64_t datagram) const;

    ns3::Ptr<Transfer> m_transfer;
    ns3::Ptr<ns3::Socket> m_socket;
    std::vector<ns3::Address> m_destinations;
    std::shared_ptr<const ns3::Ipv4Address> m_group;
    std::vector<std::vector<bool>> m_arrived; ///< [num_shares][num_datagrams]
    std::uint32_t m_datagramBytes;
    std::uint64_t m_rateBps;
    std::uint64_t m_next = 0; ///< datagram
    std::int64_t m_startNs = 0;
    ns3::EventId m_event;
};

} // namespace edgelam
