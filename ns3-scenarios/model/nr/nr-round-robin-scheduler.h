// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The round robin scheduler.
#pragma once

#include "nr-exclusive-scheduler.h"

namespace edgelam::nr {

/// Gives equal numbers of groups, one at a time in turn, beginning after the UE that was served last.
class RoundRobinScheduler : public ExclusiveScheduler {
  public:
    static ns3::TypeId GetTypeId();

  protected:
    void Divide(const SchedulingRequest& request, std::uint32_t free) override;

  private:
    std::uint32_t m_turn = 0; ///< whose turn it is, as a UE number
};

} // namespace edgelam::nr
