// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A cell's multicast groups. Each has one bearer in RLC UM, and each block is on the air once for all receivers
/// (point-to-multipoint delivery of the multicast service, TS 38.300 16.10: one G-RNTI for each group).
///
/// A block has one layer over one beam (nr-multicast-beam) and the MCS that the worst receiver allows in each group of
/// resource blocks, or a given one. Each receiver decodes it with its own SINR, its own random number and its own soft
/// buffer. Retransmissions go to all receivers, as long as one of them sends a NACK (group-common feedback) and the
/// block has been sent fewer than MulticastTransmissions times; after that, what a receiver has not decoded is lost for
/// this receiver only. Each group has one outer loop: a block that some receiver did not decode at its first
/// transmission counts as lost; without feedback the outer loop does not change.
///
/// A receiver that would not decode the lowest MCS with all of the power, its own beam and all transmissions together
/// (CQI 0, "out of range") has no influence: beam, MCS and retransmissions are chosen for the others. If no receiver is
/// in reach, nothing is sent, and the waiting data is lost.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "nr-block-receiver.h"
#include "nr-grants.h"
#include "nr-radio-energy.h"

namespace edgelam::nr {

class MulticastGroups {
  public:
    /// Connects a group's receiving end at a UE.
    using Connect = std::function<void(std::uint32_t group, std::uint32_t ue, ReceivingEntity& entity)>;
    MulticastGroups(const Carrier& carrier, Links& links, Grants& grants, BlockReceiver& receiver, RadioEnergy& energy,
                    ns3::Ptr<ns3::UniformRandomVariable> random)
        : m_carrier(carrier), m_links(links), m_grants(grants), m_receiver(receiver), m_energy(energy),
          m_random(random) {}

    /// See Cell. \param slot from which its throughput is counted
    std::uint32_t Add(const std::vector<std::uint32_t>& ues, std::uint64_t slot, const std::function<void()>& wake,
                      const Connect& connect);
    bool Remove(std::uint32_t number);
    Bearer& SendingEnd(std::uint32_t number) { return m_groups.at(number)->sender.bearers[0]; }
    /// Whether something waits or is to be sent again.
    bool Busy() const;
    /// The UE leaves all groups. A group that has no receivers any more loses what it is sent.
    void RemoveReceiver(std::uint32_t ue);

    /// Add the demands of the groups that have something to send.
    void AddDemands(std::uint64_t slot, unsigned symbols);
    /// \return false if nothing fits into the block; then nothing is sent
    bool Grant(std::uint32_t number, unsigned harq, unsigned symbols, std::uint64_t slot);
    /// Tell the other cells of the block of a process in this slot.
    void PutOnAir(std::uint32_t number, unsigned harq, std::uint64_t slot);
    /// Send the block of a process in this slot.
    void Transmit(std::uint32_t number, unsigned harq, std::uint64_t slot);
    /// Hand up what the receivers have decoded.
    void HandUp(std::uint32_t number, unsigned harq);
    /// The gNB learns who has decoded the block.
    void Feedback(std::uint32_t number, unsigned harq);

  private:
    /// One of the receivers of a group.
    struct Receiver {
        Receiver(std::uint32_t number, const BearerSettings& settings) : ue(number), entity(settings) {}
        std::uint32_t ue;
        ReceivingEntity entity;
        std::array<Reception, HarqEntity::most_processes> harq;
        std::uint32_t handed = 0; ///< one bit for each process: its block has been handed up
        bool reached = true;      ///< as last measured
    };
    struct Group {
        Group(const BearerSettings& settings, unsigned harqProcesses)
            : bearers(settings), sender(bearers, adaptation, harqProcesses) {}
        LinkAdaptation adaptation;
        Bearers bearers;
        Sender sender;
        std::vector<std::unique_ptr<Receiver>> receivers;
        std::optional<PortWeights> beam, pendingBeam;
        CsiSchedule reports;
        bool reached = true; ///< whether any receiver was reached at the last measurement
    };
    void Measure(Group& group, std::uint64_t slot);
    void FindBeam(Group& group);

    const Carrier& m_carrier;
    Links& m_links;
    Grants& m_grants;
    BlockReceiver& m_receiver;
    RadioEnergy& m_energy;
    ns3::Ptr<ns3::UniformRandomVariable> m_random;
    std::map<std::uint32_t, std::unique_ptr<Group>> m_groups; ///< by number
    std::uint32_t m_next = 0;
    LinkQuality m_measured; ///< of one receiver
};

} // namespace edgelam::nr
