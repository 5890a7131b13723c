// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The interface of user selection, which decides who is sent to, or sends, together (multi-user MIMO).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ns3/object.h"

#include "nr-beamformer.h"
#include "nr-scheduler.h"

namespace edgelam::nr {

/// A candidate, as a selection sees it.
struct SelectableUe {
    std::uint32_t ue = 0;                ///< its number in the cell
    const ChannelState* state = nullptr; ///< null: it shares with nobody (a multicast group, a UE under a cap)
    unsigned layers = 0;                 ///< of a block to it alone; of its block, if that is sent again
    double importance = 1;               ///< what a bit to it counts for, beside bits to others
    std::span<const double> snr;         ///< uplink, [groups - 1]: power of a resource block over the gNB's noise
};

/// What a selection has to decide about.
struct SelectionRequest {
    const SchedulingRequest& slot;     ///< the candidates, and the room that control channels have left
    std::span<const SelectableUe> ues; ///< [candidate]
    std::span<const double> elements;  ///< [layers on a group]: resource elements of one block for data
    double mostEfficiency;             ///< bit/s/Hz of one layer with the highest MCS
    const Beamformer& beamformer;
};

/// Adds UEs to the groups of a slot. A cell has at most one for each direction, chosen by its attributes Selection and
/// UplinkSelection; it is asked for each slot after the scheduler, which has given each group to one UE or to nobody
/// (or, a scheduler of its own, to several). To write another one, derive a class and give it a TypeId with a
/// constructor.
class UserSelection : public ns3::Object {
  public:
    static ns3::TypeId GetTypeId();

    /// Add candidates to groups, or change who has them, by the rules of Scheduler::Allocate. Together there may be at
    /// most request.elements.size() - 1 layers on a group.
    /// \param layers [candidate] of its block: on entry those of SelectableUe, to be made fewer for who shares; that of
    /// a retransmission must stay
    virtual void Select(const SelectionRequest& request, Allocation& allocation, std::vector<unsigned>& layers) = 0;

    /// \param name "greedy", "semi-orthogonal", in downlink also "external", or the TypeId of another class; "none":
    /// null. Throws std::invalid_argument for another name.
    static ns3::Ptr<UserSelection> Make(const std::string& name, Direction direction = Direction::Downlink);
};

} // namespace edgelam::nr
