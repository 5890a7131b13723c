// SPDX-License-Identifier: GPL-2.0-only
#include "transfer-application.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "ns3/inet-socket-address.h"
#include "ns3/ipv4-header.h"
#include "ns3/ipv4-route.h"
#include "ns3/ipv4-routing-protocol.h"
#include "ns3/ipv4.h"
#include "ns3/log.h"
#include "ns3/node.h"
#include "ns3/packet.h"
#include "ns3/simulator.h"
#include "ns3/type-id.h"
#include "ns3/udp-socket-factory.h"
#include "ns3/uinteger.h"

#include "participant-time.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamTransferApplication");

using bridge::TransferProtocol;
using bridge::TransferStatus;
using ns3::Ptr;
using ns3::Socket;
using ns3::UintegerValue;

TransferApplication::TransferApplication() = default;
TransferApplication::~TransferApplication() = default;

void TransferApplication::DoDispose() {
    m_running = false;
    m_group = nullptr;
    m_connections.clear();
    m_incoming.clear();
    m_flows.clear();
    m_inbound.clear();
    m_listener = nullptr;
    m_udpSocket = nullptr;
    Application::DoDispose();
}

void TransferApplication::StartApplication() {
    const ns3::InetSocketAddress local(ns3::Ipv4Address::GetAny(), m_port);
    m_listener = MakeTcpSocket();
    m_listener->SetAcceptCallback(ns3::MakeCallback(&TransferApplication::ConnectionRequested, this),
                                  ns3::MakeCallback(&TransferApplication::NewConnection, this));
    UintegerValue segment, receiveBuffer;
    m_listener->GetAttribute("SegmentSize", segment);
    m_listener->GetAttribute("RcvBufSize", receiveBuffer);
    if (segment.Get() == 0 || receiveBuffer.Get() < segment.Get()) { // its window would never let a segment in
        throw std::invalid_argument("node '" + m_name + "': TCP segments of " + std::to_string(segment.Get()) +
                                    " bytes and a receive buffer of " + std::to_string(receiveBuffer.Get()) +
                                    "; legal are segments of 1 byte and more that fit into the buffer (SegmentSize, "
                                    "RcvBufSize of ns3::TcpSocket or of edgelam::TransferApplication)");
    }
    m_udpSocket = Socket::CreateSocket(GetNode(), ns3::UdpSocketFactory::GetTypeId());
    m_udpSocket->SetRecvCallback(ns3::MakeCallback(&TransferApplication::ReadDatagrams, this));
    for (const auto& [protocol, socket] : {std::pair{"TCP", m_listener}, std::pair{"UDP", m_udpSocket}}) {
        if (socket->Bind(local) < 0) {
            throw std::invalid_argument(PortTaken(std::string("a ") + protocol + " socket of the scenario's"));
        }
    }
    m_listener->Listen();
    NS_LOG_INFO(m_name << " takes transfers at port " << m_port);
    m_running = true;
}

void TransferApplication::StopApplication() {
    NS_LOG_INFO(m_name << " stops");
    m_running = false;
    const std::string reason = "the transfer application of " + m_name + " has stopped";
    m_listener->Close();
    m_udpSocket->SetRecvCallback(ns3::MakeNullCallback<void, Ptr<Socket>>());
    m_udpSocket->Close();
    const auto connections = m_connections; // closing changes the members
    for (const auto& [receiver, connection] : connections) {
        connection->Close(reason);
    }
    for (const auto& connection : m_incoming) {
        connection->CloseReceivingEnd();
    }
    const auto flows = m_flows;
    for (const auto& [serial, flow] : flows) {
        flow->Fail(reason);
    }
    m_inbound.clear();
}

std::string TransferApplication::Refusal(const TransferSpec& spec,
                                         const std::vector<Ptr<TransferApplication>>& receivers) const {
    if (spec.protocol != TransferProtocol::tcp && spec.protocol != TransferProtocol::udp &&
        spec.protocol != TransferProtocol::ideal) {
        return "protocol " + std::to_string(static_cast<int>(spec.protocol)) +
               " is unknown; there are 0 (ideal), 1 (tcp) and 2 (udp)";
    }
    constexpr std::uint32_t max_priority = 7;
    if (spec.priority > max_priority) {
        return "priority " + std::to_string(spec.priority) + "; a class of traffic is 0 (none) to 7";
    }
    constexpr std::uint64_t max_bytes = std::uint64_t{1} << 48;
    if (spec.size_bytes == 0 || spec.size_bytes > max_bytes) {
        return "size " + std::to_string(static_cast<std::int64_t>(spec.size_bytes)) +
               " bytes; a transfer has 1 to 2^48 bytes";
    }
    if (spec.protocol == TransferProtocol::udp && spec.give_up_ns < 0) {
        return "give-up time " + std::to_string(spec.give_up_ns) + " ns; it must not be negative";
    }
    constexpr std::uint64_t max_bps = 1'000'000'000'000'000; // faster than any link
    if (spec.protocol == TransferProtocol::udp && spec.rate_bps > max_bps) {
        return "rate " + std::to_string(spec.rate_bps) + " bit/s; it is 1 to 10^15, or 0 for the default";
    }
    if (receivers.empty()) {
        return "no receiver is named";
    }
    for (std::size_t i = 0; i < receivers.size(); ++i) {
        const TransferApplication& receiver = *receivers[i];
        if (&receiver == this) {
            return "node " + m_name + " cannot send to itself: what stays on a node crosses no network";
        }
        if (std::find(receivers.begin(), receivers.begin() + i, receivers[i]) != receivers.begin() + i) {
            return "node " + receiver.m_name + " is named twice as a receiver";
        }
        if (spec.protocol == TransferProtocol::ideal) {
            continue;
        }
        ns3::Ipv4Header header;
        header.SetDestination(receiver.m_address);
        Socket::SocketErrno error = Socket::ERROR_NOTERROR;
        const auto routing = GetNode()->GetObject<ns3::Ipv4>()->GetRoutingProtocol();
        if (!routing || !routing->RouteOutput(nullptr, header, nullptr, error)) {
            return "there is no route from " + m_name + " to " + receiver.m_name;
        }
    }
    return {};
}

