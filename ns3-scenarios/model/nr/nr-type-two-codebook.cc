// SPDX-License-Identifier: GPL-2.0-only
#include "nr-type-two-codebook.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <string>

namespace edgelam::nr {

namespace {

constexpr std::array<TypeTwoCodebook::Combination, 8> combinations{{{2, 0.25, 0.125, 0.25},
                                                                    {2, 0.25, 0.125, 0.5},
                                                                    {4, 0.25, 0.125, 0.25},
                                                                    {4, 0.25, 0.125, 0.5},
                                                                    {4, 0.25, 0.25, 0.75},
                                                                    {4, 0.5, 0.25, 0.5},
                                                                    {6, 0.25, 0, 0.5},
                                                                    {6, 0.25, 0, 0.75}}};
constexpr unsigned num_phases = 16;
constexpr std::size_t many_subbands = 19; ///< up to this, components are chosen from all of them (5.2.2.2.5)

std::complex<double> Turn(double turns) {
    return std::polar(1.0, 2 * std::numbers::pi * turns);
}

/// Bits of one of `count` values.
unsigned BitsOf(double count) {
    unsigned bits = 0;
    for (double values = 1; values < count - 0.5; values *= 2) {
        ++bits;
    }
    return bits;
}

double Choose(unsigned n, unsigned k) {
    double ways = 1;
    for (unsigned i = 1; i <= k; ++i) {
        ways = ways * (n - k + i) / i;
    }
    return ways;
}

/// The index of the nearest of `count` values from `first` on.
template<class F>
unsigned Nearest(double value, unsigned first, unsigned count, F table) {
    unsigned best = first;
    for (unsigned k = first; k < count; ++k) {
        best = std::abs(table(k) - value) < std::abs(table(best) - value) ? k : best;
    }
    return best;
}

} // namespace

TypeTwoCodebook::TypeTwoCodebook(unsigned n1, unsigned n2, unsigned combination, unsigned subbands)
    : m_one(n1, n2), m_combination(combinations.at(combination - 1)), m_subbands(subbands), m_o1(n1 > 1 ? 4 : 1),
      m_o2(n2 > 1 ? 4 : 1) {
    const unsigned ports = NumPorts();
    if (ports < 4 || (ports == 4 && combination > 2) || (ports < 32 && combination > 6)) {
        throw std::invalid_argument("EtypeTwoCombination " + std::to_string(combination) + " with " +
                                    std::to_string(ports) +
                                    " ports; legal are 1 and 2 with 4 ports, 1 to 6 with fewer than 32, and 1 to 8 "
                                    "with 32 (TS 38.214 5.2.2.2.5)");
    }
}

double TypeTwoCodebook::ReferenceAmplitude(unsigned k1) {
    return std::exp2((static_cast<double>(k1) - 15) / 4);
}

double TypeTwoCodebook::Amplitude(unsigned k2) {
    return std::exp2((static_cast<double>(k2) - 7) / 2);
}

unsigned TypeTwoCodebook::NumComponents(unsigned layers) const {
    const double part = layers <= 2 ? m_combination.few : m_combination.many;
    return static_cast<unsigned>(std::ceil(part * m_subbands - 1e-9));
}

unsigned TypeTwoCodebook::MostCoefficients() const {
    return static_cast<unsigned>(
        std::ceil(m_combination.coefficients * 2 * m_combination.beams * NumComponents(1) - 1e-9));
}

std::vector<TypeTwoCodebook::Complex> TypeTwoCodebook::Beams(const Report& report) const {
    std::vector<Complex> beams;
    const double scale = 1 / std::sqrt(static_cast<double>(m_one.N1() * m_one.N2()));
    for (const auto& [n1, n2] : report.beams) {
        const unsigned l = m_o1 * n1 + report.q1, m = m_o2 * n2 + report.q2;
        for (unsigned i = 0; i < m_one.N1(); ++i) {
            for (unsigned j = 0; j < m_one.N2(); ++j) {
                beams.push_back(scale *
                                Turn(double(l * i) / (m_o1 * m_one.N1()) + double(m * j) / (m_o2 * m_one.N2())));
            }
        }
    }
    return beams;
}

/// The L orthogonal beams with most power, over both polarisations, all layers and sub-bands; of all rotations that
/// with most.
void TypeTwoCodebook::ChooseBeams(std::span<const std::complex<float>> wanted, unsigned layers, Report& report) const {
    const unsigned n1 = m_one.N1(), n2 = m_one.N2(), places = n1 * n2;
    std::vector<Complex> covariance(std::size_t{places} * places);
    for (std::size_t row = 0; row < wanted.size() / (places * layers); ++row) { // of a sub-band and polarisation
        const auto* w = wanted.data() + row * places * layers;
        for (unsigned a = 0; a < places; ++a) {
            for (unsigned b = 0; b <= a; ++b) {
                Complex sum = 0;
                for (unsigned l = 0; l < layers; ++l) {
                    sum += Complex(w[a * layers + l]) * std::conj(Complex(w[b * layers + l]));
                }
                covariance[a * places + b] += sum;
            }
        }
    }
    double most = -1;
    for (unsigned q1 = 0; q1 < m_o1; ++q1) {
        for (unsigned q2 = 0; q2 < m_o2; ++q2) {
            Report tried{.q1 = q1, .q2 = q2, .beams = {}, .layers = {}};
            for (unsigned i = 0; i < n1; ++i) {
                for (unsigned j = 0; j < n2; ++j) {
                    tried.beams.emplace_back(i, j);
                }
            }
            const auto beams = Beams(tried);
            std::vector<double> power(places);
            for (unsigned k = 0; k < places; ++k) {
                const Complex* beam = beams.data() + k * places;
                for (unsigned a = 0; a < places; ++a) {
                    Complex sum = 0.5 * covariance[a * places + a] * beam[a];
                    for (unsigned b = 0; b < a; ++b) {
                        sum += covariance[a * places + b] * beam[b];
                    }
                    power[k] += 2 * (std::conj(beam[a]) * sum).real();
                }
            }
            std::vector<unsigned> order(places);
            std::iota(order.begin(), order.end(), 0U);
            std::ranges::stable_sort(order, [&](unsigned a, unsigned b) { return power[a] > power[b]; });
            order.resize(std::min(places, m_combination.beams));
            std::ranges::sort(order);
            double sum = 0;
            for (const auto k : order) {
                sum += power[k];
            }
            if (sum > most) {
                most = sum;
                report.q1 = q1;
                report.q2 = q2;
                report.beams.clear();
                for (const auto k : order) {
                    report.beams.push_back(tried.beams[k]);
                }
            }
        }
    }
}

std::vector<TypeTwoCodebook::Complex> TypeTwoCodebook::Coefficients(std::span<const std::complex<float>> wanted,
                                                                    unsigned layers, unsigned layer,
                                                                    const std::vector<Complex>& beams) const {
    const unsigned places = m_one.N1() * m_one.N2(), count = static_cast<unsigned>(beams.size()) / places;
    std::vector<Complex> over(std::size_t{2} * count * m_subbands); // [polarisation x beam, sub-band]
    std::vector<double> power(2 * count);
    for (unsigned t = 0; t < m_subbands; ++t) {
        for (unsigned p = 0; p < 2; ++p) {
            for (unsigned k = 0; k < count; ++k) {
                Complex sum = 0;
                for (unsigned i = 0; i < places; ++i) {
                    sum +=
                        std::conj(beams[k * places + i]) * Complex(wanted[((t * 2 + p) * places + i) * layers + layer]);
                }
                over[(p * count + k) * m_subbands + t] = sum;
                power[p * count + k] += std::norm(sum);
            }
        }
    }
    // The phase of a sub-band's weights means nothing: that of the strongest beam is the same in all of them.
    const auto strongest = std::ranges::max_element(power) - power.begin();
    for (unsigned t = 0; t < m_subbands; ++t) {
        const Complex along = over[strongest * m_subbands + t];
        const Complex turn = std::abs(along) > 0 ? std::conj(along) / std::abs(along) : 1;
        for (unsigned i = 0; i < 2 * count; ++i) {
            over[i * m_subbands + t] *= turn;
        }
    }
    std::vector<Complex> found(over.size());
    std::size_t greatest = 0;
    for (unsigned i = 0; i < 2 * count; ++i) {
        for (unsigned n = 0; n < m_subbands; ++n) {
            Complex sum = 0;
            for (unsigned t = 0; t < m_subbands; ++t) {
                sum += over[i * m_subbands + t] * Turn(-double(t * n) / m_subbands);
            }
            const std::size_t at = i * m_subbands + n;
            found[at] = sum / double(m_subbands);
            greatest = std::abs(found[at]) > std::abs(found[greatest]) ? at : greatest;
        }
    }
    const std::size_t shift = greatest % m_subbands;
    std::vector<Complex> shifted(found.size());
    for (unsigned i = 0; i < 2 * count; ++i) {
        for (unsigned n = 0; n < m_subbands; ++n) {
            shifted[i * m_subbands + n] = found[i * m_subbands + (n + shift) % m_subbands];
        }
    }
    return shifted;
}

TypeTwoCodebook::Layer TypeTwoCodebook::QuantiseLayer(const std::vector<Complex>& coefficients, Layer layer) const {
    const std::size_t components = layer.components.size(), rows = coefficients.size() / m_subbands;
    const auto of = [&](std::size_t i, std::size_t f) { return coefficients[i * m_subbands + layer.components[f]]; };
    for (std::size_t i = 0; i < rows; ++i) {
        layer.strongest =
            std::abs(of(i, 0)) > std::abs(of(layer.strongest, 0)) ? static_cast<unsigned>(i) : layer.strongest;
    }
    const Complex unit = of(layer.strongest, 0);
    std::array<double, 2> greatest{};
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t f = 0; f < components; ++f) {
            if (layer.kept[i * components + f] != 0) {
                double& most = greatest[2 * i / rows];
                most = std::max(most, std::abs(of(i, f) / unit));
            }
        }
    }
    for (std::size_t p = 0; p < 2; ++p) {
        layer.reference[p] = Nearest(greatest[p], 1, 16, ReferenceAmplitude);
    }
    layer.reference[2 * layer.strongest / rows] = 15;
    layer.amplitude.assign(rows * components, 0);
    layer.phase.assign(rows * components, 0);
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t f = 0; f < components; ++f) {
            const Complex value = of(i, f) / unit;
            const double part = std::abs(value) / ReferenceAmplitude(layer.reference[2 * i / rows]);
            const double turns = std::arg(value) / (2 * std::numbers::pi);
            layer.amplitude[i * components + f] = Nearest(part, 0, 8, Amplitude);
            layer.phase[i * components + f] = static_cast<unsigned>(std::lround((turns + 1) * num_phases)) % num_phases;
        }
    }
    return layer;
}

