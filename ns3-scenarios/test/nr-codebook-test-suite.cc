// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The Type I codebook against the formulas of TS 38.214 5.2.2.2.1 written out by hand, and what it loses.

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <set>
#include <tuple>

#include "nr-link-testbed.h"
#include "nr-type-one-codebook.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

using Weights = std::vector<std::complex<float>>;
constexpr double pi = std::numbers::pi;

struct Layout {
    unsigned n1, n2;
};
constexpr Layout layouts[] = {{1, 1}, {2, 1}, {2, 2}, {4, 1},  {3, 2}, {6, 1}, {4, 2},
                              {8, 1}, {4, 3}, {6, 2}, {12, 1}, {4, 4}, {8, 2}, {16, 1}};

/// Every precoder of every layout: power 1 together, equal layers, orthogonal; and as many different ones as the
/// ranges of the indices give.
void PowerAndOrthogonality(Case& test) {
    for (const auto [n1, n2] : layouts) {
        const TypeOneCodebook codebook(n1, n2);
        const std::size_t ports = 2 * n1 * n2;
        const unsigned beams = (n1 > 1 ? 4 * n1 : 1) * (n2 > 1 ? 4 * n2 : 1);
        test.True(codebook.NumPorts() == ports && codebook.MaxLayers() == (ports == 2 ? 2 : 4), "ports");
        for (unsigned layers = 1; layers <= codebook.MaxLayers(); ++layers) {
            const auto all = codebook.All(layers);
            const std::string name =
                "(" + std::to_string(n1) + ", " + std::to_string(n2) + "), " + std::to_string(layers) + " layers";
            // i13 has 4 values but with few ports; i2 has 4 with one layer, else 2
            std::size_t expected = beams * 4;
            if (layers == 2) {
                expected = beams * 2 * (ports == 2 ? 1 : ports == 4 ? 2 : 4);
            } else if (layers > 2) {
                const std::size_t offsets = n2 == 1 ? std::min(n1 - 1, 4U) : n1 == 2 ? 3 : 4;
                expected = ports >= 16 ? beams / 2 * 4 * 2 : beams * 2 * offsets;
            }
            test.True(all.size() == expected, name + ": " + std::to_string(all.size()) + " precoders");
            double worst = 0;
            std::set<std::vector<std::pair<int, int>>> different;
            for (const auto& pmi : all) {
                const Weights w = codebook.Weights(layers, pmi);
                std::vector<std::pair<int, int>> rounded;
                for (const auto& value : w) {
                    rounded.emplace_back(std::lround(1e4 * value.real()), std::lround(1e4 * value.imag()));
                }
                different.insert(rounded);
                for (unsigned i = 0; i < layers; ++i) {
                    for (unsigned j = 0; j < layers; ++j) {
                        Complex dot = 0;
                        for (std::size_t port = 0; port < ports; ++port) {
                            dot += std::conj(Complex(w[port * layers + i])) * Complex(w[port * layers + j]);
                        }
                        worst = std::max(worst, std::abs(dot - (i == j ? 1.0 / layers : 0.0)));
                    }
                }
            }
            test.True(worst < 1e-5, name + ": " + std::to_string(worst));
            test.True(different.size() == all.size(), name + ": " + std::to_string(different.size()) + " different");
        }
    }
}

