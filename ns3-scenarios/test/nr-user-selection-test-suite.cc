// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Zero forcing, and who is sent to together, against slow code; and what a cell makes of it.

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

#include "ns3/boolean.h"

#include "nr-cell-testbed.h"
#include "nr-growing-gram.h"
#include "nr-link-testbed.h"
#include "nr-semi-orthogonal-selection.h"
#include "nr-shared-slot.h"
#include "nr-user-selection.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

const Settings rayleigh{.deployment = "Rayleigh", .frequency = 3.5e9};

/// Inverse of a Hermitian matrix [n, n] by Gauss-Jordan elimination with pivoting.
std::vector<Complex> SlowInverse(std::vector<Complex> a, std::size_t n) {
    std::vector<Complex> b(n * n);
    for (std::size_t i = 0; i < n; ++i) {
        b[i * n + i] = 1;
    }
    for (std::size_t c = 0; c < n; ++c) {
        std::size_t pivot = c;
        for (std::size_t r = c; r < n; ++r) {
            pivot = std::abs(a[r * n + c]) > std::abs(a[pivot * n + c]) ? r : pivot;
        }
        for (std::size_t k = 0; k < n; ++k) {
            std::swap(a[c * n + k], a[pivot * n + k]);
            std::swap(b[c * n + k], b[pivot * n + k]);
        }
        const Complex scale = 1.0 / a[c * n + c];
        for (std::size_t k = 0; k < n; ++k) {
            a[c * n + k] *= scale;
            b[c * n + k] *= scale;
        }
        for (std::size_t r = 0; r < n; ++r) {
            const Complex factor = r == c ? 0 : a[r * n + c];
            for (std::size_t k = 0; k < n; ++k) {
                a[r * n + k] -= factor * a[c * n + k];
                b[r * n + k] -= factor * b[c * n + k];
            }
        }
    }
    return b;
}

/// UEs with one antenna around a gNB of four vertical elements in a row, each with the same mean SNR.
struct Crowd {
    ns3::Ptr<RadioChannel> channel = MakeChannel(rayleigh);
    End gnb = MakeEnd({0, 0, 10}, 1, 4, false);
    std::vector<End> ends;
    std::vector<double> offsets = Tones(6, 1.44e6);
    ns3::Ptr<Beamformer> beamformer;
    std::vector<UeLink> links;
    double snr = 0; ///< power of a resource block over noise

    Crowd(const std::string& beams, std::size_t ues, double meanSnr, bool limit = false)
        : beamformer(Beamformer::Make(beams)) {
        for (std::uint32_t ue = 0; ue < ues; ++ue) {
            ends.push_back(MakeEnd({60.0 + 3 * ue, 20.0 - 11 * ue, 1.5}, 1, 1, false));
        }
        for (std::uint32_t ue = 0; ue < ues; ++ue) {
            links.push_back(MakeUeLink(Link(channel, gnb, ends[ue]), beamformer, offsets, 1, 1, ue));
        }
        snr = meanSnr / links[0].LargeScaleGain();
        beamformer->Configure(snr, limit);
        for (auto& link : links) {
            link.Measure();
        }
    }
    /// The channel of a UE, scaled to noise: [element].
    std::vector<Complex> Row(std::size_t ue, std::size_t group) const {
        std::vector<Complex> row;
        for (std::size_t e = 0; e < 4; ++e) {
            row.push_back(Complex(links[ue].State().downlink[group * 4 + e]) * std::sqrt(snr));
        }
        return row;
    }
    std::vector<Complex> Gram(const std::vector<std::uint32_t>& ues, std::size_t group) const {
        std::vector<Complex> gram;
        for (const auto a : ues) {
            for (const auto b : ues) {
                Complex sum = 0;
                for (std::size_t e = 0; e < 4; ++e) {
                    sum += Row(a, group)[e] * std::conj(Row(b, group)[e]);
                }
                gram.push_back(sum);
            }
        }
        return gram;
    }
    /// Bit/s/Hz of zero forcing with equal power.
    double Rate(const std::vector<std::uint32_t>& ues, std::size_t group) const {
        const auto inverse = SlowInverse(Gram(ues, group), ues.size());
        double rate = 0;
        for (std::size_t k = 0; k < ues.size(); ++k) {
            rate += std::log2(1 + 1 / (static_cast<double>(ues.size()) * inverse[k * ues.size() + k].real()));
        }
        return rate;
    }
};

