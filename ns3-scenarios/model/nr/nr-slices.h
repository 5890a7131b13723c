// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Slices: groups of UEs, each with a share and a cap of the band, and a cap of the whole cell.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "nr-scheduler.h"

namespace edgelam::nr {

/// Which UEs belong to which slice, and what part of the band each slice gets at least (if it has enough to send) and
/// at most, 0 to 1: minimum and maximum ratio of an RRM policy (TS 28.541 4.3.36).
struct SliceSettings {
    struct Slice {
        double share, most;
    };
    std::vector<Slice> slices;
    std::vector<std::int32_t> sliceOf; ///< [ue]; -1, or beyond its end: none

    /// "0-4:0.3:0.6,5+7:0.7": UEs, share, and what it gets at most (1 if it is left out). Empty: no slices. Throws
    /// std::invalid_argument, with the text and what is legal, for anything else, a UE that is named twice, shares with
    /// a sum above 1 and a share above what is allowed.
    static SliceSettings Parse(const std::string& text);
    /// Throws std::invalid_argument for shares outside 0 to 1 or with a sum above 1.
    static void CheckShares(const std::vector<double>& shares);
};

/// What slices, and the cell, may still use in a slot of one direction. Shares and caps are rarely whole groups: what a
/// slot gives too little, later slots add, and a cap holds as that of ExternalScheduler does: in a slot it is rounded
/// up to a group, and in any number of slots at most that many times the cap, plus one group, are used.
class SliceBudget {
  public:
    void SetSlices(const SliceSettings& settings, std::uint32_t numPrbs);
    void SetShares(const std::vector<double>& shares);
    void SetCaps(const std::vector<std::uint32_t>& prbs);
    void SetCellCap(std::uint32_t prbs) { m_cell.cap = prbs; }
    /// Whether anything is limited or shared.
    bool Active() const { return !m_slices.empty() || m_cell.cap != no_cap; }
    bool HasShares() const { return !m_slices.empty(); }

    void Begin(const SchedulingRequest& request);
    /// The groups that this UE may still get; \param least as part of its slice's share
    std::uint32_t Room(std::uint32_t ue, bool least) const;
    /// The same for messages of RRC, which caps of 0 do not limit.
    std::uint32_t RoomForControl(std::uint32_t ue) const;
    /// Whether a cap of 0 keeps this UE from sending data.
    bool Closed(std::uint32_t ue) const {
        const Account* slice = Of(ue);
        return m_cell.cap == 0 || (slice != nullptr && slice->cap == 0);
    }
    /// Whether a retransmission may go: the cap allows it, or it was begun under a larger cap and the credit is full.
    bool AdmitsRetransmission(std::uint32_t ue, std::uint32_t groups) const;
    void Take(std::uint32_t ue, std::uint32_t groups);
    /// What has been taken until now stays taken.
    void Keep();
    /// Take back everything after Keep.
    void Rewind();
    /// \param owner [group] index of a candidate, or another number
    /// \param unserved [candidate] whether it wanted more
    void End(const SchedulingRequest& request, const std::vector<std::uint32_t>& owner,
             const std::vector<bool>& unserved);

  private:
    static constexpr std::uint32_t no_cap = UINT32_MAX;
    struct Account {
        double share = 0;
        std::uint32_t cap = no_cap;                               ///< resource blocks in a slot
        double owed = 0;                                          ///< groups of its share that it has not had yet
        std::int64_t credit = 0;                                  ///< resource blocks that the cap allows
        std::uint32_t used = 0, kept = 0, allowed = 0, least = 0; ///< groups of this slot
    };
    void Begin(Account& account, const SchedulingRequest& request) const;
    Account* Of(std::uint32_t ue) {
        return ue < m_sliceOf.size() && m_sliceOf[ue] >= 0 ? &m_slices[static_cast<std::size_t>(m_sliceOf[ue])]
                                                           : nullptr;
    }
    const Account* Of(std::uint32_t ue) const { return const_cast<SliceBudget*>(this)->Of(ue); }

    std::vector<Account> m_slices;
    std::vector<std::int32_t> m_sliceOf;
    Account m_cell;
    std::uint32_t m_prbsPerGroup = 1;
};

} // namespace edgelam::nr
