// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The proportional fair scheduler.
#pragma once

#include "nr-greedy-scheduler.h"

namespace edgelam::nr {

/// Gives each group to the candidate with the largest ratio of rate to throughput so far.
class ProportionalFairScheduler : public GreedyScheduler {
  public:
    static ns3::TypeId GetTypeId();

  protected:
    double Weight(const Candidate& candidate) const override;
};

} // namespace edgelam::nr
