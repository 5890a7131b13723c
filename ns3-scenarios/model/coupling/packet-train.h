// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Packets that are simulated as one: what segmentation offload (GSO, TSO) makes of a large segment on the wire.
#pragma once

#include <cstdint>

#include "ns3/nstime.h"
#include "ns3/packet.h"
#include "ns3/tag.h"

namespace edgelam {

/// An IPv4 packet that is larger than a link's packets stands for several of them, one directly after the other, each
/// with headers like its own.
struct PacketTrain {
    std::uint32_t packets = 1;
    std::uint32_t headerBytes = 0; ///< IPv4, and TCP or UDP

    /// The bytes on the link that the one packet does not have. \param linkHeader of each packet
    std::uint32_t MoreBytes(std::uint32_t linkHeader) const { return (packets - 1) * (headerBytes + linkHeader); }
};

/// \param mtu of the link's packets
PacketTrain TrainOf(const ns3::Packet& packet, std::uint32_t mtu);

/// On a train that has crossed a link: how long before its last packet its first one arrived. The next link may have
/// begun with that one.
class TrainLeadTag : public ns3::Tag {
  public:
    static ns3::TypeId GetTypeId();
    ns3::TypeId GetInstanceTypeId() const override { return GetTypeId(); }
    std::uint32_t GetSerializedSize() const override { return sizeof(std::int64_t); }
    void Serialize(ns3::TagBuffer buffer) const override;
    void Deserialize(ns3::TagBuffer buffer) override;
    void Print(std::ostream& os) const override;

    ns3::Time lead;
};

} // namespace edgelam
