// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The enhanced Type II codebook of TS 38.214 5.2.2.2.5.
#pragma once

#include <array>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "nr-type-one-codebook.h"

namespace edgelam::nr {

/// Precoders of 1 to 4 layers for 2 N1 N2 ports, one for each sub-band: of each layer a sum over L orthogonal DFT beams
/// in each polarisation and over M frequency components, with quantised coefficients, of which only the strongest are
/// reported. The number of precoder sub-bands for each CQI sub-band (R) is 1.
class TypeTwoCodebook {
  public:
    /// Row of table 5.2.2.2.5-1.
    struct Combination {
        unsigned beams;      ///< L
        double few, many;    ///< p_v of one and two layers, and of three and four; 0: not that many layers
        double coefficients; ///< beta
    };
    /// One layer. Amplitudes and phases are indices of tables 5.2.2.2.5-2 and -3, and of 16 phases.
    struct Layer {
        std::vector<unsigned> components;       ///< [f] of 0 to N3 - 1; the first is 0
        unsigned strongest = 0;                 ///< [polarisation x beam], with component 0
        std::array<unsigned, 2> reference{};    ///< [polarisation] k1, 1 to 15
        std::vector<std::uint8_t> kept;         ///< [polarisation x beam, f] whether the coefficient is reported
        std::vector<unsigned> amplitude, phase; ///< the same: k2, 0 to 7, and c, 0 to 15
    };
    /// What a UE reports.
    struct Report {
        unsigned q1 = 0, q2 = 0;                          ///< rotation of the beams
        std::vector<std::pair<unsigned, unsigned>> beams; ///< (n1, n2)
        std::vector<Layer> layers;
    };

    /// \param combination paramCombination-r16, 1 to 8; \param subbands N3
    /// Throws std::invalid_argument, with what is legal, for a layout that has no Type I codebook or for which this
    /// combination is not allowed.
    TypeTwoCodebook(unsigned n1, unsigned n2, unsigned combination, unsigned subbands);

    unsigned NumPorts() const { return m_one.NumPorts(); }
    unsigned NumSubbands() const { return m_subbands; }
    unsigned MaxLayers() const { return m_combination.many > 0 ? m_one.MaxLayers() : 2; }
    /// M of blocks with this number of layers.
    unsigned NumComponents(unsigned layers) const;
    /// K0: the most coefficients of a layer; all layers together have at most twice as many.
    unsigned MostCoefficients() const;

    /// The report for layers that are to be sent with these weights.
    /// \param wanted [sub-band, port, layer], of any norm and phase; the order of ports is that of TypeOneCodebook
    Report Quantise(std::span<const std::complex<float>> wanted, unsigned layers) const;
    /// The weights that a report means: [sub-band, port], each of norm 1.
    std::vector<std::complex<float>> Weights(const Report& report, unsigned layer) const;
    /// The size of a report, bits (TS 38.212 tables 6.3.2.1.2-1A and -2A, 6.3.2.1.2-3 to -5 without CQI and rank).
    unsigned Bits(const Report& report) const;

    static double ReferenceAmplitude(unsigned k1); ///< 1 to 15
    static double Amplitude(unsigned k2);          ///< 0 to 7

  private:
    using Complex = std::complex<double>;
    /// The beams of a report: [beam, place], norm 1.
    std::vector<Complex> Beams(const Report& report) const;
    void ChooseBeams(std::span<const std::complex<float>> wanted, unsigned layers, Report& report) const;
    /// Coefficients of a layer over the beams and all N3 components, the strongest with component 0: [polarisation x
    /// beam, component].
    std::vector<Complex> Coefficients(std::span<const std::complex<float>> wanted, unsigned layers, unsigned layer,
                                      const std::vector<Complex>& beams) const;
    Layer QuantiseLayer(const std::vector<Complex>& coefficients, Layer layer) const;

    TypeOneCodebook m_one;
    Combination m_combination;
    unsigned m_subbands, m_o1, m_o2;
};

} // namespace edgelam::nr
