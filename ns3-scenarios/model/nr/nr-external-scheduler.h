// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Shares, minima and caps of resource blocks from outside.
#pragma once

#include "nr-round-robin-scheduler.h"

namespace edgelam::nr {

/// Each UE gets its minimum and its share of the band, and what is left over goes in turn, to higher priorities first;
/// nobody gets more than its cap. A share is rarely a whole number of groups, and the last group may be a small one:
/// what a slot gives too little is made up for in later ones, and a group too much is given back.
///
/// A cap is hard and counts retransmissions. In a slot a UE has at most its cap rounded up to a group. In any number of
/// slots together that carry data in this direction it has at most that many times its cap, plus one group. What is
/// more waits. The exception is a block that was begun under a larger cap: it is sent again although it is more. Under
/// a cap of 0 nothing else is sent but control.
class ExternalScheduler : public RoundRobinScheduler {
  public:
    static ns3::TypeId GetTypeId();

    /// \param shares [ue] 0 to 1, with a sum of at most 1
    void SetShares(const std::vector<double>& shares) { m_shares = shares; }
    /// \param groups [ue] at least so many when there is that much to send
    void SetLeastGroups(const std::vector<std::uint32_t>& groups) { m_leastGroups = groups; }
    /// \param prbs [ue] resource blocks of a slot; as many as the band has, or more: no cap
    void SetCaps(const std::vector<std::uint32_t>& prbs) { m_caps = prbs; }

    bool AdmitsData(std::uint32_t ue) const override { return ue >= m_caps.size() || m_caps[ue] > 0; }

  protected:
    // [ue] as set last, for a scheduler of one's own that divides in another way; empty: never set.
    const std::vector<double>& Shares() const { return m_shares; }
    const std::vector<std::uint32_t>& LeastGroups() const { return m_leastGroups; }
    const std::vector<std::uint32_t>& Caps() const { return m_caps; }

    void Limit(const SchedulingRequest& request) override;
    bool AdmitsRetransmission(const SchedulingRequest& request, std::size_t i) const override;
    void Divide(const SchedulingRequest& request, std::uint32_t free) override;
    void Placed(const SchedulingRequest& request) override;

  private:
    bool Capped(const SchedulingRequest& request, std::uint32_t ue) const {
        return ue < m_caps.size() && m_caps[ue] < request.numPrbs;
    }
    /// Groups that the cap allows in this slot.
    std::uint32_t AllowedGroups(const SchedulingRequest& request, std::uint32_t ue) const;

    std::vector<double> m_shares;             ///< [ue]; empty: none
    std::vector<std::uint32_t> m_leastGroups; ///< [ue]; empty: none
    std::vector<std::uint32_t> m_caps;        ///< [ue]; empty: none
    std::vector<double> m_owed;               ///< [ue] groups of the share
    std::vector<std::int64_t> m_credit;       ///< [ue] resource blocks that the cap has allowed and that were not used
};

} // namespace edgelam::nr
