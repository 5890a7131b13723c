// SPDX-License-Identifier: GPL-2.0-only
#include "tcp-connection.h"

#include <algorithm>

#include "ns3/inet-socket-address.h"
#include "ns3/log.h"
#include "ns3/node.h"
#include "ns3/simulator.h"
#include "ns3/tcp-tx-buffer.h"
#include "ns3/uinteger.h"

#include "participant-time.h"
#include "transfer-application.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamTcpConnection");

using bridge::TransferStatus;
using ns3::MakeCallback;
using ns3::Ptr;
using ns3::Socket;

namespace {

/// A socket may outlive the connection inside ns-3: it must not call back.
void Silence(const Ptr<Socket>& socket) {
    if (!socket) {
        return;
    }
    const auto none = ns3::MakeNullCallback<void, Ptr<Socket>>();
    const auto noneCount = ns3::MakeNullCallback<void, Ptr<Socket>, std::uint32_t>();
    socket->SetConnectCallback(none, none);
    socket->SetCloseCallbacks(none, none);
    socket->SetRecvCallback(none);
    socket->SetSendCallback(noneCount);
    socket->SetDataSentCallback(noneCount);
}

} // namespace

TcpConnection::TcpConnection(TransferApplication& source, TransferApplication& receiver, std::uint8_t tos,
                             std::uint32_t notSentBytes)
    : m_source(source), m_receiver(receiver), m_notSentBytes(notSentBytes), m_tos(tos) {}

TcpConnection::~TcpConnection() {
    Silence(m_sender);
    Silence(m_accepted);
}

void TcpConnection::Open(Ptr<Socket> socket, const ns3::Address& remote) {
    m_sender = ns3::DynamicCast<ns3::TcpSocketBase>(socket);
    ns3::UintegerValue segment, buffer;
    socket->GetAttribute("SegmentSize", segment);
    socket->GetAttribute("SndBufSize", buffer);
    m_segmentBytes = static_cast<std::uint32_t>(std::min(segment.Get(), buffer.Get())); // what Fill can hand over
    socket->SetConnectCallback(MakeCallback(&TcpConnection::Connected, this),
                               MakeCallback(&TcpConnection::ConnectFailed, this));
    socket->SetCloseCallbacks(MakeCallback(&TcpConnection::SenderClosed, this),
                              MakeCallback(&TcpConnection::SenderError, this));
    socket->SetSendCallback(MakeCallback(&TcpConnection::Acknowledged, this));
    socket->SetDataSentCallback(MakeCallback(&TcpConnection::Sent, this));
    socket->TraceConnectWithoutContext("Retransmission", MakeCallback(&TcpConnection::Retransmitted, this));
    if (m_tos != 0) {
        socket->SetIpTos(m_tos);
    }
    socket->Bind();
    ns3::Address local;
    socket->GetSockName(local);
    m_localPort = ns3::InetSocketAddress::ConvertFrom(local).GetPort();
    NS_LOG_INFO(m_source.GetName() << " connects to " << m_receiver.GetName() << " from port " << m_localPort);
    socket->Connect(remote);
}

void TcpConnection::Accept(Ptr<Socket> socket) {
    NS_LOG_INFO(m_receiver.GetName() << " accepts " << m_source.GetName());
    m_accepted = socket;
    socket->SetRecvCallback(MakeCallback(&TcpConnection::Read, this));
}

void TcpConnection::Close(const std::string& reason) {
    if (m_failed) {
        return;
    }
    NS_LOG_INFO(m_source.GetName() << " to " << m_receiver.GetName() << " closes: " << reason);
    m_failed = true;
    Ptr<TcpConnection> self(this);
    for (const auto& socket : {Ptr<Socket>(m_sender), m_accepted}) {
        Silence(socket);
        if (socket) {
            socket->Close();
        }
    }
    m_source.Forget(*this);
    m_receiver.Forget(*this);
    const std::deque<Message> outstanding = std::move(m_messages);
    m_messages.clear();
    for (const Message& message : outstanding) {
        message.transfer->End(message.share, TransferStatus::failed, reason);
    }
}

void TcpConnection::CloseReceivingEnd() {
    if (m_accepted) {
        m_accepted->SetRecvCallback(ns3::MakeNullCallback<void, Ptr<Socket>>());
        m_accepted->Close();
    }
}

void TcpConnection::Enqueue(Ptr<Transfer> transfer, std::size_t share) {
    NS_LOG_FUNCTION(this << transfer->serial << share << transfer->spec.size_bytes);
    const std::uint64_t begin = m_queued;
    m_queued += transfer->spec.size_bytes;
    m_messages.push_back({std::move(transfer), share, begin, m_queued});
    Fill();
}

