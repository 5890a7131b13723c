// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The enhanced Type II codebook against sums by hand, and a cell whose UEs report by it.

#include <algorithm>
#include <cmath>
#include <map>

#include "nr-cell-testbed.h"
#include "nr-subband-beams.h"
#include "nr-type-two-codebook.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

/// |a^H b|^2 of two unit vectors.
double Alike(const Response& a, const Response& b, std::size_t first, std::size_t count) {
    Complex dot = 0;
    double aa = 0, bb = 0;
    for (std::size_t i = first; i < first + count; ++i) {
        dot += std::conj(Complex(a[i])) * Complex(b[i]);
        aa += std::norm(Complex(a[i]));
        bb += std::norm(Complex(b[i]));
    }
    return std::norm(dot) / (aa * bb);
}

/// The tables of TS 38.214, and weights that are exactly some report's: the report is found again, and its size is that
/// of a sum by hand.
void ByHand(Case& test) {
    const std::map<unsigned, double> reference{
        {1, 1 / std::sqrt(128.0)}, {3, 0.125}, {4, std::pow(1 / 2048.0, 0.25)}, {7, 0.25}, {9, 1 / std::sqrt(8.0)},
        {13, 1 / std::sqrt(2.0)},  {15, 1.0}};
    for (const auto& [k, value] : reference) {
        test.Near(TypeTwoCodebook::ReferenceAmplitude(k), value, 1e-12, "table 5.2.2.2.5-2");
    }
    test.Near(TypeTwoCodebook::Amplitude(0), 1 / (8 * std::sqrt(2.0)), 1e-12, "table 5.2.2.2.5-3");
    test.Near(TypeTwoCodebook::Amplitude(5), 0.5, 1e-12, "table 5.2.2.2.5-3");

    // (N1, N2) = (4, 1), L = 2, N3 = 8, M = 2, K0 = 4: beams n1 = 1 and 3 of rotation 2, components 0 and 5.
    const TypeTwoCodebook codebook(4, 1, 2, 8);
    test.True(codebook.NumComponents(1) == 2 && codebook.NumComponents(3) == 1 && codebook.MostCoefficients() == 4,
              "numbers of components and coefficients");
    struct Coefficient {
        unsigned polarisation, beam, component;
        double amplitude;
        unsigned phase;
    };
    const std::vector<Coefficient> sent{
        {0, 1, 0, 1, 0}, {0, 0, 5, 0.5, 4}, {1, 0, 0, 0.5, 9}, {1, 1, 5, 0.5 / std::sqrt(2.0), 14}};
    Response wanted(8 * 8);
    for (unsigned t = 0; t < 8; ++t) {
        const Complex turn = std::polar(1.0 + 0.2 * t, 0.7 * t); // of a sub-band: it means nothing
        for (const auto& each : sent) {
            const unsigned l = 4 * (each.beam == 0 ? 1 : 3) + 2;
            for (unsigned n = 0; n < 4; ++n) {
                const double turns = l * n / 16.0 + t * each.component / 8.0 + each.phase / 16.0;
                wanted[(t * 2 + each.polarisation) * 4 + n] +=
                    std::complex<float>(turn * std::polar(each.amplitude, 2 * std::numbers::pi * turns));
            }
        }
    }
    const auto report = codebook.Quantise(wanted, 1);
    const auto& layer = report.layers.front();
    test.True(report.q1 == 2 && report.q2 == 0 &&
                  report.beams == std::vector<std::pair<unsigned, unsigned>>{{1, 0}, {3, 0}},
              "beams");
    test.True(layer.components == std::vector<unsigned>{0, 5}, "components");
    test.True(layer.strongest == 1 && layer.reference[0] == 15 && layer.reference[1] == 11, "the strongest");
    for (const auto& each : sent) {
        const std::size_t at = (each.polarisation * 2 + each.beam) * 2 + (each.component == 5);
        test.True(layer.kept[at] == 1 && layer.phase[at] == each.phase, "coefficient " + std::to_string(at));
        test.Near(TypeTwoCodebook::Amplitude(layer.amplitude[at]) *
                      TypeTwoCodebook::ReferenceAmplitude(layer.reference[each.polarisation]),
                  each.amplitude, 1e-9, "amplitude");
    }
    const auto weights = codebook.Weights(report, 0);
    for (unsigned t = 0; t < 8; ++t) {
        test.Near(Alike(wanted, weights, 8 * t, 8), 1, 1e-5, "sub-band " + std::to_string(t));
        test.Near(std::sqrt(Power({weights.begin() + 8 * t, weights.begin() + 8 * t + 8})), 1, 1e-5, "norm");
    }
    // i1,1: 2; i1,2: C(4, 2); K^NZ: of 4; i1,6: C(7, 1); i1,7: 2 L M; i1,8: of 4; i2,3: 4; i2,4 and i2,5: 7 for three.
    test.True(codebook.Bits(report) == 2 + 3 + 2 + 3 + 8 + 2 + 4 + 21, std::to_string(codebook.Bits(report)) + " bits");
}

