// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The HARQ processes of one sender, and a block at a receiver.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "nr-bearers.h"
#include "nr-harq.h"
#include "nr-transport-block.h"

namespace edgelam::nr {

/// A block at a receiver.
struct Reception {
    SoftBuffer soft;
    double draw = 0; ///< uniform: the block is lost as long as this is below its error rate
    bool decoded = false;
    void Begin(double drawn) {
        soft.Clear();
        draw = drawn;
        decoded = false;
    }
};

struct HarqProcess {
    std::vector<RlcPdu> pdus;
    std::vector<RlcStatus> statuses;
    std::vector<std::uint32_t> groups;    ///< of the transmission that is due; other UEs may have the same ones
    std::uint64_t reportedBytes = 0;      ///< uplink: the buffer status report in the block, and its number
    std::uint64_t reportedSignalling = 0; ///< of these bytes, messages
    std::uint64_t report = 0;
    std::uint32_t csiBytes = 0;        ///< uplink: of a CSI report in the block
    double charge = 0;                 ///< bits that each transmission counts for its sender
    Bearers::PerClass reportedOf{};    ///< uplink: the bytes of each class in the report, with several bearers
    std::uint8_t reportedPriority = 0; ///< uplink: the highest in the report
    std::uint8_t reportedGroups = 0;   ///< uplink: how many groups it reports
    std::uint32_t bits = 0;
    std::uint8_t mcs = 0, layers = 1, attempts = 0;
    bool lowest = false;        ///< no lower MCS could have been chosen, whatever link adaptation asked for
    bool shares = false;        ///< whether other UEs were on some of its groups when its MCS was chosen
    std::uint8_t dmrsParts = 1; ///< of the transmission that is due: how many times the DMRS of few layers
    CodeBlocks blocks{};
    Reception reception; ///< with one receiver
};

class HarqEntity {
  public:
    static constexpr unsigned most_processes = 32; ///< in FR2-2; elsewhere 16 (TS 38.214 5.1)

    /// \param processes number of them that may hold a block at the same time
    explicit HarqEntity(unsigned processes) : m_all(processes == most_processes ? UINT32_MAX : (1U << processes) - 1) {}

    HarqProcess& operator[](unsigned process) { return m_processes[process]; }
    const HarqProcess& operator[](unsigned process) const { return m_processes[process]; }

    /// Whether some process holds a block that is to be sent again.
    bool Retransmits() const { return m_retransmit != 0; }
    /// Whether every process holds a block.
    bool Full() const { return m_busy == m_all; }
    bool Empty() const { return m_busy == 0; }
    /// One bit for each process; it is set if the process holds a block.
    std::uint32_t Busy() const { return m_busy; }
    /// The process to send next: one whose block is to be sent again, otherwise a free one.
    unsigned Next() const;
    /// The number of groups of the block that is to be sent again; 0: the next block is a new one.
    std::uint32_t FixedGroups() const {
        return Retransmits() ? static_cast<std::uint32_t>(m_processes[Next()].groups.size()) : 0;
    }

    /// Begin a new block in a process, without an attempt yet.
    void Begin(unsigned process);
    /// \return whether the process holds a block that is to be sent again; it is then marked as sent
    bool TakeRetransmission(unsigned process);
    /// Give up a block before it is sent.
    void Release(unsigned process) { m_busy &= ~(1U << process); }
    /// Give up all blocks that are to be sent again. \return whether there were any
    bool GiveUp();
    /// After a transmission: the block is finished, or it is to be sent again.
    void Finish(unsigned process, bool decoded, unsigned maxTransmissions);

  private:
    std::array<HarqProcess, most_processes> m_processes;
    std::uint32_t m_all, m_busy = 0, m_retransmit = 0; ///< one bit for each process; as the sender knows
};

} // namespace edgelam::nr
