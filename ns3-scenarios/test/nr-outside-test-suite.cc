// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a cell is told from outside: precoders and interference.

#include <algorithm>
#include <cmath>
#include <limits>

#include "nr-cell-testbed.h"
#include "nr-link-testbed.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

using Weights = std::vector<std::complex<float>>;

const Settings street{.deployment = "UMi", .los = "Never", .frequency = 3.5e9};

/// One antenna at each end: the SINR of group g is snr |h|^2 |w_g|^2, whatever the phase of w_g.
void OneAntennaByHand(Case& test) {
    const auto channel = MakeChannel(street);
    const End gnb = MakeEnd({0, 0, 10}), ue = MakeEnd({60, 10, 1.5});
    const auto offsets = Tones(12, 1.44e6); // 3 groups of 4 samples
    const auto beamformer = ns3::CreateObject<ExternalBeamformer>();
    auto link = MakeUeLink(Link(channel, gnb, ue), beamformer, offsets, 1, 4);
    link.Measure();
    const double snr = 10 / link.LargeScaleGain();
    const Precoder precoder{.layers = 1, .weights = {{1, 0}, {0, 0.5f}, {-0.3f, 0.4f}}};
    const SinrMap before = link.Downlink(1, snr);
    beamformer->SetPrecoder(0, precoder);
    test.True(link.GivenLayers() == 1, "rank is given");
    const auto h = Measure(Link(channel, gnb, ue), offsets);
    for (std::size_t f = 0; f < 12; ++f) {
        const double power = f < 4 ? 1 : f < 8 ? 0.25 : 0.25;
        test.Near(link.Downlink(1, snr).values[f] / (snr * std::norm(Complex(h[f])) * power), 1, 1e-4, "by hand");
    }
    beamformer->SetPrecoder(0, {});
    test.True(link.GivenLayers() == 0 && link.Downlink(1, snr).values == before.values, "its own beams again");
}

/// Right singular vectors of H, strongest first, by deflation and power iteration. \param h [antenna, element]
std::vector<std::vector<Complex>> SingularVectors(const std::vector<Complex>& h, std::size_t antennas,
                                                  std::size_t elements, std::size_t count) {
    std::vector<std::vector<Complex>> vectors;
    for (std::size_t c = 0; c < count; ++c) {
        std::vector<Complex> v(elements, 1);
        for (int pass = 0; pass < 300; ++pass) {
            for (const auto& other : vectors) {
                Complex dot = 0;
                for (std::size_t e = 0; e < elements; ++e) {
                    dot += std::conj(other[e]) * v[e];
                }
                for (std::size_t e = 0; e < elements; ++e) {
                    v[e] -= dot * other[e];
                }
            }
            std::vector<Complex> next(elements);
            for (std::size_t u = 0; u < antennas; ++u) {
                Complex sum = 0;
                for (std::size_t e = 0; e < elements; ++e) {
                    sum += h[u * elements + e] * v[e];
                }
                for (std::size_t e = 0; e < elements; ++e) {
                    next[e] += std::conj(h[u * elements + e]) * sum;
                }
            }
            double norm = 0;
            for (const auto& each : next) {
                norm += std::norm(each);
            }
            for (std::size_t e = 0; e < elements; ++e) {
                v[e] = next[e] / std::sqrt(norm);
            }
        }
        vectors.push_back(v);
    }
    return vectors;
}

/// [group, element, layer] of the singular vectors in the middle of each group, sharing the power.
Weights Best(const ns3::Ptr<ChannelLink>& link, const std::vector<double>& centresHz, std::size_t used,
             std::size_t layers) {
    const std::size_t antennas = link->NumRx(Direction::Downlink), elements = link->NumTx(Direction::Downlink);
    const auto h = Measure(link, centresHz);
    Weights weights(centresHz.size() * elements * layers);
    for (std::size_t g = 0; g < centresHz.size(); ++g) {
        std::vector<Complex> here;
        for (std::size_t i = 0; i < antennas * elements; ++i) {
            here.push_back(Complex(h[i * centresHz.size() + g]));
        }
        const auto vectors = SingularVectors(here, antennas, elements, used);
        for (std::size_t e = 0; e < elements; ++e) {
            for (std::size_t l = 0; l < used; ++l) {
                weights[(g * elements + e) * layers + l] =
                    std::complex<float>(vectors[l][e] / std::sqrt(static_cast<double>(used)));
            }
        }
    }
    return weights;
}

