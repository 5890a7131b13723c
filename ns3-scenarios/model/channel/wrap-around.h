// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A network without an edge: the plane around a cluster of sites is filled with copies of the cluster.
#pragma once

#include <vector>

#include "ns3/vector.h"

namespace edgelam {

/// One of the copies in which a user sees a site. The user at u sees the site at s + shift; for the channel it is the
/// same whether the user is at u - shift and sees the site at s.
struct WorldImage {
    ns3::Vector shift;
    double weight; ///< of power; the weights of all images add up to 1
};

/// Which copy of a site a user sees: the nearest one. Where the nearest copy changes, both take part over a short way,
/// with weights that go from 0 to 1, so that no power jumps. Without copies, everything is seen where it is.
class WrapAround {
  public:
    WrapAround() = default;
    /// \param shifts of the copies, m; the place itself, which is no copy, need not be among them
    /// \param fadeM copies take part whose distance to the user is less than this above the smallest
    /// Throws std::invalid_argument for a shift that is not finite or a fade below 1 mm.
    explicit WrapAround(const std::vector<ns3::Vector>& shifts, double fadeM = 20);

    /// The six copies around a cluster of 1 + 3 rings (rings + 1) sites on a hexagonal grid (1, 7, 19, 37 sites) whose
    /// sites are `siteDistanceM` apart along the x axis: with the cluster itself they are the 7 images of TR 36.873.
    static WrapAround Hexagonal(double siteDistanceM, unsigned rings, double fadeM = 20);

    bool Wraps() const { return m_shifts.size() > 1; }
    const std::vector<ns3::Vector>& Shifts() const { return m_shifts; }
    /// How a user sees a site, the image with the largest weight first. Distances are those on the ground.
    std::vector<WorldImage> Images(const ns3::Vector& site, const ns3::Vector& user) const;

  private:
    std::vector<ns3::Vector> m_shifts{ns3::Vector()}; ///< the first is zero
    double m_fadeM = 20;
};

} // namespace edgelam
