// SPDX-License-Identifier: GPL-2.0-only
#include "wired-device.h"

#include <algorithm>
#include <utility>

#include "ns3/log.h"
#include "ns3/pointer.h"
#include "ns3/simulator.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/uinteger.h"

NS_LOG_COMPONENT_DEFINE("EdgelamWiredDevice");

namespace edgelam {

using ns3::Packet;
using ns3::Ptr;

NS_OBJECT_ENSURE_REGISTERED(WiredChannel);
NS_OBJECT_ENSURE_REGISTERED(WiredDevice);

namespace {

constexpr std::uint16_t smallest_mtu = 68; // RFC 791

} // namespace

ns3::TypeId WiredChannel::GetTypeId() {
    static const ns3::TypeId tid =
        ns3::TypeId("edgelam::WiredChannel")
            .SetParent<ns3::Channel>()
            .SetGroupName("Edgelam")
            .AddConstructor<WiredChannel>()
            .AddAttribute("Delay", "Propagation delay, s.", ns3::TimeValue(),
                          ns3::MakeTimeAccessor(&WiredChannel::m_delay), ns3::MakeTimeChecker(ns3::Time()));
    return tid;
}

void WiredChannel::Connect(Ptr<WiredDevice> a, Ptr<WiredDevice> b) {
    m_devices = {a, b};
    a->m_channel = b->m_channel = this;
    a->m_peer = b;
    b->m_peer = a;
}

Ptr<ns3::NetDevice> WiredChannel::GetDevice(std::size_t i) const {
    return m_devices.at(i);
}

void WiredChannel::DoDispose() {
    m_devices = {};
    Channel::DoDispose();
}

ns3::TypeId WiredDevice::GetTypeId() {
    using namespace ns3;
    static const TypeId tid =
        TypeId("edgelam::WiredDevice")
            .SetParent<NetDevice>()
            .SetGroupName("Edgelam")
            .AddConstructor<WiredDevice>()
            .AddAttribute("DataRate", "Rate of what this end sends.", DataRateValue(DataRate("1Gbps")),
                          MakeDataRateAccessor(&WiredDevice::SetDataRate, &WiredDevice::GetDataRate),
                          MakeDataRateChecker())
            .AddAttribute("InterframeGap", "Time that the wire stays idle after each packet, s.", TimeValue(),
                          MakeTimeAccessor(&WiredDevice::m_gap), MakeTimeChecker(Time()))
            .AddAttribute("QueueSize", "Packets that can wait; what does not fit is dropped.", UintegerValue(1000),
                          MakeUintegerAccessor(&WiredDevice::m_queuePackets), MakeUintegerChecker<std::uint32_t>(1))
            .AddAttribute("Mtu", "Largest IP packet, 68 to 65535 bytes.", UintegerValue(1500),
                          MakeUintegerAccessor(&WiredDevice::SetMtu, &WiredDevice::GetMtu),
                          MakeUintegerChecker<std::uint16_t>(smallest_mtu))
            .AddAttribute("PacketSize",
                          "Largest packet on the wire, bytes; what is larger, up to the Mtu, crosses as several.",
                          UintegerValue(65535), MakeUintegerAccessor(&WiredDevice::m_packetBytes),
                          MakeUintegerChecker<std::uint32_t>(smallest_mtu, 65535))
            .AddAttribute("ReceiveErrorModel", "Says which packets are lost on their way to this end.", PointerValue(),
                          MakePointerAccessor(&WiredDevice::m_errors), MakePointerChecker<ErrorModel>())
            .AddTraceSource("MacTx", "A packet has come for the wire.",
                            MakeTraceSourceAccessor(&WiredDevice::m_sentTrace), "ns3::Packet::TracedCallback")
            .AddTraceSource("MacTxDrop", "A packet found the queue full.",
                            MakeTraceSourceAccessor(&WiredDevice::m_droppedTrace), "ns3::Packet::TracedCallback")
            .AddTraceSource("MacRx", "A packet has arrived.", MakeTraceSourceAccessor(&WiredDevice::m_receivedTrace),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource("PhyRxDrop", "A packet was lost on its way here.",
                            MakeTraceSourceAccessor(&WiredDevice::m_lostTrace), "ns3::Packet::TracedCallback");
    return tid;
}

WiredDevice::WiredDevice() : m_address(ns3::Mac48Address::Allocate()) {}

void WiredDevice::DoDispose() {
    m_errors = nullptr;
    m_node = nullptr;
    m_channel = nullptr;
    m_peer = nullptr;
    m_receive.Nullify();
    m_promiscuous.Nullify();
    m_taker = nullptr;
    m_queue.clear();
    NetDevice::DoDispose();
}

bool WiredDevice::SetMtu(std::uint16_t mtu) {
    if (mtu < smallest_mtu) {
        return false;
    }
    m_mtu = mtu;
    return true;
}

void WiredDevice::SetDataRate(ns3::DataRate rate) {
    m_rate = rate;
    m_known = {};
}

const ns3::Time& WiredDevice::TimeOf(std::uint32_t bytes) {
    for (const auto& known : m_known) {
        if (known.bytes == bytes) {
            return known.time;
        }
    }
    m_newest ^= 1U;
    m_known[m_newest] = {bytes, m_rate.CalculateBytesTxTime(bytes)};
    return m_known[m_newest].time;
}

bool WiredDevice::Send(Ptr<Packet> packet, const ns3::Address&, std::uint16_t protocol) {
    m_sentTrace(packet);
    const PacketTrain train = TrainOf(*packet, m_packetBytes);
    if (!m_busy && m_channel) {
        Begin({std::move(packet), protocol, train});
        return true;
    }
    if (!m_channel || m_waitingPackets + train.packets > m_queuePackets) {
        m_dropped += train.packets;
        NS_LOG_LOGIC("interface " << m_index << ": packet " << packet->GetUid() << " finds the queue full");
        m_droppedTrace(packet);
        return false;
    }
    m_queue.push_back({std::move(packet), protocol, train});
    m_waitingPackets += train.packets;
    m_waitingBytes += BytesOf(m_queue.back());
    return true;
}

void WiredDevice::Begin(Waiting next) {
    m_busy = true;
    const ns3::Time time = next.train.packets == 1 ? TimeOf(BytesOf(next)) : EndOfTrain(next);
    ns3::Simulator::Schedule(time + m_gap, &WiredDevice::End, this);
    ns3::Simulator::ScheduleWithContext(m_peer->m_node->GetId(), time + m_channel->GetDelay(), &WiredDevice::Receive,
                                        m_peer, std::move(next.packet), next.protocol);
}

ns3::Time WiredDevice::EndOfTrain(const Waiting& next) {
    const auto packets = static_cast<std::int64_t>(next.train.packets);
    const ns3::Time now = ns3::Simulator::Now();
    const ns3::Time whole = TimeOf(BytesOf(next)) + m_gap * (packets - 1), one = whole / packets;
    TrainLeadTag tag;
    next.packet->RemovePacketTag(tag);
    const ns3::Time begun = std::max(m_free, now - tag.lead);
    const ns3::Time end = std::max(begun + whole, now + one);
    tag.lead = end - begun - one;
    next.packet->AddPacketTag(tag);
    return end - now;
}

void WiredDevice::End() {
    m_busy = false;
    m_free = ns3::Simulator::Now();
    if (m_queue.empty()) {
        return;
    }
    Waiting next = std::move(m_queue.front());
    m_queue.pop_front();
    m_waitingPackets -= next.train.packets;
    m_waitingBytes -= BytesOf(next);
    Begin(std::move(next));
}

/// A train is lost with any of its packets.
bool WiredDevice::IsLost(const Ptr<Packet>& packet) {
    bool lost = false;
    for (std::uint32_t left = TrainOf(*packet, m_packetBytes).packets; left > 0; --left) {
        lost |= m_errors->IsCorrupt(packet);
    }
    return lost;
}

void WiredDevice::Receive(Ptr<Packet> packet, std::uint16_t protocol) {
    if (m_errors && IsLost(packet)) {
        NS_LOG_LOGIC("interface " << m_index << ": packet " << packet->GetUid() << " is lost on its way here");
        m_lostTrace(packet);
        return;
    }
    const ns3::Address from = m_peer->m_address;
    m_receivedTrace(packet);
    if (!m_promiscuous.IsNull()) {
        m_promiscuous(this, packet, protocol, from, m_address, PACKET_HOST);
    }
    if (!(m_taker && m_taker(packet, protocol)) && !m_receive.IsNull()) {
        m_receive(this, packet, protocol, from);
    }
}

} // namespace edgelam
