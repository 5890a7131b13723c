// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Maximum rate.
#pragma once

#include "nr-greedy-scheduler.h"

namespace edgelam::nr {

/// Each group to the largest rate.
class MaxRateScheduler : public GreedyScheduler {
  public:
    static ns3::TypeId GetTypeId();

  protected:
    double Weight(const Candidate&) const override;
};

} // namespace edgelam::nr