TypeTwoCodebook::Report TypeTwoCodebook::Quantise(std::span<const std::complex<float>> wanted, unsigned layers) const {
    Report report;
    ChooseBeams(wanted, layers, report);
    const auto beams = Beams(report);
    const std::size_t components = NumComponents(layers);
    std::vector<std::vector<Complex>> coefficients;
    struct Candidate {
        double power;
        unsigned layer;
        std::size_t at;
    };
    std::vector<Candidate> order;
    for (unsigned l = 0; l < layers; ++l) {
        coefficients.push_back(Coefficients(wanted, layers, l, beams));
        const auto& of = coefficients.back();
        const std::size_t rows = of.size() / m_subbands;
        std::vector<double> power(m_subbands);
        for (std::size_t at = 0; at < of.size(); ++at) {
            power[at % m_subbands] += std::norm(of[at]);
        }
        std::vector<unsigned> chosen(m_subbands);
        std::iota(chosen.begin(), chosen.end(), 0U);
        std::stable_sort(chosen.begin() + 1, chosen.end(), [&](unsigned a, unsigned b) { return power[a] > power[b]; });
        chosen.resize(components);
        std::ranges::sort(chosen);
        Layer& layer = report.layers.emplace_back();
        layer.components = chosen;
        layer.kept.assign(rows * components, 0);
        double all = 0;
        for (const auto& each : of) {
            all += std::norm(each);
        }
        for (std::size_t at = 0; at < rows * components; ++at) {
            const double one = std::norm(of[at / components * m_subbands + chosen[at % components]]);
            order.push_back({all > 0 ? one / all : 0, l, at});
        }
    }
    std::ranges::stable_sort(order, [](const Candidate& a, const Candidate& b) { return a.power > b.power; });
    std::vector<unsigned> number(layers);
    unsigned total = 0;
    for (const auto& each : order) { // one is left for the strongest of each layer that has none yet
        const auto empty = static_cast<unsigned>(std::ranges::count(number, 0U));
        if (number[each.layer] == 0 ||
            (number[each.layer] < MostCoefficients() && total + empty < 2 * MostCoefficients())) {
            report.layers[each.layer].kept[each.at] = 1;
            ++number[each.layer];
            ++total;
        }
    }
    for (unsigned l = 0; l < layers; ++l) {
        report.layers[l] = QuantiseLayer(coefficients[l], std::move(report.layers[l]));
    }
    return report;
}

