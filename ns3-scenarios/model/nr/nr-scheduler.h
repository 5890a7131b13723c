// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The interface of schedulers, which decide who gets which resource blocks of a slot.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ns3/object.h"

#include "channel-link.h"

namespace edgelam::nr {

/// One UE or multicast group that wants resources in a slot and direction.
struct Candidate {
    std::uint32_t ue;          ///< its number in the cell; multicast groups are numbered after the UEs
    std::uint64_t wantedBytes; ///< backlog that the gNB knows, > 0
    std::uint32_t fixedGroups; ///< groups of a retransmission, which needs exactly as many as before; 0: new data
    const float* bitsPerGroup; ///< [group]: estimate of what one group would carry in this slot; > 0
    double averageBps;         ///< throughput so far, smoothed
    bool multicast = false;    ///< it shares no group with others
    std::uint8_t priority = 0; ///< the highest of the waiting data, 0 to 7
    /// The number of groups of new data for which its power is enough; 0: all.
    std::uint32_t mostGroups = 0;
    std::uint64_t guaranteedBytes = 0; ///< of wantedBytes, what guaranteed rates ask for in this slot
    std::uint64_t signallingBytes = 0; ///< of wantedBytes, messages of RRC: they go before everything else
    std::uint8_t level = 127;          ///< of these bytes: priority level of their 5QI, the lowest first
    unsigned cces = 0;                 ///< control channel elements of a grant to it: its aggregation level
    unsigned feedback = 0;             ///< PUCCH resources that a grant to it takes
};

/// Control channels of a slot that are still free.
struct ControlRoom {
    unsigned cces = UINT32_MAX;     ///< control channel elements (PDCCH)
    unsigned feedback = UINT32_MAX; ///< resources for HARQ feedback (PUCCH)

    bool Fits(const Candidate& each) const { return each.cces <= cces && each.feedback <= feedback; }
    void Take(const Candidate& each) {
        cces -= each.cces;
        feedback -= each.feedback;
    }
};

/// What a scheduler has to decide about.
struct SchedulingRequest {
    Direction direction = Direction::Downlink;
    std::uint64_t slot = 0;                ///< the slot to be divided
    std::span<const Candidate> candidates; ///< by `ue`, one or more
    /// Frequency is allocated in groups of resource blocks (RBGs, TS 38.214 5.1.2.2.1). Each has `prbsPerGroup` blocks,
    /// but the last may have fewer.
    std::uint32_t numGroups = 0;
    std::uint32_t prbsPerGroup = 1, numPrbs = 0;
    /// The room that all grants together may take. Grants that exceed it are not sent.
    ControlRoom room{};

    std::uint32_t Prbs(std::uint32_t group) const {
        return group + 1 < numGroups ? prbsPerGroup : numPrbs - (numGroups - 1) * prbsPerGroup;
    }
    /// Size of the last group, as a fraction of the size of the others.
    double LastGroup() const { return static_cast<double>(Prbs(numGroups - 1)) / prbsPerGroup; }
};

/// [group]: the candidates that have it, as indices. Several may have it together (multi-user MIMO); an empty list:
/// nobody has it.
using Allocation = std::vector<std::vector<std::uint32_t>>;

/// Divides a slot. A cell has one for each direction, chosen by its attribute Scheduler. To write another one, derive a
/// class from this or from one of the others, and give it a TypeId with a constructor. CheckAllocation checks its
/// allocations.
class Scheduler : public ns3::Object {
  public:
    static ns3::TypeId GetTypeId();

    /// \param allocation has request.numGroups empty lists, to be filled. The lists keep their memory from slot to
    /// slot.
    ///
    /// A retransmission gets `fixedGroups` groups or none. In uplink each UE's groups lie side by side (resource
    /// allocation type 1, TS 38.214 6.1.2.2.2). A multicast group shares its resource block groups with nobody.
    virtual void Allocate(const SchedulingRequest& request, Allocation& allocation) = 0;

    /// false: this UE is sent control and HARQ retransmissions only.
    virtual bool AdmitsData(std::uint32_t) const { return true; }
    /// false: the blocks of this UE may not have data, as AdmitsData says or since nothing is left for it.
    virtual bool SendsData(std::uint32_t ue) const { return AdmitsData(ue); }
    /// Whether a user selection may give groups to this UE, and put others on its groups.
    virtual bool MayShare(const SchedulingRequest&, std::uint32_t) const { return true; }
    /// What a bit to this candidate counts for beside bits to others, when UEs are selected for a group.
    virtual double Importance(const Candidate&) const { return 1; }
    /// Where one analog beam has the slot (BeamTurns): how much the UEs of a beam, the candidates of this request,
    /// claim it. By default the sum of their waiting times, so that each UE brings its beam as many slots.
    /// \param waited [candidate] slots since its beam has had one, 1 or more
    virtual double ClaimOfBeam(const SchedulingRequest& request, std::span<const std::uint64_t> waited) const;

    /// \param name "rr": round robin; "pf": proportional fair; "max-rate": maximum rate; "external": shares, minima and
    /// caps from outside; or the TypeId of another class. Throws std::invalid_argument for another name.
    static ns3::Ptr<Scheduler> Make(const std::string& name);
};

/// The groups of one candidate.
struct Granted {
    std::uint32_t count = 0, first = 0, last = 0;
};

/// Throws std::logic_error, with the name of who made it, for an allocation that breaks the rules of
/// Scheduler::Allocate.
/// \param granted [candidate] to be filled
void CheckAllocation(const ns3::Object& maker, const SchedulingRequest& request, const Allocation& allocation,
                     std::vector<Granted>& granted);

} // namespace edgelam::nr
