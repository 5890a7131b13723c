// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The Type I single-panel codebook of TS 38.214 5.2.2.2.1.
#pragma once

#include <array>
#include <complex>
#include <cstddef>
#include <utility>
#include <vector>

namespace edgelam::nr {

/// Precoders of 1 to 4 layers for 2 N1 N2 ports: N1 x N2 places, each with two polarisations (tables 5.2.2.2.1-1 and
/// 5.2.2.2.1-5 to -8, codebookMode 1). A layer is a DFT beam, oversampled four times in each dimension that has more
/// than one place, with one of four phases between the polarisations; with 16 ports or more, three and four layers use
/// beams over one half of the first dimension, with a phase between the halves.
class TypeOneCodebook {
  public:
    /// What a UE reports. The ranges depend on the number of layers; see All.
    struct Pmi {
        unsigned i11 = 0, i12 = 0; ///< first beam, in both dimensions
        unsigned i13 = 0;          ///< the second beam relative to it, or the phase between halves
        unsigned i2 = 0;           ///< phase between the polarisations, in quarters of a turn
        bool operator==(const Pmi&) const = default;
    };
    /// One layer: a beam over the places, or over those of one half, and the factors of its copies.
    struct Column {
        unsigned l, m;                         ///< beam in the first and in the second dimension
        std::array<std::complex<float>, 4> by; ///< [polarisation, half]; whole beams have [polarisation, 0] only
    };

    /// Throws std::invalid_argument, with what is legal, for a layout that is neither (1, 1) for two ports nor one of
    /// table 5.2.2.2.1-2.
    TypeOneCodebook(unsigned n1, unsigned n2);

    unsigned N1() const { return m_n1; }
    unsigned N2() const { return m_n2; }
    unsigned NumPorts() const { return 2 * m_n1 * m_n2; }
    unsigned MaxLayers() const { return NumPorts() < 4 ? 2 : 4; }
    /// Whether this many layers are made of beams over halves of the first dimension.
    bool OfHalves(unsigned layers) const { return layers > 2 && NumPorts() >= 16; }
    /// Number of beams in each dimension: N x O, or half as many over halves.
    unsigned NumBeams1(unsigned layers) const { return m_n1 * m_o1 / (OfHalves(layers) ? 2 : 1); }
    unsigned NumBeams2() const { return m_n2 * m_o2; }

    /// Every precoder with this number of layers, 1 to MaxLayers.
    std::vector<Pmi> All(unsigned layers) const;
    /// [layer]
    std::vector<Column> Columns(unsigned layers, const Pmi& pmi) const;
    /// Phase of a place in a beam, magnitude 1. \param n1 counted within a half if the beam is one over a half
    std::complex<float> Place(unsigned l, unsigned m, unsigned n1, unsigned n2) const;
    /// W, [port, layer], C order, whose columns are orthogonal and have power 1 / layers. The ports are in the order of
    /// the standard: polarisation, first dimension, second dimension.
    std::vector<std::complex<float>> Weights(unsigned layers, const Pmi& pmi) const;

  private:
    /// (k1, k2) of each i13: tables 5.2.2.2.1-3 (two layers) and -4 (three and four).
    std::vector<std::pair<unsigned, unsigned>> Offsets(unsigned layers) const;
    unsigned m_n1, m_n2, m_o1, m_o2;
};

} // namespace edgelam::nr
