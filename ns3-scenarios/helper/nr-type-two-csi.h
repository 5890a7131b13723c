// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Channels as UEs report them with the enhanced Type II codebook, for somebody outside the cells.
#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <vector>

#include "edgelam/bridge/schema.h"
#include "nr-csi-occasions.h"
#include "nr-links.h"
#include "nr-subband-reports.h"

namespace edgelam {

/// What a UE reports beside its precoders.
struct NrTypeTwoReport {
    std::uint32_t rank; ///< number of layers, 1 to 4
    std::uint32_t cqi;  ///< of the whole band for so many layers, 1 to 15; 0: out of range
    std::uint32_t bits; ///< of the report: precoders, rank, CQIs of the band and of its sub-bands
};
EDGELAM_MESSAGE(NrTypeTwoReport, rank, cqi, bits)

/// Reports of pairs of a cell and a UE (NrCsiOccasions, in slots with downlink symbols): what the UE would report to
/// the cell if its attribute Csi were `etype2`, with noise but no interference of other cells. What the cell decides
/// goes on with the cell's own reports.
class NrTypeTwoCsi {
  public:
    using Complex = std::complex<float>;
    struct Measured {
        std::uint64_t slot;
        NrTypeTwoReport report;
        /// [UE antenna, element, group]: row l is what layer l hears as it would at an antenna of its own, the
        /// conjugate of its precoder times the gain that the CQIs stand for; 0 in the rows behind the rank.
        std::vector<Complex> channel;
    };

    /// \param cells, pairs live as long as this. Throws std::invalid_argument for an array that has no such codebook.
    NrTypeTwoCsi(const NrCells& cells, const NrPairs& pairs);

    /// The newest that is known of a pair.
    const Measured& Newest(const CellUe& pair) { return m_occasions.Newest(pair); }

  private:
    Measured Measure(const CellUe& pair, std::uint64_t slot) const;

    const NrCells& m_cells;
    std::unique_ptr<const nr::Carrier> m_carrier; ///< that of the cells with Csi etype2
    ns3::Ptr<nr::Beamformer> m_beamformer;        ///< which sends a UE what it has reported
    std::shared_ptr<const nr::SubbandReports> m_reports;
    NrCsiOccasions<Measured> m_occasions;
};

} // namespace edgelam
