// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What makes wired links and TCP fast changes no result: each is compared with ns3's own.

#include <cmath>
#include <sstream>

#include <dlfcn.h>

#include "ns3/drop-tail-queue.h"
#include "ns3/point-to-point-channel.h"
#include "ns3/point-to-point-net-device.h"
#include "ns3/tcp-tx-buffer.h"
#include "ns3/uinteger.h"

#include "named-random.h"
#include "tcp-next-segment.h"
#include "testbed.h"
#include "wired-device.h"
#include "wired-servers.h"

using namespace edgelam;
using namespace edgelam::test;
using ns3::Packet;
using ns3::Ptr;
using ns3::SequenceNumber32;

namespace {

/// What a link does with packets.
struct Seen {
    std::vector<std::pair<std::int64_t, std::uint32_t>> arrived; ///< ns, bytes
    std::vector<std::uint32_t> dropped, waiting, waitingBytes;   ///< so far, at each probe
    bool operator==(const Seen&) const = default;
};

struct Link {
    double rateBps;
    ns3::Time delay, gap;
    std::uint32_t queue;
    double loss;
};

/// Random packets over one direction of a link, whose rate changes half way.
/// \param make the two devices, and how to ask the first for what waits: packets, bytes, dropped
template<class Device, class Probe>
Seen Observe(const Link& link, std::uint64_t seed, const std::pair<Ptr<Device>, Ptr<Device>>& devices, Probe probe) {
    const auto& [from, to] = devices;
    Seen seen;
    to->SetReceiveCallback(ns3::NetDevice::ReceiveCallback(
        [&](Ptr<ns3::NetDevice>, Ptr<const Packet> packet, std::uint16_t, const ns3::Address&) {
            seen.arrived.emplace_back(ns3::Simulator::Now().GetNanoSeconds(), packet->GetSize());
            return true;
        }));
    if (link.loss > 0) {
        auto errors = ns3::CreateObject<ns3::RateErrorModel>();
        errors->SetUnit(ns3::RateErrorModel::ERROR_UNIT_PACKET);
        errors->SetRate(link.loss);
        errors->AssignStreams(5);
        to->SetReceiveErrorModel(errors);
    }
    NamedRandom random(seed, {1});
    const double meanS = 700 * 8 / link.rateBps; // more than the link carries
    double at = 0;
    for (int i = 0; i < 400; ++i) {
        at += random.Uniform() < 0.3 ? 0 : 2 * meanS * random.Uniform();
        const auto bytes = random.Uniform() < 0.5 ? 1500U : static_cast<std::uint32_t>(20 + 1400 * random.Uniform());
        ns3::Simulator::Schedule(ns3::Seconds(at), [&, bytes] {
            from->Send(ns3::Create<Packet>(bytes), from->GetBroadcast(), 0x0800);
            const auto [waiting, waitingBytes, dropped] = probe(*from);
            seen.waiting.push_back(waiting);
            seen.waitingBytes.push_back(waitingBytes);
            seen.dropped.push_back(dropped);
        });
    }
    ns3::Simulator::Schedule(ns3::Seconds(at / 2),
                             [&] { from->SetDataRate(ns3::DataRate(static_cast<std::uint64_t>(link.rateBps / 3))); });
    ns3::Simulator::Run();
    ns3::Simulator::Destroy();
    return seen;
}

Seen OverPointToPoint(const Link& link, std::uint64_t seed) {
    auto channel = ns3::CreateObject<ns3::PointToPointChannel>();
    channel->SetAttribute("Delay", ns3::TimeValue(link.delay));
    const auto make = [&] {
        auto node = ns3::CreateObject<ns3::Node>();
        auto device = ns3::CreateObject<ns3::PointToPointNetDevice>();
        device->SetDataRate(ns3::DataRate(static_cast<std::uint64_t>(link.rateBps)));
        device->SetInterframeGap(link.gap);
        auto queue = ns3::CreateObject<ns3::DropTailQueue<Packet>>();
        queue->SetMaxSize(ns3::QueueSize(std::to_string(link.queue) + "p"));
        device->SetQueue(queue);
        device->SetAddress(ns3::Mac48Address::Allocate());
        node->AddDevice(device);
        device->Attach(channel);
        return device;
    };
    return Observe(link, seed, std::pair{make(), make()}, [](const ns3::PointToPointNetDevice& device) {
        const auto queue = device.GetQueue();
        return std::tuple{queue->GetNPackets(), queue->GetNBytes(), queue->GetTotalDroppedPackets()};
    });
}

Seen OverWire(const Link& link, std::uint64_t seed) {
    auto channel = ns3::CreateObject<WiredChannel>();
    channel->SetAttribute("Delay", ns3::TimeValue(link.delay));
    const auto make = [&] {
        auto node = ns3::CreateObject<ns3::Node>();
        auto device = ns3::CreateObject<WiredDevice>();
        device->SetDataRate(ns3::DataRate(static_cast<std::uint64_t>(link.rateBps)));
        device->SetAttribute("InterframeGap", ns3::TimeValue(link.gap));
        device->SetAttribute("QueueSize", ns3::UintegerValue(link.queue));
        node->AddDevice(device);
        return device;
    };
    const std::pair devices{make(), make()};
    channel->Connect(devices.first, devices.second);
    return Observe(link, seed, devices, [](const WiredDevice& device) {
        return std::tuple{device.NumWaiting(), device.WaitingBytes(), static_cast<std::uint32_t>(device.NumDropped())};
    });
}

void WireEqualsPointToPoint(Case& test) {
    std::size_t dropped = 0, arrived = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        NamedRandom random(seed, {2});
        const auto uniform = [&] { return random.Uniform(); };
        const Link link{std::pow(10, 4 + 7 * uniform()), ns3::NanoSeconds(static_cast<std::int64_t>(1e7 * uniform())),
                        ns3::NanoSeconds(uniform() < 0.5 ? 0 : static_cast<std::int64_t>(1e4 * uniform())),
                        static_cast<std::uint32_t>(1 + 60 * uniform()), uniform() < 0.5 ? 0 : 0.2};
        const Seen theirs = OverPointToPoint(link, seed), ours = OverWire(link, seed);
        test.True(ours == theirs, "link " + std::to_string(seed));
        dropped += ours.dropped.back();
        arrived += ours.arrived.size();
    }
    test.True(dropped > 1000 && arrived > 2000, "queues were full, and packets came through");
}

