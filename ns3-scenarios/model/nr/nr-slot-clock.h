// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The rhythm of the cells of a carrier: slot by slot, and within a slot step by step.
#pragma once

#include <cstdint>
#include <vector>

#include "ns3/event-id.h"

#include "nr-frame.h"

namespace edgelam::nr {

class SlotClock;
class SlotWork;

/// What works slot by slot, while it has something to do. In each slot the clock calls these methods in this order.
class SlotWorker {
  public:
    virtual ~SlotWorker() = default;

    /// Tell the others what is sent in this slot, as far as that is decided: everything, unless GnbDelay is 0.
    virtual void PutOnAir(std::uint64_t slot) = 0;
    /// Add the work that this takes on channels which do not change in this step.
    virtual void Prepare(std::uint64_t slot, SlotWork& work) = 0;
    /// Do what is due: blocks are received, feedback arrives.
    virtual void Execute(std::uint64_t slot) = 0;
    /// Add the work of the channel state reports that DecideDown takes.
    virtual void PrepareDown(std::uint64_t slot, SlotWork& work) = 0;
    /// Decide on downlink blocks, for a later slot or (GnbDelay 0) for this one.
    virtual void DecideDown(std::uint64_t slot) = 0;
    /// The first two steps for blocks that were decided on in this slot for this slot.
    virtual void PutOnAirAtOnce(std::uint64_t slot) = 0;
    virtual void ExecuteAtOnce(std::uint64_t slot) = 0;
    /// Add the work of the channel state reports that DecideUp takes.
    virtual void PrepareUp(std::uint64_t slot, SlotWork& work) = 0;
    /// Decide on uplink blocks of later slots.
    virtual void DecideUp(std::uint64_t slot) = 0;
    /// Whether there is something to do in the next slot.
    virtual bool Busy() const = 0;

  private:
    friend class SlotClock;
    std::uint64_t m_slot = 0; ///< the next one that it works in
    bool m_awake = false;
    std::uint64_t m_rank = 0;
};

/// All workers take a step before any of them takes the next one, so that who sends in a slot is decided everywhere
/// before anything in that slot is received.
class SlotClock {
  public:
    explicit SlotClock(const Numerology& numerology) : m_numerology(numerology) {}
    ~SlotClock();
    SlotClock(const SlotClock&) = delete;
    SlotClock& operator=(const SlotClock&) = delete;

    /// \param rank workers take turns in ascending order
    void Add(SlotWorker& worker, std::uint64_t rank = 0);
    void Remove(SlotWorker& worker);
    /// The next slot boundary at which a worker may begin, or the present time if it is one.
    std::uint64_t NextSlot(const SlotWorker& worker) const;
    /// Let a worker work from the next slot boundary on, until it is not busy any more.
    void Wake(SlotWorker& worker);

  private:
    void Run();
    void Schedule(std::uint64_t slot);

    Numerology m_numerology;
    std::vector<SlotWorker*> m_workers; ///< by rank
    std::vector<SlotWorker*> m_turn;    ///< those that work in the present slot
    std::uint64_t m_scheduled = 0;      ///< the slot of the event, if it is pending
    ns3::EventId m_event;
};

} // namespace edgelam::nr
