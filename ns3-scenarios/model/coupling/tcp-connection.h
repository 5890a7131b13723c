// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One TCP connection from one node to another, kept open, with the transfers queued on it.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "ns3/address.h"
#include "ns3/packet.h"
#include "ns3/ptr.h"
#include "ns3/simple-ref-count.h"
#include "ns3/socket.h"
#include "ns3/tcp-header.h"
#include "ns3/tcp-socket-base.h"

#include "transfer.h"

namespace edgelam {

/// Transfers of one ordered pair of nodes and one priority, first in, first out, as one stream of bytes over one ns-3
/// TCP socket.
///
/// No framing crosses the simulated wire. The two ends live in one process, so both know at which offset of the
/// stream each transfer begins and ends: the receiving side counts bytes in order, the sending side learns what is
/// acknowledged from the room in its socket's buffer.
///
/// The socket gets at most `notSentBytes` that it has not sent yet (like TCP_NOTSENT_LOWAT on Linux), so a cancelled
/// or expired transfer really stops, however large the send buffer is.
class TcpConnection : public ns3::SimpleRefCount<TcpConnection> {
  public:
    TcpConnection(TransferApplication& source, TransferApplication& receiver, std::uint8_t tos,
                  std::uint32_t notSentBytes);
    ~TcpConnection();

    /// Connect `socket` (configured, not bound) to `remote`.
    void Open(ns3::Ptr<ns3::Socket> socket, const ns3::Address& remote);
    /// Close both ends; outstanding transfers fail for `reason`.
    void Close(const std::string& reason);
    /// The receiving end: a socket that the receiver accepted.
    void Accept(ns3::Ptr<ns3::Socket> socket);
    /// The receiver stops: close its end only, so that the sender learns it over the network.
    void CloseReceivingEnd();

    void Enqueue(ns3::Ptr<Transfer> transfer, std::size_t share);

    /// Withdraw what the socket has not got yet.
    /// \return false if the socket has got everything
    bool Withdraw(const Transfer& transfer, std::size_t share);

    const TransferApplication& Source() const { return m_source; }
    /// The TOS byte of its packets, in both directions.
    std::uint8_t Tos() const { return m_tos; }
    /// The sender's port.
    std::uint16_t LocalPort() const { return m_localPort; }

  private:
    struct Message {
        ns3::Ptr<Transfer> transfer;
        std::size_t share;
        std::uint64_t begin; ///< offset in the stream
        std::uint64_t end;
        TransferShare& Share() { return transfer->shares[share]; }
    };

    void Fill();
    void FillIfLow();
    void Connected(ns3::Ptr<ns3::Socket> socket);
    void ConnectFailed(ns3::Ptr<ns3::Socket> socket);
    void Sent(ns3::Ptr<ns3::Socket> socket, std::uint32_t bytes);
    void Acknowledged(ns3::Ptr<ns3::Socket> socket, std::uint32_t room);
    void Retransmitted(ns3::Ptr<const ns3::Packet> packet, const ns3::TcpHeader& header, const ns3::Address& local,
                       const ns3::Address& peer, ns3::Ptr<const ns3::TcpSocketBase> socket);
    void SenderClosed(ns3::Ptr<ns3::Socket> socket);
    void SenderError(ns3::Ptr<ns3::Socket> socket);
    void Read(ns3::Ptr<ns3::Socket> socket);
    void Received(std::uint64_t bytes);
    void CloseSoon(const std::string& reason);

    TransferApplication& m_source;
    TransferApplication& m_receiver;
    ns3::Ptr<ns3::TcpSocketBase> m_sender;
    ns3::Ptr<ns3::Socket> m_accepted;
    std::deque<Message> m_messages; ///< not wholly acknowledged, oldest first
    std::size_t m_reading = 0;      ///< place in m_messages of the first that has not wholly arrived
    std::uint64_t m_queued = 0;     ///< offsets in the stream: end of the last message,
    std::uint64_t m_written = 0;    ///< handed to the socket,
    std::uint64_t m_sent = 0;       ///< sent by the socket at least once,
    std::uint64_t m_acknowledged = 0;
    std::uint64_t m_received = 0; ///< read in order at the receiver
    std::uint32_t m_segmentBytes = 0;
    std::uint32_t m_notSentBytes;
    std::uint8_t m_tos;
    std::uint16_t m_localPort = 0;
    bool m_connected = false;
    bool m_failed = false; ///< closed: of no use any more
};

} // namespace edgelam
