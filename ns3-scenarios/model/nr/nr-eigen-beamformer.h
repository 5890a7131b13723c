// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Eigenvectors of the channel.
#pragma once

#include "nr-wideband-beamformer.h"

namespace edgelam::nr {

/// Dominant eigenvectors of the transmit covariance over the whole band (EigenBeams).
class EigenBeamformer : public WidebandBeamformer {
  public:
    static ns3::TypeId GetTypeId();
};

} // namespace edgelam::nr
