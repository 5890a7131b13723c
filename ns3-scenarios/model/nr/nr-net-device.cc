// SPDX-License-Identifier: GPL-2.0-only
#include "nr-net-device.h"

#include <array>
#include <stdexcept>

#include "ns3/ipv4-l3-protocol.h"
#include "ns3/log.h"
#include "ns3/simulator.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/uinteger.h"

#include "packet-train.h"

NS_LOG_COMPONENT_DEFINE("NrNetDevice");

namespace edgelam::nr {

using ns3::Packet;
using ns3::Ptr;

NS_OBJECT_ENSURE_REGISTERED(NrNetDevice);
NS_OBJECT_ENSURE_REGISTERED(UeNetDevice);
NS_OBJECT_ENSURE_REGISTERED(GnbNetDevice);

namespace {

constexpr std::uint16_t smallest_mtu = 68;
constexpr std::uint32_t destination_offset = 16; ///< of the IPv4 header

/// What is looked at in an IPv4 header.
struct Ipv4Fields {
    unsigned dscp = 0;                              ///< code point; 0 for what has no such header
    ns3::Ipv4Address destination{std::uint32_t{0}}; ///< 0.0.0.0 for what is too short
    /// 0 to 7: the class selector of the code point, CS0 to CS7 (RFC 2474 4.2.2); of another one its first three bits.
    unsigned Priority() const { return dscp >> 3; }
};

Ipv4Fields FieldsOf(const Packet& packet) {
    std::array<std::uint8_t, destination_offset + 4> header{};
    const std::uint32_t size = packet.CopyData(header.data(), header.size());
    Ipv4Fields fields;
    if (header[0] >> 4 == 4) {
        fields.dscp = header[1] >> 2;
    }
    if (size == header.size()) {
        fields.destination = ns3::Ipv4Address::Deserialize(header.data() + destination_offset);
    }
    return fields;
}

} // namespace

ns3::TypeId NrNetDevice::GetTypeId() {
    using namespace ns3;
    static const TypeId tid =
        TypeId("edgelam::nr::NrNetDevice")
            .SetParent<NetDevice>()
            .SetGroupName("Edgelam")
            .AddAttribute("Mtu", "Largest IPv4 packet, 68 to 9000 bytes.", UintegerValue(1500),
                          MakeUintegerAccessor(&NrNetDevice::SetMtu, &NrNetDevice::GetMtu),
                          MakeUintegerChecker<std::uint16_t>(smallest_mtu, largest_mtu))
            .AddAttribute("PacketSize",
                          "Largest packet in the network, bytes; what is larger, up to the Mtu, stands for several.",
                          UintegerValue(largest_mtu), MakeUintegerAccessor(&NrNetDevice::m_packetBytes),
                          MakeUintegerChecker<std::uint16_t>(smallest_mtu, largest_mtu))
            .AddTraceSource("MacTx", "A packet has gone into a bearer.",
                            MakeTraceSourceAccessor(&NrNetDevice::m_sentTrace), "ns3::Packet::TracedCallback")
            .AddTraceSource("MacTxDrop", "A packet was dropped: full buffer, or nobody has its destination.",
                            MakeTraceSourceAccessor(&NrNetDevice::m_droppedTrace), "ns3::Packet::TracedCallback")
            .AddTraceSource("MacRx", "A packet has come out of a bearer.",
                            MakeTraceSourceAccessor(&NrNetDevice::m_receivedTrace), "ns3::Packet::TracedCallback");
    return tid;
}

NrNetDevice::NrNetDevice() : m_address(ns3::Mac48Address::Allocate()) {}

void NrNetDevice::DoDispose() {
    m_cell = nullptr;
    m_node = nullptr;
    m_receive.Nullify();
    m_promiscuous.Nullify();
    m_ipv4 = nullptr;
    m_arrived.clear();
    NetDevice::DoDispose();
}

unsigned NrNetDevice::BearerOf(const Packet& packet) const {
    return m_bearerOf[FieldsOf(packet).dscp];
}

bool NrNetDevice::SetMtu(std::uint16_t mtu) {
    if (mtu < smallest_mtu || mtu > largest_mtu) {
        return false;
    }
    m_mtu = mtu;
    return true;
}

bool NrNetDevice::Send(Ptr<Packet> packet, const ns3::Address&, std::uint16_t protocol) {
    if (!m_cell || protocol != ns3::Ipv4L3Protocol::PROT_NUMBER) {
        return DropUnknown(packet);
    }
    if (packet->GetSize() > m_packetBytes) {
        AddTrainBytes(*packet);
    }
    return DoSend(packet);
}

void NrNetDevice::TakeFromWires() {
    m_node->RegisterDeviceAdditionListener(ns3::Callback<void, Ptr<ns3::NetDevice>>([this](Ptr<ns3::NetDevice> device) {
        if (const auto wired = ns3::DynamicCast<WiredDevice>(device)) {
            wired->SetTaker([self = Ptr<NrNetDevice>(this), from = ns3::PeekPointer(wired)](const Ptr<Packet>& packet,
                                                                                            std::uint16_t protocol) {
                return self->Forward(*from, packet, protocol);
            });
        }
    }));
}

bool NrNetDevice::Forward(const WiredDevice& from, const Ptr<Packet>& packet, std::uint16_t protocol) {
    constexpr std::uint32_t length = 20;
    constexpr std::uint8_t version_and_length = 0x45, more_and_offset = 0x3f;
    if (!m_cell || protocol != ns3::Ipv4L3Protocol::PROT_NUMBER || packet->GetSize() > m_mtu) {
        return false;
    }
    std::array<std::uint8_t, length> bytes{};
    packet->CopyData(bytes.data(), length);
    const auto word = [&](std::size_t at) { return bytes[at] << 8 | bytes[at + 1]; };
    const bool plain = bytes[0] == version_and_length && word(2) == static_cast<int>(packet->GetSize()) &&
                       (bytes[6] & more_and_offset) == 0 && bytes[7] == 0 && bytes[8] > 1 && word(10) == 0;
    if (!plain || !Reaches(ns3::Ipv4Address::Deserialize(bytes.data() + destination_offset))) {
        return false;
    }
    if (!m_ipv4) {
        m_ipv4 = m_node->GetObject<ns3::Ipv4>();
    }
    const std::int32_t in = m_ipv4->GetInterfaceForDevice(&from), out = m_ipv4->GetInterfaceForDevice(this);
    if (in < 0 || out < 0 || !m_ipv4->IsUp(static_cast<std::uint32_t>(in)) ||
        !m_ipv4->IsUp(static_cast<std::uint32_t>(out)) || !m_ipv4->IsForwarding(static_cast<std::uint32_t>(in))) {
        return false;
    }
    const auto copy = packet->Copy();
    ns3::Ipv4Header header;
    copy->RemoveHeader(header);
    header.SetTtl(header.GetTtl() - 1);
    copy->AddHeader(header);
    Send(copy, GetBroadcast(), protocol);
    return true;
}

void NrNetDevice::AddTrainBytes(Packet& packet) const {
    constexpr std::uint32_t radio_headers = 9; // PDCP, RLC AM, MAC
    packet.AddPaddingAtEnd(TrainOf(packet, m_packetBytes).MoreBytes(radio_headers));
}

bool NrNetDevice::DropUnknown(Ptr<Packet> packet) {
    ++m_counters.droppedUnknown;
    NS_LOG_LOGIC("nobody has the destination of " << packet->GetUid());
    m_droppedTrace(packet);
    return false;
}

bool NrNetDevice::Count(bool accepted, Ptr<Packet> packet) {
    ++(accepted ? m_counters.sent : m_counters.droppedFull);
    NS_LOG_LOGIC("packet " << packet->GetUid() << (accepted ? " into" : " does not fit into") << " the bearer");
    (accepted ? m_sentTrace : m_droppedTrace)(packet);
    return accepted;
}

void NrNetDevice::Receive(Ptr<Packet> packet) {
    if (m_arrived.empty()) { // ns-3 wants a node's packets in events of that node: one for all of a transport block
        ns3::Simulator::ScheduleWithContext(m_node->GetId(), ns3::Time(), &NrNetDevice::HandUp, Ptr<NrNetDevice>(this));
    }
    m_arrived.push_back(packet);
}

void NrNetDevice::HandUp() {
    constexpr std::uint16_t protocol = ns3::Ipv4L3Protocol::PROT_NUMBER;
    m_handed.swap(m_arrived);
    for (const auto& packet : m_handed) {
        ++m_counters.received;
        m_receivedTrace(packet);
        if (!m_promiscuous.IsNull()) {
            m_promiscuous(this, packet, protocol, GetBroadcast(), GetAddress(), PACKET_HOST);
        }
        if (!m_receive.IsNull()) {
            m_receive(this, packet, protocol, GetBroadcast());
        }
    }
    m_handed.clear();
}

ns3::TypeId UeNetDevice::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::UeNetDevice")
                                       .SetParent<NrNetDevice>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<UeNetDevice>();
    return tid;
}