void Independent(Case& test) {
    // Over many places: unit power at each element, and no correlation between elements half a wavelength apart.
    const auto channel = MakeChannel(rayleigh);
    const End gnb = MakeEnd({0, 0, 10}, 1, 4, false);
    std::vector<Complex> covariance(16);
    Complex users = 0;
    constexpr int places = 1500;
    std::vector<Complex> before(4);
    const End ue = MakeEnd({0, 0, 1.5}, 1, 1, false);
    for (int i = 0; i < places; ++i) {
        ue.mobility->SetPosition({40.0 + 0.37 * i, -200 + 0.61 * i, 1.5});
        const auto link = Link(channel, gnb, ue);
        const auto h = Measure(link, {0.0});
        const double scale = 1 / std::sqrt(link->GetLargeScaleGain());
        for (std::size_t a = 0; a < 4; ++a) {
            for (std::size_t b = 0; b < 4; ++b) {
                covariance[a * 4 + b] += scale * scale * Complex(h[a]) * std::conj(Complex(h[b])) / double(places);
            }
            users += scale * Complex(h[a]) * std::conj(before[a]) / double(places);
            before[a] = scale * Complex(h[a]);
        }
    }
    for (std::size_t a = 0; a < 4; ++a) {
        for (std::size_t b = 0; b < 4; ++b) {
            test.True(std::abs(covariance[a * 4 + b] - Complex(a == b)) < 0.12,
                      "elements " + std::to_string(a) + " and " + std::to_string(b));
        }
    }
    test.True(std::abs(users) < 0.2, "places");
}

void Gram(Case& test) {
    const Crowd crowd("zf", 4, 10);
    GrowingGram gram;
    std::vector<std::uint32_t> ues;
    for (std::uint32_t ue = 0; ue < 4; ++ue) {
        ues.push_back(ue);
        const auto all = crowd.Gram(ues, 2);
        std::vector<Complex> dots;
        for (std::size_t i = 0; i + 1 < ues.size(); ++i) {
            dots.push_back(all[i * ues.size() + ue]);
        }
        GrowingGram::Step step;
        gram.Try(dots, all.back().real(), step);
        gram.Add(step);
        const auto inverse = SlowInverse(all, ues.size());
        for (std::size_t k = 0; k < ues.size(); ++k) {
            test.Near(gram.InverseDiagonal()[k] / inverse[k * ues.size() + k].real(), 1, 1e-9, "inverse");
        }
    }
}

/// Every SINR of zero forcing is the power that its inverse Gram matrix leaves, to 0.02 dB; regularised, with limits
/// for elements, and what the gNB expects: by hand from weights and channels.
void Sinr(Case& test) {
    for (const std::string beams : {"zf", "rzf"}) {
        for (const bool limit : {false, true}) {
            Crowd crowd(beams, 3, 30, limit);
            SharedSlot slot;
            const std::vector<std::uint32_t> groups{0, 1, 2, 3, 4, 5}, ues{0, 1, 2};
            for (const auto ue : ues) {
                slot.Add(3, crowd.links[ue], groups, 1);
            }
            for (const auto ue : ues) {
                const SinrMap map = slot.Downlink(ue, *crowd.beamformer, crowd.snr, {});
                std::vector<float> expected;
                slot.Predict(ue, *crowd.beamformer, std::vector<float>(6), expected);
                for (const auto g : groups) {
                    std::vector<Complex> received;
                    double most = 0, sum = 0;
                    for (std::size_t e = 0; e < 4; ++e) {
                        double power = 0;
                        for (const auto to : ues) {
                            power += std::norm(Complex(slot.Weights(to, *crowd.beamformer).weights[g * 4 + e]));
                        }
                        most = std::max(most, power);
                        sum += power;
                    }
                    for (const auto to : ues) {
                        const auto& weights = slot.Weights(to, *crowd.beamformer).weights;
                        Complex at = 0;
                        for (std::size_t e = 0; e < 4; ++e) {
                            at += crowd.Row(ue, g)[e] * Complex(weights[g * 4 + e]);
                        }
                        received.push_back(at);
                    }
                    double interference = 1;
                    for (const auto to : ues) {
                        interference += to == ue ? 0 : std::norm(received[to]);
                    }
                    const double sinr = std::norm(received[ue]) / interference;
                    test.Near(10 * std::log10(map.Layer(0)[g] / sinr), 0, 0.02, beams + " by hand, dB");
                    test.Near(10 * std::log10(expected[g] / sinr), 0, 0.02, beams + " expected, dB");
                    if (limit) {
                        test.Near(most, 0.25, 1e-5, "the strongest element has its part");
                    } else {
                        test.Near(sum, 1, 1e-5, "all of the power");
                    }
                    if (beams == "zf" && !limit) {
                        const double left = SlowInverse(crowd.Gram(ues, g), 3)[ue * 3 + ue].real();
                        test.Near(10 * std::log10(sinr * 3 * left), 0, 0.02, "zero forcing, dB");
                    }
                    if (beams == "rzf" && !limit) {
                        auto gram = crowd.Gram(ues, g);
                        for (std::size_t k = 0; k < 3; ++k) {
                            gram[k * 4] += 3;
                        }
                        const auto inverse = SlowInverse(gram, 3);
                        std::vector<Complex> slow(4);
                        double norm = 0;
                        for (std::size_t e = 0; e < 4; ++e) {
                            for (std::size_t i = 0; i < 3; ++i) {
                                slow[e] += std::conj(crowd.Row(i, g)[e]) * inverse[i * 3 + ue];
                            }
                            norm += std::norm(slow[e]);
                        }
                        Complex dot = 0;
                        for (std::size_t e = 0; e < 4; ++e) {
                            dot += std::conj(slow[e]) * Complex(slot.Weights(ue, *crowd.beamformer).weights[g * 4 + e]);
                        }
                        test.Near(std::abs(dot) / std::sqrt(norm / 3), 1, 1e-4, "the regularised direction");
                    }
                }
            }
        }
    }
}