/// More beams and coefficients are closer to the eigenvectors, and take more bits; limits hold.
void Closer(Case& test) {
    const auto channel = MakeChannel({.deployment = "UMi", .los = "Never", .frequency = 3.5e9});
    const End gnb = MakeEnd({0, 0, 10}, 2, 8, true);
    constexpr std::size_t subbands = 13, ports = 32;
    std::vector<std::size_t> element; // port order: polarisation, column, row
    for (std::size_t p = 0; p < 2; ++p) {
        for (std::size_t i = 0; i < 8; ++i) {
            for (std::size_t j = 0; j < 2; ++j) {
                element.push_back(p * 16 + j * 8 + i);
            }
        }
    }
    std::vector<Response> wanted;
    for (int place = 0; place < 12; ++place) {
        const End ue = MakeEnd({50.0 + 6 * place, 60.0 - 11 * place, 1.5}, 1, 2, true);
        const auto h = Measure(Link(channel, gnb, ue), Tones(subbands, 720e3));
        Response grouped(h.size());
        for (std::size_t i = 0; i < 4 * ports; ++i) {
            for (std::size_t t = 0; t < subbands; ++t) {
                grouped[t * 4 * ports + i] = h[i * subbands + t];
            }
        }
        const auto beams = SubbandBeams(grouped, subbands, 1, 4, ports, 4);
        Response& in = wanted.emplace_back(subbands * ports * 4);
        for (std::size_t t = 0; t < subbands; ++t) {
            for (std::size_t p = 0; p < ports; ++p) {
                for (std::size_t l = 0; l < 4; ++l) {
                    in[(t * ports + p) * 4 + l] = beams[(t * ports + element[p]) * 4 + l];
                }
            }
        }
    }
    for (const unsigned layers : {1U, 2U, 4U}) {
        std::map<unsigned, double> alike, bits;
        for (unsigned combination = 1; combination <= (layers > 2 ? 6 : 8); ++combination) {
            const TypeTwoCodebook codebook(8, 2, combination, subbands);
            for (const auto& all : wanted) {
                Response some(subbands * ports * layers);
                for (std::size_t i = 0; i < subbands * ports; ++i) {
                    std::copy_n(all.begin() + 4 * i, layers, some.begin() + layers * i);
                }
                const auto report = codebook.Quantise(some, layers);
                bits[combination] += codebook.Bits(report);
                unsigned total = 0;
                for (unsigned l = 0; l < layers; ++l) {
                    const auto kept = static_cast<unsigned>(std::ranges::count(report.layers[l].kept, 1));
                    test.True(kept > 0 && kept <= codebook.MostCoefficients(), "coefficients of a layer");
                    total += kept;
                    const auto weights = codebook.Weights(report, l);
                    for (std::size_t t = 0; t < subbands; ++t) {
                        Response column(ports);
                        for (std::size_t p = 0; p < ports; ++p) {
                            column[p] = some[(t * ports + p) * layers + l];
                        }
                        const Response found(weights.begin() + t * ports, weights.begin() + (t + 1) * ports);
                        alike[combination] += Alike(column, found, 0, ports) / (subbands * layers * wanted.size());
                    }
                }
                test.True(total <= 2 * codebook.MostCoefficients(), "coefficients of all layers");
            }
        }
        for (const auto& [worse, better] :
             std::vector<std::pair<unsigned, unsigned>>{{1, 2}, {1, 3}, {3, 4}, {4, 5}, {4, 6}, {4, 7}, {7, 8}}) {
            if (alike.contains(better)) {
                test.True(alike[better] > alike[worse] && bits[better] > bits[worse],
                          std::to_string(layers) + " layers, combinations " + std::to_string(worse) + " and " +
                              std::to_string(better) + ": " + std::to_string(alike[worse]) + ", " +
                              std::to_string(alike[better]));
            }
        }
    }
}

