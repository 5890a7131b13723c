// SPDX-License-Identifier: GPL-2.0-only
// Work on channels on several threads: every part is done once, and no trace depends on how many there are.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <ios>
#include <numbers>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "nr-cell-testbed.h"
#include "nr-network.h"
#include "nr-workers.h"

namespace {

using namespace edgelam;
using namespace edgelam::test;
using edgelam::nr::Cell;
using edgelam::nr::Network;
using edgelam::nr::Workers;

/// Each part of many calls is done once, whatever the number of threads, and a call returns after the last of them.
void Parts(Case& test) {
    for (const unsigned threads : {1u, 2u, 5u}) {
        Workers workers(threads);
        test.True(workers.NumThreads() == threads, "threads");
        for (std::size_t call = 0; call < 400; ++call) {
            const std::size_t count = call % 17;
            std::vector<int> done(count); // each part writes its own
            workers.Run(count, [&](std::size_t i) {
                if (call % 40 == 16 && i == 3) {
                    std::this_thread::sleep_for(std::chrono::milliseconds(2));
                }
                ++done[i];
            });
            test.True(done == std::vector<int>(count, 1),
                      std::to_string(threads) + " threads, call " + std::to_string(call) + ": each part once");
        }
    }
}

/// The exception of the lowest part, after all parts; and the next call works.
void Exceptions(Case& test) {
    for (const unsigned threads : {2u, 4u}) {
        Workers workers(threads);
        std::atomic<int> done = 0;
        std::string what;
        try {
            workers.Run(20, [&](std::size_t i) {
                ++done;
                if (i >= 7 && i % 2 == 1) {
                    throw std::runtime_error(std::to_string(i));
                }
            });
        } catch (const std::runtime_error& error) {
            what = error.what();
        }
        test.True(done == 20, "all parts");
        test.True(what == "7", "which exception: " + what);
        done = 0;
        workers.Run(5, [&](std::size_t) { ++done; });
        test.True(done == 5, "after that");
    }
}

/// Both traces of a cell as text, without rounding.
class Written {
  public:
    void Follow(Cell& cell) {
        m_text << std::hexfloat;
        cell.TraceConnectWithoutContext(
            "TransportBlock",
            ns3::Callback<void, const nr::TransportBlockRecord&>([this](const nr::TransportBlockRecord& block) {
                ++blocks;
                Put(block.slot, block.ue, block.group, block.uplink, block.harq, block.attempt, block.mcs, block.layers,
                    block.received, block.rbgs, block.bits, block.sinr_db, block.bler);
            }));
        cell.TraceConnectWithoutContext(
            "CsiReport", ns3::Callback<void, const nr::CsiReportRecord&>([this](const nr::CsiReportRecord& report) {
                ++reports;
                Put(report.slot, report.adopted_slot, report.ue, report.rank, report.cqi, report.sinr_db,
                    report.uplink_rank, report.uplink_sinr_db, report.path_loss_db);
            }));
    }
    std::string Text() const { return m_text.str(); }
    int blocks = 0, reports = 0;

