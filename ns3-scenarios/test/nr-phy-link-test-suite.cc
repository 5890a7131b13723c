// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Beams, layers and SINR of one link, against sums by hand.

#include <algorithm>
#include <cmath>

#include "nr-link-testbed.h"
#include "nr-self-noise.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

struct Setup {
    ns3::Ptr<RadioChannel> channel = MakeChannel({.deployment = "UMi", .los = "Never", .frequency = 3.5e9});
    End gnb = MakeEnd({0, 0, 10}, 4, 4, true, false), ue = MakeEnd({60, 10, 1.5}, 1, 2, true);
    std::vector<double> groups = Tones(20, 1.44e6);
    UeLink Make(const std::string& beams) {
        return MakeUeLink(Link(channel, gnb, ue), Beamformer::Make(beams), groups);
    }
};

double MeanRate(const SinrMap& map) {
    double rate = 0;
    for (const float sinr : map.values) {
        rate += std::log2(1 + sinr);
    }
    return rate / static_cast<double>(map.numGroups);
}

/// The best single beam of all has the largest eigenvalue: no other does better on average, and the SINR of one layer
/// is the power.
void OneLayer(Case& test) {
    Setup setup;
    auto eigen = setup.Make("eigen"), codebook = setup.Make("codebook"), direct = setup.Make("direct");
    double eigenSum = 0, codebookSum = 0, directSum = 0, all = 0;
    for (int drop = 0; drop < 20; ++drop) {
        setup.channel->Redraw(setup.ue.mobility);
        const auto h = Measure(Link(setup.channel, setup.gnb, setup.ue), setup.groups);
        const double snr =
            1 / setup.channel->GetLink(setup.gnb.mobility, setup.gnb.array, setup.ue.mobility, setup.ue.array)
                    ->GetLargeScaleGain();
        const auto mean = [&](UeLink& link) {
            link.Measure();
            const auto& map = link.Downlink(1, snr);
            double sum = 0;
            for (const float sinr : map.values) {
                sum += sinr / 20;
            }
            return sum;
        };
        const double a = mean(eigen), b = mean(codebook), c = mean(direct);
        test.True(a >= 0.98 * b && a >= 0.98 * c,
                  "eigenvectors are best: " + std::to_string(a) + " " + std::to_string(b) + " " + std::to_string(c));
        test.True(a <= Power(h) * snr / 20 * (1 + 1e-4), "not more than there is");
        eigenSum += a;
        codebookSum += b;
        directSum += c;
        all += Power(h) * snr / 20;
    }
    test.True(codebookSum > 0.6 * eigenSum, "a codebook comes near: " + std::to_string(codebookSum / eigenSum));
    test.True(directSum < codebookSum, "without line of sight the direct direction is a poor guess");
    test.True(eigenSum > 0.2 * all, "much of the energy is in one beam");
}

/// Two layers share power and disturb each other.
void TwoLayers(Case& test) {
    Setup setup;
    auto link = setup.Make("eigen");
    link.Measure();
    const double snr = 50 / link.LargeScaleGain();
    const SinrMap map = link.Downlink(2, snr);
    const SinrMap four = link.Downlink(4, snr), one = link.Downlink(1, snr);
    test.True(map.numLayers == 2 && map.numGroups == 20 && map.values.size() == 40, "shape");
    for (std::size_t f = 0; f < 20; ++f) {
        test.True(map.Layer(0)[f] >= 0 && map.Layer(0)[f] <= one.Layer(0)[f] / 2 * (1 + 1e-4),
                  "half the power and another layer beside it: no more than half the SINR");
    }
    test.True(MeanRate(four) > 0 && MeanRate(map) > 0, "rates");
    const SinrMap weak = link.Downlink(2, snr * 1e-6), weakOne = link.Downlink(1, snr * 1e-6);
    for (std::size_t f = 0; f < 20; ++f) { // where noise rules, layers do not disturb each other
        test.Near(weak.Layer(0)[f] / weakOne.Layer(0)[f], 0.5, 2e-2, "matched filter at low SNR");
    }
}

