// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Transfers over a small network, against numbers worked out by hand.

#include "testbed.h"

#include "ns3/point-to-point-net-device.h"

using namespace edgelam;
using namespace edgelam::test;
using bridge::TransferStatus;
using ns3::TestCase;

namespace {

constexpr auto complete = static_cast<std::int32_t>(TransferStatus::complete);

/// 100 datagrams of 1400 bytes at 5 Mb/s: the last leaves 99 * 2.24 ms after the first, then crosses two links of
/// 1 ms and 1430 bytes / 10 Mb/s = 1.144 ms each.
void UdpTime(Case& test) {
    Testbed bed(2);
    bed.SendAt(0.1, 0, {1}, Udp(1, 140'000, 5'000'000));
    bed.Run(2);
    const auto& r = Record(bed, 0);
    test.Equal(r.status, complete, "status");
    test.Equal(r.first_byte_ns - r.queued_ns, 4'288'000, "first byte: two links");
    test.Equal(r.last_byte_ns - r.queued_ns, 99 * 2'240'000 + 4'288'000, "last byte");
    test.Equal(r.acknowledged_ns, r.last_byte_ns, "no acknowledgement in udp");
}

/// 1 MB at 10 Mb/s cannot take less than its bytes with 54 bytes of headers on each 1400 (20 IP, 32 TCP, 2 PPP).
void TcpBound(Case& test) {
    Testbed bed(2);
    bed.SendAt(0.1, 0, {1}, Tcp(1, 1'000'000));
    bed.Run(10);
    const auto& r = Record(bed, 0);
    const double seconds = static_cast<double>(r.last_byte_ns - r.queued_ns) * 1e-9;
    const double bound = 1e6 * 1454 / 1400 * 8 / 10e6;
    test.Equal(r.status, complete, "status");
    test.True(seconds > bound, "not below the physical bound");
    test.True(seconds < 1.1 * bound + 0.02, "tuned: within 10 % of it");
    test.True(r.acknowledged_ns > r.last_byte_ns, "acknowledged after it has arrived");
    test.True(r.first_byte_ns > r.queued_ns && r.first_byte_ns < r.last_byte_ns, "order of times");
    test.Equal(r.delivered_bytes, 1'000'000u, "delivered");
}

void TcpFifo(Case& test) {
    Testbed bed(2);
    for (std::uint64_t id = 1; id <= 5; ++id) {
        bed.SendAt(0.1, 0, {1}, Tcp(id, id % 2 ? 50'001 : 3));
    }
    bed.Run(5);
    const std::vector<std::uint64_t> order{1, 2, 3, 4, 5};
    test.True(bed.delivered == order, "delivered in the order of sending");
    test.True(bed.ended == order, "acknowledged in the order of sending");
    for (std::size_t i = 1; i < 5; ++i) {
        test.True(Record(bed, i).last_byte_ns >= Record(bed, i - 1).last_byte_ns, "times do not cross");
    }
}

/// Cancelling frees the connection: the next transfer starts when what was in the socket has crossed.
void CancelTcp(Case& test) {
    Testbed bed(2);
    bed.SendAt(0.1, 0, {1}, Tcp(1, 100'000'000)); // 80 s
    bed.SendAt(0.1, 0, {1}, Tcp(2, 1000));
    bed.SendAt(0.1, 0, {1}, Tcp(3, 1000));
    ns3::Simulator::Schedule(ns3::Seconds(0.5), [&] { bed.nodes[0]->Cancel(*bed.transfers[0]); });
    ns3::Simulator::Schedule(ns3::Seconds(0.5), [&] { bed.nodes[0]->Cancel(*bed.transfers[1]); });
    bed.Run(20);
    test.Equal(Record(bed, 0).status, static_cast<std::int32_t>(TransferStatus::cancelled), "withdrawn");
    test.True(Record(bed, 0).delivered_bytes > 0 && Record(bed, 0).delivered_bytes < 1'000'000, "part has arrived");
    test.Equal(Record(bed, 1).status, static_cast<std::int32_t>(TransferStatus::cancelled), "withdrawn unsent");
    test.Equal(Record(bed, 1).delivered_bytes, 0u, "nothing of it was sent");
    test.Equal(Record(bed, 2).status, complete, "the next one arrives");
    test.True(Record(bed, 2).last_byte_ns < 20'000'000'000, "long before the first would have");
    test.True(bed.delivered == std::vector<std::uint64_t>{3}, "only the third is delivered");
}

/// What the socket has been handed crosses: cancelling changes nothing.
void CancelTooLate(Case& test) {
    Testbed bed(2);
    bed.SendAt(0.1, 0, {1}, Tcp(1, 10'000));
    ns3::Simulator::Schedule(ns3::Seconds(0.106), [&] { bed.nodes[0]->Cancel(*bed.transfers[0]); });
    bed.Run(5);
    test.Equal(Record(bed, 0).status, complete, "arrives all the same");
}

void Deadline(Case& test) {
    Testbed bed(2);
    TransferSpec late = Tcp(1, 10'000'000), early = Tcp(2, 1000), past = Tcp(3, 1000),
                 udp = Udp(4, 10'000'000, 5'000'000);
    late.deadline_ns = udp.deadline_ns = 1'000'000'000;
    early.deadline_ns = 60'000'000'000;
    past.deadline_ns = 50'000'000;
    for (const auto& spec : {late, early, past}) {
        bed.SendAt(0.1, 0, {1}, spec);
    }
    bed.SendAt(0.1, 1, {0}, udp); // the other way: it has the link to itself
    bed.Run(30);
    const auto expired = static_cast<std::int32_t>(TransferStatus::expired);
    test.Equal(Record(bed, 0).status, expired, "tcp");
    test.Equal(Record(bed, 1).status, complete, "in time");
    test.Equal(Record(bed, 2).status, expired, "deadline before the start");
    test.Equal(Record(bed, 2).delivered_bytes, 0u, "never sent");
    test.Equal(Record(bed, 3).status, expired, "udp");
    test.True(Record(bed, 3).delivered_bytes > 500'000 && Record(bed, 3).delivered_bytes < 570'000, "0.9 s at 5 Mb/s");
}

/// Datagrams 3, 4 and 9 of 10 are dropped: two ranges; without the last, udp gives up after give_up_ns.
void LostRanges(Case& test) {
    Testbed bed(2);
    auto model = ns3::CreateObject<ns3::ReceiveListErrorModel>();
    model->SetList({3, 4, 9});
    ns3::DynamicCast<ns3::PointToPointNetDevice>(bed.devices[1])->SetReceiveErrorModel(model);
    TransferSpec spec = Udp(1, 13'500, 5'000'000); // the last datagram has 900 bytes
    spec.give_up_ns = 300'000'000;
    bed.SendAt(0.1, 0, {1}, spec);
    bed.Run(5);
    const auto& share = bed.transfers[0]->shares[0];
    const std::vector<ByteRange> expected{{4200, 7000}, {12600, 13500}};
    test.Equal(share.record.status, static_cast<std::int32_t>(TransferStatus::partial), "status");
    test.True(share.lost == expected, "lost ranges");
    test.Equal(share.record.num_lost, 2u, "number of ranges");
    test.Equal(share.record.delivered_bytes, 13'500u - 2800 - 900, "delivered");
    test.True(bed.delivered == std::vector<std::uint64_t>{1}, "the receiver gets it, damaged");
}

void Receivers(Case& test) {
    Testbed bed(4);
    TransferSpec ideal = Tcp(3, 77);
    ideal.protocol = bridge::TransferProtocol::ideal;
    bed.SendAt(0.1, 0, {1, 2, 3}, Tcp(1, 100'000));
    bed.SendAt(3, 0, {1, 2, 3}, Udp(2, 100'000, 1'000'000));
    bed.SendAt(5, 0, {1, 2, 3}, ideal);
    bed.Run(10);
    for (std::size_t i = 0; i < 3; ++i) {
        for (std::size_t share = 0; share < 3; ++share) {
            test.Equal(Record(bed, i, share).status, complete, "arrives everywhere");
            test.Equal(Record(bed, i, share).receiver, bed.nodes[share + 1]->GetNode()->GetId(), "receiver");
        }
    }
    test.Equal(Record(bed, 2).last_byte_ns, Record(bed, 2).queued_ns, "ideal takes no time");
    test.Equal(bed.ended.size(), 9u, "one end for each receiver");
}

/// The receiver's application stops: what is under way fails with a reason, later transfers too, others go on.
void PeerStops(Case& test) {
    Testbed bed(3);
    bed.nodes[1]->SetStopTime(ns3::Seconds(1));
    bed.SendAt(0.1, 0, {1}, Tcp(1, 10'000'000));
    bed.SendAt(0.1, 2, {0}, Tcp(2, 100'000));
    bed.SendAt(2, 0, {1}, Tcp(3, 1000));
    bed.SendAt(2, 0, {2}, Tcp(4, 1000));
    bed.SendAt(2, 1, {2}, Tcp(5, 1000));
    bed.Run(200);
    const auto failed = static_cast<std::int32_t>(TransferStatus::failed);
    test.Equal(Record(bed, 0).status, failed, "under way when the receiver stopped");
    test.True(bed.transfers[0]->shares[0].failure.find("node1") != std::string::npos, "the reason names who");
    test.Equal(Record(bed, 1).status, complete, "between others");
    test.Equal(Record(bed, 2).status, failed, "to a stopped receiver");
    test.Equal(Record(bed, 3).status, complete, "to another");
    test.Equal(Record(bed, 4).status, failed, "from a stopped sender");
}

/// A link that loses every packet for a while: TCP repeats, counts it, and gets through.
void Retransmissions(Case& test) {
    Testbed bed(2);
    auto model = ns3::CreateObject<ns3::RateErrorModel>();
    model->SetUnit(ns3::RateErrorModel::ERROR_UNIT_PACKET);
    model->SetRate(0.02);
    model->AssignStreams(7);
    ns3::DynamicCast<ns3::PointToPointNetDevice>(bed.devices[1])->SetReceiveErrorModel(model);
    bed.SendAt(0.1, 0, {1}, Tcp(1, 1'000'000));
    bed.Run(60);
    test.Equal(Record(bed, 0).status, complete, "status");
    test.True(Record(bed, 0).retransmissions >= 5 && Record(bed, 0).retransmissions <= 60, "about 2 % of 715");
}

void Refusals(Case& test) {
    Testbed bed(2);
    const auto& [a, b] = std::tie(bed.nodes[0], bed.nodes[1]);
    const auto has = [&](const TransferSpec& spec, std::vector<ns3::Ptr<TransferApplication>> to, const char* text) {
        const std::string reason = a->Refusal(spec, to);
        test.True(reason.find(text) != std::string::npos, "'" + reason + "' should say '" + text + "'");
    };
    test.Equal(a->Refusal(Tcp(1, 1), {b}), "", "legal");
    has(Tcp(1, 0), {b}, "size 0 bytes");
    has(Tcp(1, static_cast<std::uint64_t>(-5)), {b}, "size -5 bytes");
    has(Tcp(1, 1), {}, "no receiver");
    has(Tcp(1, 1), {a}, "node0 cannot send to itself");
    has(Tcp(1, 1), {b, b}, "node1 is named twice");
    TransferSpec odd = Tcp(1, 1);
    odd.protocol = static_cast<bridge::TransferProtocol>(9);
    has(odd, {b}, "protocol 9 is unknown");
    ns3::Ptr<ns3::Ipv4> ipv4 = a->GetNode()->GetObject<ns3::Ipv4>();
    ipv4->SetDown(1);
    has(Tcp(1, 1), {b}, "no route from node0 to node1");
}

class TransferTestSuite : public ns3::TestSuite {
  public:
    TransferTestSuite() : TestSuite("edgelam-transfers", Type::UNIT) {
        const std::vector<std::pair<const char*, void (*)(Case&)>> cases{{"udp completion time", UdpTime},
                                                                         {"tcp is not below the bound", TcpBound},
                                                                         {"tcp keeps order", TcpFifo},
                                                                         {"cancel", CancelTcp},
                                                                         {"cancel too late", CancelTooLate},
                                                                         {"deadlines", Deadline},
                                                                         {"lost ranges", LostRanges},
                                                                         {"several receivers", Receivers},
                                                                         {"a peer that stops", PeerStops},
                                                                         {"retransmissions", Retransmissions},
                                                                         {"refusals", Refusals}};
        for (const auto& [name, body] : cases) {
            AddTestCase(new Case(name, body), Duration::QUICK);
        }
    }
    using Duration = TestCase::Duration;
};

const TransferTestSuite g_transferTestSuite;

} // namespace