/// Nobody's single layer is stronger than the dominant singular vector's; and two layers of them do not disturb each
/// other: SINR is power times the square of the singular value.
void SingularVectorsAreBest(Case& test) {
    const auto channel = MakeChannel(street);
    const End gnb = MakeEnd({0, 0, 10}, 4, 4, true), ue = MakeEnd({60, 10, 1.5}, 1, 2, true);
    const auto centres = Tones(18, 5.76e6);
    const auto beamformer = ns3::CreateObject<ExternalBeamformer>();
    auto link = MakeUeLink(Link(channel, gnb, ue), beamformer, centres);
    for (int drop = 0; drop < 5; ++drop) {
        channel->Redraw(ue.mobility);
        beamformer->SetPrecoder(0, {});
        link.Measure();
        const double snr = 10 / link.LargeScaleGain();
        const SinrMap eigen = link.Downlink(1, snr);
        beamformer->SetPrecoder(0, {.layers = 1, .weights = Best(Link(channel, gnb, ue), centres, 1, 1)});
        const SinrMap one = link.Downlink(1, snr);
        beamformer->SetPrecoder(0, {.layers = 2, .weights = Best(Link(channel, gnb, ue), centres, 2, 2)});
        const SinrMap two = link.Downlink(2, snr);
        for (std::size_t f = 0; f < centres.size(); ++f) {
            test.True(one.values[f] >= eigen.values[f] * (1 - 1e-4f), "at least that of wideband eigenvectors");
            test.Near(two.Layer(0)[f] / one.values[f], 0.5, 1e-3, "half the power, nothing else");
        }
        test.True(link.Downlink(1, snr).values == one.values, "a block of one layer is sent again as it was");
    }
}

/// The rank is that of the weights, from the slot that the control tells; everything arrives through changes of it; and
/// weights that follow the channel bring more than wideband beams.
void RanksChange(Case& test) {
    std::map<std::string, double> bytes;
    for (const std::string beams : {"eigen", "external"}) {
        CellTestbed bed(street, {Set("Beams", beams), Set("MaxLayers", 2u), Set("GnbPower", 10.)});
        bed.Add({80, 20, 1.5});
        bed.Add({60, -20, 1.5});
        bed.Fill(false);
        const auto centres = bed.cell->GroupCentresHz();
        test.True(centres.size() == bed.cell->NumGroups() && centres.size() == 18, "groups");
        test.Near(centres[1] - centres[0], 16 * 360e3, 1, "16 resource blocks apart");
        const auto run = [&](std::size_t used0, std::size_t used1) {
            Weights all(2 * 18 * 32 * 2);
            for (std::size_t ue = 0; ue < 2; ++ue) {
                const auto used = ue == 0 ? used0 : used1;
                if (used > 0) {
                    const auto best = Best(Link(bed.channel, bed.gnb, bed.ues[ue]), centres, used, 2);
                    std::copy(best.begin(), best.end(), all.begin() + static_cast<std::ptrdiff_t>(ue * best.size()));
                }
            }
            const auto slot = bed.cell->SetPrecoders(all);
            bed.blocks.clear();
            bed.Run(0.05);
            for (const auto& block : bed.blocks) {
                if (block.uplink == 0 && block.attempt == 1 && block.slot > slot) {
                    const auto used = block.ue == 0 ? used0 : used1;
                    test.True(used == 0 || block.layers == used, "as many layers as given");
                }
            }
        };
        bed.Run(0.05);
        if (beams == "external") {
            run(2, 1);
            run(1, 2);
            run(0, 1);
            run(1, 1);
            bed.down.bytes.clear();
            run(1, 1);
        } else {
            bed.Run(0.2);
            bed.down.bytes.clear();
            bed.Run(0.05);
        }
        bytes[beams] = static_cast<double>(bed.down.bytes[0] + bed.down.bytes[1]);
    }
    test.True(bytes["external"] > 0.95 * bytes["eigen"],
              "rank 1 by hand: " + std::to_string(bytes["external"]) + " against " + std::to_string(bytes["eigen"]));
}

