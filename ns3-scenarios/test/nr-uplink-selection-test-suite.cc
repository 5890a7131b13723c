// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Who sends together, against slow code, and what a cell makes of it.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "nr-cell-testbed.h"
#include "nr-link-testbed.h"
#include "nr-user-selection.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

const Settings rayleigh{.deployment = "Rayleigh", .frequency = 3.5e9};

/// UEs with one antenna around a gNB of four vertical elements in a row, with full buffers; one SNR on average.
struct Crowd {
    static constexpr std::uint32_t numGroups = 6;
    ns3::Ptr<RadioChannel> channel = MakeChannel(rayleigh);
    End gnb = MakeEnd({0, 0, 10}, 1, 4, false);
    std::vector<End> ends;
    ns3::Ptr<Beamformer> beamformer = Beamformer::Make("eigen");
    std::vector<UeLink> links;
    std::vector<double> snr; ///< [groups - 1]
    std::vector<float> bits = std::vector<float>(numGroups, 1000);
    std::vector<Candidate> candidates;
    std::vector<SelectableUe> ues;
    std::vector<double> elements{0, 1, 1, 1, 1};
    Allocation allocation = Allocation(numGroups, {0});
    std::vector<unsigned> layers;
    ControlRoom room{};

    /// \param limited whether the power of a UE is shared out over its groups
    Crowd(std::size_t count, double meanSnr, bool limited = false) {
        for (std::uint32_t ue = 0; ue < count; ++ue) {
            ends.push_back(MakeEnd({60.0 + 3 * ue, 20.0 - 11 * ue, 1.5}, 1, 1, false));
        }
        for (std::uint32_t ue = 0; ue < count; ++ue) {
            links.push_back(MakeUeLink(Link(channel, gnb, ends[ue]), beamformer, Tones(numGroups, 1.44e6), 1, 1, ue));
            links.back().ReceiveOverPorts();
        }
        for (auto& link : links) {
            link.Measure();
        }
        for (std::uint32_t groups = 1; groups <= numGroups; ++groups) {
            snr.push_back(meanSnr / links[0].LargeScaleGain() / (limited ? groups : 1));
        }
        for (std::uint32_t ue = 0; ue < count; ++ue) {
            candidates.push_back({.ue = ue,
                                  .wantedBytes = 1 << 20,
                                  .fixedGroups = 0,
                                  .bitsPerGroup = bits.data(),
                                  .averageBps = 1,
                                  .cces = 1});
            ues.push_back({.ue = ue, .state = &links[ue].State(), .layers = 1, .snr = snr});
            layers.push_back(1);
        }
    }
    void Run(const std::string& name = "greedy") {
        const auto selection = UserSelection::Make(name, Direction::Uplink);
        const SchedulingRequest slot{Direction::Uplink, 7, candidates, numGroups, 4, 4 * numGroups, room};
        selection->Select({slot, ues, elements, 100, *beamformer}, allocation, layers);
        std::vector<Granted> granted;
        CheckAllocation(*selection, slot, allocation, granted);
    }
    /// Bit/s/Hz of UEs that send on so many groups each: log2 det(I + S S^H), which MMSE with successive cancellation
    /// reaches, is above that of MMSE alone; so each UE's SINR is found by elimination.
    double Rate(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& who, std::uint32_t group) const {
        double rate = 0;
        for (const auto& own : who) {
            rate += OwnRate(who, own, group);
        }
        return rate;
    }
    /// That of one of them.
    double OwnRate(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& who,
                   const std::pair<std::uint32_t, std::uint32_t>& own, std::uint32_t group) const {
        std::vector<Complex> a(16), x(4);
        for (std::size_t i = 0; i < 4; ++i) {
            for (std::size_t j = 0; j < 4; ++j) {
                a[i * 4 + j] = i == j;
                for (const auto& each : who) {
                    a[i * 4 + j] += each == own ? 0.0 : At(each, group, i) * std::conj(At(each, group, j));
                }
            }
            x[i] = At(own, group, i);
        }
        for (std::size_t c = 0; c < 4; ++c) { // A is positive definite
            for (std::size_t r = 0; r < 4; ++r) {
                const Complex factor = r == c ? 0 : a[r * 4 + c] / a[c * 4 + c];
                for (std::size_t k = 0; k < 4; ++k) {
                    a[r * 4 + k] -= factor * a[c * 4 + k];
                }
                x[r] -= factor * x[c];
            }
        }
        double sinr = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            sinr += (std::conj(At(own, group, i)) * x[i] / a[i * 5]).real();
        }
        return std::log2(1 + sinr);
    }
    /// What an element hears of a UE that sends on so many groups.
    Complex At(const std::pair<std::uint32_t, std::uint32_t>& who, std::uint32_t group, std::size_t element) const {
        const auto& [ue, groups] = who;
        return Complex(links[ue].State().sounded[group * 4 + element]) * std::sqrt(snr[groups - 1]);
    }
    std::map<std::uint32_t, std::uint32_t> NumGroups() const {
        std::map<std::uint32_t, std::uint32_t> groups;
        for (const auto& users : allocation) {
            for (const auto c : users) {
                ++groups[c];
            }
        }
        return groups;
    }
};