/// W written out from the tables for a few indices. `angles`: of each port and layer, in eighths of a turn.
void ByHand(Case& test) {
    const auto check = [&](unsigned n1, unsigned n2, unsigned layers, TypeOneCodebook::Pmi pmi,
                           const std::vector<double>& eighths, const char* name) {
        const Weights w = TypeOneCodebook(n1, n2).Weights(layers, pmi);
        test.True(w.size() == eighths.size(), name);
        for (std::size_t i = 0; i < w.size(); ++i) {
            const Complex expected = std::polar(1 / std::sqrt(layers * 2.0 * n1 * n2), 2 * pi * eighths[i] / 8);
            test.Near(std::abs(Complex(w[i]) - expected), 0, 1e-6, std::string(name) + " " + std::to_string(i));
        }
    };
    // Two ports, table 5.2.2.2.1-1: [1; -j] / sqrt 2, and [1 1; j -j] / 2.
    check(1, 1, 1, {0, 0, 0, 3}, {0, 6}, "two ports");
    check(1, 1, 2, {0, 0, 0, 1}, {0, 0, 2, 6}, "two ports, two layers");
    // (2, 1): v_l = [1, e^(j 2 pi l / 8)]. One layer, l = 1, phi = j.
    check(2, 1, 1, {1, 0, 0, 1}, {0, 1, 2, 3}, "(2, 1)");
    // Two layers, l = 1 and l' = l + 4, phi_0 = 1: [v_1 v_5; v_1 -v_5].
    check(2, 1, 2, {1, 0, 1, 0}, {0, 0, 1, 5, 0, 4, 1, 9}, "(2, 1), two layers");
    // Three layers: [v_1 v_5 v_1; phi v_1 phi v_5 -phi v_1], phi = j.
    check(2, 1, 3, {1, 0, 0, 1}, {0, 0, 0, 1, 5, 1, 2, 2, 6, 3, 7, 7}, "(2, 1), three layers");
    check(2, 1, 4, {1, 0, 0, 1}, {0, 0, 0, 0, 1, 5, 1, 5, 2, 2, 6, 6, 3, 7, 7, 11}, "(2, 1), four layers");
    // (2, 2): v_lm = [u_m, e^(j 2 pi l / 8) u_m], u_m = [1, e^(j 2 pi m / 8)]; l = 1, m = 2, phi = -1.
    check(2, 2, 1, {1, 2, 0, 2}, {0, 2, 1, 3, 4, 6, 5, 7}, "(2, 2)");
    // Two layers, i13 = 3: l' = l + 4, m' = m + 4 (N1 = N2), phi = 1.
    check(2, 2, 2, {1, 2, 3, 0}, {0, 0, 2, 6, 1, 5, 3, 11, 0, 4, 2, 10, 1, 9, 3, 15}, "(2, 2), two layers");
    // (8, 1), 16 ports, three and four layers: v~_l = [1, e^(j 4 pi l / 32), ...] over four places, l = 2: quarters of
    // a quarter turn; theta = e^(j pi 3 / 4), phi = j.
    std::vector<double> three, four;
    const double theta = 3, phi = 2;
    const double rows[4][4] = {{0, 0, 0, 0},
                               {theta, theta + 4, theta, theta + 4},
                               {phi, phi, phi + 4, phi + 4},
                               {phi + theta, phi + theta + 4, phi + theta + 4, phi + theta}};
    for (const auto& row : rows) {
        for (int place = 0; place < 4; ++place) {
            for (int layer = 0; layer < 4; ++layer) {
                const double angle = row[layer] + 1.0 * place; // 4 pi 2 / 32 = an eighth of a turn
                four.push_back(angle);
                if (layer < 3) {
                    three.push_back(angle);
                }
            }
        }
    }
    check(8, 1, 3, {2, 0, 3, 1}, three, "(8, 1), three layers");
    check(8, 1, 4, {2, 0, 3, 1}, four, "(8, 1), four layers");
}

void OtherLayouts(Case& test) {
    for (const auto [n1, n2] : {Layout{8, 4}, Layout{3, 1}, Layout{1, 2}, Layout{5, 1}, Layout{32, 1}, Layout{0, 0}}) {
        test.Refuses([&] { TypeOneCodebook(n1, n2); },
                     {"(" + std::to_string(n1) + ", " + std::to_string(n2) + ")", "(2, 1), (2, 2), (4, 1)", "(16, 1)",
                      "5.2.2.2.1-2"},
                     "layout");
    }
    const auto codebook = Beamformer::Make("codebook");
    codebook->CheckArray(*MakeEnd({}, 2, 8, true).array);
    codebook->CheckArray(*MakeEnd({}, 8, 2, true).array); // the longer side is the first dimension
    codebook->CheckArray(*MakeEnd({}, 1, 1, true).array);
    test.Refuses([&] { codebook->CheckArray(*MakeEnd({}, 4, 8, true).array); }, {"(8, 4)", "(8, 2)"}, "64 ports");
    test.Refuses([&] { codebook->CheckArray(*MakeEnd({}, 4, 4, false).array); }, {"1 polarisation", "two"}, "one");
}

/// H of a link, and bits of a precoder over it: log2 det(I + snr W^H H^H H W), element order of the array.
struct Measured {
    Response h;
    std::size_t antennas, elements, samples;
    double Bits(const Weights& w, unsigned layers, double snr) const {
        double bits = 0;
        for (std::size_t f = 0; f < samples; ++f) {
            std::vector<Complex> r(antennas * layers);
            for (std::size_t a = 0; a < antennas; ++a) {
                for (unsigned l = 0; l < layers; ++l) {
                    for (std::size_t e = 0; e < elements; ++e) {
                        r[a * layers + l] += Complex(h[(a * elements + e) * samples + f]) * Complex(w[e * layers + l]);
                    }
                }
            }
            std::vector<Complex> m(layers * layers);
            for (unsigned i = 0; i < layers; ++i) {
                for (unsigned j = 0; j < layers; ++j) {
                    m[i * layers + j] = i == j ? 1 : 0;
                    for (std::size_t a = 0; a < antennas; ++a) {
                        m[i * layers + j] += snr * std::conj(r[a * layers + i]) * r[a * layers + j];
                    }
                }
            }
            for (unsigned i = 0; i < layers; ++i) { // by elimination
                bits += std::log2(m[i * layers + i].real());
                for (unsigned k = i + 1; k < layers; ++k) {
                    const Complex factor = m[k * layers + i] / m[i * layers + i];
                    for (unsigned j = i; j < layers; ++j) {
                        m[k * layers + j] -= factor * m[i * layers + j];
                    }
                }
            }
        }
        return bits;
    }
};

