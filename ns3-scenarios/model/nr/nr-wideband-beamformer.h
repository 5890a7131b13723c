// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Beamformers that send each UE its own beams.
#pragma once

#include "nr-beamformer.h"

namespace edgelam::nr {

/// The same weights in all groups: the UE's own beams (FindBeams). UEs that share a group divide its power equally by
/// layers, without regard to the interference between them.
class WidebandBeamformer : public Beamformer {
  public:
    static ns3::TypeId GetTypeId();
    void Form(std::uint32_t group, std::span<const ServedUe> ues, double power) override;
    bool SendsOwnBeams(std::uint32_t, unsigned) const override { return true; }
    bool WantsChannel() const override { return false; }
};

} // namespace edgelam::nr
