// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Several UEs on one resource block group, against sums by hand.

#include <algorithm>
#include <cmath>
#include <set>

#include "nr-cell-testbed.h"
#include "nr-link-testbed.h"
#include "nr-shared-slot.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

const Settings street{.deployment = "UMi", .los = "Never", .frequency = 3.5e9};

/// x of A x = b by Gaussian elimination with pivoting; A [n, n].
std::vector<Complex> Solve(std::vector<Complex> a, std::vector<Complex> b) {
    const std::size_t n = b.size();
    for (std::size_t c = 0; c < n; ++c) {
        std::size_t pivot = c;
        for (std::size_t r = c; r < n; ++r) {
            pivot = std::abs(a[r * n + c]) > std::abs(a[pivot * n + c]) ? r : pivot;
        }
        for (std::size_t k = 0; k < n; ++k) {
            std::swap(a[c * n + k], a[pivot * n + k]);
        }
        std::swap(b[c], b[pivot]);
        for (std::size_t r = 0; r < n; ++r) {
            if (r != c) {
                const Complex factor = a[r * n + c] / a[c * n + c];
                for (std::size_t k = c; k < n; ++k) {
                    a[r * n + k] -= factor * a[c * n + k];
                }
                b[r] -= factor * b[c];
            }
        }
    }
    for (std::size_t c = 0; c < n; ++c) {
        b[c] /= a[c * n + c];
    }
    return b;
}

/// What one layer is at the receiver's antennas, its amplitude over that of noise.
using Signature = std::vector<Complex>;

/// SINR of an MMSE receiver: h^H R^-1 h, where R is the covariance of everything else.
double SlowSinr(const Signature& wanted, const std::vector<Signature>& others, double noise) {
    const std::size_t n = wanted.size();
    std::vector<Complex> covariance(n * n);
    for (std::size_t i = 0; i < n; ++i) {
        covariance[i * n + i] = noise;
        for (std::size_t j = 0; j < n; ++j) {
            for (const auto& other : others) {
                covariance[i * n + j] += other[i] * std::conj(other[j]);
            }
        }
    }
    const auto x = Solve(covariance, wanted);
    double sinr = 0;
    for (std::size_t i = 0; i < n; ++i) {
        sinr += (std::conj(wanted[i]) * x[i]).real();
    }
    return sinr;
}

/// Two UEs with 2 and 1 layers, 6 groups of 2 samples: the first on groups 0 to 3, the second on 2 to 5.
struct Pair {
    static constexpr std::size_t samples = 12, perGroup = 2;
    ns3::Ptr<RadioChannel> channel = MakeChannel(street);
    End gnb = MakeEnd({0, 0, 10}, 4, 4, true),
        ends[2] = {MakeEnd({60, 10, 1.5}, 1, 2, true), MakeEnd({50, -30, 1.5}, 1, 2, true)};
    std::vector<double> offsets = Tones(samples, 1.44e6);
    ns3::Ptr<Beamformer> beamformer;
    std::vector<UeLink> links;
    const unsigned layers[2] = {2, 1};
    const std::vector<std::uint32_t> groups[2] = {{0, 1, 2, 3}, {2, 3, 4, 5}};
    SharedSlot slot;
    std::vector<Response> h; ///< [ue] of [antenna, element, sample]
    double snr = 0;

