// SPDX-License-Identifier: GPL-2.0-only
#include "packet-train.h"

#include <algorithm>
#include <array>
#include <ostream>

#include "ns3/tcp-l4-protocol.h"

namespace edgelam {

NS_OBJECT_ENSURE_REGISTERED(TrainLeadTag);

namespace {

constexpr std::uint32_t least_ip_header = 20, udp_header = 8, tcp_offset_at = 12;
constexpr std::uint32_t word = 4; ///< bytes in which IPv4 and TCP give the length of their headers

} // namespace

PacketTrain TrainOf(const ns3::Packet& packet, std::uint32_t mtu) {
    const std::uint32_t size = packet.GetSize();
    if (size <= mtu) {
        return {};
    }
    std::array<std::uint8_t, 60 + tcp_offset_at + 1> begin{}; // the longest IPv4 header, and TCP's up to its length
    packet.CopyData(begin.data(), begin.size());
    const std::uint32_t ip = std::max(word * (begin[0] & 0x0fU), least_ip_header);
    const bool tcp = begin[9] == ns3::TcpL4Protocol::PROT_NUMBER;
    const std::uint32_t header = ip + (tcp ? word * (begin[ip + tcp_offset_at] >> 4) : udp_header);
    const std::uint32_t most = mtu - std::min(header, mtu - 1); // payload of each
    return {(size - header + most - 1) / most, header};
}

ns3::TypeId TrainLeadTag::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::TrainLeadTag")
                                       .SetParent<ns3::Tag>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<TrainLeadTag>();
    return tid;
}

void TrainLeadTag::Serialize(ns3::TagBuffer buffer) const {
    buffer.WriteU64(static_cast<std::uint64_t>(lead.GetTimeStep()));
}

void TrainLeadTag::Deserialize(ns3::TagBuffer buffer) {
    lead = ns3::TimeStep(buffer.ReadU64());
}

void TrainLeadTag::Print(std::ostream& os) const {
    os << "lead " << lead;
}

} // namespace edgelam
