// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The ns-3 application that moves bytes between the exposed nodes of a scenario over real sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ns3/application.h"
#include "ns3/data-rate.h"
#include "ns3/ipv4-address.h"
#include "ns3/nstime.h"
#include "ns3/socket.h"
#include "ns3/traced-callback.h"

#include "analog-transfer.h"
#include "tcp-connection.h"
#include "transfer.h"
#include "udp-flow.h"

namespace edgelam {

/// Sends and receives transfers at one node.
///
/// tcp: one connection for each ordered pair of nodes and priority, opened by the first transfer and kept, and another
///   one for paced transfers; transfers on one connection cross one after another. What a scenario sets in ns-3's way
///   holds: defaults of ns3::TcpSocket, TcpSocketBase, ..., and what a node's ns3::TcpL4Protocol says; only an
///   attribute of this application, set itself, goes before it. What nobody has set suits fast and long paths, near
///   what a Linux host does today: 1400-byte segments (they fit an MTU of 1500 with a GTP tunnel around them), buffers
///   of 16 MiB with window scaling (the product of 1 Gb/s and 130 ms), CUBIC (RFC 9438) with SACK, a minimum RTO of 200
///   ms. CUBIC is what servers and phones run, and of ns-3's algorithms none did better over wired-star (clean, lossy,
///   shared) and lte-macro together. A scenario suggests a smaller send buffer for its paths: what fills them and no
///   more, since the rest would only wait in queues, and ns-3's cost per segment grows with the window.
/// udp: paced datagrams; see UdpFlow.
/// ideal: arrives at once, without touching the network.
/// The packets of tcp, acknowledgements too, and udp carry the class selector of the transfer's priority (TosOf).
class TransferApplication : public ns3::Application {
  public:
    static ns3::TypeId GetTypeId();
    TransferApplication();
    ~TransferApplication() override;

    using ShareCallback = std::function<void(Transfer&, std::size_t)>;
    /// Gives the address of a multicast group that reaches exactly these receivers from this source, or null if the
    /// network has none. The group is there as long as somebody holds the pointer.
    using GroupFunction = std::function<std::shared_ptr<const ns3::Ipv4Address>(
        const TransferApplication& source, const std::vector<ns3::Ptr<TransferApplication>>& receivers)>;

    /// Why such a transfer is not possible, or empty if it is: size, protocol, receivers, a route.
    std::string Refusal(const TransferSpec& spec, const std::vector<ns3::Ptr<TransferApplication>>& receivers) const;

    /// Start a transfer (which Refusal accepts). The callbacks come during simulation events; for `ideal`, and for a
    /// node that has stopped, they come within this call.
    ns3::Ptr<Transfer> Send(const TransferSpec& spec, const std::vector<ns3::Ptr<TransferApplication>>& receivers,
                            ShareCallback onDelivered, ShareCallback onEnded);

    /// Withdraw what is still queued. Shares go on if the socket has got all their bytes.
    void Cancel(Transfer& transfer);

    const std::string& GetName() const { return m_name; }
    /// Where the other nodes reach this one.
    ns3::Ipv4Address GetAddress() const { return m_address; }
    /// Set an attribute to what suits the network, unless it has been set: on the command line, as a default, or on
    /// this application. What is set in ns-3's way goes before it, too.
    void Suggest(const std::string& attribute, const ns3::AttributeValue& value);
    /// Whether that attribute has been set, otherwise than by Suggest.
    bool IsSet(const std::string& attribute) const { return m_set.contains(attribute); }
    /// A TCP socket as transfers use it.
    ns3::Ptr<ns3::Socket> MakeTcpSocket() const;
    /// The same that spreads its segments over a round trip (EnablePacing of ns3::TcpSocketState). Bursts of flows in
    /// opposite directions wait for one another's acknowledgements in drop-tail queues, by which 10 to 15 % of the rate
    /// is lost (Zhang, Shenker and Clark 1991).
    ns3::Ptr<ns3::Socket> MakePacedTcpSocket() const;
    /// PacingSsRatio of ns3::TcpSocketState, percent of a window in a round trip: while a window grows, only bursts
    /// beyond it are spread, and slow start is as it is without pacing.
    static constexpr std::uint16_t pacing_while_a_window_grows = 3200;
    /// What takes packets at this node that are meant for transfers to it: another application, or a socket. Call it
    /// before the simulation starts; empty if there is nothing.
    std::string PortConflict() const;
    void SetGroupFunction(GroupFunction function) { m_group = std::move(function); }
    /// The radio of this node that takes what several nodes send at once; empty: it has none.
    void SetAnalogRadio(AnalogRadio radio) { m_analogRadio = std::move(radio); }
    const AnalogRadio& GetAnalogRadio() const { return m_analogRadio; }