/// UEs that report by sub-band carry more than those of the whole band, and with the codebook less; its reports take
/// room in uplink.
void InACell(Case& test) {
    std::map<std::string, double> down, up;
    for (const std::string csi : {"band", "subband", "etype2"}) {
        CellTestbed bed({.deployment = "UMi", .los = "Never", .frequency = 3.5e9},
                        {Set("Beams", std::string("zf")), Set("Csi", csi), Set("GnbPower", 20.), Set("MaxLayers", 2u),
                         Set("Bandwidth", 20e6), Set("CsiPeriod", 10u)});
        for (int i = 0; i < 6; ++i) {
            bed.Add({60.0 + 4 * i, -60.0 + 24 * i, 1.5}, {0.8, 0.4, 0}, 1, {.acknowledged = false});
        }
        bed.Fill(false);
        bed.Run(0.25);
        for (const auto& [ue, each] : bed.down.bytes) {
            down[csi] += static_cast<double>(each);
        }
        std::size_t first = 0, lost = 0;
        for (const auto& block : bed.blocks) {
            up[csi] += block.uplink != 0 ? block.bits : 0;
            first += block.uplink == 0 && block.attempt == 1;
            lost += block.uplink == 0 && block.attempt == 1 && block.received == 0;
        }
        test.True(lost < 0.2 * static_cast<double>(first),
                  csi + ": " + std::to_string(lost) + " of " + std::to_string(first) + " are lost");
    }
    test.True(down["subband"] > down["band"] && down["etype2"] < down["subband"] &&
                  down["etype2"] > 0.5 * down["subband"],
              "bytes of band, subband, etype2: " + std::to_string(down["band"]) + ", " +
                  std::to_string(down["subband"]) + ", " + std::to_string(down["etype2"]));
    // 500 slots, six UEs, a report every 10 slots, of some hundred bits.
    test.True(up["band"] == 0 && up["subband"] == 0 && up["etype2"] > 300 * 100,
              "bits in uplink: " + std::to_string(up["etype2"]));
}

void Refused(Case& test) {
    const auto make = [](const Attributes& attributes) {
        return [=] { CellTestbed bed({.deployment = "UMi"}, attributes); };
    };
    const auto zf = Set("Beams", std::string("zf")), etype2 = Set("Csi", std::string("etype2"));
    test.Refuses<std::invalid_argument>(make({Set("Csi", std::string("subband"))}), {"Csi 'subband'", "'eigen'", "zf"},
                                        "beams");
    test.Refuses<std::invalid_argument>(make({zf, Set("Csi", std::string("best"))}),
                                        {"'best'", "band, subband, etype2"}, "name");
    test.Refuses<std::invalid_argument>(make({zf, etype2, Set("EtypeTwoCombination", 7u), Set("MaxLayers", 4u)}),
                                        {"MaxLayers 4", "at most 2"}, "layers");
    test.Refuses<std::invalid_argument>([] { TypeTwoCodebook(4, 2, 7, 13); }, {"16 ports", "1 to 6"}, "ports");
    test.Refuses<std::invalid_argument>([] { TypeTwoCodebook(8, 4, 1, 13); }, {"(8, 4)", "(8, 2)"}, "layout");
}

CaseSuite typeTwoTestSuite("edgelam-nr-type-two",
                           {{"by hand", ByHand}, {"closer", Closer}, {"in a cell", InACell}, {"refused", Refused}});

} // namespace
