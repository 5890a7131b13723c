// SPDX-License-Identifier: GPL-2.0-only
// What the channel costs, on one core, beside the ns-3 wheel's ThreeGppChannelModel in the same run. Prints one JSON
// object; `edgelam bench channel` runs it and makes a table of it.
//
// UMa, 2.4 GHz, never in line of sight: a base station with 8 x 4 dual-polarised elements (64), a user with 2 x 1
// dual-polarised ones (4), 48 subcarriers of 180 kHz. The user walks at 10 m/s, one snapshot every 0.5 ms, across cells
// and their borders, so that what is measured is the mean over the inside of cells and the places between them.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "ns3/channel-condition-model.h"
#include "ns3/constant-position-mobility-model.h"
#include "ns3/double.h"
#include "ns3/node.h"
#include "ns3/pointer.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/string.h"
#include "ns3/three-gpp-channel-model.h"
#include "ns3/uniform-planar-array.h"

#include "planar-array.h"
#include "radio-channel.h"

using namespace ns3;

namespace {

constexpr double carrier = 2.4e9;

double Seconds() {
    using namespace std::chrono;
    return duration<double>(steady_clock::now().time_since_epoch()).count();
}

struct End {
    Ptr<Node> node;
    Ptr<ConstantPositionMobilityModel> mobility;
    Ptr<UniformPlanarArray> array;
};

End MakeEnd(const Vector& place, std::uint32_t rows, std::uint32_t columns) {
    End end{CreateObject<Node>(), CreateObject<ConstantPositionMobilityModel>(), nullptr};
    end.node->AggregateObject(end.mobility);
    end.mobility->SetPosition(place);
    end.array = edgelam::MakePlanarArray(rows, columns, true, edgelam::ElementPattern::Isotropic);
    return end;
}

Ptr<edgelam::RadioChannel> MakeChannel(const std::string& angles) {
    auto channel = CreateObject<edgelam::RadioChannel>();
    channel->SetAttribute("Frequency", DoubleValue(carrier));
    channel->SetAttribute("LosState", StringValue("Never"));
    channel->SetAttribute("Angles", StringValue(angles));
    channel->AssignStreams(1);
    return channel;
}

/// Snapshots a second of 4 x 64 x 48 along a straight walk that starts in the middle of a cell.
double SnapshotsPerS(const std::string& angles, double seconds) {
    const auto channel = MakeChannel(angles);
    const End bs = MakeEnd({0, 0, 30}, 8, 4), ut = MakeEnd({175, 25, 1.5}, 1, 2);
    const auto link = channel->GetLink(bs.mobility, bs.array, ut.mobility, ut.array);
    std::vector<double> offsets(48);
    for (std::size_t i = 0; i < offsets.size(); ++i) {
        offsets[i] = (static_cast<double>(i) - 23.5) * 180e3;
    }
    std::vector<std::complex<float>> h(4 * 64 * 48);
    link->GetFrequencyResponse(edgelam::Direction::Downlink, offsets, h);
    std::size_t count = 0;
    const double begin = Seconds();
    while (Seconds() - begin < seconds) {
        for (int i = 0; i < 20; ++i, ++count) {
            // Steps of 5 mm; every 2,000 of them (10 m of windows walked) on to another fifth of the cell.
            const double walked =
                5e-3 * static_cast<double>(count % 2000) + 10 * static_cast<double>(count / 2000 % 10);
            ut.mobility->SetPosition({175 + 0.96 * walked, 25 + 0.28 * walked, 1.5});
            link->GetFrequencyResponse(edgelam::Direction::Downlink, offsets, h);
        }
    }
    return static_cast<double>(count) / (Seconds() - begin);
}

/// Links a millisecond for the wideband gain of one beam each way, users moving between calls.
double WidebandLinksPerMs(double seconds) {
    const auto channel = MakeChannel("Frozen");
    const End bs = MakeEnd({0, 0, 30}, 8, 4);
    const edgelam::PortWeights atBs(1, std::vector<std::complex<float>>(64, 0.125f));
    const edgelam::PortWeights atUt(1, std::vector<std::complex<float>>(4, 0.5f));
    std::vector<End> users;
    std::vector<Ptr<edgelam::ChannelLink>> links;
    for (int i = 0; i < 20; ++i) {
        users.push_back(MakeEnd({100.0 + 17 * i, -150.0 + 13 * i, 1.5}, 1, 2));
        links.push_back(channel->GetLink(bs.mobility, bs.array, users.back().mobility, users.back().array));
        links.back()->GetWidebandGain(edgelam::Direction::Downlink, atUt, atBs);
    }
    std::size_t rounds = 0;
    double sum = 0;
    const double begin = Seconds();
    while (Seconds() - begin < seconds) {
        ++rounds;
        for (std::size_t i = 0; i < links.size(); ++i) {
            const Vector place = users[i].mobility->GetPosition();
            users[i].mobility->SetPosition({place.x + 5e-3, place.y, place.z});
            sum += links[i]->GetWidebandGain(edgelam::Direction::Downlink, atUt, atBs);
        }
    }
    if (!(sum > 0)) {
        std::abort();
    }
    return static_cast<double>(rounds * links.size()) / (1e3 * (Seconds() - begin));
}

/// Per call, us: the channel of 273 resource blocks for given weights, new and kept.
std::pair<double, double> EffectiveUs() {
    const auto channel = MakeChannel("Frozen");
    const End bs = MakeEnd({0, 0, 30}, 8, 4), ut = MakeEnd({175, 25, 1.5}, 1, 2);
    const auto link = channel->GetLink(bs.mobility, bs.array, ut.mobility, ut.array);
    const edgelam::PortWeights atBs(1, std::vector<std::complex<float>>(64, 0.125f));
    const edgelam::PortWeights atUt(1, std::vector<std::complex<float>>(4, 0.5f));
    std::vector<double> offsets(273);
    for (std::size_t i = 0; i < offsets.size(); ++i) {
        offsets[i] = (static_cast<double>(i) - 136) * 360e3;
    }
    constexpr int count = 2000;
    double begin = Seconds();
    for (int i = 0; i < count; ++i) {
        ut.mobility->SetPosition({175 + 5e-3 * i, 25, 1.5});
        link->GetEffectiveChannel(edgelam::Direction::Downlink, atUt, atBs, offsets);
    }
    const double fresh = (Seconds() - begin) / count;
    begin = Seconds();
    for (int i = 0; i < count; ++i) {
        link->GetEffectiveChannel(edgelam::Direction::Downlink, atUt, atBs, offsets);
    }
    return {1e6 * fresh, 1e6 * (Seconds() - begin) / count};
}

/// First look at a link in a new place, ms: ours with everything it draws (environment included), and the wheel's.
std::pair<double, double> FirstDrawMs(int count) {
    std::vector<double> offsets(48);
    std::vector<std::complex<float>> h(4 * 64 * 48);
    double ours = 0, theirs = 0;
    for (int i = 0; i < count; ++i) {
        const End bs = MakeEnd({0, 0, 30}, 8, 4), ut = MakeEnd({150.0 + i, 7.0 * i, 1.5}, 1, 2);
        const auto channel = MakeChannel("Frozen");
        double begin = Seconds();
        channel->GetLink(bs.mobility, bs.array, ut.mobility, ut.array)
            ->GetFrequencyResponse(edgelam::Direction::Downlink, offsets, h);
        ours += Seconds() - begin;

        const auto wheel = CreateObject<ThreeGppChannelModel>();
        wheel->SetAttribute("Frequency", DoubleValue(carrier));
        wheel->SetAttribute("Scenario", StringValue("UMa"));
        wheel->SetAttribute("ChannelConditionModel", PointerValue(CreateObject<NeverLosChannelConditionModel>()));
        wheel->AssignStreams(1);
        begin = Seconds();
        wheel->GetChannel(bs.mobility, ut.mobility, bs.array, ut.array);
        theirs += Seconds() - begin;
    }
    return {1e3 * ours / count, 1e3 * theirs / count};
}

} // namespace

int main(int argc, char* argv[]) {
    const double seconds = argc > 1 ? std::strtod(argv[1], nullptr) : 2;
    if (argc > 2 || !(seconds >= 0.01 && seconds <= 600)) {
        std::fprintf(stderr, "usage: channel [seconds each part takes, 0.01 to 600]\n");
        return 2;
    }
    RngSeedManager::SetSeed(1);
    const double frozen = SnapshotsPerS("Frozen", seconds), drifting = SnapshotsPerS("Drifting", seconds);
    const double links = WidebandLinksPerMs(seconds);
    const auto [fresh, kept] = EffectiveUs();
    const auto [ours, theirs] = FirstDrawMs(20);
    std::printf(
        "{\"frozen_snapshots_per_s\": %.0f, \"drifting_snapshots_per_s\": %.0f, \"wideband_links_per_ms\": %.1f, "
        "\"effective_channel_us\": %.1f, \"effective_channel_kept_us\": %.2f, \"first_draw_ms\": %.3f, "
        "\"first_draw_wheel_ms\": %.3f}\n",
        frozen, drifting, links, fresh, kept, ours, theirs);
    return 0;
}
