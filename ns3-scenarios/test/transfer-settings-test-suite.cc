// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Which settings transfers follow, seen from the packets and from the sockets; and who takes their ports.

#include "testbed.h"

#include "ns3/boolean.h"
#include "ns3/config.h"
#include "ns3/inet-socket-address.h"
#include "ns3/packet-sink.h"
#include "ns3/packet.h"
#include "ns3/point-to-point-net-device.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/tcp-socket-factory.h"
#include "ns3/udp-server.h"
#include "ns3/udp-socket-factory.h"

using namespace edgelam;
using namespace edgelam::test;
using bridge::TransferStatus;
using ns3::StringValue;
using ns3::UintegerValue;
using ns3::Config::SetDefault;

namespace {

constexpr auto complete = static_cast<std::int32_t>(TransferStatus::complete);
constexpr std::uint32_t headers = 20 + 32 + 2; ///< IPv4, TCP with time stamps, PPP

/// Defaults hold for the whole process: what a case has set goes with it.
struct Defaults {
    ~Defaults() { ns3::Config::Reset(); }
};

/// What one transfer of 300 kB from node 0 to node 1 was like, with its 150th segment lost.
struct Trace {
    std::vector<std::uint32_t> cwnd; ///< bytes, at every change
    std::uint32_t largest = 0;       ///< packet, bytes
    std::int64_t acknowledgedNs = 0;
    std::int32_t status = -1;
};

Trace Run(const std::function<void(Testbed&)>& set) {
    Testbed bed(2);
    set(bed);
    auto model = ns3::CreateObject<ns3::ReceiveListErrorModel>();
    model->SetList({150});
    ns3::DynamicCast<ns3::PointToPointNetDevice>(bed.hubDevices[0])->SetReceiveErrorModel(model);
    Trace trace;
    bed.devices[0]->TraceConnectWithoutContext(
        "PhyTxEnd", ns3::Callback<void, ns3::Ptr<const ns3::Packet>>([&](ns3::Ptr<const ns3::Packet> packet) {
            trace.largest = std::max(trace.largest, packet->GetSize());
        }));
    bed.SendAt(0.1, 0, {1}, Tcp(1, 300'000));
    ns3::Simulator::Schedule(ns3::Seconds(0.101), [&] { // the second socket: the first listens
        const std::string path = "/NodeList/" + std::to_string(bed.nodes[0]->GetNode()->GetId());
        ns3::Config::ConnectWithoutContext(path + "/$ns3::TcpL4Protocol/SocketList/1/CongestionWindow",
                                           ns3::Callback<void, std::uint32_t, std::uint32_t>(
                                               [&](std::uint32_t, std::uint32_t now) { trace.cwnd.push_back(now); }));
    });
    bed.Run(60);
    trace.acknowledgedNs = Record(bed, 0).acknowledged_ns;
    trace.status = Record(bed, 0).status;
    return trace;
}

Trace RunWithDefault(const std::string& attribute, const ns3::AttributeValue& value) {
    const Defaults defaults;
    SetDefault(attribute, value);
    return Run([](Testbed&) {});
}

Trace RunWithAttribute(const std::string& attribute, const ns3::AttributeValue& value) {
    return Run([&](Testbed& bed) {
        for (const auto& node : bed.nodes) {
            node->SetAttribute(attribute, value);
        }
    });
}

/// Each congestion control has a window of its own, and the same one however it is set.
void CongestionControl(Case& test) {
    std::vector<std::vector<std::uint32_t>> windows;
    for (const char* name : {"ns3::TcpCubic", "ns3::TcpLinuxReno", "ns3::TcpBbr", "ns3::TcpVegas"}) {
        const Trace byDefault = RunWithDefault("ns3::TcpL4Protocol::SocketType", StringValue(name));
        const Trace byNode =
            Run([&](Testbed&) { ns3::Config::Set("/NodeList/*/$ns3::TcpL4Protocol/SocketType", StringValue(name)); });
        const Trace byUs = RunWithAttribute("CongestionControl", StringValue(name));
        test.Equal(byDefault.status, complete, name);
        test.True(byDefault.cwnd.size() > 20, "a window that moves");
        test.True(byDefault.cwnd == byUs.cwnd && byDefault.acknowledgedNs == byUs.acknowledgedNs, "default as ours");
        test.True(byNode.cwnd == byUs.cwnd && byNode.acknowledgedNs == byUs.acknowledgedNs, "node's as ours");
        for (const auto& other : windows) {
            test.True(other != byDefault.cwnd, std::string(name) + " is another than those before");
        }
        windows.push_back(byDefault.cwnd);
    }
    test.True(Run([](Testbed&) {}).cwnd == windows[0], "nobody says anything: CUBIC");
}

/// What one node's TCP is set to is that node's only.
void OneNode(Case& test) {
    const auto only = [](std::size_t i) {
        return Run([i](Testbed& bed) {
            ns3::Config::Set("/NodeList/" + std::to_string(bed.nodes[i]->GetNode()->GetId()) +
                                 "/$ns3::TcpL4Protocol/SocketType",
                             StringValue("ns3::TcpBbr"));
        });
    };
    const Trace cubic = Run([](Testbed&) {}), sender = only(0), receiver = only(1);
    test.True(receiver.cwnd == cubic.cwnd, "the receiver's congestion control does nothing here");
    test.True(sender.cwnd != cubic.cwnd, "the sender's does");
}

void SegmentSize(Case& test) {
    test.Equal(Run([](Testbed&) {}).largest, 1400 + headers, "nobody says anything");
    test.Equal(RunWithDefault("ns3::TcpSocket::SegmentSize", UintegerValue(500)).largest, 500 + headers,
               "in ns-3's way");
    test.Equal(RunWithDefault("ns3::TcpSocket::SegmentSize", UintegerValue(536)).largest, 536 + headers,
               "also the value that ns-3 has");
    test.Equal(RunWithAttribute("SegmentSize", UintegerValue(600)).largest, 600 + headers, "in ours");
    const Defaults defaults;
    SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(500));
    test.Equal(RunWithAttribute("SegmentSize", UintegerValue(1400)).largest, 1400 + headers,
               "ours goes first, also with the value it had");
    SetDefault("edgelam::TransferApplication::SegmentSize", UintegerValue(700));
    test.Equal(Run([](Testbed&) {}).largest, 700 + headers, "so does its default");
}

/// Every attribute of a socket that transfers have a value of their own for.
void EverySetting(Case& test) {
    const std::vector<std::array<const char*, 3>> settings{
        {"ns3::TcpSocket", "SegmentSize", "777"},        {"ns3::TcpSocket", "SndBufSize", "55555"},
        {"ns3::TcpSocket", "RcvBufSize", "44444"},       {"ns3::TcpSocket", "InitialCwnd", "3"},
        {"ns3::TcpSocket", "DelAckTimeout", "+7e+06ns"}, {"ns3::TcpSocket", "DataRetries", "9"},
        {"ns3::TcpSocket", "ConnTimeout", "+5e+08ns"},   {"ns3::TcpSocket", "ConnCount", "2"},
        {"ns3::TcpSocketBase", "MinRto", "+3e+08ns"},    {"ns3::TcpSocketBase", "Sack", "false"},
        {"ns3::TcpSocket", "TcpNoDelay", "false"}};
    const auto of = [](Testbed& bed, const char* attribute) {
        StringValue value;
        bed.nodes[0]->MakeTcpSocket()->GetAttribute(attribute, value);
        return value.Get();
    };
    for (const auto& [type, attribute, value] : settings) {
        std::string before;
        {
            Testbed bed(1);
            before = of(bed, attribute);
        }
        test.True(before != value, std::string(attribute) + " is another otherwise");
        const Defaults defaults;
        SetDefault(std::string(type) + "::" + attribute, StringValue(value));
        Testbed bed(1);
        test.Equal(of(bed, attribute), value, attribute);
    }
    const Defaults defaults;
    SetDefault("ns3::TcpSocket::ConnTimeout", ns3::TimeValue(ns3::Seconds(15)));
    Testbed bed(1);
    test.Equal(of(bed, "ConnCount"), "2", "as many tries as take a minute: 15 and 30 s");
}

void Suggestions(Case& test) {
    const auto sendBuffer = [](Testbed& bed) {
        UintegerValue value;
        bed.nodes[0]->MakeTcpSocket()->GetAttribute("SndBufSize", value);
        return value.Get();
    };
    const auto suggest = [](Testbed& bed) { bed.nodes[0]->Suggest("SndBufSize", UintegerValue(100'000)); };
    {
        Testbed bed(1);
        test.Equal(sendBuffer(bed), 16u << 20, "nobody says anything");
        suggest(bed);
        test.Equal(sendBuffer(bed), 100'000u, "a suggestion");
        bed.nodes[0]->SetAttribute("SndBufSize", UintegerValue(200'000));
        suggest(bed);
        test.Equal(sendBuffer(bed), 200'000u, "an attribute that is set goes before a suggestion");
    }
    const Defaults defaults;
    SetDefault("ns3::TcpSocket::SndBufSize", UintegerValue(50'000));
    {
        Testbed bed(1);
        suggest(bed);
        test.Equal(sendBuffer(bed), 50'000u, "so does ns-3's way");
    }
    SetDefault("edgelam::TransferApplication::SndBufSize", UintegerValue(60'000));
    Testbed bed(1);
    suggest(bed);
    test.Equal(sendBuffer(bed), 60'000u, "and a default of ours before both");
}

/// A buffer that holds less than a segment, and one that changes its size while a transfer runs.
void Buffers(Case& test) {
    const Trace tiny = RunWithDefault("ns3::TcpSocket::SndBufSize", UintegerValue(1000));
    test.Equal(tiny.status, complete, "arrives");
    test.Equal(tiny.largest, 1000 + headers, "in what the buffer holds");
    const Trace changed = Run([](Testbed&) {
        for (const auto& [seconds, bytes] : {std::pair{0.15, 40'000u}, std::pair{0.2, 9'000'000u}}) {
            ns3::Simulator::Schedule(ns3::Seconds(seconds), [bytes] {
                ns3::Config::Set("/NodeList/*/$ns3::TcpL4Protocol/SocketList/*/SndBufSize", UintegerValue(bytes));
            });
        }
    });
    test.Equal(changed.status, complete, "arrives");
    const double seconds = static_cast<double>(changed.acknowledgedNs) * 1e-9 - 0.1;
    test.True(seconds > 300e3 * 8 / 10e6, "and is not acknowledged before it has been sent");
    bool refused = false;
    const Defaults defaults;
    SetDefault("ns3::TcpSocket::RcvBufSize", UintegerValue(1000));
    try {
        Run([](Testbed&) {});
    } catch (const std::invalid_argument& error) {
        refused =
            std::string(error.what()).find("segments of 1400 bytes and a receive buffer of 1000") != std::string::npos;
    }
    test.True(refused, "a window that lets no segment in is refused");
}

std::string SinkConflict(const char* factory, const ns3::Address& local) {
    Testbed bed(2);
    auto sink = ns3::CreateObject<ns3::PacketSink>();
    sink->SetAttribute("Protocol", StringValue(factory));
    sink->SetAttribute("Local", ns3::AddressValue(local));
    sink->SetStartTime(ns3::Seconds(3));
    bed.nodes[1]->GetNode()->AddApplication(sink);
    return bed.nodes[1]->PortConflict();
}

void Ports(Case& test) {
    const auto any = ns3::Ipv4Address::GetAny();
    for (const char* factory : {"ns3::TcpSocketFactory", "ns3::UdpSocketFactory"}) {
        for (const auto& address : {any, ns3::Ipv4Address("10.0.0.5")}) {
            const std::string text = SinkConflict(factory, ns3::InetSocketAddress(address, 5001));
            for (const std::string part :
                 {"node 'node1'", "port 5001", "ns3::PacketSink", factory, "edgelam::TransferApplication::Port"}) {
                test.True(text.find(part) != std::string::npos, "'" + text + "' should say '" + part + "'");
            }
        }
        test.Equal(SinkConflict(factory, ns3::InetSocketAddress(any, 5002)), "", "another port");
    }
    {
        Testbed bed(1);
        auto server = ns3::CreateObject<ns3::UdpServer>();
        server->SetAttribute("Port", UintegerValue(5001));
        bed.nodes[0]->GetNode()->AddApplication(server);
        test.True(bed.nodes[0]->PortConflict().find("ns3::UdpServer") != std::string::npos, "a port of its own");
        bed.nodes[0]->SetAttribute("Port", UintegerValue(6001));
        test.Equal(bed.nodes[0]->PortConflict(), "", "the transfers' is another");
    }
    for (const auto& [factory, kind] :
         {std::pair{ns3::TcpSocketFactory::GetTypeId(), "TCP"}, std::pair{ns3::UdpSocketFactory::GetTypeId(), "UDP"}}) {
        for (const auto& address : {any, ns3::Ipv4Address("10.0.0.1")}) {
            Testbed bed(1);
            test.Equal(bed.nodes[0]->PortConflict(), "", "nothing there");
            const auto socket = ns3::Socket::CreateSocket(bed.nodes[0]->GetNode(), factory);
            socket->Bind(ns3::InetSocketAddress(address, 5001));
            const std::string text = bed.nodes[0]->PortConflict();
            test.True(text.find("a " + std::string(kind) + " socket") != std::string::npos, "'" + text + "'");
        }
    }
    Testbed bed(1); // a socket that comes after the check, and before the transfers'
    ns3::Simulator::ScheduleNow([&] {
        ns3::Socket::CreateSocket(bed.nodes[0]->GetNode(), ns3::UdpSocketFactory::GetTypeId())
            ->Bind(ns3::InetSocketAddress(any, 5001));
    });
    bed.nodes[0]->SetStartTime(ns3::Seconds(0.1));
    std::string text;
    try {
        bed.Run(1);
    } catch (const std::invalid_argument& error) {
        text = error.what();
    }
    test.True(text.find("node 'node0': port 5001") != std::string::npos, "'" + text + "'");
}

/// A multicast group has one port: receivers with several get a copy each.
void PortsOfSeveral(Case& test) {
    Testbed bed(3);
    bed.nodes[2]->SetAttribute("Port", UintegerValue(6001));
    bool asked = false;
    bed.nodes[0]->SetGroupFunction([&](const auto&, const auto&) {
        asked = true;
        return nullptr;
    });
    bed.SendAt(0.1, 0, {1, 2}, Udp(1, 10'000, 1'000'000));
    bed.Run(5);
    test.True(!asked, "no group is asked for");
    for (std::size_t share = 0; share < 2; ++share) {
        test.Equal(Record(bed, 0, share).status, complete, "arrives");
    }
}

class TransferSettingsTestSuite : public ns3::TestSuite {
  public:
    TransferSettingsTestSuite() : TestSuite("edgelam-transfer-settings", Type::UNIT) {
        const std::vector<std::pair<const char*, void (*)(Case&)>> cases{
            {"congestion control", CongestionControl},
            {"one node's congestion control", OneNode},
            {"segment size", SegmentSize},
            {"every setting of a socket", EverySetting},
            {"suggestions", Suggestions},
            {"buffers", Buffers},
            {"ports that are taken", Ports},
            {"ports of several receivers", PortsOfSeveral}};
        for (const auto& [name, body] : cases) {
            AddTestCase(new Case(name, body), ns3::TestCase::Duration::QUICK);
        }
    }
};

const TransferSettingsTestSuite g_transferSettingsTestSuite;

} // namespace