/// On one group, the set is that of slow code.
void OneGroup(Case& test) {
    for (std::uint32_t only = 0; only < Crowd::numGroups; ++only) {
        Crowd crowd(7, 10);
        for (std::uint32_t g = 0; g < Crowd::numGroups; ++g) {
            if (g != only) { // somebody who shares nothing
                crowd.allocation[g] = {g < only ? 5U : 6U};
            }
        }
        crowd.ues[5].state = crowd.ues[6].state = nullptr;
        crowd.Run();
        std::vector<std::pair<std::uint32_t, std::uint32_t>> slow{{0, 1}};
        for (;;) {
            double best = crowd.Rate(slow, only);
            std::uint32_t who = 0;
            for (std::uint32_t ue = 1; ue < 5 && slow.size() < 4; ++ue) {
                auto more = slow;
                more.emplace_back(ue, 1);
                if (std::ranges::count(slow, std::pair{ue, 1U}) == 0 && crowd.Rate(more, only) > best) {
                    best = crowd.Rate(more, only);
                    who = ue;
                }
            }
            if (who == 0) {
                break;
            }
            slow.emplace_back(who, 1);
        }
        std::vector<std::uint32_t> expected;
        for (const auto& each : slow) {
            expected.push_back(each.first);
        }
        test.True(crowd.allocation[only] == expected, "group " + std::to_string(only));
        test.True(expected.size() > 1, "several UEs");
    }
}

/// Semi-orthogonal selection on one group, by Gram-Schmidt: of UEs that lie at most .3 in the direction of each one
/// before, that with the highest rate.
void SemiOrthogonal(Case& test) {
    std::size_t added = 0, left = 0;
    for (std::uint32_t only = 0; only < Crowd::numGroups; ++only) {
        Crowd crowd(16, 10);
        for (std::uint32_t g = 0; g < Crowd::numGroups; ++g) {
            if (g != only) {
                crowd.allocation[g] = {g < only ? 14U : 15U};
            }
        }
        crowd.ues[14].state = crowd.ues[15].state = nullptr;
        crowd.Run("semi-orthogonal");
        std::vector<std::vector<Complex>> basis;
        const auto channel = [&](std::uint32_t ue) {
            std::vector<Complex> h;
            for (std::size_t e = 0; e < 4; ++e) {
                h.push_back(crowd.At({ue, 1}, only, e));
            }
            return h;
        };
        const auto norm = [](const std::vector<Complex>& h) {
            double sum = 0;
            for (const auto& each : h) {
                sum += std::norm(each);
            }
            return std::sqrt(sum);
        };
        const auto dot = [](const std::vector<Complex>& a, const std::vector<Complex>& b) {
            Complex sum = 0;
            for (std::size_t i = 0; i < 4; ++i) {
                sum += std::conj(a[i]) * b[i];
            }
            return sum;
        };
        const auto add = [&](std::uint32_t ue) {
            auto h = channel(ue);
            for (const auto& each : basis) {
                const Complex along = dot(each, h);
                for (std::size_t i = 0; i < 4; ++i) {
                    h[i] -= along * each[i];
                }
            }
            const double length = norm(h);
            for (auto& each : h) {
                each /= length;
            }
            basis.push_back(h);
        };
        std::vector<std::pair<std::uint32_t, std::uint32_t>> slow{{0, 1}};
        add(0);
        for (;;) {
            double best = 0;
            std::uint32_t who = 0;
            for (std::uint32_t ue = 1; ue < 14 && slow.size() < 4; ++ue) {
                const auto h = channel(ue);
                const bool orthogonal = std::ranges::all_of(
                    basis, [&](const auto& each) { return std::abs(dot(each, h)) <= 0.3 * norm(h); });
                auto more = slow;
                more.emplace_back(ue, 1);
                const bool in = std::ranges::count(slow, std::pair{ue, 1U}) > 0;
                left += !in && !orthogonal;
                if (in || !orthogonal) {
                    continue;
                }
                const double own = crowd.OwnRate(more, more.back(), only);
                if (own > best) {
                    best = own;
                    who = ue;
                }
            }
            if (who == 0) {
                break;
            }
            slow.emplace_back(who, 1);
            add(who);
            ++added;
        }
        std::vector<std::uint32_t> expected;
        for (const auto& each : slow) {
            expected.push_back(each.first);
        }
        test.True(crowd.allocation[only] == expected, "group " + std::to_string(only));
    }
    test.True(added > 3 && left > 20, std::to_string(added) + " added, " + std::to_string(left) + " not orthogonal");
}