/// A request of UEs with one layer and full buffers, the first of which has every group.
struct Asked {
    std::vector<float> bits = std::vector<float>(6, 1000);
    std::vector<Candidate> candidates;
    std::vector<SelectableUe> ues;
    std::vector<double> elements{0, 1, 1, 1, 1};
    Allocation allocation = Allocation(6, {0});
    std::vector<unsigned> layers;
    ControlRoom room{};

    explicit Asked(const Crowd& crowd) {
        for (std::uint32_t ue = 0; ue < crowd.links.size(); ++ue) {
            candidates.push_back({.ue = ue,
                                  .wantedBytes = 1 << 20,
                                  .fixedGroups = 0,
                                  .bitsPerGroup = bits.data(),
                                  .averageBps = 1,
                                  .cces = 1,
                                  .feedback = 1});
            ues.push_back({.ue = ue, .state = &crowd.links[ue].State(), .layers = 1, .snr = {}});
            layers.push_back(1);
        }
    }
    void Run(const Crowd& crowd, UserSelection& selection) {
        const SchedulingRequest slot{Direction::Downlink, 7, candidates, 6, 4, 24, room};
        selection.Select({slot, ues, elements, 100, *crowd.beamformer}, allocation, layers);
        std::vector<Granted> granted;
        CheckAllocation(selection, slot, allocation, granted);
    }
};

/// In every group the greedy set cannot be made better by one more UE, carries more than the first UE alone, and with
/// one group at a time is the set that slow code finds.
void Greedy(Case& test) {
    const Crowd crowd("zf", 7, 20);
    const auto selection = UserSelection::Make("greedy");
    for (std::uint32_t only = 0; only < 6; ++only) {
        Asked asked(crowd);
        for (std::uint32_t g = 0; g < 6; ++g) {
            asked.allocation[g] = g == only ? std::vector<std::uint32_t>{0} : std::vector<std::uint32_t>{};
        }
        asked.Run(crowd, *selection);
        std::vector<std::uint32_t> slow{0};
        for (;;) {
            double best = crowd.Rate(slow, only);
            std::uint32_t who = 0;
            for (std::uint32_t ue = 1; ue < 7 && slow.size() < 4; ++ue) {
                auto more = slow;
                more.push_back(ue);
                if (std::ranges::count(slow, ue) == 0 && crowd.Rate(more, only) > best) {
                    best = crowd.Rate(more, only);
                    who = ue;
                }
            }
            if (who == 0) {
                break;
            }
            slow.push_back(who);
        }
        test.True(asked.allocation[only] == slow, "group " + std::to_string(only));
        test.True(slow.size() > 1, "several UEs");
    }
    Asked asked(crowd);
    asked.Run(crowd, *selection);
    for (std::uint32_t g = 0; g < 6; ++g) {
        const double rate = crowd.Rate(asked.allocation[g], g);
        test.True(asked.allocation[g].front() == 0 && rate > crowd.Rate({0}, g), "more than alone");
    }
}