bool UeNetDevice::DoSend(Ptr<Packet> packet) {
    const unsigned priority = FieldsOf(*packet).Priority();
    return Count(GetCell().SendUp(m_ue, packet, priority, BearerOf(*packet)), packet);
}

ns3::TypeId GnbNetDevice::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::GnbNetDevice")
                                       .SetParent<NrNetDevice>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<GnbNetDevice>();
    return tid;
}

void GnbNetDevice::SetCell(Ptr<Cell> cell) {
    NrNetDevice::SetCell(cell);
    cell->SetDeliver([this](std::uint32_t ue, Ptr<Packet> packet) { m_ues[ue]->Receive(packet); },
                     [this](std::uint32_t, Ptr<Packet> packet) { Receive(packet); });
    TakeFromWires();
}

void GnbNetDevice::AddUe(std::uint32_t ue, Ptr<UeNetDevice> device, ns3::Ipv4Address address) {
    if (!m_ueOf.try_emplace(address.Get(), ue).second) {
        throw std::invalid_argument("NR device: two UEs with one IPv4 address");
    }
    if (m_ues.size() <= ue) {
        m_ues.resize(ue + 1);
    }
    m_ues[ue] = device;
    device->m_ue = ue;
    static_cast<NrNetDevice&>(*device).SetCell(&GetCell());
}

