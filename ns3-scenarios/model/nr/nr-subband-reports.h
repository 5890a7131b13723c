// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What UEs report by sub-band.
#pragma once

#include <complex>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "nr-beamformer.h"
#include "nr-carrier.h"
#include "nr-codebook-ports.h"
#include "nr-type-two-codebook.h"

namespace edgelam::nr {

/// Attribute Csi of a cell: eigenvectors of each sub-band as they are, or quantised with the enhanced Type II codebook.
class SubbandReports {
  public:
    /// Precoders that a UE reports.
    struct Reported {
        unsigned layers = 0;
        std::vector<std::complex<float>> weights; ///< [sub-band, element, layer], each layer of norm 1
        unsigned bits = 0;
    };

    /// Throws std::invalid_argument for another Csi, and for an array, a beamformer or a number of layers that do not
    /// go together with it.
    SubbandReports(const Carrier& carrier, const Beamformer& beamformer, const ns3::PhasedArrayModel& array);

    unsigned GroupsPerSubband() const { return m_groupsPerSubband; }
    bool IsQuantised() const { return m_codebook.has_value(); }
    /// The report of the first `layers` of `count` beams. \param beams [sub-band, element, beam]
    Reported Quantise(std::span<const std::complex<float>> beams, unsigned count, unsigned layers) const;

  private:
    unsigned m_groupsPerSubband;
    std::optional<CodebookPorts> m_ports;
    std::optional<TypeTwoCodebook> m_codebook;
};

} // namespace edgelam::nr
