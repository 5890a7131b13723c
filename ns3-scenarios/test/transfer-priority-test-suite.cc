// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The class of traffic of a transfer: on every packet that carries it, and in a queue that looks at it.

#include "testbed.h"

#include <map>

#include "ns3/fifo-queue-disc.h"
#include "ns3/ipv4-header.h"
#include "ns3/ipv4-l3-protocol.h"
#include "ns3/ipv4-packet-filter.h"
#include "ns3/ipv4-queue-disc-item.h"
#include "ns3/prio-queue-disc.h"
#include "ns3/tcp-header.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/traffic-control-helper.h"

using namespace edgelam;
using namespace edgelam::test;
using bridge::TransferStatus;
using ns3::Ptr;
using ns3::TestCase;

namespace {

constexpr auto complete = static_cast<std::int32_t>(TransferStatus::complete);

TransferSpec With(TransferSpec spec, std::uint32_t priority) {
    spec.priority = priority;
    return spec;
}

/// What the nodes of a test bed send, by node and DSCP.
class Watch {
  public:
    explicit Watch(const Testbed& bed) : packets(bed.nodes.size()) {
        for (std::size_t i = 0; i < bed.nodes.size(); ++i) {
            bed.nodes[i]->GetNode()->GetObject<ns3::Ipv4L3Protocol>()->TraceConnectWithoutContext(
                "Tx",
                ns3::Callback<void, Ptr<const ns3::Packet>, Ptr<ns3::Ipv4>, std::uint32_t>(
                    [this, i](Ptr<const ns3::Packet> packet, Ptr<ns3::Ipv4>, std::uint32_t) { Sent(i, *packet); }));
        }
    }
    std::vector<std::map<int, std::uint32_t>> packets; ///< [node] DSCP -> how many
    std::vector<int> opened;                           ///< DSCP of each segment with SYN, in the order of sending

