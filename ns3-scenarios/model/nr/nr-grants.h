// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A cell's grants: who has something to send in a slot, which resource blocks each gets, and the blocks to put on
/// them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "ns3/random-variable-stream.h"

#include "nr-bearer.h"
#include "nr-harq-entity.h"
#include "nr-links.h"
#include "nr-scheduler.h"

namespace edgelam::nr {

/// One who sends: a UE's bearer in one direction, or that of a multicast group.
struct Sender {
    Sender(const BearerSettings& settings, LinkAdaptation& to, unsigned harqProcesses)
        : bearer(settings), harq(harqProcesses), adaptation(to) {}
    Bearer bearer;
    HarqEntity harq;
    LinkAdaptation& adaptation;
    double averageBps = 0; ///< of what was sent, each transmission counted; smoothed, until averagedSlot
    std::uint64_t averagedSlot = 0;
    std::vector<float> bitsPerGroup; ///< that a group would carry now
    std::vector<float> sharedDb;     ///< [group] SINR expected beside others over that alone; empty: as alone
};

/// A UE's bearer, or a multicast group's, that has something to send, and the process to do it with.
struct Demand {
    bool multicast;
    std::uint32_t number; ///< of the UE or multicast group
    Sender* sender;
    std::uint8_t harq = 0;
};

class Grants {
  public:
    static constexpr std::uint32_t least_status_bytes = 16; ///< of room, for a report that tells of what is missing

    /// \param random numbers that decide whether blocks are lost
    Grants(const Carrier& carrier, Links& links, ns3::Ptr<ns3::UniformRandomVariable> random);

    const ns3::Ptr<Scheduler>& GetScheduler(Direction direction) const {
        return m_schedulers[static_cast<std::size_t>(direction)];
    }

    /// Forget the demands of before. \param room of the control channels that grants of this slot may take
    void Begin(const ControlRoom& room);
    /// What the grants have left of it.
    const ControlRoom& Room() const { return m_room; }
    /// \param order where it stands among all that a scheduler knows
    /// \param bytes that it has to send
    /// \param cces, feedback that a grant takes of the control channels
    void Add(std::uint32_t order, Demand demand, std::uint64_t slot, unsigned symbols, std::uint64_t bytes,
             unsigned priority, unsigned cces, unsigned feedback);
    /// Divides slot `forSlot` among the demands. \return those who got something, which may be made fewer; the groups
    /// stand in their processes. It holds until the next Begin.
    std::vector<Demand>& Divide(Direction direction, std::uint64_t forSlot);
    /// What is left of those who got something: they know who is beside them.
    void Share(Direction direction, std::uint64_t forSlot);

    /// A new block on the groups of a process: how many bits, at which MCS.
    /// \param limitedBits of the circular buffer, see Segment
    void NewBlock(Sender& sender, unsigned harq, unsigned layers, unsigned symbols, double offsetDb,
                  unsigned limitedBits);
    /// Data for a new block, if `admitted`. \return false if the block is empty then, and given up
    bool TakeData(Sender& sender, unsigned harq, std::uint32_t room, std::uint64_t slot, bool admitted = true);
    /// Draws whether something is lost that is so with this probability.
    bool Lost(double probability) const { return probability > least_loss && m_random->GetValue() < probability; }
    void Average(Sender& sender, std::uint64_t slot, double bits) const;
    /// A transmission of so many bits counts for its sender, and so will each further one of this block.
    void Charge(Sender& sender, unsigned harq, std::uint64_t slot, double bits) const;
    /// The block of a process is sent again, if it is one that waits for that: which counts as the first time did.
    bool SendAgain(Sender& sender, unsigned harq, std::uint64_t slot) const;

  private:
    /// Grants that do not fit into the control channels are taken back.
    void SendGrants();
    static constexpr double least_loss = 1e-9; ///< below, none is drawn
    const Carrier& m_carrier;
    Links& m_links;
    std::array<ns3::Ptr<Scheduler>, 2> m_schedulers; ///< [direction]
    ns3::Ptr<ns3::UniformRandomVariable> m_random;
    std::vector<Candidate> m_candidates;
    std::vector<Demand> m_demands; ///< [candidate]
    Allocation m_allocation;
    std::vector<Granted> m_granted; ///< [candidate]
    ControlRoom m_room;
    std::size_t m_firstGrant = 0; ///< whose grant is sent first, as an index of candidates modulo their number
    bool m_sharing = false;       ///< some group of the slot has several UEs
    SharedSlot m_planned;         ///< downlink, as far as it is shared
};

} // namespace edgelam::nr
