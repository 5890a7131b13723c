// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// User selection by the sum of rates.
#pragma once

#include "nr-groupwise-selection.h"

namespace edgelam::nr {

/// A UE is added where the group then carries more for all UEs together, weighted by importance: greedy user selection
/// for zero forcing (Dimic and Sidiropoulos, IEEE TSP 2005), which begins with the scheduler's UE.
class GreedySelection : public GroupwiseSelection {
  public:
    static ns3::TypeId GetTypeId();

  protected:
    double Gain(const Addition& addition) const override { return addition.after - addition.before; }
};

} // namespace edgelam::nr
