// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A UE with several panels that face different directions.
#pragma once

#include <vector>

#include "ns3/phased-array-model.h"
#include "ns3/uniform-planar-array.h"

namespace edgelam::nr {

/// Copies of a UE's array, turned evenly around the vertical; the first is the array itself. When that one is turned,
/// Follow turns the others with it.
class UePanels {
  public:
    /// Throws std::invalid_argument for several panels of an array that is not just a ns3::UniformPlanarArray.
    UePanels(ns3::Ptr<ns3::PhasedArrayModel> array, unsigned count);
    const std::vector<ns3::Ptr<ns3::PhasedArrayModel>>& All() const { return m_all; }
    void Follow();

  private:
    std::vector<ns3::Ptr<ns3::PhasedArrayModel>> m_all;
    std::vector<ns3::Ptr<ns3::UniformPlanarArray>> m_turned; ///< the first of them, too; empty: there is one
    double m_bearing = 0;
};

} // namespace edgelam::nr
