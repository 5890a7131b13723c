// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Analog transfers in a cell: resource blocks of uplink slots on which several UEs send at once, uncoded.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "analog-transfer.h"
#include "nr-links.h"
#include "nr-radio-energy.h"

namespace edgelam::nr {

/// A transfer takes whole groups of resource blocks, from the highest on, in each uplink slot for which grants are
/// decided on, until it has as many resource elements as it needs: those of a block without DMRS and overhead. It goes
/// before all data, one transfer after the other. A grant for all senders takes the control channel elements that the
/// weakest of them needs; if there is no room for it, the transfer waits.
///
/// In each slot those send that hear the grant: they are in the cell, in reach, and listen. Each sends over the first
/// of its uplink weights, with at most all of its power, and no data beside it. The gNB receives at all of its ports.
class AnalogTransfers {
  public:
    AnalogTransfers(const Carrier& carrier, Links& links, RadioEnergy& energy)
        : m_carrier(carrier), m_links(links), m_energy(energy) {}

    /// \param wish with UEs as its senders. Throws std::invalid_argument if it is not legal.
    /// \return its number
    std::uint64_t Add(AnalogWish wish);
    /// A transfer takes no further slots; it ends as one without blocks.
    void Cancel(std::uint64_t number);
    /// Whether a transfer needs further slots.
    bool Waiting() const { return !m_waiting.empty(); }
    /// Take groups of slot `forSlot`, in the slot in which its grants are decided on.
    /// \param cces free elements of the control channel, of which it takes some
    /// \param hears whether a UE would hear a grant
    /// \return how many groups are left, the lowest ones; empty: it takes nothing
    std::optional<std::uint32_t> Reserve(std::uint64_t slot, std::uint64_t forSlot, unsigned symbols, unsigned& cces,
                                         const std::function<bool(std::uint32_t ue)>& hears);
    /// Whether a UE sends for a transfer in this slot.
    bool Sends(std::uint32_t ue, std::uint64_t slot) const;
    /// Tell other cells what is sent in this slot.
    void PutOnAir(std::uint64_t slot);
    /// The gNB receives what is sent in this slot.
    void Receive(std::uint64_t slot);
    /// At the beginning of this slot, the gNB has processed what was sent 1 + GnbDelay slots before.
    void HandUp(std::uint64_t slot);

  private:
    using Complex = std::complex<float>;
    struct Transfer {
        std::uint64_t number;
        AnalogWish wish;
        std::uint64_t reserved = 0; ///< resource elements so far
        std::size_t slots = 0;      ///< that are under way
        bool over = false;          ///< it needs no further slot, or was cancelled
        bool cancelled = false;
        AnalogOutcome outcome;
        std::vector<std::vector<Complex>> gains, known; ///< [slot]: [sender, port, block of the slot]
        std::vector<std::size_t> blocks;                ///< [slot]
    };
    struct Sending {
        std::uint64_t slot;
        std::shared_ptr<Transfer> transfer;
        std::vector<std::uint32_t> groups;
        std::vector<std::optional<PortWeights>> weights; ///< [sender] empty: it does not send
        std::vector<double> centresHz;                   ///< of the resource blocks
        unsigned symbols;
        std::vector<Complex> known;
    };
    /// [sender, port, block]
    std::vector<Complex> Gains(const Sending& sending);
    void End(Transfer& transfer);

    const Carrier& m_carrier;
    Links& m_links;
    RadioEnergy& m_energy;
    std::deque<std::shared_ptr<Transfer>> m_waiting;
    std::deque<Sending> m_sendings; ///< under way, by slot
    std::uint64_t m_numbers = 0;
    std::vector<float> m_rise; ///< used within one call
};

} // namespace edgelam::nr