Ptr<Transfer> TransferApplication::Send(const TransferSpec& spec,
                                        const std::vector<Ptr<TransferApplication>>& receivers,
                                        ShareCallback onDelivered, ShareCallback onEnded) {
    auto transfer = ns3::Create<Transfer>();
    transfer->spec = spec;
    transfer->serial = ++m_lastSerial;
    transfer->source = this;
    transfer->onDelivered = std::move(onDelivered);
    transfer->onEnded = std::move(onEnded);
    NS_LOG_INFO(m_name << " begins transfer " << transfer->serial << " of " << spec.size_bytes << " bytes, "
                       << ProtocolName(spec.protocol) << ", to " << receivers.size() << " nodes");
    const std::int64_t nowNs = NowNs();
    for (const auto& receiver : receivers) {
        TransferShare share;
        share.receiver = receiver;
        share.record.id = spec.id;
        share.record.receiver = receiver->GetNode()->GetId();
        share.record.size_bytes = spec.size_bytes;
        share.record.queued_ns = nowNs;
        share.record.first_byte_ns = share.record.last_byte_ns = share.record.acknowledged_ns = bridge::not_yet_ns;
        transfer->shares.push_back(std::move(share));
    }
    for (std::size_t i = 0; i < receivers.size(); ++i) {
        m_queuedTrace(*transfer, i);
    }
    if (!m_running) {
        for (std::size_t i = 0; i < receivers.size(); ++i) {
            transfer->End(i, TransferStatus::failed, "the transfer application of " + m_name + " is not running");
        }
        return transfer;
    }
    if (spec.deadline_ns <= nowNs) {
        Withdraw(*transfer, TransferStatus::expired);
        return transfer;
    }
    if (spec.deadline_ns != bridge::never_ns && spec.protocol != TransferProtocol::ideal) {
        transfer->deadlineEvent = ns3::Simulator::Schedule(
            ns3::NanoSeconds(spec.deadline_ns - nowNs),
            [self = Ptr<TransferApplication>(this), transfer] { self->Withdraw(*transfer, TransferStatus::expired); });
    }
    switch (spec.protocol) {
    case TransferProtocol::tcp:
        SendTcp(transfer);
        break;
    case TransferProtocol::udp:
        SendUdp(transfer);
        break;
    case TransferProtocol::ideal:
        SendIdeal(transfer);
        break;
    }
    return transfer;
}

void TransferApplication::SendIdeal(Ptr<Transfer> transfer) {
    for (std::size_t i = 0; i < transfer->shares.size(); ++i) {
        auto& record = transfer->shares[i].record;
        record.first_byte_ns = record.last_byte_ns = record.acknowledged_ns = record.queued_ns;
        record.delivered_bytes = record.size_bytes;
        transfer->Deliver(i);
        transfer->End(i, TransferStatus::complete);
    }
}

void TransferApplication::SendTcp(Ptr<Transfer> transfer) {
    for (std::size_t i = 0; i < transfer->shares.size(); ++i) {
        TransferApplication& receiver = *transfer->shares[i].receiver;
        auto& connection = m_connections[KeyOf(transfer->spec, receiver)];
        if (!connection) {
            connection = ns3::Create<TcpConnection>(*this, receiver, TosOf(transfer->spec), m_notSentBytes);
            receiver.m_incoming.push_back(connection);
            connection->Open(transfer->spec.paced != 0 ? MakePacedTcpSocket() : MakeTcpSocket(),
                             ns3::InetSocketAddress(receiver.m_address, receiver.m_port));
        }
        connection->Enqueue(transfer, i);
    }
}

