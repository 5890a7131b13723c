// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// RLC and PDCP of one bearer over transport blocks that get lost.

#include <deque>
#include <tuple>

#include "ns3/simulator.h"

#include "channel-testbed.h"
#include "named-random.h"
#include "nr-bearer.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;
using ns3::Packet;
using ns3::Ptr;

namespace {

/// Every millisecond one transport block of a random size from `smallest` to `largest` bytes, 4 ms on the way, lost
/// with probability `loss`; status reports the other way, lost as often.
class Air {
  public:
    Air(const BearerSettings& settings, std::uint32_t smallest, std::uint32_t largest, double loss, std::uint64_t seed)
        : bearer(settings), m_smallest(smallest), m_largest(largest), m_loss(loss), m_random(seed, {1}) {
        bearer.SetDeliver([this](Ptr<Packet> packet) { delivered.push_back(packet->GetUid()); });
        ns3::Simulator::ScheduleNow(&Air::Slot, this);
    }

    void SendAt(double seconds, std::uint32_t bytes) {
        auto packet = ns3::Create<Packet>(bytes);
        ns3::Simulator::Schedule(ns3::Seconds(seconds), [this, packet] {
            if (m_forwards) {
                m_way.push_back({packet, ns3::Simulator::Now(), 0, std::nullopt});
                sent.push_back(packet->GetUid());
            } else if (bearer.Send(packet)) {
                sent.push_back(packet->GetUid());
            }
        });
    }

    void Run(double seconds) {
        ns3::Simulator::Stop(ns3::Seconds(seconds));
        ns3::Simulator::Run();
        m_stop = true;
        ns3::Simulator::Destroy();
    }

    /// What is on its way is lost, RLC begins anew at both ends, and SDUs are forwarded to another gNB one by one: each
    /// takes `forwardingMs`, or is lost there if it has a number. What is sent meanwhile goes the same way.
    void Handover(std::uint64_t forwardingMs, double lossThere) {
        ++m_cell;
        bearer.Reestablish();
        for (const auto& each : bearer.TakeForwarded()) {
            m_way.push_back(each);
        }
        m_forwards = true;
        Forward(forwardingMs, lossThere);
    }
    bool Forwards() const { return m_forwards; }

    Bearer bearer;
    std::vector<std::uint64_t> sent, delivered;
    std::uint64_t lostThere = 0;
    std::uint64_t bytes = 0, blocks = 0, tooLong = 0;

  private:
    void Forward(std::uint64_t forwardingMs, double lossThere) {
        if (m_way.empty()) {
            m_forwards = false;
            bearer.GiveUpForwarded();
            return;
        }
        ns3::Simulator::Schedule(ns3::MilliSeconds(forwardingMs), [=, this] {
            if (m_way.front().sn && m_random.Uniform() < lossThere) {
                ++lostThere;
            } else {
                bearer.Restore(m_way.front());
            }
            m_way.pop_front();
            Forward(forwardingMs, lossThere);
        });
    }
    void Slot() {
        std::vector<RlcPdu> block;
        const auto room = m_smallest + static_cast<std::uint32_t>(m_random.Below(m_largest - m_smallest + 1));
        const std::uint32_t used = bearer.Take(room, block);
        std::uint32_t sum = 0;
        for (const auto& pdu : block) {
            sum += pdu.Bytes();
        }
        tooLong += used > room || used != sum;
        bytes += used;
        blocks += used > 0;
        if (!block.empty() && m_random.Uniform() >= m_loss) {
            ns3::Simulator::Schedule(ns3::MilliSeconds(4), [this, block, cell = m_cell] {
                for (const auto& pdu : block) {
                    if (cell == m_cell) {
                        bearer.Receive(pdu);
                    }
                }
            });
        }
        if (bearer.StatusBytes() > 0) {
            const auto status = bearer.TakeStatus();
            if (m_random.Uniform() >= m_loss) {
                ns3::Simulator::Schedule(ns3::MilliSeconds(4), [this, status, cell = m_cell] {
                    if (cell == m_cell) {
                        bearer.Receive(status);
                    }
                });
            }
        }
        ns3::Simulator::Schedule(ns3::MilliSeconds(1), &Air::Slot, this);
    }

