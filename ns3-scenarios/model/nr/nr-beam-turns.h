// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Which analog beam a slot has.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "nr-scheduler.h"

namespace edgelam::nr {

/// A gNB with phase shifters has one beam in a slot, and so serves the UEs of this beam only. The beam is that of the
/// most urgent class of traffic: messages of RRC, then guaranteed rates by their priority level, then data by its
/// priority. Among beams with such traffic, the scheduler says which (Scheduler::ClaimOfBeam).
class BeamTurns {
  public:
    /// \param request of a slot and direction, with all candidates
    /// \param beamOf a candidate's UE
    /// \return the beam; no number: there are no candidates
    std::uint32_t Choose(const SchedulingRequest& request, const Scheduler& scheduler,
                         const std::function<std::uint32_t(std::uint32_t ue)>& beamOf);

  private:
    std::vector<std::uint64_t> m_waited; ///< [ue]: slots in which it was a candidate since its beam has had one
};

} // namespace edgelam::nr