void SemiOrthogonal(Case& test) {
    const Crowd crowd("zf", 7, 20);
    for (const double most : {0.35, 0.6}) {
        const auto selection = UserSelection::Make("semi-orthogonal");
        selection->SetAttribute("Correlation", ns3::DoubleValue(most));
        Asked asked(crowd);
        asked.Run(crowd, *selection);
        std::size_t together = 0;
        for (std::uint32_t g = 0; g < 6; ++g) {
            std::vector<std::vector<Complex>> basis;
            for (const auto ue : asked.allocation[g]) {
                auto row = crowd.Row(ue, g);
                double power = 0, left = 0;
                for (const auto& each : row) {
                    power += std::norm(each);
                }
                for (const auto& q : basis) {
                    Complex dot = 0;
                    for (std::size_t e = 0; e < 4; ++e) {
                        dot += row[e] * std::conj(q[e]);
                    }
                    test.True(std::abs(dot) <= most * std::sqrt(power) * 1.0001, "correlation");
                    for (std::size_t e = 0; e < 4; ++e) {
                        row[e] -= dot * q[e];
                    }
                }
                for (const auto& each : row) {
                    left += std::norm(each);
                }
                for (auto& each : row) {
                    each /= std::sqrt(left);
                }
                basis.push_back(row);
            }
            together += basis.size();
        }
        test.True(together > 6, "some share with correlation " + std::to_string(most));
    }
}

/// Retransmissions keep the number of their groups and layers, new data takes no more than it fills, control channels
/// have room, and who may not share is left alone.
void Rules(Case& test) {
    const Crowd crowd("zf", 4, 20);
    const auto selection = UserSelection::Make("greedy");
    Asked again(crowd);
    again.candidates[1].fixedGroups = 2;
    again.candidates[2].fixedGroups = 6;
    again.allocation = {{2}, {2}, {2}, {2}, {2}, {2}};
    again.Run(crowd, *selection);
    std::map<std::uint32_t, std::size_t> groups;
    for (const auto& users : again.allocation) {
        for (const auto c : users) {
            ++groups[c];
        }
    }
    test.True(groups[2] == 6 && (groups[1] == 0 || groups[1] == 2), "numbers of groups");
    test.True(groups[0] + groups[1] + groups[3] > 0, "a retransmission is joined");

    Asked little(crowd);
    for (std::uint32_t c = 1; c < 4; ++c) {
        little.candidates[c].wantedBytes = 1;
    }
    little.elements = {0, 150, 150, 150, 150};
    little.Run(crowd, *selection);
    groups.clear();
    for (const auto& users : little.allocation) {
        for (const auto c : users) {
            ++groups[c];
        }
    }
    test.True(groups[1] <= 1 && groups[2] <= 1 && groups[3] <= 1, "one group is enough");

    Asked crowded(crowd);
    crowded.room = {.cces = 1, .feedback = 5};
    crowded.Run(crowd, *selection);
    std::set<std::uint32_t> who;
    for (const auto& users : crowded.allocation) {
        who.insert(users.begin(), users.end());
    }
    test.True(who.size() <= 2, "one more grant");

    Asked alone(crowd);
    alone.ues[0].state = nullptr;
    alone.Run(crowd, *selection);
    test.True(std::ranges::all_of(alone.allocation, [](const auto& users) { return users.size() == 1; }), "left alone");
}