  private:
    template<class... Values>
    void Put(Values... values) {
        ((m_text << +values << ' '), ...);
        m_text << '\n';
    }
    std::ostringstream m_text;
};

const Settings street{.deployment = "UMi", .frequency = 3.5e9};

/// Where UE i of several is, and its velocity.
std::pair<ns3::Vector, ns3::Vector> Way(unsigned i) {
    const double angle = 0.7 * i;
    return {{(30 + 9 * i) * std::cos(angle), (30 + 9 * i) * std::sin(angle), 1.5},
            {2. * (i % 3) - 2, 1.5 - (i % 2), 0}};
}

/// One cell: traffic both ways, a multicast group, and slots that UEs share or not, as the scheduler likes.
std::string OneCell(Case& test, unsigned threads, const std::string& beams) {
    CellTestbed bed(street,
                    {Set("Threads", threads), Set("Bandwidth", 20e6), Set("Beams", beams), Set("MaxUplinkLayers", 2u)});
    Written written;
    written.Follow(*bed.cell);
    for (unsigned i = 0; i < 6; ++i) {
        const auto [place, velocity] = Way(i);
        bed.Add(place, velocity);
    }
    bed.Fill(false);
    bed.Fill(true);
    const auto group = bed.cell->AddMulticast({1, 3, 4});
    for (int i = 0; i < 20; ++i) {
        ns3::Simulator::Schedule(ns3::MilliSeconds(3 * i),
                                 [&bed, group] { bed.cell->SendMulticast(group, ns3::Create<ns3::Packet>(1200)); });
    }
    bed.Run(0.08);
    test.True(written.blocks > 150 && written.reports > 12, beams + ": something happens");
    return written.Text();
}

void Cells(Case& test) {
    for (const char* beams : {"eigen", "codebook", "direct", "external"}) {
        test.True(OneCell(test, 1, beams) == OneCell(test, 3, beams), std::string(beams) + ": the same with 3 threads");
    }
}

/// Links that are worked out on several threads have the channels of those that are asked one after the other, in mixed
/// states and indoors, before and after a step; users at one place share their drops.
void Held(Case& test) {
    const auto make = [] {
        const auto channel = MakeChannel({.deployment = "UMa", .los = "Probability", .frequency = 3.5e9});
        channel->SetAttribute("IndoorFraction", ns3::DoubleValue(0.4));
        return channel;
    };
    const auto alone = make(), held = make();
    const auto site = MakeEnd({0, 0, 25}, 2, 2, true, false);
    const auto tones = Tones(8);
    std::vector<End> users;
    std::vector<ns3::Ptr<ChannelLink>> links;
    for (unsigned i = 0; i < 24; ++i) {
        users.push_back(MakeEnd(Way(i % 20).first, 1, 2, true));
        links.push_back(Link(held, site, users.back()));
    }
    Workers workers(3);
    for (const double step : {0., 40., 0.1}) {
        for (const auto& user : users) {
            user.MoveTo(user.mobility->GetPosition() + ns3::Vector(step, 0, 0));
        }
        std::vector<std::shared_ptr<ClusterDrop>> undrawn;
        for (const auto& link : links) {
            link->Hold();
        }
        workers.Run(links.size(), [&](std::size_t i) { links[i]->Place(); });
        for (const auto& link : links) {
            if (link->LacksDrops()) {
                link->TakeDrops(undrawn);
            }
        }
        test.True(step == 0.1 || !undrawn.empty(), "drops in a new place");
        std::ranges::for_each(undrawn, [](const auto& drop) { drop->Draw(); });
        std::vector<Response> responses(links.size());
        workers.Run(links.size(), [&](std::size_t i) { responses[i] = Measure(links[i], tones); });
        for (std::size_t i = 0; i < links.size(); ++i) {
            test.True(!links[i]->LacksDrops(), "all drops are there");
            links[i]->Release();
            const auto other = Link(alone, site, users[i]);
            test.True(responses[i] == Measure(other, tones), "the channel of link " + std::to_string(i));
            test.True(links[i]->GetLargeScaleGain() == other->GetLargeScaleGain(), "gain " + std::to_string(i));
        }
    }
    // Who asks between these steps, or after they are given up half way, finds what it needs.
    for (std::size_t i = 0; i < links.size(); ++i) {
        users[i].MoveTo(users[i].mobility->GetPosition() + ns3::Vector(0, 60, 0));
        const auto other = Link(alone, site, users[i]);
        links[i]->Hold();
        test.True(links[i]->GetPortGain(AntennaGain::Rays) == other->GetPortGain(AntennaGain::Rays), "between");
        links[i]->Place();
        links[i]->Release();
        test.True(Measure(links[i], tones) == Measure(other, tones), "given up");
    }
    for (const auto& channel : {alone, held}) {
        channel->Dispose();
    }
}

/// Three cells that hear one another, some of it with direction and some without. \param places to be filled with what
/// the channel tells of states and drops; null: nobody asks
std::string ThreeCells(Case& test, unsigned threads, std::string* places = nullptr) {
    const auto channel = MakeChannel(street);
    channel->SetAttribute("CoherenceDistance", ns3::DoubleValue(0.03));
    std::ostringstream states;
    states << std::hexfloat;
    if (places) {
        channel->TraceConnectWithoutContext("LinkState",
                                            ns3::Callback<void, std::uint32_t, std::uint32_t, const LinkState&>(
                                                [&](std::uint32_t bs, std::uint32_t ut, const LinkState& state) {
                                                    states << bs << ' ' << ut << ' ' << state.gain_db << '\n';
                                                }));
        channel->TraceConnectWithoutContext("NewDrop",
                                            ns3::Callback<void, std::uint32_t, std::uint32_t, std::uint64_t>(
                                                [&](std::uint32_t bs, std::uint32_t ut, std::uint64_t drops) {
                                                    states << bs << ' ' << ut << ' ' << drops << '\n';
                                                }));
    }
    const auto network = ns3::CreateObject<Network>();
    network->AssignStreams(20);
    network->SetAttribute("ExplicitInterferers", ns3::UintegerValue(1));
    Written written;
    std::vector<End> ends;
    for (unsigned i = 0; i < 3; ++i) {
        ends.push_back(MakeEnd({i < 2 ? 0. : 180., 0, 10}, 2, 4, true, false));
        ends.back().array->SetAlpha(i * 2 * std::numbers::pi / 3);
        auto cell = ns3::CreateObject<Cell>();
        cell->SetAttribute("Bandwidth", ns3::DoubleValue(20e6));
        cell->SetAttribute("Threads", ns3::UintegerValue(threads));
        cell->SetGnb(channel, ends.back().mobility, ends.back().array);
        written.Follow(*cell);
        network->AddCell(cell);
    }
    for (unsigned i = 0; i < 7; ++i) {
        const auto [place, velocity] = Way(i);
        ends.push_back(MakeEnd(place, 1, 2, true));
        ends.back().mobility->SetVelocity(velocity);
        const auto ue = network->AddUe(ends.back().mobility, ends.back().array);
        network->Attach(ue, i % 3);
    }
    const std::function<void()> fill = [&] {
        for (std::uint32_t ue = 0; ue < network->NumUes(); ++ue) {
            auto& connection = network->GetConnection(ue);
            while (connection.down.BacklogBytes() < 300'000 && network->SendDown(ue, ns3::Create<ns3::Packet>(1500))) {
            }
            while (connection.up.BacklogBytes() < 30'000 && network->SendUp(ue, ns3::Create<ns3::Packet>(1500))) {
            }
        }
        ns3::Simulator::Schedule(ns3::MilliSeconds(1), fill);
    };
    fill();
    ns3::Simulator::Stop(ns3::MilliSeconds(60));
    ns3::Simulator::Run();
    ns3::Simulator::Destroy();
    network->Dispose();
    channel->Dispose();
    test.True(written.blocks > 150 && written.reports > 12, "something happens in three cells");
    if (places) {
        *places = states.str();
    }
    return written.Text();
}

void Networks(Case& test) {
    const std::string one = ThreeCells(test, 1);
    for (const unsigned threads : {2u, 4u}) {
        test.True(ThreeCells(test, threads) == one, "the same with " + std::to_string(threads) + " threads");
    }
    std::string withOne, withThree;
    test.True(ThreeCells(test, 1, &withOne) == one && ThreeCells(test, 3, &withThree) == one,
              "who follows changes nothing");
    test.True(!withOne.empty() && withOne == withThree, "the channel tells the same");
}

CaseSuite threadsTestSuite(
    "edgelam-nr-threads",
    {{"parts", Parts}, {"exceptions", Exceptions}, {"held links", Held}, {"one cell", Cells}, {"cells", Networks}});

} // namespace
