// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Channels as pilots show them: noisy, and of a slot that is past.
#pragma once

#include <complex>
#include <cstdint>
#include <optional>
#include <vector>

#include "nr-csi-occasions.h"

namespace edgelam {

/// Pilots of pairs of a cell and a UE (NrCsiOccasions).
///
/// Sounding reference signals (SRS) come from each antenna of the UE in turn, as strong as sounding of a quarter of the
/// band (open loop of TS 38.213 7.3.1, with the path loss to the UE's own cell), over all resource elements of a symbol
/// of a resource block: the noise of a sample has the power of that of a resource block over 12 times that of the UE in
/// one. CSI-RS have one resource element for each port in a resource block, with code division over all ports, so that
/// each port has the whole power of an element: noise of a resource block over the cell's power in one. Other cells'
/// pilots and data do not disturb them.
class NrSounding {
  public:
    using Complex = std::complex<float>;
    enum class Pilots : std::uint8_t { Srs, CsiRs };
    struct Measured {
        std::uint64_t slot;
        double noise;                 ///< mean |n|^2 of a sample, where |h|^2 is a power gain
        std::vector<Complex> samples; ///< [UE antenna, element, resource block]: h + n in the middle of each
    };

    /// \param cells, pairs live as long as this
    NrSounding(const NrCells& cells, const NrPairs& pairs, Pilots pilots);

    /// The newest that is known of a pair.
    const Measured& Newest(const CellUe& pair) { return m_occasions.Newest(pair); }
    /// Middle of each resource block, relative to the carrier.
    const std::vector<double>& PrbCentresHz() const { return m_prbsHz; }

  private:
    Measured Measure(const CellUe& pair, std::uint64_t slot) const;
    double NoiseOver(const CellUe& pair) const;
    std::uint64_t Seed() const;

    const NrCells& m_cells;
    Pilots m_pilots;
    std::vector<double> m_prbsHz;
    mutable std::optional<std::uint64_t> m_seed;
    NrCsiOccasions<Measured> m_occasions;
};

} // namespace edgelam
