// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What schedulers that give each group to one UE have in common.
#pragma once

#include <algorithm>
#include <cmath>

#include "nr-scheduler.h"
#include "nr-slices.h"

namespace edgelam::nr {

/// Retransmissions are served first, as long as those of a UE do not take more than its fair part of the band: the band
/// divided by the number of UEs that want something (on average over many slots; at most eight whole slots may be used
/// at once). Messages of RRC come next, before all shares; a cap of 0, of a slice or of the cell, does not hold them
/// up, as it is for data. Then Divide decides how many groups each candidate gets, never more than its backlog needs.
/// Place decides last where they lie; in uplink they are side by side. Each slice gets its share first, then what is
/// left is divided among all. In both, guaranteed rates are served first, in the order of their levels, and then higher
/// priorities before lower ones. No memory is allocated once the vectors have reached their size.
class ExclusiveScheduler : public Scheduler {
  public:
    static ns3::TypeId GetTypeId();
    void Allocate(const SchedulingRequest& request, Allocation& allocation) final;
    /// What slices and caps give is exact only if nobody is added to it.
    bool MayShare(const SchedulingRequest&, std::uint32_t) const override { return !m_budget.Active(); }
    /// What slices and the cell may use.
    SliceBudget& Budget() { return m_budget; }
    bool SendsData(std::uint32_t ue) const override { return AdmitsData(ue) && !m_budget.Closed(ue); }

  protected:
    static constexpr std::uint32_t nobody = UINT32_MAX;

    /// Called before any group is given: it may reduce m_needed.
    virtual void Limit(const SchedulingRequest&) {}
    /// Whether this retransmission may go now.
    virtual bool AdmitsRetransmission(const SchedulingRequest&, std::size_t) const { return true; }
    /// Raise m_want with Want: how many groups each candidate gets, at most m_needed.
    virtual void Divide(const SchedulingRequest& request, std::uint32_t free) = 0;
    /// Downlink: fill m_owner where it is nobody. By default the groups of a candidate are side by side.
    virtual void Place(const SchedulingRequest& request);
    /// Called when the groups of all candidates are in m_owner.
    virtual void Placed(const SchedulingRequest&) {}

    /// Calls serve() if there are messages of RRC. During the call, Open is true for candidates whose messages want
    /// more.
    template<class Serve>
    void Signalling(const SchedulingRequest& request, Serve serve) {
        if (std::ranges::any_of(request.candidates, [](const auto& each) { return each.signallingBytes > 0; })) {
            m_ofSignalling = true;
            serve();
            m_ofSignalling = false;
        }
    }
    /// Calls serve() as Signalling does, then once for each level of guaranteed rates, the lowest first, and then for
    /// each priority that some candidate has, the highest first; with slices, all of that for their shares and again
    /// for what is left. During the call, Open is true for candidates of this level, or of this priority or above, that
    /// want more.
    template<class Serve>
    void ByPriority(const SchedulingRequest& request, Serve serve) {
        Signalling(request, serve);
        for (m_ofShare = m_budget.HasShares();; m_ofShare = false) {
            ByLevel(request, serve);
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
            if (!m_ofShare) {
                return;
            }
        }
    }
    /// Whether a candidate has new data of this priority or above that does not have all its groups yet, and its grant
    /// can be sent.
    bool Open(const SchedulingRequest& request, std::size_t i) const {
        const Candidate& each = request.candidates[i];
        const bool wants = m_ofSignalling       ? m_want[i] < SignallingGroups(each, i)
                           : m_level < no_level ? each.guaranteedBytes > 0 && each.level == m_level &&
                                                      m_want[i] < GuaranteedGroups(each, i)
                                                : each.priority >= m_priority && m_want[i] < m_needed[i];
        return wants && each.fixedGroups == 0 && (m_want[i] > 0 || m_room.Fits(each)) && Left(request, i) > 0;
    }
    /// The number of groups that slices and caps leave to a candidate.
    std::uint32_t Left(const SchedulingRequest& request, std::size_t i) const {
        const std::uint32_t ue = request.candidates[i].ue;
        return !m_budget.Active() ? request.numGroups
               : m_ofSignalling   ? m_budget.RoomForControl(ue)
                                  : m_budget.Room(ue, m_ofShare);
    }
    /// The number of groups that the messages of a candidate fill.
    std::uint32_t SignallingGroups(const Candidate& each, std::size_t i) const {
        return each.signallingBytes > 0 ? GroupsFor(each.signallingBytes + signalling_headers, i) : 0;
    }
    /// Give an open candidate `count` more groups, at most as many as are left to it.
    void Want(const SchedulingRequest& request, std::size_t i, std::uint32_t count = 1) {
        if (m_want[i] == 0 && count > 0) {
            m_room.Take(request.candidates[i]);
        }
        m_want[i] += count;
        m_budget.Take(request.candidates[i].ue, count);
    }
    /// Take back everything but retransmissions.
    void WantNothing() {
        std::fill(m_want.begin(), m_want.end(), 0);
        m_room = m_roomOfNew;
        m_budget.Rewind();
    }

    std::vector<std::uint32_t> m_want, m_needed; ///< [candidate]: groups that it gets; groups that its backlog fills
    std::vector<float> m_meanBits;               ///< [candidate]
    std::vector<std::uint32_t> m_owner;          ///< [group] index of a candidate, or nobody

  private:
    static constexpr unsigned no_level = 256;
    static constexpr std::uint64_t signalling_headers = 16;
    /// The ByPriority of guaranteed rates.
    template<class Serve>
    void ByLevel(const SchedulingRequest& request, Serve serve) {
        for (unsigned after = 0;;) {
            m_level = no_level;
            for (const auto& each : request.candidates) {
                if (each.guaranteedBytes > 0 && each.level >= after) {
                    m_level = std::min<unsigned>(m_level, each.level);
                }
            }
            if (m_level == no_level) {
                return;
            }
            after = m_level + 1;
            serve();
        }
    }
    std::uint32_t GuaranteedGroups(const Candidate& each, std::size_t i) const {
        return GroupsFor(each.guaranteedBytes, i);
    }
    std::uint32_t GroupsFor(std::uint64_t bytes, std::size_t i) const {
        const float groups = std::ceil(8 * static_cast<float>(bytes) / m_meanBits[i]);
        return groups >= static_cast<float>(m_needed[i]) ? m_needed[i] : static_cast<std::uint32_t>(groups);
    }

    SliceBudget m_budget;
    bool m_ofSignalling = false;     ///< whether messages of RRC are served now
    bool m_ofShare = false;          ///< whether slices get their shares now
    unsigned m_level = no_level;     ///< the level of guaranteed rates that is served now; no_level: none
    std::vector<bool> m_unserved;    ///< [candidate]
    unsigned m_priority = 0;         ///< the priority that is served now
    ControlRoom m_room, m_roomOfNew; ///< what is left; what was left after the retransmissions
    std::vector<double> m_again;     ///< [ue] groups that it may use for retransmissions
    std::uint32_t m_first = 0;       ///< the candidate whose groups come first, as an index modulo their number
};

} // namespace edgelam::nr
