// SPDX-License-Identifier: GPL-2.0-only
// The attributes of a transfer application, and the TCP sockets they make.
#include "transfer-application.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "ns3/double.h"
#include "ns3/log.h"
#include "ns3/pointer.h"
#include "ns3/string.h"
#include "ns3/tcp-congestion-ops.h"
#include "ns3/tcp-cubic.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/tcp-socket-base.h"
#include "ns3/tcp-socket-state.h"
#include "ns3/type-id.h"
#include "ns3/uinteger.h"

NS_LOG_COMPONENT_DEFINE("EdgelamTransferAttributes");

namespace edgelam {

using ns3::Ptr;
using ns3::Socket;
using ns3::UintegerValue;

namespace {

constexpr double connect_patience_s = 60; ///< how long TCP tries to set up a connection
constexpr std::uint32_t most_joined = 44;

/// Whether an object's attribute comes from a default that somebody has changed: with ns3::Config::SetDefault, also to
/// the value it had, or in NS_ATTRIBUTE_DEFAULT.
bool HasChangedDefault(const ns3::ObjectBase& object, const std::string& attribute) {
    for (ns3::TypeId type = object.GetInstanceTypeId();; type = type.GetParent()) {
        for (std::size_t i = 0; i < type.GetAttributeN(); ++i) {
            const auto information = type.GetAttribute(i);
            if (information.name == attribute) {
                ns3::StringValue value;
                object.GetAttribute(attribute, value);
                return information.initialValue != information.originalInitialValue ||
                       value.Get() != information.originalInitialValue->SerializeToString(information.checker);
            }
        }
        if (!type.HasParent()) {
            return false;
        }
    }
}

} // namespace

/// Notes that an attribute has been set.
class TransferApplication::NotedAccessor : public ns3::AttributeAccessor {
  public:
    NotedAccessor(std::string name, Ptr<const ns3::AttributeAccessor> accessor)
        : m_name(std::move(name)), m_accessor(std::move(accessor)) {}
    bool Set(ns3::ObjectBase* object, const ns3::AttributeValue& value) const override {
        const bool taken = m_accessor->Set(object, value);
        if (auto* application = dynamic_cast<TransferApplication*>(object); taken && application) {
            application->m_set.insert(m_name);
        }
        return taken;
    }
    bool Get(const ns3::ObjectBase* object, ns3::AttributeValue& value) const override {
        return m_accessor->Get(object, value);
    }
    bool HasGetter() const override { return m_accessor->HasGetter(); }
    bool HasSetter() const override { return m_accessor->HasSetter(); }

