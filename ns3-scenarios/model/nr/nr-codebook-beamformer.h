// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The codebook of 5G NR as a beamformer.
#pragma once

#include "nr-type-one-codebook.h"
#include "nr-wideband-beamformer.h"

namespace edgelam::nr {

/// The Type I single-panel codebook (TypeOneCodebook): a UE reports one precoder for the whole band for each number of
/// layers, the one that carries the most bits. Each element of the array is a port, so rows and columns must be a
/// layout of the standard, the longer side first.
class CodebookBeamformer : public WidebandBeamformer {
  public:
    static ns3::TypeId GetTypeId();
    void CheckArray(const ns3::PhasedArrayModel& array) const override;
    std::vector<std::vector<std::complex<float>>> FindPrecoders(const BeamSearch& search) const override;
    bool IsThreadSafe() const override { return true; }
};

} // namespace edgelam::nr
