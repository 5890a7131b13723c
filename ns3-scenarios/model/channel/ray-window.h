// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The rays of one drop as two antenna arrays see them, around one pair of places.
#pragma once

#include <algorithm>
#include <array>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "array-response.h"
#include "channel-drop.h"
#include "channel-kernels.h"
#include "raw-vector.h"

namespace edgelam {

/// A few complex coefficients for each ray, planar: [ray, width], and some more entries for kernels::Multiply.
struct Coefficients {
    std::size_t width = 0;
    RawVector<float> re, im;
    Coefficients() = default;
    Coefficients(std::size_t numRays, std::size_t width)
        : width(width), re(numRays * width + kernels::lanes), im(re.size()) {
        std::fill(re.end() - kernels::lanes, re.end(), 0.f);
        std::fill(im.end() - kernels::lanes, im.end(), 0.f);
    }
};

/// Taps at one moment: delays and, planar, [tap, pair] complex gains.
struct Taps {
    std::vector<double> delayS; ///< relative to the straight line
    RawVector<float> re, im;
};

/// The fronts of waves at both arrays.
enum class Waves : std::uint8_t {
    Plane,
    Spherical, ///< around where each ray seems to come from, which is as far away as the ray is long
    Direct ///< of the direct ray, exactly from each element to each: ray i is the one to place i of the user's array
};

/// A drop as seen from the present places of the user and the base station (the anchor). Directions, and everything
/// that follows from them, are those at the anchor. Phases and delays change linearly with the displacement from it,
/// which is ray-level Doppler (TR 38.901 eq. 7.5-22, 7.5-28) with the phase integrated over the way. For more than
/// about a metre, take a new window.
class RayWindow {
  public:
    RayWindow(std::shared_ptr<const ClusterDrop> drop, const ns3::PhasedArrayModel& utArray,
              const ns3::PhasedArrayModel& bsArray, const ns3::Vector& ut, const ns3::Vector& bs, double wavelengthM,
              Waves waves = Waves::Plane);

    /// From now on each ray has this part of its amplitude. \param amplitudes [ray]; empty: all of it
    void Block(std::vector<float> amplitudes) {
        m_left = std::move(amplitudes);
        m_moment.reset();
    }
    /// The part of a ray's power that is left.
    double Left(std::size_t ray) const { return m_left.empty() ? 1 : m_left[ray] * m_left[ray]; }

    /// Largest distance of either end from its place at the anchor, m.
    double Moved(const ns3::Vector& ut, const ns3::Vector& bs) const;

    /// Add the drop's taps between the elements, [user element, base-station element], for the present places.
    /// \param amplitude factor of every ray
    /// \param absorptionDbPerM for the length of the excess delay
    void AddElementTaps(const ns3::Vector& ut, const ns3::Vector& bs, double amplitude, double absorptionDbPerM,
                        Taps& taps);
    /// The same between ports. The result of the weights for each ray is kept for the pairs of weights that were used
    /// last.
    void AddPortTaps(const PortWeights& utWeights, const PortWeights& bsWeights, const ns3::Vector& ut,
                     const ns3::Vector& bs, double amplitude, double absorptionDbPerM, Taps& taps);

    /// Power gain of a ray, summed over all pairs of elements.
    double Power(std::size_t ray);
    /// Power gain of a ray from the first element of the base station, mean over the user's elements.
    double PortPower(std::size_t ray) const;
    std::size_t numRays() const { return m_turns.size(); }

    const ClusterDrop& drop() const { return *m_drop; }
    const std::shared_ptr<const ClusterDrop>& shared() const { return m_drop; }

    /// For inspection: unit vectors at the anchor for each ray, from the user and from the base station.
    ns3::Vector Arrival(std::size_t ray) const;
    ns3::Vector Departure(std::size_t ray) const;
    /// Delay of a ray's tap relative to the straight line, s.
    std::vector<double> Delays(const ns3::Vector& ut, const ns3::Vector& bs) const;

  private:
    struct Kept {
        std::uint64_t utId, bsId;
        Coefficients coefficients;
    };
    /// What m_phasor and m_delays are for.
    struct Moment {
        std::array<double, 6> places;
        double amplitude, absorptionDbPerM;
        bool operator==(const Moment&) const = default;
    };
    void MoveTo(const ns3::Vector& ut, const ns3::Vector& bs, double amplitude, double absorptionDbPerM);
    void MakeDirect(const ns3::PhasedArrayModel& utArray, const double moved[3], double wavelengthM,
                    const kernels::PathArrays& perRay);
    void Delta(const ns3::Vector& ut, const ns3::Vector& bs, double delta[6]) const;
    const Coefficients& UserElements();
    Coefficients UserPorts(const PortWeights& weights);
    Coefficients BasePorts(const PortWeights& weights) const;
    const Coefficients& Ports(const PortWeights& utWeights, const PortWeights& bsWeights);
    template<class Sum>
    void AddTaps(std::size_t pairs, const ns3::Vector& ut, const ns3::Vector& bs, double amplitude,
                 double absorptionDbPerM, Taps& taps, Sum sum);

    std::shared_ptr<const ClusterDrop> m_drop;
    ns3::Vector m_ut, m_bs;
    RawVector<double> m_turns, m_turnGradient; ///< [ray], [6, ray]: turns per metre of user and base station
    RawVector<double> m_delayS, m_delayGradient;
    ArrayResponse m_utResponse, m_bsResponse;
    std::size_t m_copies = 1;    ///< rays of one path, each to its own place of the user's array
    std::vector<float> m_left;   ///< [ray]; empty: all
    Coefficients m_userElements; ///< of UserElements, computed when first needed
    std::list<Kept> m_kept;      ///< newest first
    std::optional<Moment> m_moment;
    std::vector<double> m_delays; ///< [tap] relative to the straight line
    RawVector<double> m_now;
    RawVector<float> m_phasorRe, m_phasorIm, m_weightRe, m_weightIm;
};

} // namespace edgelam
