// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A beamformer whose weights come from outside.
#pragma once

#include <array>
#include <vector>

#include "nr-beamformer.h"
#include "nr-precoder.h"

namespace edgelam::nr {

/// A UE that has been given a precoder is served with it; any other UE is served with its eigenvectors. A
/// retransmission has as many layers as the first transmission: the newest precoder for each number of layers is kept,
/// and without one for that number the block is sent with eigenvectors.
///
/// UEs that a scheduler puts on one group get equal parts of its power. With selection "external" (Together) the
/// precoders themselves say who is on which group, and share its power as they are; if a kept precoder makes it too
/// much, all weights of the group are made smaller.
class ExternalBeamformer : public Beamformer {
  public:
    static ns3::TypeId GetTypeId();
    /// Set the newest precoder of a UE; `layers` 0: the UE has none any more.
    void SetPrecoder(std::uint32_t ue, const Precoder& precoder);
    /// From the beginning: the precoders of all UEs are for transmissions together.
    void SetTogether(bool together) { m_together = together; }
    bool Together() const { return m_together; }
    /// Where a UE has weights for a block of so many layers, as bits; 0: it has no such precoder.
    std::uint32_t GivenGroups(std::uint32_t ue, unsigned layers) const {
        return SendsOwnBeams(ue, layers) ? 0 : m_given[ue][layers - 1].groups;
    }

    void Form(std::uint32_t group, std::span<const ServedUe> ues, double power) override;
    unsigned GivenLayers(std::uint32_t ue) const override { return ue < m_layers.size() ? m_layers[ue] : 0; }
    bool SendsOwnBeams(std::uint32_t ue, unsigned layers) const override {
        return GivenLayers(ue) == 0 || m_given[ue][layers - 1].layers == 0;
    }
    bool FormsAlways(std::uint32_t ue, unsigned layers) const override {
        return m_together && !SendsOwnBeams(ue, layers);
    }
    bool WantsChannel() const override { return m_together; }
    bool WantsHeard() const override { return false; }
    bool CanLimitElements() const override { return m_together; }
    bool IsThreadSafe() const override { return true; }

  private:
    bool m_together = false;
    std::vector<unsigned> m_layers;               ///< [ue] layers of the newest precoder; 0: none
    std::vector<std::array<Precoder, 4>> m_given; ///< [ue][layers - 1]
};

} // namespace edgelam::nr
