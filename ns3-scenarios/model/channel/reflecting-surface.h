// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A reconfigurable reflecting surface: an array that scatters what it receives, where each element has its own phase.
#pragma once

#include <complex>
#include <cstdint>
#include <vector>

#include "ns3/mobility-model.h"
#include "ns3/object.h"
#include "ns3/phased-array-model.h"

namespace edgelam {

/// When it is put into a RadioChannel with AddSurface, it adds the paths over it to every link between two other nodes:
/// each cluster on the way to the surface, combined with each cluster on the way from it, is one more cluster of the
/// link, whose gain is the sum over the elements of (gain to it) x amplitude x exp(j phase) x (gain from it). Both ways
/// are links of the same channel, with their own path loss, clusters and Doppler. The surface is reciprocal. There are
/// no paths from surface to surface.
class ReflectingSurface : public ns3::Object {
  public:
    static ns3::TypeId GetTypeId();

    /// \p mobility must be aggregated to a node that belongs to the surface only. Throws std::invalid_argument for an
    /// empty array or a missing mobility model.
    void SetArray(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array);
    ns3::Ptr<ns3::MobilityModel> GetMobility() const { return m_mobility; }
    ns3::Ptr<ns3::PhasedArrayModel> GetArray() const { return m_array; }

    /// \p radians has one finite value for each element; all are zero at the beginning. Throws std::invalid_argument
    /// with the element and its value.
    void SetPhases(const std::vector<double>& radians);
    const std::vector<double>& GetPhases() const { return m_phases; }
    /// amplitude x exp(j phase), complex64 [element]
    const std::vector<std::complex<float>>& GetReflection() const { return m_reflection; }
    /// A number that grows with every change.
    std::uint64_t GetVersion() const { return m_version; }

  private:
    void SetAmplitude(double amplitude);
    double GetAmplitude() const { return m_amplitude; }
    void Update();

    ns3::Ptr<ns3::MobilityModel> m_mobility;
    ns3::Ptr<ns3::PhasedArrayModel> m_array;
    double m_amplitude = 1;
    std::vector<double> m_phases;
    std::vector<std::complex<float>> m_reflection;
    std::uint64_t m_version = 0;
};

} // namespace edgelam
