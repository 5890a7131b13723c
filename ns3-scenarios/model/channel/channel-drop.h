// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The clusters and rays of one link at one place: TR 38.901 section 7.5, steps 4 to 10.
#pragma once

#include <array>
#include <complex>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "ns3/vector.h"

#include "channel-kernels.h"
#include "channel-statistics.h"
#include "named-random.h"

namespace edgelam {

/// Large-scale parameters of one place, in LargeScale order: SF dB, K dB, DS s, ASD, ASA, ZSD, ZSA degrees.
using LargeScaleValues = std::array<double, 7>;

/// Mirror images of the base station, one per ray (or per tap): where the wave that a user receives seems to start.
///
/// A ray that leaves the base station in direction b and arrives from direction a, after a path of length L, is a
/// straight line from the image a L away from the user. A plane mirror (or a turned one) makes that image, so it stays
/// where it is when the user moves, and moves by Q d when the base station moves by d, where the isometry Q takes b to
/// -a. So lengths, both directions, and with them delay, phase and Doppler shift are exact at any pair of places, the
/// same whatever path led there, and the same in both directions. It is procedure A of TR 38.901 7.6.3.2, summed up.
struct Images {
    std::vector<double> x, y, z, length0M, turns0;
    std::array<std::vector<double>, 9> q;

    std::size_t size() const { return x.size(); }
    /// \param user place where the directions hold
    /// \param arrival, departure unit vectors, each away from its own end
    /// \param handed +1 or -1: whether the image is turned or mirrored (X_n of TR 38.901 7.6.3.2)
    /// \param lengthM length of the path there
    void Add(const ns3::Vector& user, const ns3::Vector& arrival, const ns3::Vector& departure, int handed,
             double lengthM, double turns);
    kernels::ImageArrays Arrays() const;
};

/// The rays of one cell of the plane around one base station, in one condition. Immutable once it is drawn; users in
/// the cell share it.
struct ClusterDrop {
    Images rays; ///< tap by tap
    std::array<std::vector<std::complex<float>>, 4>
        polarisation;                  ///< theta-theta, theta-phi, phi-theta, phi-phi: user
                                       ///< first; amplitude included, so that powers add up to 1
    std::vector<std::size_t> tapBegin; ///< first ray of each tap; one more entry than taps
    Images taps;                       ///< their centres
    std::vector<double> tapDelayS;     ///< at the reference length of its image
    ns3::Vector bsPosition;            ///< place of reference of the base station

    /// Draws all of it, if that is still to be done.
    std::function<std::shared_ptr<ClusterDrop>()> draw;

    std::size_t numTaps() const { return tapDelayS.size(); }
    void Draw() {
        if (draw) {
            *this = std::move(*std::exchange(draw, nullptr)());
        }
    }
};

/// Steps 5 to 10 at one place.
/// \param statistics of the condition and geometry
/// \param values large-scale parameters there
/// \param user, baseStation positions, m, different
/// \param nearestM images are put at least this far away, so that angles turn slowly within the cell
/// \param phases adds to the initial phase of each ray; null: nothing
/// Cluster delays and powers: 7.5-1 to 7.5-7; angles: 7.5-9 to 7.5-20; sub-clusters of the two strongest: table 7.5-5.
/// In line of sight the direct ray is not in it: see LineOfSight. Delays of the taps are those of the absolute path.
std::shared_ptr<ClusterDrop> DrawClusters(const ClusterStatistics& statistics, LinkCondition condition,
                                          const LargeScaleValues& values, const ns3::Vector& user,
                                          const ns3::Vector& baseStation, double nearestM, NamedRandom random,
                                          NamedRandom* phases = nullptr);

/// Two-dimensional isotropic scattering (Clarke): one tap, 120 vertically polarised rays of equal power, evenly spread
/// around the user and turned at random, that leave the base station towards the user.
/// \param bothEnds instead, 240 rays that arrive from and leave in all directions of space, evenly and without
/// relation, with equal power in all four pairs of polarisations: elements whose distance is a multiple of half a
/// wavelength fade independently (the correlation over a distance d is sinc(2 d / wavelength)), and elements of two
/// polarisations do
std::shared_ptr<ClusterDrop> DrawIsotropic(const ns3::Vector& user, const ns3::Vector& baseStation, NamedRandom random,
                                           bool bothEnds);

/// The direct ray (eq. 7.5-29): one tap, power 1. \param copies of the ray, one for each place of the user's array (see
/// RayWindow)
std::shared_ptr<ClusterDrop> LineOfSight(const ns3::Vector& baseStation, double wavelengthM, std::size_t copies = 1);

constexpr double speed_of_light = 299792458.0; ///< m/s

} // namespace edgelam