void NextSegmentIsOurs(Case& test) {
    test.True(dlsym(RTLD_DEFAULT, "_ZNK3ns311TcpTxBuffer7NextSegEPNS_14SequenceNumberIjiEES3_b") !=
                  reinterpret_cast<void*>(Ns3NextSegment()),
              "programs call this library's function");
}

/// A send buffer through a random life: what is sent next is what ns-3's function says.
void NextSegmentEqualsNs3(Case& test) {
    std::uint64_t asked = 0, fresh = 0, again = 0;
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        NamedRandom random(seed, {3});
        const auto upTo = [&](std::uint32_t n) { return static_cast<std::uint32_t>(n * random.Uniform()); };
        auto buffer = ns3::CreateObject<ns3::TcpTxBuffer>();
        constexpr std::uint32_t segment = 1000;
        const bool sacks = seed % 2 == 0; // otherwise losses come from time-outs
        std::uint32_t window = 20'000;
        buffer->SetSegmentSize(segment);
        buffer->SetDupAckThresh(3);
        buffer->SetMaxBufferSize(60'000);
        buffer->SetSackEnabled(true);
        buffer->SetHeadSequence(SequenceNumber32(1));
        buffer->SetRWndCallback(ns3::Callback<std::uint32_t>([&] { return window; }));
        for (int step = 0; step < 600; ++step) {
            const std::uint32_t what = upTo(100);
            SequenceNumber32 seq, high;
            if (what < 30) {
                buffer->Add(ns3::Create<Packet>(1 + upTo(2500)));
            } else if (what < 70) {
                if (const bool recovery = buffer->GetLost() > 0; buffer->NextSeg(&seq, &high, recovery)) {
                    again += buffer->CopyFromSequence(std::min<std::uint32_t>(segment, high - seq), seq)->IsRetrans();
                }
            } else if (what < 85 && buffer->Size() > 0) {
                buffer->DiscardUpTo(buffer->HeadSequence() + std::min(upTo(3) * segment, buffer->BytesInFlight()));
            } else if (what < 92 && sacks && buffer->BytesInFlight() > 3 * segment) {
                ns3::TcpOptionSack::SackList list;
                const auto left = buffer->HeadSequence() + (1 + upTo(2)) * segment;
                list.emplace_back(left, left + segment);
                buffer->Update(list);
            } else if (what < 94 && !sacks) {
                buffer->SetSentListLost();
            } else {
                window = upTo(30'000);
            }
            for (const bool recovery : {false, true}) {
                SequenceNumber32 theirSeq, theirHigh;
                seq = high = SequenceNumber32(0);
                const bool ours = buffer->NextSeg(&seq, &high, recovery);
                const bool theirs = Ns3NextSegment()(ns3::PeekPointer(buffer), &theirSeq, &theirHigh, recovery);
                ++asked;
                fresh += ours && buffer->GetLost() == 0;
                if (ours != theirs || (ours && (seq != theirSeq || high != theirHigh))) {
                    test.True(false, "seed " + std::to_string(seed) + " step " + std::to_string(step));
                    return;
                }
            }
        }
    }
    test.True(asked > 30'000 && fresh > 1000 && again > 100, "with and without losses");
}

struct Completion {
    double seconds;
    std::uint32_t retransmissions;
};

/// A TCP or UDP transfer from a leaf over a router, whose other link has 1 Gb/s, to another leaf.
Completion Complete(double rateBps, double delayS, const TransferSpec& spec, std::uint32_t joined) {
    ns3::NodeContainer nodes(3);
    ns3::InternetStackHelper stack;
    stack.SetIpv6StackInstall(false);
    stack.SetRoutingHelper(ns3::Ipv4StaticRoutingHelper());
    stack.Install(nodes);
    ns3::Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.252");
    std::vector<Ptr<TransferApplication>> applications;
    for (std::uint32_t i = 0; i < 2; ++i) {
        const WiredLink link{i == 0 ? rateBps : 1e9, i == 0 ? delayS : 1e-3, 100'000, 0, joined, 1452};
        const auto interfaces = addresses.Assign(Connect(nodes.Get(i), nodes.Get(2), link));
        addresses.NewNetwork();
        ns3::Ipv4StaticRoutingHelper()
            .GetStaticRouting(nodes.Get(i)->GetObject<ns3::Ipv4>())
            ->SetDefaultRoute(interfaces.GetAddress(1), 1);
        applications.push_back(ns3::CreateObject<TransferApplication>());
        applications.back()->SetAttribute("Address", ns3::Ipv4AddressValue(interfaces.GetAddress(0)));
        applications.back()->SetAttribute("Joined", ns3::UintegerValue(joined));
        nodes.Get(i)->AddApplication(applications.back());
    }
    Completion completion{};
    ns3::Simulator::Schedule(ns3::MilliSeconds(1), [&] {
        applications[0]->Send(
            spec, {applications[1]}, [](Transfer&, std::size_t) {},
            [&](Transfer& transfer, std::size_t) {
                const auto& record = transfer.shares[0].record;
                if (record.delivered_bytes == spec.size_bytes) {
                    completion = {1e-9 * static_cast<double>(record.last_byte_ns - record.queued_ns),
                                  record.retransmissions};
                }
                ns3::Simulator::Stop();
            });
    });
    ns3::Simulator::Run();
    ns3::Simulator::Destroy();
    return completion;
}

/// Packets that are simulated as one take as long as alone.
void JoinedTakesAsLong(Case& test) {
    for (const double rateBps : {10e6, 100e6, 1e9}) {
        for (const double delayS : {1e-3, 5e-3, 25e-3}) {
            for (const auto& [joined, bytes] : {std::pair{2U, 1'000'000U}, {5U, 4'000'000U}}) {
                const TransferSpec tcp = Tcp(1, bytes), udp = Udp(1, bytes, static_cast<std::uint64_t>(0.9 * rateBps));
                for (const auto& spec : {tcp, udp}) {
                    const Completion alone = Complete(rateBps, delayS, spec, 1),
                                     together = Complete(rateBps, delayS, spec, joined);
                    std::ostringstream what;
                    what << joined << " joined at " << rateBps << " bit/s, " << delayS << " s: " << together.seconds
                         << " s, alone " << alone.seconds << " s";
                    test.True(alone.seconds > 0 && alone.retransmissions == 0 && together.retransmissions == 0,
                              what.str());
                    test.True(std::abs(together.seconds / alone.seconds - 1) < 0.01, what.str());
                }
            }
        }
    }
}

class WiredTestSuite : public ns3::TestSuite {
  public:
    WiredTestSuite() : TestSuite("edgelam-wired", Type::UNIT) {
        const std::vector<std::pair<const char*, void (*)(Case&)>> cases{
            {"a wire has the times of a point-to-point link", WireEqualsPointToPoint},
            {"programs use our next segment", NextSegmentIsOurs},
            {"the next segment is that of ns-3", NextSegmentEqualsNs3},
            {"joined packets take as long", JoinedTakesAsLong}};
        for (const auto& [name, body] : cases) {
            AddTestCase(new Case(name, body), Duration::QUICK);
        }
    }
    using Duration = TestCase::Duration;
};

const WiredTestSuite g_wiredTestSuite;

} // namespace
