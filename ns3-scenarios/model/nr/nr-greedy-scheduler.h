// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Schedulers that give each group to the candidate with the largest metric.
#pragma once

#include "nr-exclusive-scheduler.h"

namespace edgelam::nr {

/// The metric of a candidate in a group is the bits that the group would carry, divided by Weight of the candidate.
class GreedyScheduler : public ExclusiveScheduler {
  public:
    static ns3::TypeId GetTypeId();
    double Importance(const Candidate& candidate) const override { return 1 / Weight(candidate); }
    /// The sum over groups of the largest metric.
    double ClaimOfBeam(const SchedulingRequest& request, std::span<const std::uint64_t> waited) const override;

  protected:
    /// > 0
    virtual double Weight(const Candidate& candidate) const = 0;
    void Divide(const SchedulingRequest& request, std::uint32_t free) override;
    void Place(const SchedulingRequest& request) override;

  private:
    template<class Bits>
    std::size_t Best(const SchedulingRequest& request, Bits bits) const;
    std::vector<double> m_weight; ///< [candidate]
};

} // namespace edgelam::nr
