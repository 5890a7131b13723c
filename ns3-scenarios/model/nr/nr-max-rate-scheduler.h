// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The maximum rate scheduler.
#pragma once

#include "nr-greedy-scheduler.h"

namespace edgelam::nr {

/// Gives each group to the candidate with the largest rate.
class MaxRateScheduler : public GreedyScheduler {
  public:
    static ns3::TypeId GetTypeId();

  protected:
    double Weight(const Candidate&) const override;
};

} // namespace edgelam::nr
