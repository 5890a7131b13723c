// SPDX-License-Identifier: GPL-2.0-only
#include "udp-flow.h"

#include <algorithm>

#include "ns3/log.h"
#include "ns3/packet.h"
#include "ns3/simulator.h"

#include "participant-time.h"
#include "transfer-application.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamUdpFlow");

using bridge::TransferStatus;

NS_OBJECT_ENSURE_REGISTERED(DatagramTag);

ns3::TypeId DatagramTag::GetTypeId() {
    static const ns3::TypeId tid =
        ns3::TypeId("edgelam::DatagramTag").SetParent<ns3::Tag>().SetGroupName("Edgelam").AddConstructor<DatagramTag>();
    return tid;
}

ns3::TypeId DatagramTag::GetInstanceTypeId() const {
    return GetTypeId();
}
std::uint32_t DatagramTag::GetSerializedSize() const {
    return 20;
}
void DatagramTag::Serialize(ns3::TagBuffer buffer) const {
    buffer.WriteU32(source);
    buffer.WriteU64(serial);
    buffer.WriteU64(offset);
}
void DatagramTag::Deserialize(ns3::TagBuffer buffer) {
    source = buffer.ReadU32();
    serial = buffer.ReadU64();
    offset = buffer.ReadU64();
}
void DatagramTag::Print(std::ostream& os) const {
    os << "transfer " << serial << " of node " << source << ", from byte " << offset;
}

UdpFlow::UdpFlow(ns3::Ptr<Transfer> transfer, ns3::Ptr<ns3::Socket> socket, std::vector<ns3::Address> destinations,
                 std::shared_ptr<const ns3::Ipv4Address> group, std::uint32_t datagramBytes, std::uint64_t rateBps)
    : m_transfer(transfer), m_socket(socket), m_destinations(std::move(destinations)), m_group(std::move(group)),
      m_datagramBytes(datagramBytes), m_rateBps(rateBps) {
    m_arrived.resize(transfer->shares.size());
}

UdpFlow::~UdpFlow() {
    m_event.Cancel();
}

std::uint64_t UdpFlow::NumDatagrams() const {
    return (m_transfer->spec.size_bytes + m_datagramBytes - 1) / m_datagramBytes;
}

std::uint64_t UdpFlow::BytesOf(std::uint64_t datagram) const {
    return std::min<std::uint64_t>(m_datagramBytes, m_transfer->spec.size_bytes - datagram * m_datagramBytes);
}

void UdpFlow::Start() {
    NS_LOG_INFO("transfer " << m_transfer->serial << ": " << NumDatagrams() << " datagrams at " << m_rateBps
                            << " bit/s");
    m_startNs = NowNs();
    SendNext();
}

void UdpFlow::SendNext() {
    NS_LOG_LOGIC("transfer " << m_transfer->serial << ": sends datagram " << m_next);
    ns3::Ptr<UdpFlow> self(this);
    DatagramTag tag;
    tag.source = m_transfer->source->GetNode()->GetId();
    tag.serial = m_transfer->serial;
    tag.offset = m_next * m_datagramBytes;
    const auto bytes = static_cast<std::uint32_t>(BytesOf(m_next));
    if (const auto tos = TosOf(m_transfer->spec); m_socket->GetIpTos() != tos) {
        m_socket->SetIpTos(tos); // all flows of the node share the socket
    }
    for (std::size_t i = 0; i < m_destinations.size(); ++i) {
        if (!m_group && m_transfer->shares[i].ended) {
            continue;
        }
        auto packet = ns3::Create<ns3::Packet>(bytes);
        packet->AddByteTag(tag);
        if (m_socket->SendTo(packet, 0, m_destinations[i]) < 0) {
            const char* reason = "the datagram could not be sent: no route, or larger than the MTU";
            if (m_group) {
                Fail(reason);
                return;
            }
            m_transfer->End(i, TransferStatus::failed, reason);
        }
    }
    ++m_next;
    if (m_next < NumDatagrams()) {
        // From the start, not from the last datagram, so that rounding does not add up.
        const auto bits = static_cast<unsigned __int128>(m_next) * m_datagramBytes * 8;
        const auto dueNs = m_startNs + static_cast<std::int64_t>(bits * 1'000'000'000 / m_rateBps);
        m_event = ns3::Simulator::Schedule(ns3::NanoSeconds(dueNs - NowNs()), &UdpFlow::SendNext, this);
    } else {
        m_event = ns3::Simulator::Schedule(ns3::NanoSeconds(m_transfer->spec.give_up_ns), &UdpFlow::GiveUp, this);
    }
    if (m_transfer->Ended()) {
        Stop();
    }
}

void UdpFlow::Arrived(std::size_t i, std::uint64_t offset) {
    const std::uint64_t datagram = offset / m_datagramBytes;
    NS_LOG_LOGIC("transfer " << m_transfer->serial << ": datagram " << datagram << " is at receiver " << i);
    TransferShare& share = m_transfer->shares[i];
    auto& arrived = m_arrived[i];
    if (share.ended || (datagram < arrived.size() && arrived[datagram])) {
        return;
    }
    arrived.resize(std::max<std::size_t>(arrived.size(), datagram + 1)); // only as far as it has come
    arrived[datagram] = true;
    const std::int64_t nowNs = NowNs();
    if (share.record.delivered_bytes == 0) {
        share.record.first_byte_ns = nowNs;
    }
    share.record.last_byte_ns = nowNs;
    share.record.delivered_bytes += BytesOf(datagram);
    if (datagram + 1 == NumDatagrams()) {
        Finish(i);
    }
}

void UdpFlow::Finish(std::size_t i) {
    ns3::Ptr<UdpFlow> self(this);
    TransferShare& share = m_transfer->shares[i];
    auto& arrived = m_arrived[i];
    arrived.resize(NumDatagrams()); // all have been sent
    for (std::uint64_t datagram = 0; datagram < arrived.size(); ++datagram) {
        if (arrived[datagram]) {
            continue;
        }
        const std::uint64_t begin = datagram * m_datagramBytes;
        if (share.lost.empty() || share.lost.back().end != begin) {
            share.lost.push_back({begin, begin});
        }
        share.lost.back().end = begin + BytesOf(datagram);
    }
    share.record.acknowledged_ns = share.record.last_byte_ns;
    if (share.record.last_byte_ns != bridge::not_yet_ns) { // a receiver hears of nothing that did not reach it
        m_transfer->Deliver(i);
    }
    m_transfer->End(i, share.lost.empty() ? TransferStatus::complete : TransferStatus::partial);
    if (m_transfer->Ended()) {
        Stop();
    }
}

void UdpFlow::GiveUp() {
    NS_LOG_INFO("transfer " << m_transfer->serial << ": waits no longer for what is missing");
    ns3::Ptr<UdpFlow> self(this);
    for (std::size_t i = 0; i < m_transfer->shares.size(); ++i) {
        if (!m_transfer->shares[i].ended) {
            Finish(i);
        }
    }
}

void UdpFlow::Fail(const std::string& reason) {
    ns3::Ptr<UdpFlow> self(this);
    for (std::size_t i = 0; i < m_transfer->shares.size(); ++i) {
        m_transfer->End(i, TransferStatus::failed, reason);
    }
    Stop();
}

void UdpFlow::Stop() {
    m_event.Cancel();
    m_transfer->source->Forget(*m_transfer);
}

} // namespace edgelam
