// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A beamformer whose weights come from outside.
#pragma once

#include <array>

#include "nr-beamformer.h"
#include "nr-precoder.h"

namespace edgelam::nr {

/// A UE that has been given a precoder is served with it; any other UE is served with its eigenvectors. A
/// retransmission has as many layers as the first transmission: the newest precoder for each number of layers is kept,
/// and without one for that number the block is sent with eigenvectors. UEs that share a group get equal parts of its
/// power.
class ExternalBeamformer : public Beamformer {
  public:
    static ns3::TypeId GetTypeId();
    /// Set the newest precoder of a UE; `layers` 0: the UE has none any more.
    void SetPrecoder(std::uint32_t ue, const Precoder& precoder);

    void Form(std::uint32_t group, std::span<const ServedUe> ues, double power) override;
    unsigned GivenLayers(std::uint32_t ue) const override { return ue < m_layers.size() ? m_layers[ue] : 0; }
    bool SendsOwnBeams(std::uint32_t ue, unsigned layers) const override {
        return GivenLayers(ue) == 0 || m_weights[ue][layers - 1].empty();
    }
    bool WantsChannel() const override { return false; }
    bool IsThreadSafe() const override { return true; }

  private:
    std::vector<unsigned> m_layers; ///< [ue] layers of the newest precoder; 0: none
    std::vector<std::array<std::vector<std::complex<float>>, 4>>
        m_weights; ///< [ue][layers - 1]: [group, element, layer]
};

} // namespace edgelam::nr