  private:
    std::string m_name;
    Ptr<const ns3::AttributeAccessor> m_accessor;
};

NS_OBJECT_ENSURE_REGISTERED(TransferApplication);

ns3::TypeId TransferApplication::GetTypeId() {
    using T = TransferApplication;
    using ns3::MakeTimeAccessor;
    using ns3::MakeTimeChecker;
    using ns3::MakeUintegerAccessor;
    using ns3::MakeUintegerChecker;
    using ns3::TimeValue;
    const auto noted = [](const char* name, Ptr<const ns3::AttributeAccessor> accessor) {
        return Ptr<const ns3::AttributeAccessor>(ns3::Create<NotedAccessor>(name, accessor));
    };
    static const ns3::TypeId tid =
        ns3::TypeId("edgelam::TransferApplication")
            .SetParent<ns3::Application>()
            .SetGroupName("Edgelam")
            .AddConstructor<T>()
            .AddAttribute("Name", "The node's name, for messages", ns3::StringValue("node"),
                          ns3::MakeStringAccessor(&T::m_name), ns3::MakeStringChecker())
            .AddAttribute("Address", "The address at which other nodes reach this one", ns3::Ipv4AddressValue(),
                          ns3::MakeIpv4AddressAccessor(&T::m_address), ns3::MakeIpv4AddressChecker())
            .AddAttribute("Port", "TCP and UDP port to receive at", UintegerValue(5001),
                          MakeUintegerAccessor(&T::m_port), MakeUintegerChecker<std::uint16_t>(1))
            .AddAttribute("SegmentSize", "Payload of TCP segments, bytes", UintegerValue(1400),
                          noted("SegmentSize", MakeUintegerAccessor(&T::m_segmentBytes)),
                          MakeUintegerChecker<std::uint32_t>(64, 65000))
            .AddAttribute("SndBufSize", "TCP send buffer, bytes; holds data that is sent and not acknowledged",
                          UintegerValue(16 << 20), noted("SndBufSize", MakeUintegerAccessor(&T::m_sendBufferBytes)),
                          MakeUintegerChecker<std::uint32_t>(4096, 1 << 30))
            .AddAttribute("RcvBufSize", "TCP receive buffer, bytes; the largest window that it can announce",
                          UintegerValue(16 << 20), noted("RcvBufSize", MakeUintegerAccessor(&T::m_receiveBufferBytes)),
                          MakeUintegerChecker<std::uint32_t>(4096, 1 << 30))
            .AddAttribute("InitialCwnd", "TCP initial congestion window, segments (RFC 6928)", UintegerValue(10),
                          noted("InitialCwnd", MakeUintegerAccessor(&T::m_initialWindow)),
                          MakeUintegerChecker<std::uint32_t>(1, 1000))
            .AddAttribute("NotSentLowWater",
                          "Bytes passed to the TCP socket ahead of what it has sent; the rest can still be withdrawn",
                          UintegerValue(128 << 10), MakeUintegerAccessor(&T::m_notSentBytes),
                          MakeUintegerChecker<std::uint32_t>(4096))
            .AddAttribute(
                "CongestionControl", "TypeId of the TCP congestion control",
                ns3::TypeIdValue(ns3::TcpCubic::GetTypeId()),
                noted("CongestionControl", ns3::MakeTypeIdAccessor(&T::SetCongestionControl, &T::GetCongestionControl)),
                ns3::MakeTypeIdChecker())
            .AddAttribute("DelAckTimeout",
                          "How long the acknowledgement of a single TCP segment may wait for a second one, s; short, "
                          "so that the end of a transfer is acknowledged at once (as with TCP_QUICKACK)",
                          TimeValue(ns3::MilliSeconds(1)), noted("DelAckTimeout", MakeTimeAccessor(&T::m_delayedAck)),
                          MakeTimeChecker(ns3::MicroSeconds(1)))
            .AddAttribute("MinRto", "Smallest TCP retransmission time-out, s (200 ms as on Linux)",
                          TimeValue(ns3::MilliSeconds(200)), noted("MinRto", MakeTimeAccessor(&T::m_minRto)),
                          MakeTimeChecker(ns3::MilliSeconds(1)))
            .AddAttribute(
                "ConnTimeout",
                "How long the first try to set up a TCP connection may take, s; it doubles with each further try, "
                "until about a minute has passed (1 s: RFC 6298)",
                TimeValue(ns3::Seconds(1)), noted("ConnTimeout", MakeTimeAccessor(&T::m_connectTimeout)),
                MakeTimeChecker(ns3::MilliSeconds(1)))
            .AddAttribute("DataRetries", "TCP retransmissions of one segment before the connection is given up",
                          UintegerValue(15), noted("DataRetries", MakeUintegerAccessor(&T::m_dataRetries)),
                          MakeUintegerChecker<std::uint32_t>(1))
            .AddAttribute("DatagramSize", "Payload of UDP datagrams, bytes", UintegerValue(1400),
                          noted("DatagramSize", MakeUintegerAccessor(&T::m_datagramBytes)),
                          MakeUintegerChecker<std::uint32_t>(64, 65000))
            .AddAttribute("UdpRate", "Pace of UDP transfers without a rate of their own, bit/s of payload",
                          ns3::DataRateValue(ns3::DataRate("10Mbps")),
                          noted("UdpRate", ns3::MakeDataRateAccessor(&T::m_udpRate)), ns3::MakeDataRateChecker())
            .AddAttribute("Joined",
                          "TCP segments of SegmentSize, or datagrams of DatagramSize, that cross the network as one "
                          "packet, as with segmentation offload; the network must take packets so large",
                          UintegerValue(1), noted("Joined", MakeUintegerAccessor(&T::m_joined)),
                          MakeUintegerChecker<std::uint32_t>(1, most_joined))
            .AddTraceSource("TransferQueued", "A transfer has begun, at each receiver",
                            ns3::MakeTraceSourceAccessor(&T::m_queuedTrace),
                            "edgelam::TransferApplication::TransferTracedCallback")
            .AddTraceSource("TransferEnded", "A transfer from this node has ended at one receiver; see its record",
                            ns3::MakeTraceSourceAccessor(&T::m_endedTrace),
                            "edgelam::TransferApplication::TransferTracedCallback");
    return tid;
}

void TransferApplication::NotifyConstructionCompleted() {
    Application::NotifyConstructionCompleted();
    std::erase_if(m_set, [this](const std::string& attribute) { return !HasChangedDefault(*this, attribute); });
}

void TransferApplication::Suggest(const std::string& attribute, const ns3::AttributeValue& value) {
    if (!IsSet(attribute)) {
        NS_LOG_INFO(m_name << ": the scenario suggests " << attribute);
        SetAttribute(attribute, value);
        m_set.erase(attribute);
    }
}

/// What CUBIC counts in segments, or in acknowledgements (of two of them, or one of those that are joined), is as much
/// as before in bytes.
void TransferApplication::ScaleCongestionControl(const Socket& socket) const {
    ns3::PointerValue pointer;
    socket.GetAttribute("CongestionOps", pointer);
    const auto cubic = ns3::DynamicCast<ns3::TcpCubic>(pointer.GetObject());
    if (!cubic) {
        return;
    }
    const auto scale = [&](const char* attribute, double factor) {
        if (HasChangedDefault(*cubic, attribute)) {
            return;
        }
        if (ns3::UintegerValue whole; cubic->GetAttributeFailSafe(attribute, whole)) {
            const double scaled = std::round(factor * static_cast<double>(whole.Get()));
            cubic->SetAttribute(attribute, UintegerValue(static_cast<std::uint64_t>(std::max(1.0, scaled))));
        } else if (ns3::TimeValue time; cubic->GetAttributeFailSafe(attribute, time)) {
            cubic->SetAttribute(attribute, ns3::TimeValue(ns3::Seconds(factor * time.Get().GetSeconds())));
        } else if (ns3::DoubleValue real; cubic->GetAttributeFailSafe(attribute, real)) {
            cubic->SetAttribute(attribute, ns3::DoubleValue(factor * real.Get()));
        }
    };
    scale("HyStartLowWindow", 1.0 / m_joined);
    scale("HyStartMinSamples", 2.0 / m_joined);
    scale("C", 1.0 / m_joined);
}

Ptr<Socket> TransferApplication::MakeTcpSocket() const {
    const auto tcp = GetNode()->GetObject<ns3::TcpL4Protocol>();
    const Ptr<Socket> socket =
        IsSet("CongestionControl") ? tcp->CreateSocket(m_congestionControl) : tcp->CreateSocket(); // the node's
    const auto set = [&](const char* attribute, const ns3::AttributeValue& value) {
        if (IsSet(attribute) || !HasChangedDefault(*socket, attribute)) {
            socket->SetAttribute(attribute, value);
        } else {
            NS_LOG_LOGIC(m_name << ": " << attribute
                                << " of its TCP socket keeps the default that the program has set");
        }
    };
    set("SegmentSize", UintegerValue(m_joined * m_segmentBytes));
    set("SndBufSize", UintegerValue(m_sendBufferBytes));
    set("RcvBufSize", UintegerValue(m_receiveBufferBytes));
    set("InitialCwnd", UintegerValue(std::max(1U, (m_initialWindow + m_joined / 2) / m_joined)));
    set("DelAckTimeout", ns3::TimeValue(m_delayedAck));
    set("MinRto", ns3::TimeValue(m_minRto));
    set("DataRetries", UintegerValue(m_dataRetries));
    set("ConnTimeout", ns3::TimeValue(m_connectTimeout));
    if (m_joined > 1) {
        set("DelAckCount", UintegerValue(1)); // an acknowledgement for two of them would come late
        ScaleCongestionControl(*socket);
    }
    ns3::TimeValue connectTimeout;
    socket->GetAttribute("ConnTimeout", connectTimeout);
    const double doublings = std::log2(connect_patience_s / connectTimeout.Get().GetSeconds());
    set("ConnCount", UintegerValue(static_cast<std::uint64_t>(std::max(doublings, 1.0))));
    return socket;
}

Ptr<Socket> TransferApplication::MakePacedTcpSocket() const {
    // The ratio is an attribute of the socket's state, which is made with the socket: it is reached by its default.
    ns3::TypeId state = ns3::TcpSocketState::GetTypeId();
    std::size_t ratio = 0;
    while (state.GetAttribute(ratio).name != "PacingSsRatio") {
        ++ratio;
    }
    const auto attribute = state.GetAttribute(ratio);
    if (attribute.initialValue == attribute.originalInitialValue) { // nobody has set it
        state.SetAttributeInitialValue(ratio, ns3::Create<UintegerValue>(pacing_while_a_window_grows));
    }
    const auto socket = MakeTcpSocket();
    state.SetAttributeInitialValue(ratio, attribute.initialValue);
    ns3::DynamicCast<ns3::TcpSocketBase>(socket)->SetPacingStatus(true);
    return socket;
}

void TransferApplication::SetCongestionControl(ns3::TypeId type) {
    if (!type.IsChildOf(ns3::TcpCongestionOps::GetTypeId()) || !type.HasConstructor()) {
        throw std::invalid_argument("transfer application: CongestionControl " + type.GetName() +
                                    "; legal are the congestion controls of ns-3, as ns3::TcpCubic");
    }
    m_congestionControl = type;
}

} // namespace edgelam
