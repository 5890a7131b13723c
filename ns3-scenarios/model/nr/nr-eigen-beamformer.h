// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Eigenvectors of the channel as a beamformer.
#pragma once

#include "nr-wideband-beamformer.h"

namespace edgelam::nr {

/// The beams are the dominant eigenvectors of the transmit covariance over the whole band (EigenBeams).
class EigenBeamformer : public WidebandBeamformer {
  public:
    static ns3::TypeId GetTypeId();
    bool IsThreadSafe() const override { return true; }
};

} // namespace edgelam::nr
