// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The beamformer behind analog beams.
#pragma once

#include "nr-wideband-beamformer.h"

namespace edgelam::nr {

/// Phase shifters make a few ports of all elements (AnalogCodebook); which beam they have, and that of the UE, is the
/// matter of BeamManagement. Over these ports the gNB is digital: it sends dominant eigenvectors of the transmit
/// covariance over the whole band, and receives with them.
class AnalogBeamformer : public WidebandBeamformer {
  public:
    static ns3::TypeId GetTypeId();
    void CheckArray(const ns3::PhasedArrayModel& array) const override;
    std::vector<std::complex<float>> FindBeams(const BeamSearch& search) const override;
    bool IsThreadSafe() const override { return true; }
};

} // namespace edgelam::nr
