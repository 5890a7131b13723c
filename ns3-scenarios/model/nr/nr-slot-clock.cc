// SPDX-License-Identifier: GPL-2.0-only
#include "nr-slot-clock.h"

#include <algorithm>
#include <limits>

#include "ns3/log.h"
#include "ns3/simulator.h"

#include "nr-slot-work.h"

NS_LOG_COMPONENT_DEFINE("NrSlotClock");

namespace edgelam::nr {

SlotClock::~SlotClock() {
    m_event.Cancel();
}

void SlotClock::Add(SlotWorker& worker, std::uint64_t rank) {
    worker.m_rank = rank;
    const auto place = std::ranges::upper_bound(m_workers, rank, {}, &SlotWorker::m_rank);
    m_workers.insert(place, &worker);
}

void SlotClock::Remove(SlotWorker& worker) {
    std::erase(m_workers, &worker);
    std::erase(m_turn, &worker);
}

std::uint64_t SlotClock::NextSlot(const SlotWorker& worker) const {
    const std::int64_t now = ns3::Simulator::Now().GetNanoSeconds();
    const std::int64_t slot = m_numerology.SlotAt(now);
    return std::max(worker.m_slot, static_cast<std::uint64_t>(slot + (m_numerology.SlotStartNs(slot) < now)));
}

void SlotClock::Wake(SlotWorker& worker) {
    if (worker.m_awake) {
        return;
    }
    worker.m_awake = true;
    worker.m_slot = NextSlot(worker);
    NS_LOG_LOGIC("worker " << worker.m_rank << " is awake from slot " << worker.m_slot << " on");
    Schedule(worker.m_slot);
}

void SlotClock::Schedule(std::uint64_t slot) {
    if (m_event.IsPending()) {
        if (m_scheduled <= slot) {
            return;
        }
        m_event.Cancel();
    }
    m_scheduled = slot;
    const std::int64_t startNs = m_numerology.SlotStartNs(static_cast<std::int64_t>(slot));
    m_event = ns3::Simulator::Schedule(ns3::NanoSeconds(startNs) - ns3::Simulator::Now(), &SlotClock::Run, this);
}

void SlotClock::Run() {
    const std::uint64_t slot = m_scheduled;
    m_turn.clear();
    for (auto* worker : m_workers) {
        if (worker->m_awake && worker->m_slot == slot) {
            ++worker->m_slot;
            m_turn.push_back(worker);
        }
    }
    const auto each = [&](void (SlotWorker::*step)(std::uint64_t)) {
        for (std::size_t i = 0; i < m_turn.size(); ++i) {
            (m_turn[i]->*step)(slot);
        }
    };
    const auto together = [&](void (SlotWorker::*prepare)(std::uint64_t, SlotWork&)) {
        SlotWork work;
        for (std::size_t i = 0; i < m_turn.size(); ++i) {
            (m_turn[i]->*prepare)(slot, work);
        }
        work.Run();
    };
    each(&SlotWorker::PutOnAir);
    together(&SlotWorker::Prepare);
    each(&SlotWorker::Execute);
    together(&SlotWorker::PrepareDown);
    each(&SlotWorker::DecideDown);
    each(&SlotWorker::PutOnAirAtOnce);
    each(&SlotWorker::ExecuteAtOnce);
    together(&SlotWorker::PrepareUp);
    each(&SlotWorker::DecideUp);
    for (auto* worker : m_turn) {
        worker->m_awake = worker->Busy();
    }
    std::uint64_t next = std::numeric_limits<std::uint64_t>::max();
    for (const auto* worker : m_workers) {
        next = worker->m_awake ? std::min(next, worker->m_slot) : next;
    }
    if (next < std::numeric_limits<std::uint64_t>::max()) {
        Schedule(next);
    } else {
        NS_LOG_LOGIC("asleep after slot " << slot);
    }
}

} // namespace edgelam::nr
