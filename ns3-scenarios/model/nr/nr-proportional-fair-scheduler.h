// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Proportional fair.
#pragma once

#include "nr-greedy-scheduler.h"

namespace edgelam::nr {

/// Each group to the largest ratio of rate to throughput so far.
class ProportionalFairScheduler : public GreedyScheduler {
  public:
    static ns3::TypeId GetTypeId();

  protected:
    double Weight(const Candidate& candidate) const override;
};

} // namespace edgelam::nr