std::vector<std::complex<float>> TypeTwoCodebook::Weights(const Report& report, unsigned number) const {
    const Layer& layer = report.layers.at(number);
    const auto beams = Beams(report);
    const std::size_t places = std::size_t{m_one.N1()} * m_one.N2(), count = report.beams.size(),
                      components = layer.components.size();
    std::vector<std::complex<float>> weights(m_subbands * 2 * places);
    std::vector<Complex> sums(2 * count), column(2 * places);
    for (unsigned t = 0; t < m_subbands; ++t) {
        for (std::size_t i = 0; i < 2 * count; ++i) {
            sums[i] = 0;
            for (std::size_t f = 0; f < components; ++f) {
                const std::size_t at = i * components + f;
                if (layer.kept[at] != 0) {
                    sums[i] +=
                        Amplitude(layer.amplitude[at]) * ReferenceAmplitude(layer.reference[i / count]) *
                        Turn(double(layer.phase[at]) / num_phases + double(t * layer.components[f]) / m_subbands);
                }
            }
        }
        double norm = 0;
        for (std::size_t p = 0; p < 2; ++p) {
            for (std::size_t i = 0; i < places; ++i) {
                Complex& to = column[p * places + i];
                to = 0;
                for (std::size_t k = 0; k < count; ++k) {
                    to += sums[p * count + k] * beams[k * places + i];
                }
                norm += std::norm(to);
            }
        }
        for (std::size_t i = 0; i < column.size(); ++i) {
            weights[t * column.size() + i] = std::complex<float>(column[i] / std::sqrt(std::max(norm, 1e-30)));
        }
    }
    return weights;
}

unsigned TypeTwoCodebook::Bits(const Report& report) const {
    const auto layers = static_cast<unsigned>(report.layers.size()), beams = static_cast<unsigned>(report.beams.size());
    const unsigned components = NumComponents(layers);
    unsigned bits = BitsOf(m_o1 * m_o2) + BitsOf(Choose(m_one.N1() * m_one.N2(), beams)); // i1,1 and i1,2
    bits += BitsOf(layers == 1 ? MostCoefficients() : 2.0 * MostCoefficients());          // the number of coefficients
    for (const auto& layer : report.layers) {
        unsigned kept = 0;
        for (const auto each : layer.kept) {
            kept += each;
        }
        bits += m_subbands <= many_subbands ? BitsOf(Choose(m_subbands - 1, components - 1)) // i1,6
                                            : BitsOf(Choose(2 * components - 1, components - 1));
        bits += 2 * beams * components;                 // i1,7
        bits += BitsOf(layers == 1 ? kept : 2 * beams); // i1,8
        bits += 4 + (kept > 0 ? 7 * (kept - 1) : 0);    // i2,3, i2,4 and i2,5
    }
    return bits;
}

} // namespace edgelam::nr