    explicit Pair(const ns3::Ptr<Beamformer>& other = nullptr, bool overPorts = false)
        : beamformer(other ? other : Beamformer::Make("eigen")) {
        for (std::uint32_t ue = 0; ue < 2; ++ue) {
            links.push_back(MakeUeLink(Link(channel, gnb, ends[ue]), beamformer, offsets, 2, perGroup, ue));
        }
        for (std::uint32_t ue = 0; ue < 2; ++ue) {
            if (overPorts) {
                links[ue].ReceiveOverPorts();
            }
            links[ue].Measure();
            slot.Add(7, links[ue], groups[ue], layers[ue]);
            h.push_back(Measure(Link(channel, gnb, ends[ue]), offsets));
        }
        snr = 300 / links[0].LargeScaleGain();
        beamformer->Configure(snr, false);
    }
    bool On(std::size_t ue, std::size_t sample) const {
        return std::count(groups[ue].begin(), groups[ue].end(), sample / perGroup) > 0;
    }
    std::size_t Elements() const { return gnb.array->GetNumElems(); }
    /// The middle of each group.
    std::vector<double> Centres() const {
        std::vector<double> centres;
        for (std::size_t f = 0; f < samples; f += perGroup) {
            centres.push_back((offsets[f] + offsets[f + 1]) / 2);
        }
        return centres;
    }
};

void Downlink(Case& test) {
    Pair pair;
    test.True(pair.slot.Shares(7, 0) && pair.slot.Shares(7, 1) && !pair.slot.Shares(8, 0), "who shares");
    std::vector<float> rise(Pair::samples, 1);
    rise[5] = 3;
    for (std::uint32_t ue = 0; ue < 2; ++ue) {
        const SinrMap map = pair.slot.Downlink(ue, *pair.beamformer, pair.snr, rise);
        for (std::size_t f = 0; f < Pair::samples; ++f) {
            std::vector<Signature> sent; // at this UE: its own layers first
            unsigned all = 0;
            for (const std::size_t to : {std::size_t{ue}, std::size_t{1 - ue}}) {
                all += pair.On(to, f) ? pair.layers[to] : 0;
            }
            for (const std::size_t to : {std::size_t{ue}, std::size_t{1 - ue}}) {
                const PortWeights& beams = *pair.links[to].State().beams;
                for (unsigned l = 0; l < pair.layers[to] && pair.On(to, f); ++l) {
                    Signature at(4);
                    for (std::size_t a = 0; a < 4; ++a) {
                        for (std::size_t e = 0; e < pair.Elements(); ++e) {
                            at[a] += Complex(pair.h[ue][(a * pair.Elements() + e) * Pair::samples + f]) *
                                     Complex(beams.values()[e * beams.numPorts() + l]) * std::sqrt(pair.snr / all);
                        }
                    }
                    sent.push_back(at);
                }
            }
            for (unsigned l = 0; l < pair.layers[ue] && pair.On(ue, f); ++l) {
                auto others = sent;
                others.erase(others.begin() + l);
                const double slow = SlowSinr(sent[l], others, rise[f]);
                test.Near(map.Layer(l)[f] / slow, 1, 2e-3, "downlink");
            }
        }
        const auto alone = pair.links[ue].Downlink(pair.layers[ue], pair.snr);
        const std::size_t shared = 2 * Pair::perGroup;
        test.True(map.Layer(0)[shared] < 0.75 * alone.Layer(0)[shared], "sharing costs");
    }
}

/// A beamformer that sends own beams and wants the channel.
class Informed : public Beamformer {
  public:
    static ns3::TypeId GetTypeId() {
        static const ns3::TypeId tid =
            ns3::TypeId("edgelam::test::Informed").SetParent<Beamformer>().AddConstructor<Informed>();
        return tid;
    }
    void Form(std::uint32_t, std::span<const ServedUe> ues, double power) override {
        for (const auto& ue : ues) {
            UseOwnBeams(ue, power / static_cast<double>(ues.size()));
        }
    }
};
NS_OBJECT_ENSURE_REGISTERED(Informed);