/// What is refused changes nothing.
void BadPrecoders(Case& test) {
    const auto trace = [&](bool disturbed) {
        CellTestbed bed(street, {Set("Beams", "external"), Set("MaxLayers", 2u), Set("Bandwidth", 20e6)});
        bed.Add({80, 20, 1.5}, {3, 0, 0});
        bed.Fill(false);
        bed.Run(0.02);
        const std::size_t groups = bed.cell->NumGroups(), count = groups * 32 * 2;
        const auto refuses = [&](const Weights& weights, const std::vector<std::string>& parts) {
            if (disturbed) {
                test.Refuses([&] { bed.cell->SetPrecoders(weights); }, parts, parts[0]);
            }
        };
        refuses(Weights(count - 1),
                {std::to_string(count - 1) + " weights", "1 x " + std::to_string(groups) + " x 32 x 2"});
        Weights good(count);
        for (std::size_t g = 0; g < groups; ++g) {
            good[g * 64] = 1; // element 0, layer 0
        }
        for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
            Weights weights = good;
            weights[3 * 64 + 6] = {0, bad};
            refuses(weights, {"UE 0", "group 3", "finite"});
        }
        Weights strong = good;
        strong[2 * 64 + 10] = 0.1f;
        refuses(strong, {"1.01", "group 2", "at most 1"});
        Weights partly = good;
        partly[5 * 64] = 0;
        refuses(partly, {"layer 0", "group 5", "all zero"});
        if (disturbed) { // nor does reading the channel
            Measure(Link(bed.channel, bed.gnb, bed.ues[0]), bed.cell->GroupCentresHz());
        }
        bed.Run(0.03);
        bed.cell->SetPrecoders(good);
        bed.Run(0.03);
        return bed.blocks;
    };
    const auto calm = trace(false), disturbed = trace(true);
    test.True(calm.size() > 100 && calm.size() == disturbed.size() &&
                  std::equal(calm.begin(), calm.end(), disturbed.begin(),
                             [](const auto& a, const auto& b) {
                                 return a.slot == b.slot && a.sinr_db == b.sinr_db && a.mcs == b.mcs &&
                                        a.layers == b.layers;
                             }),
              "neither a refusal nor reading the channel changes anything");
    CellTestbed eigen(street);
    eigen.Add({40, 10, 1.5});
    test.Refuses([&] { eigen.cell->SetPrecoders(Weights(18 * 32 * 4)); }, {"'eigen'", "external"}, "beams");
    CellTestbed narrow(street, {Set("Beams", "external")});
    narrow.Add({40, 10, 1.5}, {}, 1); // two antennas
    Weights three(18 * 32 * 4);
    for (std::size_t g = 0; g < 18; ++g) {
        three[g * 128] = three[g * 128 + 5] = three[g * 128 + 10] = 0.1f;
    }
    test.Refuses([&] { narrow.cell->SetPrecoders(three); }, {"3 layers", "1 to 2"}, "layers");
}

class Constant : public InterferenceSource {
  public:
    Constant(double downW, double upW) : m_downW(downW), m_upW(upW) {}
    void GetPower(Direction direction, std::uint32_t, std::uint64_t, std::span<float> powerW) override {
        std::fill(powerW.begin(), powerW.end(), static_cast<float>(direction == Direction::Downlink ? m_downW : m_upW));
    }

  private:
    double m_downW, m_upW;
};

/// Noise of one resource block of 360 kHz, W.
double NoiseW(double figureDb) {
    return std::pow(10, (-174 + figureDb) / 10 - 3) * 360e3;
}

