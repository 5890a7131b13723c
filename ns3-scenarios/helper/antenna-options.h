// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The antennas of gNBs and UEs, as a command line gives them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attribute-values.h"
#include "options.h"
#include "planar-array.h"

namespace edgelam {

/// The options of the section "Antennas", and the arrays that follow from them.
class AntennaOptions {
  public:
    /// \param gnb defaults of the gNB's array
    explicit AntennaOptions(const ArrayLayout& gnb, std::uint32_t ueAntennas = 4);

    void AddOptions(Options& options);

    /// Add options for analog beams, of which each gNB chooses one for a UE, and each UE one for a gNB.
    void AddBeamOptions(Options& options);

    /// The gNB's array. \param mountingDeg further tilt of the whole array; \param bearingDeg direction that it faces
    ArrayLayout Gnb(double mountingDeg = 0, double bearingDeg = 0) const;
    /// The same once for each beam: all azimuths with all zenith angles, or the one of Gnb. Throws
    /// std::invalid_argument, which names the option, for angles that are none.
    std::vector<ArrayLayout> GnbBeams(double mountingDeg = 0, double bearingDeg = 0) const;
    /// Throws std::invalid_argument, which names the option, for a number of antennas that cannot be.
    /// \param panel of elements that face one side, 90 degrees and 5 dBi, instead of isotropic ones
    ns3::Ptr<ns3::UniformPlanarArray> MakeUe(bool panel = false) const;
    /// Whether a UE has panels that face somewhere, instead of the antennas of MakeUe.
    bool UeHasPanels() const { return m_uePanels > 0; }
    /// The arrays of such a UE, one for each panel and beam; \param bearingDeg direction of its first panel. Throws
    /// std::invalid_argument like GnbBeams.
    std::vector<ArrayLayout> UeBeams(double bearingDeg) const;
    std::uint32_t NumUeAntennas() const { return m_ueAntennas; }

  private:
    AttributeValues m_array{"ns3::UniformPlanarArray"};
    ArrayLayout m_gnb;
    std::string m_element = "sector", m_azimuths, m_zeniths, m_ueAzimuths, m_ueZeniths;
    std::uint32_t m_ueAntennas, m_uePanels = 0, m_ueRows = 1, m_ueColumns = 1;
};

} // namespace edgelam
