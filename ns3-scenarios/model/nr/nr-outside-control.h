// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What is set in a cell from outside: shares, minima and caps of resource blocks, and precoders.
#pragma once

#include <array>
#include <complex>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "nr-external-beamformer.h"
#include "nr-external-scheduler.h"
#include "nr-grants.h"

namespace edgelam::nr {

/// Checks the values, and hands them on to the external scheduler or beamformer when the result is called. Every method
/// throws std::invalid_argument for values that are not legal.
class OutsideControl {
  public:
    OutsideControl(const Carrier& carrier, Links& links, const Grants& grants, ns3::Ptr<Beamformer> beamformer,
                   std::size_t elements)
        : m_carrier(carrier), m_links(links), m_grants(grants), m_beamformer(beamformer), m_elements(elements) {}

    /// [ue] of both directions; see Cell.
    std::function<void()> Shares(const std::vector<double>& down, const std::vector<double>& up) const;
    std::function<void()> LeastPrbs(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up) const;
    std::function<void()> PrbCaps(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up) const;
    std::function<void()> Precoders(std::span<const UeWeights> weights) const;
    /// Of precoders for all UEs.
    PrecoderShape Shape() const {
        return {m_links.NumNumbers(), m_carrier.numGroups, m_elements, m_carrier.settings.maxLayers};
    }
    /// A UE leaves the cell: it has no precoder any more.
    void Forget(std::uint32_t ue) const;

  private:
    /// The schedulers of both directions, if they take numbers from outside.
    std::array<ns3::Ptr<ExternalScheduler>, 2> Schedulers(const char* what) const;

    const Carrier& m_carrier;
    Links& m_links;
    const Grants& m_grants;
    ns3::Ptr<Beamformer> m_beamformer;
    std::size_t m_elements; ///< of the gNB
};

} // namespace edgelam::nr