/// The UE reports the precoder over which most bits go: tried one by one, the same for wide and for high arrays.
void BestOfAll(Case& test) {
    constexpr std::size_t samples = 6;
    const auto tones = Tones(samples, 3e6);
    for (const auto& [rows, columns] : {std::pair{2U, 4U}, std::pair{2U, 2U}, std::pair{4U, 2U}}) {
        const auto channel = MakeChannel({.deployment = "UMi", .los = "Never", .frequency = 3.5e9});
        const End gnb = MakeEnd({0, 0, 10}, rows, columns, true, false), ue = MakeEnd({60, 10, 1.5}, 1, 2, true);
        auto link = MakeUeLink(Link(channel, gnb, ue), Beamformer::Make("codebook"), tones);
        const double snr = 30 / link.LargeScaleGain();
        const TypeOneCodebook codebook(std::max(rows, columns), std::min(rows, columns));
        const std::size_t places = rows * columns, elements = 2 * places;
        const Measured measured{Measure(Link(channel, gnb, ue), tones), 4, elements, samples};
        link.Measure(false, snr);
        for (unsigned layers = 1; layers <= 4; ++layers) {
            double most = 0;
            for (const auto& pmi : codebook.All(layers)) {
                const Weights ports = codebook.Weights(layers, pmi);
                Weights w(ports.size());
                std::size_t port = 0;
                for (std::size_t p = 0; p < 2; ++p) {
                    for (std::size_t n1 = 0; n1 < codebook.N1(); ++n1) {
                        for (std::size_t n2 = 0; n2 < codebook.N2(); ++n2, ++port) {
                            const std::size_t row = rows > columns ? n1 : n2, column = rows > columns ? n2 : n1;
                            for (unsigned l = 0; l < layers; ++l) {
                                w[(p * places + row * columns + column) * layers + l] = ports[port * layers + l];
                            }
                        }
                    }
                }
                most = std::max(most, measured.Bits(w, layers, snr));
            }
            const PortWeights& sent = link.State().Sent(layers);
            test.True(sent.numPorts() == layers && sent.numElements() == elements, "shape");
            test.Near(measured.Bits(sent.values(), layers, snr / layers), most, 1e-3 * most,
                      std::to_string(rows) + " x " + std::to_string(columns) + ", layers " + std::to_string(layers));
        }
    }
}

/// In line of sight a UE with one antenna gets nearly what the eigenvector gives: steps of beams and of the phase
/// between polarisations cost at most 0.22 + 0.22 + 0.69 dB there.
void LossInLineOfSight(Case& test) {
    for (const auto& [rows, columns] : {std::pair{4U, 4U}, std::pair{2U, 8U}, std::pair{1U, 1U}}) {
        const auto channel = MakeChannel({.deployment = "UMi", .los = "Always", .frequency = 3.5e9});
        const End gnb = MakeEnd({0, 0, 10}, rows, columns, true, false);
        End ue = MakeEnd({60, 10, 1.5});
        double sum = 0, most = 0;
        const auto tones = Tones(20, 1.44e6);
        constexpr int places = 60;
        for (int i = 0; i < places; ++i) {
            const double angle = (i - 29.5) / 60 * 2 * pi / 3, distance = 40 + 3 * i;
            ue.MoveTo({distance * std::cos(angle), distance * std::sin(angle), 1.5});
            double gain[2];
            for (const bool codebook : {false, true}) {
                auto link =
                    MakeUeLink(Link(channel, gnb, ue), Beamformer::Make(codebook ? "codebook" : "eigen"), tones);
                link.Measure();
                gain[codebook] = 0;
                for (const float sinr : link.Downlink(1, 1 / link.LargeScaleGain()).values) {
                    gain[codebook] += sinr;
                }
            }
            const double loss = 10 * std::log10(gain[0] / gain[1]);
            sum += loss / places;
            most = std::max(most, loss);
        }
        std::string name = std::to_string(rows);
        name += " x " + std::to_string(columns) + ": ";
        test.True(sum > -0.02 && sum < 0.3, name + "on average " + std::to_string(sum) + " dB");
        test.True(most < 0.9, name + "at most " + std::to_string(most) + " dB");
    }
}

CaseSuite codebookTestSuite("edgelam-nr-codebook", {{"power and orthogonality", PowerAndOrthogonality},
                                                    {"by hand", ByHand},
                                                    {"other layouts", OtherLayouts},
                                                    {"best of all", BestOfAll},
                                                    {"line of sight", LossInLineOfSight}});

} // namespace