    std::uint32_t m_smallest, m_largest;
    double m_loss;
    NamedRandom m_random;
    unsigned m_cell = 0;
    bool m_forwards = false;
    std::deque<Bearer::Forwarded> m_way; ///< to the other gNB
    bool m_stop = false;
};

void NothingLost(Case& test) {
    for (const double loss : {0.0, 0.1, 0.4}) {
        for (const std::uint32_t largest : {300u, 20'000u}) {
            Air air({.acknowledged = true}, 20, largest, loss, 3);
            NamedRandom sizes(5, {largest});
            for (int i = 0; i < 2000; ++i) {
                air.SendAt(1e-4 * i, 1 + static_cast<std::uint32_t>(sizes.Below(largest > 1000 ? 1500 : 200)));
            }
            air.Run(60);
            const std::string what = "loss " + std::to_string(loss) + ", blocks to " + std::to_string(largest);
            test.True(air.sent.size() == 2000 && air.delivered == air.sent,
                      what + ": all, once, in order; got " + std::to_string(air.delivered.size()));
            test.True(air.tooLong == 0, what + ": blocks are never overfilled");
            test.True(air.bearer.BacklogBytes() == 0, what + ": nothing waits at the end");
            test.True((loss > 0) == (air.bearer.counters().retransmittedPdus > 0), what + ": sends again if it must");
        }
    }
}

/// The numbers go on when RLC begins anew: nothing is lost, comes twice or in another order, however often and whenever
/// this happens, and whether SDUs stay where they are (the UE's end) or are forwarded (the gNB's end).
void Handovers(Case& test) {
    for (const double loss : {0.0, 0.3}) {
        for (const std::uint64_t forwardingMs : {0, 1, 7}) {
            Air air({.acknowledged = true}, 20, 3000, loss, 11);
            for (int i = 0; i < 1000; ++i) {
                air.SendAt(1e-3 * i, 1 + 1400 * static_cast<std::uint32_t>(i % 3 > 0));
            }
            NamedRandom times(6, {forwardingMs});
            int handovers = 0;
            for (int i = 0; i < 20; ++i) {
                ns3::Simulator::Schedule(ns3::Seconds(1.5 * times.Uniform()), [&air, &handovers, forwardingMs] {
                    if (!air.Forwards()) {
                        ++handovers;
                        air.Handover(forwardingMs, 0);
                    }
                });
            }
            air.Run(60);
            const std::string what = "loss " + std::to_string(loss) + ", " + std::to_string(forwardingMs) + " ms";
            test.True(air.sent.size() == 1000 && air.delivered == air.sent,
                      what + ": all, once, in order; got " + std::to_string(air.delivered.size()));
            test.True(air.bearer.BacklogBytes() == 0 && air.bearer.counters().lostPackets == 0,
                      what + ": nothing waits");
        }
    }
}

/// What the way between the gNBs loses is lost, and the rest is not held up by it.
void LostBetweenGnbs(Case& test) {
    Air air({.acknowledged = true}, 20, 3000, 0.2, 12);
    for (int i = 0; i < 1000; ++i) {
        air.SendAt(1e-3 * i, 1400);
    }
    for (int i = 0; i < 10; ++i) {
        ns3::Simulator::Schedule(ns3::Seconds(0.05 + 0.1 * i), [&air] { air.Handover(0, 0.2); });
    }
    air.Run(60);
    test.True(air.lostThere > 5 && air.delivered.size() + air.lostThere >= 1000, "only that is lost");
    test.True(air.bearer.counters().lostPackets == 1000 - air.delivered.size(), "and counted");
    test.True(std::is_sorted(air.delivered.begin(), air.delivered.end()), "in order");
    test.True(air.bearer.BacklogBytes() == 0, "nothing waits");
}

/// Priorities are kept when what waits is forwarded, also for what was sent in part.
void ForwardedPriorities(Case& test) {
    for (const bool acknowledged : {true, false}) {
        Bearer bearer({.acknowledged = acknowledged});
        std::vector<std::uint32_t> sizes;
        bearer.SetDeliver([&](Ptr<Packet> packet) { sizes.push_back(packet->GetSize()); });
        bearer.Send(ns3::Create<Packet>(1000), 2);
        std::vector<RlcPdu> block;
        bearer.Take(500, block); // half of it
        bearer.Send(ns3::Create<Packet>(600), 1);
        bearer.Send(ns3::Create<Packet>(700), 5);
        const std::uint64_t before = bearer.BacklogBytes();
        bearer.Reestablish();
        test.True(bearer.BacklogBytes() > before, "the half waits again");
        const auto forwarded = bearer.TakeForwarded();
        test.True(bearer.BacklogBytes() == 0 && forwarded.size() == 3, "everything is taken");
        for (const auto& each : forwarded) {
            test.True(!each.sn, "without numbers");
            bearer.Restore(each);
        }
        block.clear();
        bearer.Take(5000, block);
        for (const auto& pdu : block) {
            bearer.Receive(pdu);
        }
        test.True(sizes == std::vector<std::uint32_t>{700, 1000, 600}, "the highest first");
        ns3::Simulator::Destroy();
    }
}

void UnacknowledgedMode(Case& test) {
    Air clean({.acknowledged = false}, 20, 900, 0, 3);
    for (int i = 0; i < 500; ++i) {
        clean.SendAt(3e-3 * i, 1400);
    }
    clean.Run(30);
    test.True(clean.delivered == clean.sent && clean.sent.size() == 500, "without loss: all of it, through segments");

    Air lossy({.acknowledged = false}, 3000, 3000, 0.1, 4);
    for (int i = 0; i < 5000; ++i) {
        lossy.SendAt(1e-3 * i, 1400);
    }
    lossy.Run(30);
    test.True(std::is_sorted(lossy.delivered.begin(), lossy.delivered.end()), "in order");
    // One packet, in one or two blocks, a block of 1 ms: 0.1 to 0.19 of them are lost; 4 sigma of a binomial is 0.022.
    const double lost = 1 - static_cast<double>(lossy.delivered.size()) / 5000;
    test.True(lost > 0.078 && lost < 0.212, "loses what the air loses: " + std::to_string(lost));
    test.True(lossy.bearer.counters().retransmittedPdus == 0, "and never sends again");
}

/// Headers by hand: 1400 bytes whole, AM: 1400 + 3 (PDCP) + 3 (RLC) + 3 (MAC) = 1409.
void Headers(Case& test) {
    for (const bool acknowledged : {true, false}) {
        Bearer bearer({.acknowledged = acknowledged});
        bearer.Send(ns3::Create<Packet>(1400));
        bearer.Send(ns3::Create<Packet>(100));
        // 100 + 3 + 3 (1) + 2
        test.True(bearer.BacklogBytes() == (acknowledged ? 1409 + 108u : 1407 + 106u), "what waits");
        std::vector<RlcPdu> block;
        const std::uint32_t used = bearer.Take(5000, block);
        test.True(used == (acknowledged ? 1517u : 1513u), "whole packets");
        test.True(block.size() == 2 && bearer.BacklogBytes() == 0, "both");
        test.True(block.back().poll == acknowledged, "AM: the last one polls");

        Bearer pieces({.acknowledged = acknowledged});
        pieces.Send(ns3::Create<Packet>(1400));
        block.clear();
        test.True(pieces.Take(1000, block) == 1000, "a segment fills the block");
        test.True(block[0].length == (acknowledged ? 994u : 995u), "first segment: no offset in its header");
        test.True(pieces.Take(1000, block) == (acknowledged ? 409 + 5 + 3u : 408 + 4 + 3u), "the rest, with an offset");
        test.True(block[1].last && block[0].length + block[1].length == 1403, "together the whole");
        ns3::Simulator::Destroy();
    }
    RlcStatus status;
    status.ackSn = 10;
    test.True(status.Bytes() == 5, "a bare acknowledgement: 3 and a MAC subheader of 2");
    status.missing = {{3, 0, UINT32_MAX}, {5, 100, 200}};
    test.True(status.Bytes() == 3 + 3 + 7 + 2, "two gaps, one within an SDU");
}

void FullAndFailed(Case& test) {
    Bearer small({.bufferBytes = 3000});
    test.True(small.Send(ns3::Create<Packet>(1400)) && small.Send(ns3::Create<Packet>(1400)), "room for two");
    test.True(!small.Send(ns3::Create<Packet>(1400)) && small.counters().droppedPackets == 1, "not for a third");

    Air dead({.maxRetransmissions = 4}, 2000, 2000, 1.0, 1);
    dead.SendAt(0.1, 1000);
    dead.Run(5);
    test.True(dead.bearer.Failed() && dead.delivered.empty(), "given up after maxRetxThreshold");

    test.Refuses([] { Bearer bearer({.bufferBytes = 100}); }, {"bufferBytes 100", "1500"}, "buffer");
    test.Refuses([] { Bearer bearer({.reassembly = ns3::Seconds(-1)}); }, {"t-Reassembly", "0 to 60 s"}, "timer");
    test.Refuses([] { Bearer bearer({.pollPdu = 0}); }, {"pollPDU"}, "poll");
}

/// PDUs of packets of 1000 bytes that a sender has sent, one packet a block.
std::vector<RlcPdu> Sent(Bearer& sender, int packets) {
    std::vector<RlcPdu> pdus;
    for (int i = 0; i < packets; ++i) {
        sender.Send(ns3::Create<Packet>(1000));
        sender.Take(2000, pdus);
    }
    return pdus;
}

/// t-Reordering of 100 ms begins when 1 comes before 0, at 1 ms; 3, 4 and 5 come at 99 ms without 2, which HARQ brings
/// at 105 ms: only 0 is lost.
void ReorderingWaitsForEach(Case& test) {
    Bearer sender({.acknowledged = false}), receiver({.acknowledged = false});
    const auto pdus = Sent(sender, 6);
    std::vector<std::int64_t> deliveredMs;
    receiver.SetDeliver([&](Ptr<Packet>) { deliveredMs.push_back(ns3::Simulator::Now().GetMilliSeconds()); });
    for (const auto& [sn, ms] : {std::pair{1, 1}, {3, 99}, {4, 99}, {5, 99}, {2, 105}}) {
        ns3::Simulator::Schedule(ns3::MilliSeconds(ms), [&receiver, pdu = pdus[sn]] { receiver.Receive(pdu); });
    }
    ns3::Simulator::Run();
    ns3::Simulator::Destroy();
    test.True(deliveredMs == std::vector<std::int64_t>{101, 105, 105, 105, 105}, "each waits for its own time");
    test.True(receiver.counters().lostPackets == 1, "one lost: " + std::to_string(receiver.counters().lostPackets));
}

/// The poll is in 1, which comes at 1 ms; HARQ brings 0 at 10 ms: one report, then, that acknowledges both.
void PollWaitsForHarq(Case& test) {
    Bearer sender({}), receiver({});
    const auto pdus = Sent(sender, 2);
    std::vector<std::int64_t> reportMs;
    receiver.SetWake({}, [&] { reportMs.push_back(ns3::Simulator::Now().GetMilliSeconds()); });
    for (const auto& [sn, ms] : {std::pair{1, 1}, {0, 10}}) {
        ns3::Simulator::Schedule(ns3::MilliSeconds(ms), [&receiver, pdu = pdus[sn]] { receiver.Receive(pdu); });
    }
    ns3::Simulator::Schedule(ns3::MilliSeconds(11), [&] { sender.Receive(receiver.TakeStatus()); });
    ns3::Simulator::Run(); // past t-PollRetransmit
    ns3::Simulator::Destroy();
    test.True(reportMs == std::vector<std::int64_t>{10}, "no report before it can tell of the polled one");
    test.True(sender.BacklogBytes() == 0, "nothing is sent again");
}

/// Of one packet in two blocks the first is lost: reported when t-Reassembly (35 ms) has run from the second.
void LostBeginning(Case& test) {
    Bearer sender({}), receiver({});
    sender.Send(ns3::Create<Packet>(1000));
    std::vector<RlcPdu> pdus;
    sender.Take(600, pdus);
    sender.Take(600, pdus);
    std::vector<std::int64_t> reportMs;
    receiver.SetWake({}, [&] { reportMs.push_back(ns3::Simulator::Now().GetMilliSeconds()); });
    ns3::Simulator::Schedule(ns3::MilliSeconds(1), [&] { receiver.Receive(pdus[1]); });
    ns3::Simulator::Schedule(ns3::MilliSeconds(37), [&] { sender.Receive(receiver.TakeStatus()); });
    ns3::Simulator::Stop(ns3::MilliSeconds(38));
    ns3::Simulator::Run();
    test.True(reportMs == std::vector<std::int64_t>{36}, "the gap is reported");
    test.True(sender.BacklogBytes() == pdus[0].length, "what is sent again is the first block's part");
    ns3::Simulator::Destroy();
}

/// Of a packet in nine blocks, four of which come, and one that is lost behind it: a report has 3 bytes, 7 for each gap
/// in the first, 3 for the second, and its MAC subheader, and fits the room that it is given. What it does not tell of,
/// later ones do.
void ReportsFit(Case& test) {
    for (const auto& [room, gaps, ackSn] :
         {std::tuple{16U, 1U, 1U}, {19U, 1U, 1U}, {20U, 2U, 1U}, {34U, 4U, 1U}, {37U, 5U, 3U}, {1000U, 5U, 3U}}) {
        const std::string what = std::to_string(room) + " bytes";
        Bearer sender({}), receiver({});
        std::size_t delivered = 0;
        receiver.SetDeliver([&](Ptr<Packet>) { ++delivered; });
        std::vector<RlcPdu> pdus;
        for (const std::uint32_t size : {1000, 100, 100}) {
            sender.Send(ns3::Create<Packet>(size));
            while (sender.BacklogBytes() > 0) {
                sender.Take(130, pdus);
            }
        }
        test.True(pdus.size() == 11, "blocks");
        for (const std::size_t i : {1, 3, 5, 8, 10}) {
            ns3::Simulator::Schedule(ns3::MilliSeconds(1), [&receiver, pdu = pdus[i]] { receiver.Receive(pdu); });
        }
        for (int round = 0; round < 40; ++round) {
            ns3::Simulator::Schedule(ns3::MilliSeconds(80 * (round + 1)), [&, room, gaps, ackSn, round] {
                if (receiver.StatusBytes() > 0) {
                    const RlcStatus status = receiver.TakeStatus(room);
                    test.True(status.Bytes() <= room, what + ": it fits, with " + std::to_string(status.Bytes()));
                    if (round == 0) {
                        const std::uint32_t whole = status.missing.back().sn == 1; // SDU 1 is not there at all
                        test.True(status.missing.size() == gaps && status.ackSn == ackSn, what + ": gaps");
                        test.True(status.Bytes() == 3 + 7 * (gaps - whole) + 3 * whole + 2, what + ": by hand");
                        test.True(status.missing[0].from == 0 && status.missing[0].to == 124, what + ": the first");
                    }
                    sender.Receive(status);
                }
                std::vector<RlcPdu> again;
                sender.Take(2000, again);
                for (const auto& pdu : again) {
                    receiver.Receive(pdu);
                }
            });
        }
        ns3::Simulator::Stop(ns3::Seconds(4));
        ns3::Simulator::Run();
        ns3::Simulator::Destroy();
        test.True(delivered == 3 && sender.BacklogBytes() == 0, what + ": everything comes in the end");
    }
}

/// What waits goes in the order of priorities, first come first served within one; what has begun is finished first;
/// and a full buffer of one priority is no other's.
void Priorities(Case& test) {
    for (const bool acknowledged : {true, false}) {
        Bearer bearer({.acknowledged = acknowledged, .bufferBytes = 5000});
        std::vector<std::uint32_t> order; // by sizes
        bearer.SetDeliver([&](Ptr<Packet> packet) { order.push_back(packet->GetSize()); });
        for (const std::uint32_t size : {1001, 1002, 1003}) {
            test.True(bearer.Send(ns3::Create<Packet>(size)), "low");
        }
        std::vector<RlcPdu> pdus;
        bearer.Take(500, pdus); // a part of the first
        test.True(bearer.Priority() == 0 && bearer.StatusPriority() == 0, "low only");
        for (const auto& [size, priority] : {std::pair{701, 3}, {801, 7}, {702, 3}, {802, 7}}) {
            test.True(bearer.Send(ns3::Create<Packet>(size), static_cast<unsigned>(priority)), "high");
        }
        test.True(bearer.Priority() == 7, "the highest");
        test.True(bearer.Send(ns3::Create<Packet>(1004)) && !bearer.Send(ns3::Create<Packet>(1005)), "low is full");
        test.True(bearer.Send(ns3::Create<Packet>(803), 7), "high is not");
        const std::uint64_t waiting = bearer.BacklogBytes();
        std::uint32_t used = 0;
        while (bearer.BacklogBytes() > 0) {
            const std::uint32_t taken = bearer.Take(900, pdus);
            test.True(taken > 0 && taken <= 900, "goes on");
            used += taken;
        }
        test.True(used >= waiting, "everything is counted");
        for (const auto& pdu : pdus) {
            bearer.Receive(pdu);
        }
        test.True(order == std::vector<std::uint32_t>{1001, 801, 802, 803, 701, 702, 1002, 1003, 1004}, "in order");
        test.True(bearer.Priority() == 0, "nothing waits");
        test.True(bearer.StatusPriority() == (acknowledged ? 7 : 0), "a report is as important as what it is for");
        ns3::Simulator::Destroy();
    }
}

CaseSuite bearerTestSuite("edgelam-nr-bearer", {{"acknowledged mode loses nothing", NothingLost},
                                                {"handovers lose nothing", Handovers},
                                                {"lost between gNBs", LostBetweenGnbs},
                                                {"priorities of what is forwarded", ForwardedPriorities},
                                                {"unacknowledged mode", UnacknowledgedMode},
                                                {"headers by hand", Headers},
                                                {"t-Reordering of each gap", ReorderingWaitsForEach},
                                                {"polls wait for HARQ", PollWaitsForHarq},
                                                {"a lost beginning is reported", LostBeginning},
                                                {"reports fit", ReportsFit},
                                                {"priorities", Priorities},
                                                {"full buffers, failed links, refusals", FullAndFailed}});

} // namespace