bool TcpConnection::Withdraw(const Transfer& transfer, std::size_t share) {
    auto message = std::find_if(m_messages.begin(), m_messages.end(), [&](const Message& m) {
        return ns3::PeekPointer(m.transfer) == &transfer && m.share == share;
    });
    if (message == m_messages.end() || message->end <= m_written) {
        return false;
    }
    const std::uint64_t keep = std::max(message->begin, m_written); // what is in the socket crosses
    const std::uint64_t withdrawn = message->end - keep;
    message->end = keep;
    auto next = std::next(message);
    if (message->begin == message->end) {
        next = m_messages.erase(message);
    }
    for (; next != m_messages.end(); ++next) {
        next->begin -= withdrawn;
        next->end -= withdrawn;
    }
    m_queued -= withdrawn;
    return true;
}

void TcpConnection::FillIfLow() {
    // Not segment by segment: every call of Send costs ns-3 an event.
    if (m_written < m_queued && m_written - m_sent < m_notSentBytes / 2) {
        Fill();
    }
}

void TcpConnection::Fill() {
    if (!m_connected || m_failed) {
        return;
    }
    while (m_written < m_queued && m_written - m_sent < m_notSentBytes) {
        // One packet a segment: the socket then passes it on without splitting it.
        const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(m_segmentBytes, m_queued - m_written));
        if (m_sender->Send(ns3::Create<ns3::Packet>(bytes), 0) < 0) {
            return; // the buffer is full: the next acknowledgement brings us back
        }
        m_written += bytes;
        NS_LOG_LOGIC("handed " << m_written << " of " << m_queued << " bytes to the socket");
    }
}

void TcpConnection::Connected(Ptr<Socket> socket) {
    NS_LOG_INFO(m_source.GetName() << " is connected to " << m_receiver.GetName());
    m_connected = true;
    Fill();
}

void TcpConnection::ConnectFailed(Ptr<Socket> socket) {
    CloseSoon("the connection could not be set up: no answer from " + m_receiver.GetName() + ", or it refused");
}

void TcpConnection::SenderClosed(Ptr<Socket> socket) {
    CloseSoon(m_receiver.GetName() + " closed the connection");
}

void TcpConnection::SenderError(Ptr<Socket> socket) {
    CloseSoon("the connection was lost: " + m_receiver.GetName() + " acknowledges no more or has reset it");
}

void TcpConnection::CloseSoon(const std::string& reason) {
    // Not inside the socket's callback, which closing would take away from under it.
    ns3::Simulator::ScheduleNow([self = Ptr<TcpConnection>(this), reason] { self->Close(reason); });
}

void TcpConnection::Sent(Ptr<Socket> socket, std::uint32_t bytes) {
    m_sent += bytes;
    FillIfLow();
}

void TcpConnection::Acknowledged(Ptr<Socket> socket, std::uint32_t room) {
    const std::uint64_t inBuffer = m_sender->GetTxBuffer()->Size(); // whatever size the buffer has by now
    if (inBuffer > m_written) {
        return; // the handshake
    }
    m_acknowledged = m_written - inBuffer;
    NS_LOG_LOGIC(m_acknowledged << " bytes are acknowledged");
    while (!m_messages.empty() && m_messages.front().end <= m_acknowledged && m_reading > 0) {
        Message done = std::move(m_messages.front());
        m_messages.pop_front();
        --m_reading;
        done.Share().record.acknowledged_ns = NowNs();
        done.transfer->End(done.share, TransferStatus::complete);
    }
    FillIfLow();
}

void TcpConnection::Retransmitted(Ptr<const ns3::Packet> packet, const ns3::TcpHeader& header,
                                  const ns3::Address& local, const ns3::Address& peer,
                                  Ptr<const ns3::TcpSocketBase> socket) {
    NS_LOG_LOGIC("segment " << header.GetSequenceNumber() << " is sent again");
    if (!m_messages.empty()) {
        ++m_messages.front().Share().record.retransmissions;
    }
}

void TcpConnection::Read(Ptr<Socket> socket) {
    std::uint64_t bytes = 0;
    while (socket->GetRxAvailable() > 0) {
        bytes += socket->Recv()->GetSize();
    }
    if (bytes > 0) {
        Received(bytes);
    }
}

void TcpConnection::Received(std::uint64_t bytes) {
    Ptr<TcpConnection> self(this);
    const std::uint64_t before = m_received;
    m_received += bytes;
    NS_LOG_LOGIC(m_received << " bytes have arrived in order");
    while (m_reading < m_messages.size()) {
        Message& message = m_messages[m_reading];
        if (m_received <= message.begin) {
            return;
        }
        const bool whole = m_received >= message.end;
        if (TransferShare& share = message.Share(); !share.ended) {
            if (before <= message.begin) {
                share.record.first_byte_ns = NowNs();
            }
            share.record.delivered_bytes = std::min(m_received, message.end) - message.begin;
            share.record.last_byte_ns = whole ? NowNs() : bridge::not_yet_ns;
        }
        if (!whole) {
            return;
        }
        ++m_reading; // before telling: who is told may queue more
        const Ptr<Transfer> transfer = message.transfer;
        transfer->Deliver(message.share);
    }
}

} // namespace edgelam