/// The first UE that is added gets the run of groups where most is gained, with its power shared out over them.
void Runs(Case& test) {
    for (const bool limited : {false, true}) {
        Crowd crowd(2, 3, limited);
        crowd.Run();
        double best = 0;
        std::pair<std::uint32_t, std::uint32_t> run;
        for (std::uint32_t count = 1; count <= Crowd::numGroups; ++count) {
            for (std::uint32_t first = 0; first + count <= Crowd::numGroups; ++first) {
                double gain = 0;
                for (std::uint32_t g = first; g < first + count; ++g) {
                    gain += crowd.Rate({{0, 6}, {1, count}}, g) - crowd.Rate({{0, 6}}, g);
                }
                if (gain > best + 1e-9) {
                    best = gain;
                    run = {first, count};
                }
            }
        }
        test.True(run.second > 0, "there is one");
        for (std::uint32_t g = 0; g < Crowd::numGroups; ++g) {
            const bool in = g >= run.first && g < run.first + run.second;
            test.True((crowd.allocation[g].size() == 2) == in, "group " + std::to_string(g));
        }
    }
}

/// Retransmissions keep the number of their groups, new data takes no more than it fills, control channels have room,
/// there are as many layers as DMRS allow, and who may not share is left alone.
void Rules(Case& test) {
    Crowd again(4, 10);
    again.candidates[1].fixedGroups = 2;
    again.candidates[2].fixedGroups = 6;
    again.allocation = Allocation(Crowd::numGroups, {2});
    again.ues[0].state = again.ues[3].state = nullptr;
    again.Run();
    auto groups = again.NumGroups();
    test.True(groups[2] == 6 && groups[1] == 2, "a retransmission is sent beside another one");

    Crowd little(4, 10);
    for (std::uint32_t c = 1; c < 4; ++c) {
        little.candidates[c].wantedBytes = 1;
    }
    little.elements = {0, 150, 150, 150, 150};
    little.Run();
    groups = little.NumGroups();
    test.True(groups[1] == 1 && groups[2] <= 1 && groups[3] <= 1, "one group is enough");

    Crowd crowded(4, 10);
    crowded.room = {.cces = 1};
    crowded.Run();
    test.True(crowded.NumGroups().size() == 2, "one more grant");

    Crowd few(4, 10);
    few.elements = {0, 1, 1};
    few.Run();
    test.True(std::ranges::all_of(few.allocation, [](const auto& users) { return users.size() <= 2; }), "two layers");

    Crowd weak(2, 10);
    weak.candidates[1].mostGroups = 3;
    weak.Run();
    test.True(weak.NumGroups()[1] == 3, "as many groups as the power is enough for");

    Crowd alone(4, 10);
    alone.ues[0].state = nullptr;
    alone.Run();
    test.True(alone.NumGroups().size() == 1, "left alone");
}

struct Sums {
    double bytes = 0;
    std::size_t first = 0, lost = 0, together = 0, againTogether = 0;
};

