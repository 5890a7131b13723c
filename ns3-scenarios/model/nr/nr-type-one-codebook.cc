// SPDX-License-Identifier: GPL-2.0-only
#include "nr-type-one-codebook.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace edgelam::nr {

namespace {

using Complex = std::complex<float>;

// TS 38.214 table 5.2.2.2.1-2; O1 = 4, and O2 = 4 unless N2 = 1.
constexpr std::array<std::pair<unsigned, unsigned>, 13> layouts{
    {{2, 1}, {2, 2}, {4, 1}, {3, 2}, {6, 1}, {4, 2}, {8, 1}, {4, 3}, {6, 2}, {12, 1}, {4, 4}, {8, 2}, {16, 1}}};

Complex Turn(double turns) {
    return Complex(std::polar(1.0, 2 * std::numbers::pi * turns));
}

} // namespace

TypeOneCodebook::TypeOneCodebook(unsigned n1, unsigned n2)
    : m_n1(n1), m_n2(n2), m_o1(n1 > 1 ? 4 : 1), m_o2(n2 > 1 ? 4 : 1) {
    const std::pair given{n1, n2};
    if (given != std::pair{1u, 1u} && std::find(layouts.begin(), layouts.end(), given) == layouts.end()) {
        std::string legal = "(1, 1)";
        for (const auto& [first, second] : layouts) {
            legal += ", (" + std::to_string(first) + ", " + std::to_string(second) + ")";
        }
        throw std::invalid_argument("Type I codebook for (N1, N2) = (" + std::to_string(n1) + ", " +
                                    std::to_string(n2) + ") places of two polarisations; legal are " + legal +
                                    " (TS 38.214 table 5.2.2.2.1-2)");
    }
}

std::vector<std::pair<unsigned, unsigned>> TypeOneCodebook::Offsets(unsigned layers) const {
    const unsigned o1 = m_o1, o2 = m_o2;
    if (layers == 1 || NumPorts() == 2) {
        return {{0, 0}};
    }
    if (layers == 2) {
        if (m_n2 > 1) {
            return {{0, 0}, {o1, 0}, {0, o2}, m_n1 > m_n2 ? std::pair{2 * o1, 0u} : std::pair{o1, o2}};
        }
        return m_n1 == 2 ? std::vector<std::pair<unsigned, unsigned>>{{0, 0}, {o1, 0}}
                         : std::vector<std::pair<unsigned, unsigned>>{{0, 0}, {o1, 0}, {2 * o1, 0}, {3 * o1, 0}};
    }
    std::vector<std::pair<unsigned, unsigned>> offsets{{o1, 0}};
    if (m_n2 > 1) {
        offsets.insert(offsets.end(), {{0, o2}, {o1, o2}});
        if (m_n1 > 2) {
            offsets.emplace_back(2 * o1, 0);
        }
    } else {
        for (unsigned k = 2; k < std::min(m_n1, 5u); ++k) {
            offsets.emplace_back(k * o1, 0);
        }
    }
    return offsets;
}

std::vector<TypeOneCodebook::Pmi> TypeOneCodebook::All(unsigned layers) const {
    const auto numI13 = OfHalves(layers) ? 4U : static_cast<unsigned>(Offsets(layers).size());
    std::vector<Pmi> all;
    for (unsigned i11 = 0; i11 < NumBeams1(layers); ++i11) {
        for (unsigned i12 = 0; i12 < NumBeams2(); ++i12) {
            for (unsigned i13 = 0; i13 < numI13; ++i13) {
                for (unsigned i2 = 0; i2 < (layers == 1 ? 4U : 2U); ++i2) {
                    all.push_back({i11, i12, i13, i2});
                }
            }
        }
    }
    return all;
}

std::vector<TypeOneCodebook::Column> TypeOneCodebook::Columns(unsigned layers, const Pmi& pmi) const {
    const Complex phi = Turn(pmi.i2 / 4.0);
    std::vector<Column> columns;
    if (OfHalves(layers)) {
        const Complex theta = Turn(pmi.i13 / 8.0);
        for (unsigned layer = 0; layer < layers; ++layer) { // signs of theta and phi: ++, -+, +-, --
            const float half = layer % 2 == 0 ? 1.F : -1.F, cross = layer < 2 ? 1.F : -1.F;
            columns.push_back(
                {pmi.i11, pmi.i12, {Complex(1), half * theta, cross * phi, half * cross * (phi * theta)}});
        }
        return columns;
    }
    const auto [k1, k2] = Offsets(layers)[pmi.i13];
    for (unsigned layer = 0; layer < layers; ++layer) {
        // Two layers: second beam with -phi. Three and four: both beams with phi, then with -phi.
        const bool second = layer % 2 == 1, minus = layers == 2 ? second : layer >= 2;
        columns.push_back({(pmi.i11 + (second ? k1 : 0)) % NumBeams1(layers),
                           (pmi.i12 + (second ? k2 : 0)) % NumBeams2(),
                           {Complex(1), Complex(0), minus ? -phi : phi, Complex(0)}});
    }
    return columns;
}

std::complex<float> TypeOneCodebook::Place(unsigned l, unsigned m, unsigned n1, unsigned n2) const {
    return Turn(double(l * n1) / (m_o1 * m_n1) + double(m * n2) / (m_o2 * m_n2));
}

std::vector<Complex> TypeOneCodebook::Weights(unsigned layers, const Pmi& pmi) const {
    const auto columns = Columns(layers, pmi);
    const bool halves = OfHalves(layers);
    const unsigned places = m_n1 * m_n2, length = halves ? m_n1 / 2 : m_n1;
    const float scale = 1 / std::sqrt(static_cast<float>(layers * NumPorts()));
    std::vector<Complex> weights(std::size_t{NumPorts()} * layers);
    for (unsigned layer = 0; layer < layers; ++layer) {
        const Column& column = columns[layer];
        for (unsigned p = 0; p < 2; ++p) {
            for (unsigned n1 = 0; n1 < m_n1; ++n1) {
                for (unsigned n2 = 0; n2 < m_n2; ++n2) {
                    // Beams over halves have half the places, so twice the phase from one to the next.
                    const Complex place = Place(halves ? 2 * column.l : column.l, column.m, n1 % length, n2);
                    weights[(p * places + n1 * m_n2 + n2) * layers + layer] =
                        scale * column.by[2 * p + n1 / length] * place;
                }
            }
        }
    }
    return weights;
}

} // namespace edgelam::nr
