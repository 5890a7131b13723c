// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Blocks in shared memory and the CSI publisher, without participants.

#include <cstring>
#include <limits>

#include "ns3/nstime.h"
#include "ns3/simulator.h"

#include "block-feed.h"
#include "channel-testbed.h"
#include "csi-publisher.h"

using namespace edgelam;
using namespace edgelam::test;

namespace {

template<class T>
std::vector<T> Values(const Reading& reading) {
    const auto bytes = reading.block ? std::span<const std::byte>(reading.block->bytes()) : std::span(reading.bytes);
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

std::size_t Find(const Registry& registry, const std::string& name) {
    for (std::size_t id = 0; id < registry.observables().size(); ++id) {
        if (registry.observables()[id].name == name) {
            return id;
        }
    }
    throw std::runtime_error("no observable " + name + "; there are: " + registry.ObservableNames());
}

void Blocks(Case& test) {
    Registry registry;
    std::vector<std::size_t> told;
    registry.OnAnnounce([&](std::size_t id) { told.push_back(id); });
    BlockFeed<float> feed(registry, "x", "", "two by three", {{"row", 2}, {"column", 3}}, 1000);
    test.Refuses<std::runtime_error>([&] { registry.Read(0); }, {"observable 'x': no block is finished"},
                                     "nothing yet");
    auto first = feed.Begin();
    test.True(first.size() == 6, "size");
    std::fill(first.begin(), first.end(), 1.0f);
    test.True(told.empty(), "not told before it is finished");
    feed.Finish(500);
    test.True(told == std::vector<std::size_t>{0}, "told once");
    test.True(registry.observables()[0].announcedNs == 500 && registry.observables()[0].periodNs == 1000, "when");
    const Reading kept = registry.Read(0);
    test.True(kept.block && kept.block->bytes().data() == reinterpret_cast<std::byte*>(first.data()), "no copy");
    auto second = feed.Begin();
    std::fill(second.begin(), second.end(), 2.0f);
    test.True(Values<float>(registry.Read(0))[0] == 1, "the finished one while the next is filled");
    feed.Finish(1500);
    test.True(Values<float>(registry.Read(0))[5] == 2 && Values<float>(kept)[5] == 1, "what is held stays as it is");

    const auto make = [&](std::vector<Axis> axes, std::int64_t periodNs) {
        BlockFeed<float>(registry, "y" + std::to_string(registry.observables().size()), "", "", axes, periodNs);
    };
    test.Refuses([&] { make({{"row", 0}}, 1); }, {"axis 'row'", "size 0", "from 1"}, "an empty axis");
    test.Refuses([&] { make({{"row", -1}}, 1); }, {"size -1"}, "an axis that varies");
    test.Refuses([&] { make({{"row", 1}}, 0); }, {"period 0 ns", "at least 1 ns"}, "no period");
    test.Refuses([&] { registry.memory().Allocate(0); }, {"0 bytes"}, "no bytes");
}

void Publisher(Case& test) {
    const End gnb = MakeEnd({0, 0, 30}, 2, 2, true), ue = MakeEnd({100, 50, 1.5});
    ue.mobility->SetVelocity({10, 0, 0});
    auto channel = ns3::CreateObject<RadioChannel>();
    channel->AssignStreams(1);
    const auto tones = edgelam::Tones(5, 1e6);
    test.Near(tones[0], -2e6, 1e-6, "centred");
    test.Near(tones[4], 2e6, 1e-6, "centred");

    Registry registry;
    auto csi = ns3::CreateObject<CsiPublisher>();
    csi->SetAttribute("Period", ns3::TimeValue(ns3::MilliSeconds(2)));
    csi->SetAttribute("Snapshots", ns3::UintegerValue(3));
    csi->SetAttribute("Rays", ns3::BooleanValue(true));
    csi->AddLink("ue", channel, ue.mobility, ue.array, gnb.mobility, gnb.array, tones);
    csi->Start(registry);
    // The same at the same moments, asked of the link itself.
    const auto link = channel->GetLink(ue.mobility, ue.array, gnb.mobility, gnb.array);
    std::vector<std::complex<float>> expected;
    std::vector<double> powers;
    for (int i = 0; i < 6; ++i) {
        ns3::Simulator::Schedule(ns3::MilliSeconds(2 * i), [&] {
            Response h(8 * 5);
            link->GetFrequencyResponse(Direction::Uplink, tones, h);
            expected.insert(expected.end(), h.begin(), h.end());
        });
    }
    std::vector<std::complex<float>> got;
    std::vector<double> starts;
    registry.OnAnnounce([&](std::size_t id) {
        if (id == Find(registry, "csi/ue")) {
            const auto block = Values<std::complex<float>>(registry.Read(id));
            got.insert(got.end(), block.begin(), block.end());
        } else if (id == Find(registry, "csi-state/ue")) {
            starts.push_back(Values<CsiState>(registry.Read(id))[0].time_s);
        }
    });
    ns3::Simulator::Stop(ns3::MilliSeconds(11));
    ns3::Simulator::Run();
    ns3::Simulator::Destroy();
    test.True(got == expected && got.size() == 6 * 40, "two blocks of three snapshots, bit by bit");
    test.True(starts == std::vector<double>{0, 0.006}, "when blocks begin");
    test.True(csi->GetBlocks() == 2, "blocks");

    const auto state = Values<CsiState>(registry.Read(Find(registry, "csi-state/ue")))[0];
    double power = 0;
    for (std::size_t i = 120; i < 240; ++i) {
        power += std::norm(got[i]);
    }
    test.Near(state.mean_gain_db, 10 * std::log10(power / 120), 1e-6, "mean gain of the block");
    test.Near(state.snr_db, 23 + state.mean_gain_db + 173.975 - 10 * std::log10(5e6) - 5, 1e-6, "SNR");
    test.Near(state.tx_position_m[0], 100.06, 1e-9, "place at the first snapshot");
    test.Near(state.speed_mps, 10, 1e-12, "speed");
    const auto info = Values<CsiInfo>(registry.Read(Find(registry, "csi-info/ue")))[0];
    test.True(info.rx.rows == 2 && info.rx.columns == 2 && info.rx.polarisations == 2 && info.tx.rows == 1, "arrays");
    test.True(Values<double>(registry.Read(Find(registry, "csi-tones/ue"))) == tones, "tones");
    test.True(registry.Read(Find(registry, "rays/ue")).shape[0] > 100, "rays");
    csi->Dispose();
    test.True(Values<double>(registry.Read(Find(registry, "csi-tones/ue"))) == tones, "after the publisher");
}

void Refusals(Case& test) {
    const End gnb = MakeEnd({0, 0, 30}), ue = MakeEnd({100, 0, 1.5});
    auto channel = ns3::CreateObject<RadioChannel>();
    const auto publisher = [&](std::vector<double> tones) {
        auto csi = ns3::CreateObject<CsiPublisher>();
        csi->AddLink("ue", channel, ue.mobility, ue.array, gnb.mobility, gnb.array, std::move(tones));
        return csi;
    };
    const double nan = std::numeric_limits<double>::quiet_NaN();
    test.Refuses([&] { publisher({}); }, {"'ue' has no tones"}, "no tones");
    test.Refuses([&] { publisher({0, nan}); }, {"tone nan Hz of link 'ue'"}, "NaN");
    test.Refuses([&] { edgelam::Tones(0, 1e3); }, {"0 tones"}, "no tones");
    test.Refuses([&] { edgelam::Tones(2, nan); }, {"nan Hz apart"}, "NaN");
    test.Refuses([&] { edgelam::Tones(2, 0); }, {"0 Hz apart", "positive"}, "no spacing");
    Registry registry;
    test.Refuses([&] { ns3::CreateObject<CsiPublisher>()->Start(registry); }, {"0 links", "at least 1"}, "no links");
    auto csi = publisher({0});
    csi->SetAttribute("Period", ns3::TimeValue(ns3::Seconds(0)));
    test.Refuses([&] { csi->Start(registry); }, {"Period 0 s", "above 0"}, "no period");
    csi = publisher({0});
    csi->SetAttribute("Snapshots", ns3::UintegerValue(0));
    test.Refuses([&] { csi->Start(registry); }, {"Snapshots 0", "at least 1 snapshot"}, "no snapshots");
    csi = publisher({0});
    csi->Start(registry);
    test.Refuses([&] { csi->AddLink("b", channel, ue.mobility, ue.array, gnb.mobility, gnb.array, {0}); },
                 {"'b' is added after Start"}, "late");
    test.Refuses([&] { publisher({0})->Start(registry); }, {"csi/ue", "twice"}, "one name, one thing");
    ns3::Simulator::Destroy();
}

class CsiTestSuite : public ns3::TestSuite {
  public:
    CsiTestSuite() : ns3::TestSuite("edgelam-csi", Type::UNIT) {
        AddTestCase(new Case("blocks in shared memory", Blocks), Duration::QUICK);
        AddTestCase(new Case("what is published is what the link says", Publisher), Duration::QUICK);
        AddTestCase(new Case("refusals", Refusals), Duration::QUICK);
    }
};

const CsiTestSuite csiTestSuite;

} // namespace