/// What the gNB expects beside the other: its part of the power, or by the channel that it knows, the SINR of each
/// layer.
void Expected(Case& test) {
    std::vector<float> linear;
    const std::vector<float> alone{3, 4, 5, 6, 7, 8};
    Pair blind;
    blind.slot.Predict(0, *blind.beamformer, alone, linear);
    test.True(linear.size() == 8, "two layers in four groups");
    test.Near(linear[2], std::pow(10, 0.4), 1e-4, "alone");
    test.Near(linear[4], std::pow(10, 0.5) * 2 / 3, 1e-4, "two layers of three");
    blind.slot.Predict(1, *blind.beamformer, alone, linear);
    test.Near(linear[1], std::pow(10, 0.6) / 3, 1e-4, "one layer of three");
    test.True(blind.slot.LayersBeside(0) == 3 && blind.slot.LayersBeside(1) == 3, "layers for DMRS");

    Pair pair(ns3::CreateObject<Informed>());
    pair.links[1].SetMeasuredRise(2.5);
    pair.links[1].Adopt();
    for (std::uint32_t ue = 0; ue < 2; ++ue) {
        pair.slot.Predict(ue, *pair.beamformer, alone, linear);
        for (std::size_t i = 0; i < pair.groups[ue].size(); ++i) {
            const std::uint32_t group = pair.groups[ue][i];
            const bool shared = group == 2 || group == 3;
            std::vector<Signature> sent;
            for (const std::size_t to : {std::size_t{ue}, std::size_t{1 - ue}}) {
                const double power = pair.snr / pair.layers[to] / (shared ? 2 : 1);
                const ChannelState &here = pair.links[ue].State(), &beams = pair.links[to].State();
                for (unsigned l = 0; l < pair.layers[to] && (to == ue || shared); ++l) {
                    Signature at(4);
                    for (std::size_t a = 0; a < 4; ++a) {
                        for (std::size_t e = 0; e < pair.Elements(); ++e) {
                            at[a] += Complex(here.downlink[(group * 4 + a) * pair.Elements() + e]) *
                                     Complex(beams.beams->values()[e * beams.beams->numPorts() + l]) * std::sqrt(power);
                        }
                    }
                    sent.push_back(at);
                }
            }
            for (unsigned l = 0; l < pair.layers[ue]; ++l) {
                auto others = sent;
                others.erase(others.begin() + l);
                const double slow = SlowSinr(sent[l], others, ue == 0 ? 1 : 2.5);
                test.Near(linear[i * pair.layers[ue] + l] / slow, 1, 2e-3, "by the channel");
            }
        }
    }
}

/// The layers of a UE as the gNB receives them at one of the samples of a response, behind beams [element, beam], or at
/// its ports if null.
std::vector<Signature> Received(const Pair& pair, const Response& h, std::size_t from, std::size_t sample, double power,
                                const PortWeights* beams) {
    const auto& weights = pair.links[from].State().uplink;
    const std::size_t samples = h.size() / (4 * pair.Elements());
    std::vector<Signature> layers(pair.layers[from]);
    for (unsigned l = 0; l < layers.size(); ++l) {
        Signature ports(pair.Elements());
        for (std::size_t a = 0; a < 4; ++a) {
            for (std::size_t e = 0; e < ports.size(); ++e) {
                ports[e] += Complex(h[(a * ports.size() + e) * samples + sample]) * Complex(weights[a * 2 + l]) *
                            std::sqrt(power / pair.layers[from]);
            }
        }
        layers[l] = beams ? Signature(beams->numPorts()) : ports;
        for (std::size_t b = 0; beams && b < beams->numPorts(); ++b) {
            for (std::size_t e = 0; e < ports.size(); ++e) {
                layers[l][b] += ports[e] * Complex(beams->values()[e * beams->numPorts() + b]);
            }
        }
    }
    return layers;
}

