// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A scheduler with shares, minima and caps of resource blocks from outside.
#pragma once

#include "nr-round-robin-scheduler.h"

namespace edgelam::nr {

/// Each UE gets its minimum and its share of the band. What is left over is given to the UEs in turn, to higher
/// priorities first. No UE gets more than its cap. A share is rarely a whole number of groups, and the last group may
/// be a small one: if a slot gives a UE too little, later slots give it more, and if it gives a group too much, they
/// give it less. Where UEs that came from other cells bring the sum of shares above 1, or of minima above the band,
/// those that have something to send have parts in proportion.
///
/// A cap is hard and counts retransmissions. In a slot a UE has at most its cap rounded up to a group. In any number of
/// slots together that carry data in this direction it has at most that many times its cap, plus one group. Anything
/// above that waits. The exception is a block that was begun under a larger cap: it is sent again although it exceeds
/// the cap. Under a cap of 0 nothing else is sent, apart from control.
class ExternalScheduler : public RoundRobinScheduler {
  public:
    static ns3::TypeId GetTypeId();

    /// \param shares [ue] 0 to 1, with a sum of at most 1
    void SetShares(const std::vector<double>& shares) { m_shares = shares; }
    /// \param groups [ue] the UE gets at least this many if it has enough to send
    void SetLeastGroups(const std::vector<std::uint32_t>& groups) { m_leastGroups = groups; }
    /// \param prbs [ue] resource blocks in a slot; if the value is that of the whole band or larger, there is no cap
    void SetCaps(const std::vector<std::uint32_t>& prbs) { m_caps = prbs; }

    bool AdmitsData(std::uint32_t ue) const override { return ue >= m_caps.size() || m_caps[ue] > 0; }
    bool MayShare(const SchedulingRequest& request, std::uint32_t ue) const override {
        return !Capped(request, ue) && RoundRobinScheduler::MayShare(request, ue);
    }

  protected:
    // [ue] the values set last, for derived schedulers that divide in another way; empty: never set.
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
    /// The number of groups that the cap allows in this slot.
    std::uint32_t AllowedGroups(const SchedulingRequest& request, std::uint32_t ue) const;

    std::vector<double> m_shares;             ///< [ue]; empty: none
    std::vector<std::uint32_t> m_leastGroups; ///< [ue]; empty: none
    std::vector<std::uint32_t> m_caps;        ///< [ue]; empty: none
    std::vector<double> m_owed;               ///< [ue] groups of its share that it has not had yet
    std::vector<std::int64_t> m_credit;       ///< [ue] resource blocks that the cap allowed and that were not used
};

} // namespace edgelam::nr