  private:
    void Sent(std::size_t node, const ns3::Packet& packet) {
        const auto copy = packet.Copy();
        ns3::Ipv4Header ip;
        copy->RemoveHeader(ip);
        ++packets[node][ip.GetDscp()];
        ns3::TcpHeader tcp;
        if (ip.GetProtocol() == ns3::TcpL4Protocol::PROT_NUMBER && copy->PeekHeader(tcp) > 0 &&
            (tcp.GetFlags() & ns3::TcpHeader::SYN)) {
            opened.push_back(ip.GetDscp());
        }
    }
};

using Counts = std::map<int, std::uint32_t>;

/// Both directions of a connection, the handshake too; then one of no priority, whose packets have none.
void TcpPackets(Case& test) {
    Testbed bed(2);
    const Watch watch(bed);
    bed.SendAt(0.1, 0, {1}, With(Tcp(1, 100'000), 5));
    ns3::Simulator::Schedule(ns3::Seconds(1), [&] {
        test.True(watch.packets[0].size() == 1 && watch.packets[0].at(40) > 72, "every segment: DSCP 40");
        test.True(watch.packets[1].size() == 1 && watch.packets[1].at(40) > 30, "every acknowledgement too");
    });
    bed.SendAt(1.1, 0, {1}, Tcp(2, 100'000));
    bed.Run(2);
    test.Equal(Record(bed, 0).status, complete, "with");
    test.Equal(Record(bed, 1).status, complete, "without");
    test.Equal(watch.packets[0].size(), 2u, "40 and 0");
    test.Equal(watch.packets[1].size(), 2u, "40 and 0");
    test.True(watch.opened == std::vector<int>{40, 40, 0, 0}, "two connections, answered with what they asked");
}

/// Flows side by side share a socket, but each has its own class.
void UdpPackets(Case& test) {
    Testbed bed(3);
    const Watch watch(bed);
    bed.SendAt(0.1, 0, {1}, With(Udp(1, 14'000, 1'000'000), 7));
    bed.SendAt(0.1, 0, {1, 2}, Udp(2, 28'000, 1'000'000));
    bed.SendAt(0.1, 0, {2}, With(Udp(3, 4200, 1'000'000), 1));
    bed.SendAt(0.1, 1, {0}, With(Udp(1, 1400, 1'000'000), 2)); // the same number as a flow of node 0
    bed.Run(2);
    test.True(watch.packets[0] == Counts{{0, 40}, {8, 3}, {56, 10}}, "each datagram has its flow's class");
    test.True(watch.packets[1] == Counts{{16, 1}}, "from another node");
    for (std::size_t i = 0; i < 4; ++i) {
        test.Equal(Record(bed, i).status, complete, "arrives");
    }
}

void None(Case& test) {
    Testbed bed(2);
    const Watch watch(bed);
    bed.SendAt(0.1, 0, {1}, Tcp(1, 100'000));
    bed.SendAt(0.1, 1, {0}, Udp(2, 100'000, 1'000'000));
    bed.Run(2);
    for (const auto& packets : watch.packets) {
        test.True(packets.size() == 1 && packets.contains(0), "without a priority there is no DSCP");
    }
}

/// A transfer does not wait behind one of another priority, and each can be withdrawn.
void Connections(Case& test) {
    Testbed bed(2);
    bed.SendAt(0.1, 0, {1}, With(Tcp(1, 100'000'000), 1)); // 80 s
    bed.SendAt(0.1, 0, {1}, With(Tcp(2, 1000), 1));
    bed.SendAt(0.1, 0, {1}, With(Tcp(3, 1000), 2));
    ns3::Simulator::Schedule(ns3::Seconds(1), [&] { bed.nodes[0]->Cancel(*bed.transfers[0]); });
    bed.Run(20);
    test.True(bed.delivered == std::vector<std::uint64_t>{3, 2}, "the third beside the first, the second after it");
    test.Equal(Record(bed, 0).status, static_cast<std::int32_t>(TransferStatus::cancelled), "withdrawn");
    test.True(Record(bed, 2).last_byte_ns < 1'000'000'000, "before that");
}

/// Packets with a class selector come into the first band of a PrioQueueDisc, others into the second.
class ClassFilter : public ns3::Ipv4PacketFilter {
  private:
    std::int32_t DoClassify(Ptr<ns3::QueueDiscItem> item) const override {
        return ns3::DynamicCast<ns3::Ipv4QueueDiscItem>(item)->GetHeader().GetDscp() >= ns3::Ipv4Header::DSCP_CS1 ? 0
                                                                                                                  : 1;
    }
};

/// How long 10 datagrams take that start when a flow of twice the link's rate has run for half a second.
std::int64_t BesideAnother(std::uint32_t priority, Case& test) {
    ns3::NodeContainer pair;
    pair.Create(2);
    ns3::InternetStackHelper().Install(pair);
    ns3::PointToPointHelper link;
    link.SetDeviceAttribute("DataRate", ns3::StringValue("10Mbps"));
    link.SetChannelAttribute("Delay", ns3::StringValue("1ms"));
    link.SetQueue("ns3::DropTailQueue", "MaxSize", ns3::StringValue("1p"));
    const auto devices = link.Install(pair);
    ns3::TrafficControlHelper control;
    control.SetRootQueueDisc("ns3::PrioQueueDisc");
    control.Install(devices).Get(0)->AddPacketFilter(ns3::CreateObject<ClassFilter>());
    const auto interfaces = ns3::Ipv4AddressHelper("10.0.0.0", "255.255.255.252").Assign(devices);
    std::vector<Ptr<TransferApplication>> ends;
    for (std::uint32_t i = 0; i < 2; ++i) {
        auto application = ns3::CreateObject<TransferApplication>();
        application->SetAttribute("Address", ns3::Ipv4AddressValue(interfaces.GetAddress(i)));
        pair.Get(i)->AddApplication(application);
        ends.push_back(application);
    }
    Ptr<Transfer> timed;
    const auto nothing = [](Transfer&, std::size_t) {};
    ns3::Simulator::Schedule(ns3::Seconds(0.1),
                             [&] { ends[0]->Send(Udp(1, 1'400'000, 20'000'000), {ends[1]}, nothing, nothing); });
    ns3::Simulator::Schedule(ns3::Seconds(0.6), [&] {
        timed = ends[0]->Send(With(Udp(2, 14'000, 1'000'000), priority), {ends[1]}, nothing, nothing);
    });
    ns3::Simulator::Stop(ns3::Seconds(4));
    ns3::Simulator::Run();
    const auto record = timed->shares[0].record;
    ns3::Simulator::Destroy();
    test.Equal(record.status, complete, "status");
    return record.last_byte_ns - record.queued_ns;
}

/// The last datagram leaves 9 * 11.2 ms after the first. With a class it waits for at most two packets of the others,
/// one that is being sent and one in the device (1.144 ms each); without, for the 250 ms of what has come too fast.
void PriorityQueue(Case& test) {
    const std::int64_t alone = 9 * 11'200'000 + 1'144'000 + 1'000'000;
    const auto with = BesideAnother(5, test), without = BesideAnother(0, test);
    test.True(with >= alone && with <= alone + 2 * 1'144'000, "a class goes first");
    test.True(without > alone + 200'000'000, "without it waits for its turn");
}

void Refusals(Case& test) {
    Testbed bed(2);
    const auto has = [&](const TransferSpec& spec, const std::string& text) {
        const std::string reason = bed.nodes[0]->Refusal(spec, {bed.nodes[1]});
        test.True(reason.find(text) != std::string::npos, "'" + reason + "' should say '" + text + "'");
    };
    test.Equal(bed.nodes[0]->Refusal(With(Tcp(1, 1), 7), {bed.nodes[1]}), "", "legal");
    has(With(Tcp(1, 1), 8), "priority 8; a class of traffic is 0 (none) to 7");
    has(With(Udp(1, 1, 0), 4294967295), "priority 4294967295;");
    TransferSpec unknown = Tcp(1, 1);
    unknown.protocol = static_cast<bridge::TransferProtocol>(3);
    has(unknown, "there are 0 (ideal), 1 (tcp) and 2 (udp)");
}

class TransferPriorityTestSuite : public ns3::TestSuite {
  public:
    TransferPriorityTestSuite() : TestSuite("edgelam-transfer-priority", Type::UNIT) {
        const std::vector<std::pair<const char*, void (*)(Case&)>> cases{
            {"tcp packets", TcpPackets},  {"udp packets", UdpPackets},         {"none", None},
            {"connections", Connections}, {"a priority queue", PriorityQueue}, {"refusals", Refusals}};
        for (const auto& [name, body] : cases) {
            AddTestCase(new Case(name, body), TestCase::Duration::QUICK);
        }
    }
};

const TransferPriorityTestSuite g_transferPriorityTestSuite;

} // namespace