/// An UE with one antenna: both directions have the same SINR for the same power.
void UplinkIsReciprocal(Case& test) {
    Setup setup;
    setup.ue = MakeEnd({60, 10, 1.5});
    auto link = setup.Make("eigen");
    link.Measure();
    test.True(link.MaxLayers() == 1, "one layer");
    const SinrMap down = link.Downlink(1, 1e9), up = link.Uplink(1, 1e9);
    for (std::size_t f = 0; f < 20; ++f) {
        test.Near(up.values[f] / down.values[f], 1, 1e-3, "reciprocal");
    }
    setup.ue.MoveTo({60 + 0.02 * setup.channel->GetWavelengthM(), 10, 1.5});
    test.True(link.Downlink(1, 1e9).values != down.values, "the channel goes on with the UE, beams stay");

    test.Refuses([] { Beamformer::Make("best"); },
                 {"best", "eigen, codebook, direct, zf, rzf, external", "edgelam::nr::Beamformer"}, "beams");
}

/// The UE's layers share its power and disturb each other; two carry more than one where there is power for them.
void UplinkLayers(Case& test) {
    Setup setup;
    auto link = MakeUeLink(Link(setup.channel, setup.gnb, setup.ue), Beamformer::Make("eigen"), setup.groups, 4),
         single = setup.Make("eigen");
    link.Measure();
    single.Measure();
    test.True(link.MaxUplinkLayers() == 4 && single.MaxUplinkLayers() == 1, "most layers");
    const double snr = 1e4 / link.LargeScaleGain();
    const SinrMap one = link.Uplink(1, snr), two = link.Uplink(2, snr), four = link.Uplink(4, snr);
    const SinrMap same = single.Uplink(1, snr), weak = link.Uplink(2, snr * 1e-9), weakOne = link.Uplink(1, snr * 1e-9);
    test.True(two.numLayers == 2 && two.values.size() == 40, "shape");
    for (std::size_t f = 0; f < 20; ++f) {
        test.Near(one.values[f] / same.values[f], 1, 1e-2, "the first layer's weights are those of a single layer");
        test.True(two.Layer(0)[f] <= one.values[f] / 2 * (1 + 1e-4), "at most half the SINR");
        test.Near(weak.Layer(0)[f] / weakOne.values[f], 0.5, 2e-2, "matched filter at low SNR");
    }
    test.True(MeanRate(two) > 1.3 * MeanRate(one) && MeanRate(four) > MeanRate(two), "more layers, more bits");
    test.True(MeanRate(weak) < MeanRate(weakOne), "unless there is no power for them");
}

/// Every SINR becomes (1 - k) s / (1 + k s), in both directions and through precoders; k of Doppler spread against its
/// power series, t^2 / 24 - t^4 / 960 + t^6 / 64512 with t = 2 pi a.
void SelfNoise(Case& test) {
    Setup setup;
    auto link = setup.Make("eigen");
    link.Measure();
    const double snr = 1e5 / link.LargeScaleGain(), k = 0.01;
    const SinrMap down = link.Downlink(2, snr), up = link.Uplink(1, snr);
    link.Phy().SetSelfNoise(k);
    const SinrMap noisyDown = link.Downlink(2, snr), noisyUp = link.Uplink(1, snr);
    double most = 0;
    for (std::size_t i = 0; i < down.values.size(); ++i) {
        test.Near(noisyDown.values[i], (1 - k) * down.values[i] / (1 + k * down.values[i]), 1e-4 * noisyDown.values[i],
                  "downlink");
        most = std::max<double>(most, noisyDown.values[i]);
    }
    for (std::size_t i = 0; i < up.values.size(); ++i) {
        test.Near(noisyUp.values[i], (1 - k) * up.values[i] / (1 + k * up.values[i]), 1e-4 * noisyUp.values[i],
                  "uplink");
    }
    test.True(most < 99 && *std::ranges::max_element(down.values) > 200, "a ceiling of 20 dB");
    for (const double a : {0.001, 0.03, 0.1}) {
        const double t = 2 * std::numbers::pi * a;
        test.Near(IntercarrierShare(a) / (t * t / 24 - std::pow(t, 4) / 960 + std::pow(t, 6) / 64512), 1, 1e-5,
                  "Doppler spread");
    }
    test.Near(IntercarrierShare(0), 0, 0, "nothing moves");
}

CaseSuite phyLinkTestSuite("edgelam-nr-phy-link", {{"one layer", OneLayer},
                                                   {"two layers", TwoLayers},
                                                   {"uplink", UplinkIsReciprocal},
                                                   {"uplink layers", UplinkLayers},
                                                   {"self noise", SelfNoise}});

} // namespace