    // For TcpConnection, UdpFlow and Transfer.
    void Forget(const TcpConnection& connection);
    void Forget(const Transfer& transfer);
    void NotifyEnded(const Transfer& transfer, std::size_t share);

    /// A transfer has begun, or a share of it has ended.
    using TransferTracedCallback = void (*)(const Transfer& transfer, std::size_t share);

  protected:
    void DoDispose() override;
    void NotifyConstructionCompleted() override;

  private:
    class NotedAccessor;
    void SetCongestionControl(ns3::TypeId type);
    ns3::TypeId GetCongestionControl() const { return m_congestionControl; }
    void StartApplication() override;
    void StopApplication() override;

    void ScaleCongestionControl(const ns3::Socket& socket) const;
    std::string PortTaken(const std::string& by) const;
    bool ConnectionRequested(ns3::Ptr<ns3::Socket> listener, const ns3::Address& from);
    void NewConnection(ns3::Ptr<ns3::Socket> socket, const ns3::Address& from);
    /// The connection to this node from there; null if the other end is not a transfer application.
    ns3::Ptr<TcpConnection> Incoming(const ns3::Address& from) const;
    void ReadDatagrams(ns3::Ptr<ns3::Socket> socket);
    void SendTcp(ns3::Ptr<Transfer> transfer);
    void SendUdp(ns3::Ptr<Transfer> transfer);
    void SendIdeal(ns3::Ptr<Transfer> transfer);
    /// End what Cancel (only what is still queued) or the deadline (everything) stops.
    void Withdraw(Transfer& transfer, bridge::TransferStatus status);

    std::string m_name;
    std::set<std::string> m_set; ///< attributes that have been set
    ns3::Ipv4Address m_address;
    std::uint16_t m_port;
    std::uint32_t m_joined;
    std::uint32_t m_segmentBytes;
    std::uint32_t m_sendBufferBytes;
    std::uint32_t m_receiveBufferBytes;
    std::uint32_t m_initialWindow;
    std::uint32_t m_notSentBytes;
    ns3::TypeId m_congestionControl;
    ns3::Time m_delayedAck;
    ns3::Time m_minRto;
    ns3::Time m_connectTimeout;
    std::uint32_t m_dataRetries;
    std::uint32_t m_datagramBytes;
    ns3::DataRate m_udpRate;
    GroupFunction m_group;

    bool m_running = false;
    ns3::Ptr<ns3::Socket> m_listener;
    ns3::Ptr<ns3::Socket> m_udpSocket;
    /// The receiver's node id, the priority, and whether it is paced.
    using ConnectionKey = std::tuple<std::uint32_t, std::uint32_t, bool>;
    static ConnectionKey KeyOf(const TransferSpec& spec, const TransferApplication& receiver) {
        return {receiver.GetNode()->GetId(), spec.priority, spec.paced != 0};
    }
    std::map<ConnectionKey, ns3::Ptr<TcpConnection>> m_connections;
    std::vector<ns3::Ptr<TcpConnection>> m_incoming;
    std::map<std::uint64_t, ns3::Ptr<UdpFlow>> m_flows; ///< by serial, those this node sends
    struct Inbound {
        ns3::Ptr<UdpFlow> flow;
        std::size_t share;
    };
    /// Those this node receives, by the source's node id and serial.
    std::map<std::pair<std::uint32_t, std::uint64_t>, Inbound> m_inbound;
    std::uint64_t m_lastSerial = 0;

    ns3::TracedCallback<const Transfer&, std::size_t> m_queuedTrace;
    ns3::TracedCallback<const Transfer&, std::size_t> m_endedTrace;
    AnalogRadio m_analogRadio;
};

} // namespace edgelam
