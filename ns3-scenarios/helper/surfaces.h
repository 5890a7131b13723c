// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Reflecting surfaces of a scenario with one NR cell: options, places, and what participants see and set.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ns3/box.h"
#include "ns3/vector.h"

#include "nr-helper.h"
#include "options.h"
#include "reflecting-surface.h"
#include "registry.h"

namespace edgelam {

/// A place of a surface, and the direction that it faces, from the x axis towards y.
struct SurfacePlace {
    ns3::Vector place;
    double bearingDeg = 0;
};

/// Elements are vertical patches with the front side of the array only (90 degrees, 5 dBi). A patch reflects what falls
/// on its area, rows' times columns' spacing, and no more: so the amplitude of an element is at most 1, and less if its
/// area is smaller than the aperture of its pattern.
///
/// Publishes, if there are surfaces:
///
///     ris_phase                rad [surface, element]: what the elements do, after quantisation
///     surface_gnb_channel      complex64 [surface, element, gnb_element, prb_group]
///     surface_ue_channel       complex64 [surface, ue, ue_antenna, element, prb_group], with the delay by which the
///     way
///                              over the surface is longer than the straight line from gNB to UE
///     direct_channel           complex64 [ue, ue_antenna, element, prb_group], without the surfaces: ue_channel is
///                              direct_channel + sum over surfaces s of surface_ue_channel[s] diag(a exp(j
///                              ris_phase[s])) surface_gnb_channel[s], with the amplitude a of an element
///     surface_amplitude        a
///     ris_slot                 first slot for which the newest ris_phase holds
///
/// and takes the control ris_phase, rad [surface, element].
class Surfaces {
  public:
    void AddOptions(Options& options);
    std::uint32_t Count() const { return m_count; }
    /// Put the surfaces into the channel, before the first UE: at these places, unless --surfacePlaces names others.
    /// Throws std::invalid_argument for places within a metre of the gNB or outside of the room, and those that cannot
    /// be read.
    void Install(const ns3::Ptr<RadioChannel>& channel, const ns3::Vector& gnb, const ns3::Box& room,
                 const std::vector<SurfacePlace>& places);
    /// After the last UE. This and the helper must live as long as the run.
    void Publish(Registry& registry, const NrHelper& helper);

  private:
    using Complex = std::complex<float>;
    std::vector<SurfacePlace> ReadPlaces() const;
    std::string SetPhases(const std::vector<double>& radians);
    /// H between two ends, [receiver, transmitter, group], where the transmitter is the first.
    std::vector<Complex> Response(const ns3::Ptr<ns3::MobilityModel>& from,
                                  const ns3::Ptr<ns3::PhasedArrayModel>& array, const ns3::Ptr<ns3::MobilityModel>& to,
                                  const ns3::Ptr<ns3::PhasedArrayModel>& toArray) const;
    std::vector<Complex> FromGnb(std::size_t surface) const;
    std::vector<Complex> ToUe(std::size_t surface, std::uint32_t ue) const;
    std::vector<Complex> Direct(std::uint32_t ue) const;

    std::uint32_t m_count = 0, m_rows = 8, m_columns = 8, m_bits = 0;
    double m_spacing = 0.5, m_amplitude = 1;
    std::string m_places;
    std::vector<ns3::Ptr<ReflectingSurface>> m_surfaces;
    const NrHelper* m_helper = nullptr;
    std::vector<double> m_groupsHz;
    std::uint64_t m_slot = 0;
};

} // namespace edgelam