/// Full uplink buffers.
Sums Fill(Case& test, const std::string& selection, const Settings& settings, std::vector<ns3::Vector> places,
          const Attributes& attributes, double seconds) {
    Attributes all = attributes;
    all.push_back(Set("UplinkSelection", selection));
    CellTestbed bed(settings, all);
    for (const auto& place : places) {
        bed.ues.push_back(MakeEnd(place, 1, 1, false));
        bed.ues.back().mobility->SetVelocity({0.5, 0.3, 0});
        bed.cell->AddUe(bed.ues.back().mobility, bed.ues.back().array);
    }
    bed.Fill(true);
    bed.Run(seconds);
    std::map<std::uint64_t, std::vector<const TransportBlockRecord*>> slots;
    for (const auto& block : bed.blocks) {
        if (block.uplink != 0) {
            slots[block.slot].push_back(&block);
        }
    }
    Sums sums;
    for (const auto& [slot, blocks] : slots) {
        for (const auto* block : blocks) {
            unsigned most = 0;
            for (std::uint32_t g = 0; g < 32; ++g) {
                unsigned layers = 0;
                for (const auto* other : blocks) {
                    layers += (other->rbgs & block->rbgs) >> g & 1U ? other->layers : 0;
                }
                most = std::max(most, layers);
            }
            const bool shares = most > block->layers;
            sums.first += block->attempt == 1;
            sums.lost += block->attempt == 1 && block->received == 0;
            sums.together += shares;
            sums.againTogether += shares && block->attempt > 1;
            test.True(most <= 12, "12 layers");
            if (block->attempt == 1) { // TS 38.211: 12 resource elements up to 6 layers of type 2, then 24
                const unsigned symbols = bed.cell->GetCarrier().PlanOf(slot).upSymbols;
                const unsigned elements = NumResourceElements(block->prbs, symbols, most <= 6 ? 12 : 24, 0);
                test.True(block->bits ==
                              TransportBlockSize(elements, McsAt(McsTable::Qam256, block->mcs), block->layers),
                          "bits beside DMRS of " + std::to_string(most) + " layers");
            }
        }
    }
    for (const auto& [ue, each] : bed.up.bytes) {
        sums.bytes += static_cast<double>(each);
    }
    return sums;
}

/// Two UEs in line of sight in other directions, whose channels are nearly orthogonal, and whose power is enough:
/// together they carry nearly twice as much.
void Orthogonal(Case& test) {
    const Settings street{.deployment = "UMi", .los = "Always", .frequency = 3.5e9};
    std::map<std::string, Sums> sums;
    for (const std::string selection : {"none", "greedy"}) {
        sums[selection] = Fill(test, selection, street, {{60, 40, 1.5}, {70, -50, 1.5}}, {Set("Bandwidth", 20e6)}, 0.3);
    }
    const double ratio = sums["greedy"].bytes / sums["none"].bytes;
    test.True(sums["none"].together == 0 && sums["greedy"].together > 0.9 * static_cast<double>(sums["greedy"].first),
              "who is together");
    test.True(ratio > 1.85 && ratio < 2.05, "two at once: " + std::to_string(ratio));
}

/// A crowd behind corners: more is carried, the MCS is for all together, and blocks are sent again beside others.
void InACell(Case& test) {
    const Settings street{.deployment = "UMi", .los = "Never", .frequency = 3.5e9};
    std::vector<ns3::Vector> places;
    for (int i = 0; i < 8; ++i) {
        places.emplace_back(60.0 + 4 * i, -60.0 + 20 * i, 1.5);
    }
    std::map<std::string, Sums> sums;
    for (const std::string selection : {"none", "greedy"}) {
        sums[selection] = Fill(test, selection, street, places, {Set("Bandwidth", 20e6), Set("CsiPeriod", 10u)}, 0.3);
    }
    const Sums& greedy = sums["greedy"];
    const double lost = static_cast<double>(greedy.lost) / static_cast<double>(greedy.first);
    test.True(lost > 0.02 && lost < 0.15, "first transmissions that are lost: " + std::to_string(lost));
    test.True(greedy.againTogether > 0, "blocks are sent again beside others");
    test.True(greedy.bytes > 2 * sums["none"].bytes,
              "bytes: " + std::to_string(greedy.bytes) + " and " + std::to_string(sums["none"].bytes));
}

void Refused(Case& test) {
    const auto make = [](const Attributes& attributes) { return [=] { CellTestbed bed(rayleigh, attributes); }; };
    test.Refuses<std::invalid_argument>(make({Set("UplinkSelection", std::string("best"))}),
                                        {"uplink selection", "'best'", "none, greedy", "edgelam::nr::UserSelection"},
                                        "name");
}

CaseSuite uplinkSelectionTestSuite("edgelam-nr-uplink-selection", {{"one group", OneGroup},
                                                                   {"one group, semi-orthogonal", SemiOrthogonal},
                                                                   {"runs of groups", Runs},
                                                                   {"rules", Rules},
                                                                   {"orthogonal channels", Orthogonal},
                                                                   {"in a cell", InACell},
                                                                   {"refused", Refused}});

} // namespace