/// Two UEs that send at once: behind the beams of each, or, as with a selection, over all ports, where SINRs are also
/// expected from what was sounded. By hand, to 0.02 dB.
void Uplink(Case& test) {
    for (const bool overPorts : {false, true}) {
        Pair pair(nullptr, overPorts);
        const auto snr = [&](std::uint32_t ue, std::uint32_t groups) {
            return pair.snr * (ue == 0 ? 1 : 0.5) * (groups == 0b1111 ? 1 : 2);
        };
        pair.links[0].SetMeasuredRise(7, 1.5);
        pair.links[0].Adopt();
        std::vector<float> rise(Pair::samples, 1);
        rise[5] = 3;
        const std::vector<std::uint32_t> some{4, 5, 6};
        for (std::uint32_t ue = 0; ue < 2; ++ue) {
            const SinrMap map = pair.slot.Uplink(ue, snr, rise);
            Noise partly(rise);
            partly.samples = some;
            const SinrMap part = pair.slot.Uplink(ue, snr, partly);
            const PortWeights* beams = overPorts ? nullptr : &*pair.links[ue].State().beams;
            for (std::size_t f = 0; f < Pair::samples; ++f) {
                std::vector<Signature> received; // its own layers first
                for (const std::size_t from : {std::size_t{ue}, std::size_t{1 - ue}}) {
                    const double power = pair.snr * (from == 0 ? 1 : 0.5 * 2);
                    if (pair.On(from, f)) {
                        const auto layers = Received(pair, pair.h[from], from, f, power, beams);
                        received.insert(received.end(), layers.begin(), layers.end());
                    }
                }
                for (unsigned l = 0; l < pair.layers[ue] && pair.On(ue, f); ++l) {
                    auto others = received;
                    others.erase(others.begin() + l);
                    const double slow = SlowSinr(received[l], others, rise[f]);
                    test.Near(10 * std::log10(map.Layer(l)[f] / slow), 0, 0.02, "uplink, dB");
                    if (const auto at = std::ranges::find(some, f); at != some.end()) {
                        test.Near(part.Layer(l)[at - some.begin()] / slow, 1, 1e-3, "some samples");
                    }
                }
            }
            if (!overPorts) {
                continue;
            }
            std::vector<float> expected;
            pair.slot.PredictUplink(ue, snr, expected);
            test.True(expected.size() == 4 * pair.layers[ue], "every layer in every group");
            for (std::size_t i = 0; i < 4; ++i) {
                const std::uint32_t group = pair.groups[ue][i];
                std::vector<Signature> received;
                for (const std::size_t from : {std::size_t{ue}, std::size_t{1 - ue}}) {
                    if (from == ue || group == 2 || group == 3) {
                        const auto middle = Measure(Link(pair.channel, pair.gnb, pair.ends[from]), pair.Centres());
                        const auto layers = Received(pair, middle, from, group, pair.snr, nullptr);
                        received.insert(received.end(), layers.begin(), layers.end());
                    }
                }
                for (unsigned l = 0; l < pair.layers[ue]; ++l) {
                    auto beside = received;
                    beside.erase(beside.begin() + l);
                    const double slow = SlowSinr(received[l], beside, ue == 0 ? 1.5 : 1);
                    test.Near(10 * std::log10(expected[i * pair.layers[ue] + l] / slow), 0, 0.02, "expected, dB");
                }
            }
        }
    }
}

/// Everybody who has new data on all groups that retransmissions leave over.
class TogetherScheduler : public Scheduler {
  public:
    static ns3::TypeId GetTypeId() {
        static const ns3::TypeId tid =
            ns3::TypeId("edgelam::test::TogetherScheduler").SetParent<Scheduler>().AddConstructor<TogetherScheduler>();
        return tid;
    }
    void Allocate(const SchedulingRequest& request, Allocation& allocation) override {
        std::uint32_t next = 0;
        for (std::uint32_t i = 0; i < request.candidates.size(); ++i) {
            const auto fixed = request.candidates[i].fixedGroups;
            if (fixed <= request.numGroups - next) {
                for (std::uint32_t n = 0; n < fixed; ++n) {
                    allocation[next++].push_back(i);
                }
            }
        }
        for (; next < request.numGroups; ++next) {
            for (std::uint32_t i = 0; i < request.candidates.size(); ++i) {
                if (request.candidates[i].fixedGroups == 0) {
                    allocation[next].push_back(i);
                }
            }
        }
    }
};
NS_OBJECT_ENSURE_REGISTERED(TogetherScheduler);

