// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A grid of beams.
#pragma once

#include "nr-wideband-beamformer.h"

namespace edgelam::nr {

/// A type I codebook (TS 38.214 5.2.2.2.1, wideband): DFT beams over rows and columns, oversampled twice, the same for
/// both polarisations; the strongest first, then those orthogonal to it.
class CodebookBeamformer : public WidebandBeamformer {
  public:
    static ns3::TypeId GetTypeId();
    std::vector<std::complex<float>> FindBeams(const BeamSearch& search) const override;
};

} // namespace edgelam::nr