/// A flat channel, one layer: interference 9 times the noise takes 10 dB, and link adaptation follows at once.
void ConstantInterference(Case& test) {
    std::map<bool, std::map<int, float>> sinrDb;
    for (const bool on : {false, true}) {
        CellTestbed bed({.deployment = "Clarke", .frequency = 3.5e9},
                        {Set("MaxLayers", 1u), Set("GnbPower", 10.), Set("P0", -90.), Set("BlerTarget", 0.01)});
        bed.Add({40, 10, 1.5});
        if (on) {
            bed.cell->SetInterference(std::make_shared<Constant>(9 * NoiseW(9), 99 * NoiseW(5)));
        }
        bed.Fill(false);
        bed.Fill(true);
        bed.Run(0.1);
        int lost = 0;
        for (const auto& block : bed.blocks) {
            if (block.prbs == 273) {
                sinrDb[on][block.uplink] = block.sinr_db;
            }
            lost += !block.received;
        }
        test.True(lost * 10 < static_cast<int>(bed.blocks.size()), "the MCS is for this SINR");
    }
    test.Near(sinrDb[false][0] - sinrDb[true][0], 10, 0.05, "down, 10 dB");
    test.Near(sinrDb[false][1] - sinrDb[true][1], 20, 0.05, "up, 20 dB");
}

/// Interference that is gone is forgotten: at once with its source, else by the first report after a pause.
void PastInterference(Case& test) {
    std::map<bool, unsigned> mcs;
    for (const bool sourceStays : {true, false}) {
        CellTestbed bed({.deployment = "Clarke", .frequency = 3.5e9}, {Set("MaxLayers", 1u), Set("GnbPower", 10.)});
        bed.Add({40, 10, 1.5});
        bed.cell->SetInterference(std::make_shared<Constant>(999 * NoiseW(9), 0));
        bed.cell->SendDown(0, ns3::Create<ns3::Packet>(1500));
        bed.Run(0.5);
        const auto before = bed.blocks.front();
        bed.blocks.clear();
        bed.cell->SetInterference(sourceStays ? std::make_shared<Constant>(0, 0) : nullptr);
        bed.cell->SendDown(0, ns3::Create<ns3::Packet>(1500));
        bed.Run(0.5);
        mcs[sourceStays] = bed.blocks.front().mcs;
        test.True(bed.blocks.front().mcs > before.mcs + 5u,
                  "MCS " + std::to_string(before.mcs) + " and then " + std::to_string(bed.blocks.front().mcs));
    }
    test.True(mcs[true] == mcs[false], "both alike");
}

/// Interference in one sample weakens that one only; with several layers, as if there were less power.
void InterferencePerSample(Case& test) {
    const auto channel = MakeChannel(street);
    const End gnb = MakeEnd({0, 0, 10}, 4, 4, true), ue = MakeEnd({60, 10, 1.5}, 1, 2, true);
    auto link = MakeUeLink(Link(channel, gnb, ue), Beamformer::Make("eigen"), Tones(20, 1.44e6), 2);
    link.Measure();
    const double snr = 50 / link.LargeScaleGain();
    std::vector<float> rise(20, 1);
    rise[7] = 4;
    for (const unsigned layers : {1u, 2u}) {
        const SinrMap clean = link.Downlink(layers, snr), weak = link.Downlink(layers, snr / 4),
                      mixed = link.Downlink(layers, snr, Beams::InUse, rise);
        const SinrMap upClean = link.Uplink(layers, snr), upWeak = link.Uplink(layers, snr / 4),
                      upMixed = link.Uplink(layers, snr, Beams::InUse, rise);
        for (std::size_t f = 0; f < 20; ++f) {
            for (unsigned l = 0; l < layers; ++l) {
                test.Near(mixed.Layer(l)[f] / (f == 7 ? weak : clean).Layer(l)[f], 1, 1e-3, "down");
                test.Near(upMixed.Layer(l)[f] / (f == 7 ? upWeak : upClean).Layer(l)[f], 1, 1e-3, "up");
            }
        }
    }
}

CaseSuite outsideTestSuite("edgelam-nr-outside", {{"one antenna by hand", OneAntennaByHand},
                                                  {"singular vectors are best", SingularVectorsAreBest},
                                                  {"ranks change", RanksChange},
                                                  {"bad precoders", BadPrecoders},
                                                  {"constant interference", ConstantInterference},
                                                  {"past interference", PastInterference},
                                                  {"interference per sample", InterferencePerSample}});

} // namespace
