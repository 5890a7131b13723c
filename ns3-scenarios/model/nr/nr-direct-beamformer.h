// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The beamformer along the straight line to the UE.
#pragma once

#include "nr-wideband-beamformer.h"

namespace edgelam::nr {

/// The beams are steered along the straight line to the UE, one beam for each polarisation.
class DirectBeamformer : public WidebandBeamformer {
  public:
    static ns3::TypeId GetTypeId();
    std::vector<std::complex<float>> FindBeams(const BeamSearch& search) const override;
    bool IsThreadSafe() const override { return true; }
};

} // namespace edgelam::nr
