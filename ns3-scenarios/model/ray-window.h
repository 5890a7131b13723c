// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The rays of one drop as two antenna arrays see them, around one pair of places.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "array-response.h"
#include "channel-drop.h"

namespace edgelam {

/// Complex coefficients [ray, user port x base-station port], planar.
struct Coefficients {
    std::size_t numPairs = 0;
    std::vector<float> re, im;
};

/// Taps at one moment: delays and, planar, [tap, pair] complex gains.
struct Taps {
    std::size_t numPairs = 0;
    std::vector<double> delayS; ///< relative to the straight line
    std::vector<float> re, im;
};

/// A drop seen from where the user and the base station are now (the anchor): directions and all that follows from them
/// are those of the anchor; phases and delays go on linearly with the way from it, which is ray-level Doppler
/// (TR 38.901 eq. 7.5-22, 7.5-28) with the phase integrated over the way. For more than about a metre, take a new
/// window.
class RayWindow {
  public:
    RayWindow(std::shared_ptr<const ClusterDrop> drop, const ns3::PhasedArrayModel& utArray,
              const ns3::PhasedArrayModel& bsArray, const ns3::Vector& ut, const ns3::Vector& bs, double wavelengthM);

    /// Largest distance of either end from its place at the anchor, m.
    double Moved(const ns3::Vector& ut, const ns3::Vector& bs) const;

    /// Coefficients from each base-station port to each user port, kept for the pairs of weights used last.
    const Coefficients& ForPorts(const PortWeights& utWeights, const PortWeights& bsWeights);
    /// The same for the elements themselves.
    const Coefficients& ForElements();

    /// Add the drop's taps for the present places.
    /// \param amplitude factor of every ray
    /// \param absorptionDbPerM of the excess delay
    void AddTaps(const Coefficients& coefficients, const ns3::Vector& ut, const ns3::Vector& bs, double amplitude,
                 double absorptionDbPerM, Taps& taps) const;

    const ClusterDrop& drop() const { return *m_drop; }
    const std::shared_ptr<const ClusterDrop>& shared() const { return m_drop; }

    /// For inspection: unit vectors at the anchor, per ray: from the user, from the base station.
    ns3::Vector Arrival(std::size_t ray) const;
    ns3::Vector Departure(std::size_t ray) const;
    /// Delay of a ray's tap relative to the straight line, s.
    std::vector<double> Delays(const ns3::Vector& ut, const ns3::Vector& bs) const;

  private:
    struct Kept {
        std::uint64_t utId, bsId;
        Coefficients coefficients;
    };
    void Delta(const ns3::Vector& ut, const ns3::Vector& bs, double delta[6]) const;
    std::complex<float> Gain(std::size_t ray, std::size_t utPolarisation, std::size_t bsPolarisation) const;

    std::shared_ptr<const ClusterDrop> m_drop;
    ns3::Vector m_ut, m_bs;
    std::vector<double> m_turns, m_turnGradient; ///< [ray], [6, ray]: turns per metre of user and base station
    std::vector<double> m_delayS, m_delayGradient;
    ArrayResponse m_utResponse, m_bsResponse;
    Coefficients m_elements;
    std::list<Kept> m_kept; ///< newest first
    mutable std::vector<double> m_now;
    mutable std::vector<float> m_phasorRe, m_phasorIm;
};

} // namespace edgelam
