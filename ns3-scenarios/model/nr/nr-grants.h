// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A cell's grants: who has something to send in a slot, which resource blocks each sender gets, and the blocks that
/// are sent on them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "ns3/random-variable-stream.h"

#include "nr-beam-turns.h"
#include "nr-bearers.h"
#include "nr-harq-entity.h"
#include "nr-links.h"
#include "nr-scheduler.h"
#include "nr-user-selection.h"

namespace edgelam::nr {

/// A sender: a UE's bearers in one direction, or that of a multicast group. It may be used as long as they exist.
struct Sender {
    Sender(Bearers& of, LinkAdaptation& to, unsigned harqProcesses)
        : bearers(of), harq(harqProcesses), adaptation(to) {}
    Bearers& bearers;
    HarqEntity harq;
    LinkAdaptation& adaptation;
    double averageBps = 0; ///< smoothed rate of all transmissions, until averagedSlot
    std::uint64_t averagedSlot = 0;
    std::vector<float> bitsPerGroup; ///< the bits that a group would carry now
    unsigned layers = 0;             ///< of a new block in this slot
    std::vector<float> expected;     ///< SINR of each layer in each group beside others, linear; empty: alone
};

/// A UE, or a multicast group, that has something to send, and the HARQ process for it.
struct Demand {
    bool multicast;
    std::uint32_t number; ///< of the UE or multicast group
    Sender* sender;
    std::uint8_t harq = 0;
    bool uplink = false;
};

class Grants {
  public:
    /// \param random draws the numbers that decide whether blocks are lost
    Grants(const Carrier& carrier, Links& links, ns3::Ptr<ns3::UniformRandomVariable> random);

    const ns3::Ptr<Scheduler>& GetScheduler(Direction direction) const {
        return m_schedulers[static_cast<std::size_t>(direction)];
    }

    /// Forget the earlier demands. \param room in the control channels that grants of this slot may take
    void Begin(const ControlRoom& room) { Begin(room, m_carrier.numGroups); }
    /// The same, where only the lowest groups of resource blocks are free: so many, at least one.
    void Begin(const ControlRoom& room, std::uint32_t groups);
    /// The room that the grants have left.
    const ControlRoom& Room() const { return m_room; }
    /// \param order its place among all that a scheduler knows
    /// \param bytes the bytes that it has to send
    /// \param cces, feedback what a grant takes from the control channels
    /// \param guarantee of its bytes, what guaranteed rates ask for; \param signalling and what messages of RRC take
    void Add(std::uint32_t order, Demand demand, std::uint64_t slot, unsigned symbols, std::uint64_t bytes,
             unsigned priority, unsigned cces, unsigned feedback, const Guarantee& guarantee = {},
             std::uint64_t signalling = 0);
    /// Where one analog beam has the slot, let `turns` choose it, and forget the demands of UEs in other beams.
    /// \param beamOf a UE in the slot; there are no multicast groups
    void KeepOneBeam(Direction direction, std::uint64_t forSlot, BeamTurns& turns,
                     const std::function<std::uint32_t(std::uint32_t ue)>& beamOf);
    /// Divides slot `forSlot` among the demands. \return those who got something; the caller may remove some of them.
    /// Their groups are in their processes. The list is valid until the next Begin.
    std::vector<Demand>& Divide(Direction direction, std::uint64_t forSlot);
    /// Tell the links the groups of those who are left in the list, so that each UE knows who is beside it.
    void Share(Direction direction, std::uint64_t forSlot);

    /// Choose the MCS and the number of bits of a new block on the groups of a process, with the layers of its sender.
    /// \param limitedBits of the circular buffer, see Segment
    void NewBlock(Sender& sender, unsigned harq, unsigned symbols, double offsetDb, unsigned limitedBits);
    /// Take messages of RRC for a new block, and data if `admitted`. \return false if the block is still empty, and is
    /// given up
    bool TakeData(Sender& sender, unsigned harq, std::uint32_t room, std::uint64_t slot, bool admitted = true);
    /// Draws whether something that is lost with this probability is lost.
    bool Lost(double probability) const { return probability > least_loss && m_random->GetValue() < probability; }
    void Average(Sender& sender, std::uint64_t slot, double bits) const;
    /// Count a transmission of `bits` bits for its sender; each further transmission of this block will count the same.
    void Charge(Sender& sender, unsigned harq, std::uint64_t slot, double bits) const;
    /// Send the block of a process again, if it waits for that; it counts as much as the first transmission did.
    bool SendAgain(Sender& sender, unsigned harq, std::uint64_t slot) const;

  private:
    SchedulingRequest Request(Direction direction, std::uint64_t forSlot) const {
        const auto groups = static_cast<std::uint32_t>(m_allocation.size());
        const unsigned prbs = std::min(groups * m_carrier.prbsPerGroup, m_carrier.numPrbs);
        return {direction, forSlot, m_candidates, groups, m_carrier.prbsPerGroup, prbs, m_room};
    }
    /// Grants that do not fit into the control channels are taken back.
    void SendGrants();
    /// Let UEs be added to groups.
    void Select(const SchedulingRequest& request, const Scheduler& scheduler);
    /// What sharing groups costs the blocks of a slot: MCS and DMRS.
    void Plan(Direction direction, std::uint64_t forSlot);
    /// The SINR that a UE's block of a planned slot is expected to have.
    void Predict(Direction direction, const Demand& demand);
    /// Of the block that a candidate would be sent.
    unsigned LayersOf(std::size_t candidate) {
        return m_candidates[candidate].fixedGroups > 0 ? ProcessOf(candidate).layers
                                                       : m_demands[candidate].sender->layers;
    }
    HarqProcess& ProcessOf(std::size_t candidate) {
        return m_demands[candidate].sender->harq[m_demands[candidate].harq];
    }
    static constexpr double least_loss = 1e-9; ///< no number is drawn below this probability
    const Carrier& m_carrier;
    Links& m_links;
    std::array<ns3::Ptr<Scheduler>, 2> m_schedulers; ///< [direction]
    ns3::Ptr<ns3::UniformRandomVariable> m_random;
    std::vector<Candidate> m_candidates;
    std::vector<Demand> m_demands;  ///< [candidate]
    Allocation m_allocation;        ///< of the groups that are free
    std::vector<Granted> m_granted; ///< [candidate]
    ControlRoom m_room;
    std::array<ns3::Ptr<UserSelection>, 2> m_selections; ///< [direction]; null: nobody is added
    unsigned m_symbols = 0;                              ///< for data, of the slot that is divided
    std::vector<SelectableUe> m_selectable;
    std::vector<double> m_elements; ///< [layers] for data, of a resource block
    std::vector<unsigned> m_layers; ///< [candidate]
    std::size_t m_firstGrant = 0;   ///< the candidate whose grant is sent first, as an index modulo their number
    bool m_sharing = false;         ///< whether some group of the slot has several UEs
    std::vector<double> m_snr;      ///< uplink, [candidate, groups - 1]
    SharedSlot m_planned;           ///< the part of the slot that is shared
};

} // namespace edgelam::nr
