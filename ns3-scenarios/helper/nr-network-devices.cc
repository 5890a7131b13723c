// SPDX-License-Identifier: GPL-2.0-only
#include "nr-network-devices.h"

#include <algorithm>
#include <utility>

#include "ns3/inet-socket-address.h"
#include "ns3/ipv4-header.h"
#include "ns3/tag.h"
#include "ns3/udp-socket-factory.h"

using namespace ns3;

namespace edgelam {

NS_OBJECT_ENSURE_REGISTERED(NrNetworkUeDevice);
NS_OBJECT_ENSURE_REGISTERED(NrNetworkGnbDevice);

namespace {

constexpr std::uint16_t tunnel_port = 2152; ///< GTP-U
constexpr std::uint32_t ip_udp_bytes = 28;

Ipv4Header HeaderOf(const Packet& packet) {
    Ipv4Header header;
    packet.PeekHeader(header);
    return header;
}

/// The class selector of a packet.
unsigned PriorityOf(const Ipv4Header& header) {
    return header.GetTos() >> 5;
}

/// The number of a message or SDU on its way.
class NumberTag : public Tag {
  public:
    static TypeId GetTypeId() {
        static const TypeId tid =
            TypeId("edgelam::NrBackhaulTag").SetParent<Tag>().SetGroupName("Edgelam").AddConstructor<NumberTag>();
        return tid;
    }
    TypeId GetInstanceTypeId() const override { return GetTypeId(); }
    std::uint32_t GetSerializedSize() const override { return 8; }
    void Serialize(TagBuffer buffer) const override { buffer.WriteU64(number); }
    void Deserialize(TagBuffer buffer) override { number = buffer.ReadU64(); }
    void Print(std::ostream& stream) const override { stream << number; }
    std::uint64_t number = 0;
};

} // namespace

TypeId NrNetworkUeDevice::GetTypeId() {
    static const TypeId tid = TypeId("edgelam::NrNetworkUeDevice")
                                  .SetParent<nr::NrNetDevice>()
                                  .SetGroupName("Edgelam")
                                  .AddConstructor<NrNetworkUeDevice>();
    return tid;
}

void NrNetworkUeDevice::Set(std::shared_ptr<NrNetworkUes> ues, std::uint32_t ue) {
    m_ues = std::move(ues);
    m_ue = ue;
    SetCell(m_ues->network->GetCell(0)); // the link is up
}

void NrNetworkUeDevice::DoDispose() {
    m_ues.reset();
    NrNetDevice::DoDispose();
}

bool NrNetworkUeDevice::DoSend(Ptr<Packet> packet) {
    return Count(m_ues->network->SendUp(m_ue, packet, PriorityOf(HeaderOf(*packet)), BearerOf(*packet)), packet);
}

TypeId NrNetworkGnbDevice::GetTypeId() {
    static const TypeId tid = TypeId("edgelam::NrNetworkGnbDevice")
                                  .SetParent<nr::NrNetDevice>()
                                  .SetGroupName("Edgelam")
                                  .AddConstructor<NrNetworkGnbDevice>();
    return tid;
}

void NrNetworkGnbDevice::Set(std::shared_ptr<NrNetworkUes> ues, std::uint32_t gnb) {
    m_ues = std::move(ues);
    m_gnb = gnb;
    SetCell(m_ues->network->GetCell(0));
    TakeFromWires();
}

void NrNetworkGnbDevice::DoDispose() {
    m_ues.reset();
    NrNetDevice::DoDispose();
}

bool NrNetworkGnbDevice::DoSend(Ptr<Packet> packet) {
    const Ipv4Header header = HeaderOf(*packet);
    const auto found = m_ues->ueOf.find(header.GetDestination().Get());
    if (found == m_ues->ueOf.end()) {
        return DropUnknown(packet);
    }
    return Count(m_ues->handover->SendDown(m_gnb, found->second, packet, PriorityOf(header), BearerOf(*packet)),
                 packet);
}

NrBackhaul::NrBackhaul(Ptr<Node> upf, std::function<void(std::uint32_t, std::uint32_t)> switchPath)
    : m_upf(MakeSocket(upf)), m_switchPath(std::move(switchPath)) {}

void NrBackhaul::AddGnb(Ptr<Node> gnb, Ipv4Address gnbAddress, Ipv4Address upfAddress) {
    m_gnbs.push_back({MakeSocket(gnb), gnbAddress, upfAddress});
}

Ptr<Socket> NrBackhaul::MakeSocket(Ptr<Node> node) {
    auto socket = Socket::CreateSocket(node, UdpSocketFactory::GetTypeId());
    socket->Bind(InetSocketAddress(Ipv4Address::GetAny(), tunnel_port));
    socket->SetRecvCallback(MakeCallback(&NrBackhaul::Received, this));
    return socket;
}

void NrBackhaul::Send(std::uint32_t from, std::uint32_t to, std::uint32_t bytes, std::function<void()> arrived) {
    const Ptr<Socket>& socket = from == upf ? m_upf : m_gnbs[from].socket;
    const Ipv4Address address = to == upf ? m_gnbs[from].upfAddress : m_gnbs[to].address;
    NumberTag tag;
    tag.number = m_sent++;
    m_arrived.emplace(tag.number, std::move(arrived));
    auto packet = Create<Packet>(std::max(bytes, ip_udp_bytes + 1) - ip_udp_bytes);
    packet->AddPacketTag(tag);
    socket->SendTo(packet, 0, InetSocketAddress(address, tunnel_port));
}

void NrBackhaul::Forward(std::uint32_t from, std::uint32_t to, const Forwarded& sdu,
                         std::function<void(const Forwarded&)> arrived) {
    Send(from, to, sdu.packet->GetSize(), [sdu, arrived = std::move(arrived)] { arrived(sdu); });
}

void NrBackhaul::Received(Ptr<Socket> socket) {
    while (const auto packet = socket->Recv()) {
        NumberTag tag;
        if (packet->PeekPacketTag(tag)) {
            if (auto node = m_arrived.extract(tag.number); !node.empty()) {
                node.mapped()();
            }
        }
    }
}

} // namespace edgelam