void TransferApplication::SendUdp(Ptr<Transfer> transfer) {
    std::vector<Ptr<TransferApplication>> receivers;
    std::vector<ns3::Address> destinations;
    for (const auto& share : transfer->shares) {
        receivers.push_back(share.receiver);
        destinations.push_back(ns3::InetSocketAddress(share.receiver->m_address, share.receiver->m_port));
    }
    std::shared_ptr<const ns3::Ipv4Address> group;
    const bool samePort = std::all_of(receivers.begin(), receivers.end(),
                                      [&](const auto& each) { return each->m_port == receivers.front()->m_port; });
    if (receivers.size() > 1 && m_group && samePort) {
        if (group = m_group(*this, receivers); group) {
            destinations.assign(1, ns3::InetSocketAddress(*group, receivers.front()->m_port));
        }
    }
    const std::uint64_t rateBps = transfer->spec.rate_bps > 0 ? transfer->spec.rate_bps : m_udpRate.GetBitRate();
    auto flow = ns3::Create<UdpFlow>(transfer, m_udpSocket, std::move(destinations), std::move(group),
                                     m_joined * m_datagramBytes, rateBps);
    m_flows[transfer->serial] = flow;
    for (std::size_t i = 0; i < receivers.size(); ++i) {
        receivers[i]->m_inbound[{GetNode()->GetId(), transfer->serial}] = {flow, i};
    }
    flow->Start();
}

void TransferApplication::Cancel(Transfer& transfer) {
    Withdraw(transfer, TransferStatus::cancelled);
}

void TransferApplication::Withdraw(Transfer& transfer, TransferStatus status) {
    NS_LOG_INFO(m_name << " withdraws transfer " << transfer.serial << ": " << StatusName(status));
    Ptr<Transfer> self(&transfer);
    const auto flow = m_flows.find(transfer.serial);
    const Ptr<UdpFlow> udp = flow == m_flows.end() ? nullptr : flow->second;
    for (std::size_t i = 0; i < transfer.shares.size(); ++i) {
        if (transfer.shares[i].ended) {
            continue;
        }
        bool queued = udp && udp->Sending();
        if (transfer.spec.protocol == TransferProtocol::tcp) {
            const auto connection = m_connections.find(KeyOf(transfer.spec, *transfer.shares[i].receiver));
            queued = connection != m_connections.end() && connection->second->Withdraw(transfer, i);
        }
        if (queued || status == TransferStatus::expired) {
            transfer.End(i, status);
        }
    }
    if (udp && transfer.Ended()) {
        udp->Stop();
    }
}

Ptr<TcpConnection> TransferApplication::Incoming(const ns3::Address& from) const {
    const auto peer = ns3::InetSocketAddress::ConvertFrom(from);
    for (const auto& connection : m_incoming) {
        const auto ipv4 = connection->Source().GetNode()->GetObject<ns3::Ipv4>();
        if (connection->LocalPort() == peer.GetPort() && ipv4->GetInterfaceForAddress(peer.GetIpv4()) >= 0) {
            return connection;
        }
    }
    return nullptr;
}

bool TransferApplication::ConnectionRequested(Ptr<Socket> listener, const ns3::Address& from) {
    // What answers is a copy of the listener: all its packets, from the first on, have the connection's class.
    const Ptr<TcpConnection> connection = Incoming(from);
    if (const std::uint8_t tos = connection ? connection->Tos() : 0; listener->GetIpTos() != tos) {
        listener->SetIpTos(tos);
    }
    return true;
}

void TransferApplication::NewConnection(Ptr<Socket> socket, const ns3::Address& from) {
    if (const Ptr<TcpConnection> connection = Incoming(from)) {
        connection->Accept(socket);
    } else {
        NS_LOG_WARN(m_name << " closes a connection from somebody who is no transfer application");
        socket->Close();
    }
}

void TransferApplication::ReadDatagrams(Ptr<Socket> socket) {
    ns3::Address from;
    while (Ptr<ns3::Packet> packet = socket->RecvFrom(from)) {
        DatagramTag tag;
        if (!packet->FindFirstMatchingByteTag(tag)) {
            NS_LOG_WARN(m_name << " drops a datagram from somebody who is no transfer application");
            continue;
        }
        const auto inbound = m_inbound.find({tag.source, tag.serial});
        if (inbound != m_inbound.end()) {
            const Inbound to = inbound->second; // a copy: the end of the transfer removes it
            to.flow->Arrived(to.share, tag.offset);
        }
    }
}

void TransferApplication::Forget(const TcpConnection& connection) {
    std::erase_if(m_connections, [&](const auto& entry) { return ns3::PeekPointer(entry.second) == &connection; });
    std::erase_if(m_incoming, [&](const auto& entry) { return ns3::PeekPointer(entry) == &connection; });
}

void TransferApplication::Forget(const Transfer& transfer) {
    m_flows.erase(transfer.serial);
    for (const auto& share : transfer.shares) {
        share.receiver->m_inbound.erase({GetNode()->GetId(), transfer.serial});
    }
}

void TransferApplication::NotifyEnded(const Transfer& transfer, std::size_t share) {
    m_endedTrace(transfer, share);
}

} // namespace edgelam