/// Two UEs with one antenna each: weights orthogonal to the other's channel.
class NullBeamformer : public Beamformer {
  public:
    static ns3::TypeId GetTypeId() {
        static const ns3::TypeId tid =
            ns3::TypeId("edgelam::test::NullBeamformer").SetParent<Beamformer>().AddConstructor<NullBeamformer>();
        return tid;
    }
    void Form(std::uint32_t, std::span<const ServedUe> ues, double power) override {
        most = std::max(most, ues.size());
        for (const auto& ue : ues) {
            std::vector<Complex> weights;
            for (std::size_t e = 0; e < ue.elements; ++e) {
                weights.push_back(std::conj(Complex(ue.Channel(0, e))));
            }
            for (const auto& other : ues) {
                Complex dot = 0;
                double norm = 0;
                for (std::size_t e = 0; e < ue.elements && other.ue != ue.ue; ++e) {
                    dot += Complex(other.Channel(0, e)) * weights[e];
                    norm += std::norm(Complex(other.Channel(0, e)));
                }
                for (std::size_t e = 0; e < ue.elements && norm > 0; ++e) {
                    weights[e] -= dot / norm * std::conj(Complex(other.Channel(0, e)));
                }
            }
            double sum = 0;
            for (const auto& weight : weights) {
                sum += std::norm(weight);
            }
            for (std::size_t e = 0; e < ue.elements; ++e) {
                ue.Weight(e, 0) = std::complex<float>(
                    weights[e] * std::sqrt(strength * power / sum / static_cast<double>(ues.size())));
            }
        }
    }
    static inline std::size_t most = 0; ///< UEs on a group
    static inline double strength = 1;  ///< of what is legal
};
NS_OBJECT_ENSURE_REGISTERED(NullBeamformer);

/// In a whole cell: both are served at once, in both directions, everything arrives in order, and with weights that
/// cancel the other UE the cell carries more than with one UE at a time.
void InACell(Case& test) {
    const std::string together = "edgelam::test::TogetherScheduler", null = "edgelam::test::NullBeamformer";
    std::map<std::string, double> bytes;
    for (const auto& [scheduler, beams] :
         {std::pair<std::string, std::string>{"rr", "eigen"}, {together, "eigen"}, {together, null}}) {
        CellTestbed bed({.deployment = "UMi", .los = "Never", .frequency = 3.5e9},
                        {Set("Scheduler", scheduler), Set("Beams", beams), Set("GnbPower", 20.), Set("MaxLayers", 1u),
                         Set("Bandwidth", 20e6)});
        for (const ns3::Vector& place : {ns3::Vector(60, 40, 1.5), ns3::Vector(70, -50, 1.5)}) {
            bed.ues.push_back(MakeEnd(place));
            bed.cell->AddUe(bed.ues.back().mobility, bed.ues.back().array);
        }
        bed.Fill(false);
        bed.Fill(true);
        bed.Run(0.3);
        std::map<std::pair<int, std::uint64_t>, std::vector<std::uint32_t>> rbgs; // [direction, slot]
        for (const auto& block : bed.blocks) {
            rbgs[{block.uplink, block.slot}].push_back(block.rbgs);
        }
        for (const int uplink : {0, 1}) {
            const auto shared = std::count_if(rbgs.begin(), rbgs.end(), [&](const auto& each) {
                const auto& [key, all] = each;
                return key.first == uplink && all.size() == 2 && (all[0] & all[1]) != 0;
            });
            test.True((shared > 50) == (scheduler == together), "shared slots: " + std::to_string(shared));
        }
        const auto lost = std::count_if(bed.blocks.begin(), bed.blocks.end(), [](const auto& block) {
            return block.uplink == 0 && block.attempt == 1 && block.received == 0;
        });
        const auto first = std::count_if(bed.blocks.begin(), bed.blocks.end(),
                                         [](const auto& block) { return block.uplink == 0 && block.attempt == 1; });
        test.True(beams != null || lost < 0.3 * static_cast<double>(first),
                  "the MCS is for both together: " + std::to_string(lost) + " of " + std::to_string(first) + " lost");
        test.True(bed.down.bytes[0] > 0 && bed.down.bytes[1] > 0 && bed.up.bytes[0] > 0 && bed.up.bytes[1] > 0,
                  "everybody is served");
        bytes[scheduler + beams] = static_cast<double>(bed.down.bytes[0] + bed.down.bytes[1]);
    }
    test.True(NullBeamformer::most == 2, "asked for both at once");
    test.True(bytes[together + null] > 1.3 * bytes["rreigen"],
              "two at once: " + std::to_string(bytes[together + null]) + " against " +
                  std::to_string(bytes["rreigen"]));
}

