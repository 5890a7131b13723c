// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What schedulers that give each group to one UE have in common.
#pragma once

#include <algorithm>

#include "nr-scheduler.h"

namespace edgelam::nr {

/// Retransmissions come first, as long as those of a UE do not take more than its fair part of the band, which is one
/// part of as many as want something (over many slots: eight whole ones may come at once). Then each candidate is to
/// have so many groups (Divide), never more than its backlog needs; where they lie comes last (Place), side by side in
/// uplink. Higher priorities are served before lower ones. No memory is allocated once the vectors have grown.
class ExclusiveScheduler : public Scheduler {
  public:
    static ns3::TypeId GetTypeId();
    void Allocate(const SchedulingRequest& request, Allocation& allocation) final;

  protected:
    static constexpr std::uint32_t nobody = UINT32_MAX;

    /// Before anything is given: m_needed may be made smaller.
    virtual void Limit(const SchedulingRequest&) {}
    /// Whether this retransmission may go now.
    virtual bool AdmitsRetransmission(const SchedulingRequest&, std::size_t) const { return true; }
    /// Raise m_want with Want: how many groups each candidate is to have, at most m_needed.
    virtual void Divide(const SchedulingRequest& request, std::uint32_t free) = 0;
    /// Downlink: fill m_owner where it is nobody. By default side by side.
    virtual void Place(const SchedulingRequest& request);
    /// Everybody's groups are in m_owner.
    virtual void Placed(const SchedulingRequest&) {}

    /// Calls serve() once for each priority that is there, the highest first; Open is then true for candidates of it
    /// and above that want more.
    template<class Serve>
    void ByPriority(const SchedulingRequest& request, Serve serve) {
        unsigned priorities = 0;
        for (const auto& each : request.candidates) {
            priorities |= 1U << each.priority;
        }
        for (int priority = 7; priority >= 0; --priority) {
            if ((priorities >> priority & 1U) != 0) {
                m_priority = static_cast<unsigned>(priority);
                serve();
            }
        }
    }
    /// New data of this priority, or above, of which not all has been given groups, and whose grant can be sent.
    bool Open(const SchedulingRequest& request, std::size_t i) const {
        const Candidate& each = request.candidates[i];
        return each.fixedGroups == 0 && each.priority >= m_priority && m_want[i] < m_needed[i] &&
               (m_want[i] > 0 || m_room.Fits(each));
    }
    /// So many groups more for an open candidate.
    void Want(const SchedulingRequest& request, std::size_t i, std::uint32_t count = 1) {
        if (m_want[i] == 0 && count > 0) {
            m_room.Take(request.candidates[i]);
        }
        m_want[i] += count;
    }
    /// Nobody wants anything but retransmissions.
    void WantNothing() {
        std::fill(m_want.begin(), m_want.end(), 0);
        m_room = m_roomOfNew;
    }

    std::vector<std::uint32_t> m_want, m_needed; ///< [candidate]: groups it gets; that its backlog fills
    std::vector<float> m_meanBits;               ///< [candidate]
    std::vector<std::uint32_t> m_owner;          ///< [group] index of a candidate, or nobody

  private:
    unsigned m_priority = 0;         ///< served now
    ControlRoom m_room, m_roomOfNew; ///< what is left; and behind the retransmissions
    std::vector<double> m_again;     ///< [ue] groups that it may have for retransmissions
    std::uint32_t m_first = 0;       ///< whose groups come first, as an index of candidates modulo their number
};

} // namespace edgelam::nr