std::optional<std::uint32_t> GnbNetDevice::FindUe(ns3::Ipv4Address address) const {
    const auto found = m_ueOf.find(address.Get());
    return found == m_ueOf.end() ? std::nullopt : std::optional(found->second);
}

void GnbNetDevice::AddGroup(ns3::Ipv4Address address, const std::vector<std::uint32_t>& ues) {
    if (!address.IsMulticast() || m_groupOf.contains(address.Get())) {
        throw std::invalid_argument("NR device: a multicast group at an address that is taken, or no multicast "
                                    "address; legal is a free one of 224.0.0.0 to 239.255.255.255");
    }
    m_groupOf.emplace(address.Get(), GetCell().AddMulticast(ues)); // which may refuse
}

bool GnbNetDevice::RemoveGroup(ns3::Ipv4Address address) {
    const auto found = m_groupOf.find(address.Get());
    if (!GetCell().RemoveMulticast(found->second)) {
        return false;
    }
    m_groupOf.erase(found);
    return true;
}

void GnbNetDevice::DoDispose() {
    if (IsLinkUp()) {
        GetCell().Dispose();
    }
    m_ues.clear();
    m_ueOf.clear();
    m_groupOf.clear();
    NrNetDevice::DoDispose();
}

bool GnbNetDevice::DoSend(Ptr<Packet> packet) {
    const Ipv4Fields fields = FieldsOf(*packet);
    const ns3::Ipv4Address& destination = fields.destination;
    const unsigned priority = fields.Priority(), bearer = m_bearerOf[fields.dscp];
    if (const auto found = m_ueOf.find(destination.Get()); found != m_ueOf.end()) {
        return Count(GetCell().SendDown(found->second, packet, priority, bearer), packet);
    }
    if (const auto found = m_groupOf.find(destination.Get()); found != m_groupOf.end()) {
        return Count(GetCell().SendMulticast(found->second, packet, priority), packet);
    }
    if (!destination.IsMulticast() && !destination.IsBroadcast()) {
        return DropUnknown(packet);
    }
    bool all = true;
    for (const auto& device : m_ues) {
        const auto copy = packet->Copy();
        all &= Count(GetCell().SendDown(device->GetUe(), copy, priority, bearer), copy);
    }
    return all;
}

} // namespace edgelam::nr