/// Who would be out of range beside another one is sent nothing, and the other one has all of the power.
void LeftOut(Case& test) {
    struct Seen {
        std::map<double, std::set<std::uint64_t>> slots; ///< [x of the UE's place] with blocks to it
        double sinrDb = 0;                               ///< the least of the nearer UE
        bool Together() const {
            return slots.size() == 2 && std::ranges::any_of(slots.begin()->second, [&](std::uint64_t slot) {
                       return slots.rbegin()->second.contains(slot);
                   });
        }
    };
    const ns3::Vector near(60, 40, 1.5), far(150, -80, 1.5);
    const auto run = [&](double gnbDbm, const std::vector<ns3::Vector>& places) {
        CellTestbed bed(street, {Set("Scheduler", std::string("edgelam::test::TogetherScheduler")),
                                 Set("Beams", std::string("zf")), Set("Selection", std::string("none")),
                                 Set("GnbPower", gnbDbm), Set("MaxLayers", 1u), Set("Bandwidth", 20e6)});
        for (const auto& place : places) {
            bed.ues.push_back(MakeEnd(place));
            bed.cell->AddUe(bed.ues.back().mobility, bed.ues.back().array);
        }
        bed.Fill(false);
        bed.Run(0.02);
        Seen seen{.slots = {}, .sinrDb = 100};
        for (const auto& block : bed.blocks) {
            if (block.uplink == 0) {
                const double x = places.at(block.ue).x;
                seen.slots[x].insert(block.slot);
                seen.sinrDb = x == near.x ? std::min(seen.sinrDb, double(block.sinr_db)) : seen.sinrDb;
            }
        }
        return seen;
    };
    double gnbDbm = 20;
    Seen both = run(gnbDbm, {near, far});
    test.True(both.Together(), "both are served at once");
    for (; both.Together() && gnbDbm > -60; --gnbDbm) {
        both = run(gnbDbm - 1, {near, far});
    }
    Seen nearAlone = run(gnbDbm, {near}), farAlone = run(gnbDbm, {far});
    test.True(farAlone.slots[far.x].size() > 5, "with all of the power the far one is in range");
    test.True(both.slots[near.x].size() > 5, "the near one is served");
    test.Near(both.sinrDb, nearAlone.sinrDb, 0.01, "with all of the power");
}

/// More power than there is ends the run with the name of the beamformer.
void TooMuchPower(Case& test) {
    for (const double strength : {1.5, std::nan("")}) {
        CellTestbed bed(street, {Set("Beams", "edgelam::test::NullBeamformer"), Set("MaxLayers", 1u)});
        bed.ues.push_back(MakeEnd({60, 40, 1.5}));
        bed.cell->AddUe(bed.ues.back().mobility, bed.ues.back().array);
        bed.Fill(false);
        NullBeamformer::strength = strength;
        test.Refuses<std::logic_error>([&] { bed.Run(0.05); },
                                       {"edgelam::test::NullBeamformer", "UE 0", "group 0", "at most 1"}, "power");
    }
    NullBeamformer::strength = 1;
}

CaseSuite multiUserTestSuite("edgelam-nr-multi-user", {{"downlink", Downlink},
                                                       {"expected", Expected},
                                                       {"uplink", Uplink},
                                                       {"in a cell", InACell},
                                                       {"left out", LeftOut},
                                                       {"too much power", TooMuchPower}});

} // namespace