/// A cell with a full buffer for each UE: zero forcing carries more than one UE at a time, errors are few, and blocks
/// are sent again beside others.
void InACell(Case& test) {
    std::map<std::string, double> bytes;
    for (const std::string beams : {"eigen", "zf", "rzf"}) {
        CellTestbed bed({.deployment = "UMi", .los = "Never", .frequency = 3.5e9},
                        {Set("Beams", beams), Set("GnbPower", 20.), Set("MaxLayers", 2u), Set("Bandwidth", 20e6),
                         Set("CsiPeriod", 10u)});
        for (int i = 0; i < 6; ++i) {
            bed.Add({60.0 + 4 * i, -60.0 + 24 * i, 1.5}, {0.8, 0.4, 0}, 1);
        }
        bed.Fill(false);
        bed.Run(0.25);
        std::map<std::uint64_t, std::vector<const TransportBlockRecord*>> slots;
        for (const auto& block : bed.blocks) {
            if (block.uplink == 0) {
                slots[block.slot].push_back(&block);
            }
        }
        std::size_t first = 0, lost = 0, together = 0, againTogether = 0;
        for (const auto& [slot, blocks] : slots) {
            std::map<std::uint32_t, unsigned> layers; // [group]
            for (const auto* block : blocks) {
                for (std::uint32_t g = 0; g < 32; ++g) {
                    layers[g] += (block->rbgs >> g & 1U) != 0 ? block->layers : 0;
                }
            }
            for (const auto* block : blocks) {
                first += block->attempt == 1;
                lost += block->attempt == 1 && block->received == 0;
                bool shares = false;
                unsigned most = 0;
                for (const auto* other : blocks) {
                    shares |= other != block && (other->rbgs & block->rbgs) != 0;
                }
                for (std::uint32_t g = 0; g < 32; ++g) {
                    most = std::max(most, (block->rbgs >> g & 1U) != 0 ? layers[g] : 0);
                }
                together += shares;
                againTogether += shares && block->attempt > 1;
                test.True(most <= 12, "12 layers");
                if (block->attempt == 1) { // TS 38.211: 12 resource elements up to 6 layers of type 2, then 24
                    const unsigned symbols = bed.cell->GetCarrier().PlanOf(slot).downSymbols;
                    const unsigned elements = NumResourceElements(block->prbs, symbols, most <= 6 ? 12 : 24, 0);
                    test.True(block->bits ==
                                  TransportBlockSize(elements, McsAt(McsTable::Qam256, block->mcs), block->layers),
                              "bits beside DMRS of " + std::to_string(most) + " layers");
                }
            }
        }
        for (const auto& [ue, each] : bed.down.bytes) {
            bytes[beams] += static_cast<double>(each);
        }
        test.True(lost < 0.2 * static_cast<double>(first),
                  beams + ": " + std::to_string(lost) + " of " + std::to_string(first) + " are lost");
        test.True((together > 0) == (beams != "eigen"), beams + ": who is together");
        test.True(beams == "eigen" || againTogether > 0, beams + ": blocks are sent again beside others");
    }
    test.True(bytes["zf"] > 1.5 * bytes["eigen"] && bytes["rzf"] > 0.95 * bytes["zf"],
              "bytes of eigen, zf, rzf: " + std::to_string(bytes["eigen"]) + ", " + std::to_string(bytes["zf"]) + ", " +
                  std::to_string(bytes["rzf"]));
}

void Refused(Case& test) {
    const auto make = [](const Attributes& attributes) { return [=] { CellTestbed bed(rayleigh, attributes); }; };
    test.Refuses<std::invalid_argument>(make({Set("Selection", std::string("greedy"))}),
                                        {"Selection 'greedy'", "Beams 'eigen'", "zf, rzf"}, "beams");
    test.Refuses<std::invalid_argument>(
        make({Set("Selection", std::string("best")), Set("Beams", std::string("zf"))}),
        {"'best'", "none, greedy, semi-orthogonal, external", "edgelam::nr::UserSelection"}, "name");
    test.Refuses<std::invalid_argument>(
        make({Set("Selection", std::string("external")), Set("Beams", std::string("zf"))}),
        {"Selection 'external'", "Beams 'zf'", "legal is external"}, "external");
    test.Refuses<std::invalid_argument>(make({{"LimitElements", ns3::Create<ns3::BooleanValue>(true)}}),
                                        {"LimitElements", "'eigen'", "zf, rzf"}, "limit");
}

CaseSuite userSelectionTestSuite("edgelam-nr-user-selection", {{"independent fading", Independent},
                                                               {"Gram matrices", Gram},
                                                               {"SINR", Sinr},
                                                               {"greedy", Greedy},
                                                               {"semi-orthogonal", SemiOrthogonal},
                                                               {"rules", Rules},
                                                               {"in a cell", InACell},
                                                               {"refused", Refused}});

} // namespace
