// SPDX-License-Identifier: GPL-2.0-only
#include "edgelam/bridge/doorbell.h"

#include <climits>

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace edgelam::bridge {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t) &&
              std::atomic<std::uint32_t>::is_always_lock_free);

void Doorbell::Ring() {
    // The addition is a full barrier: either the sleeper sees the new value, or we see the sleeper.
    rings.fetch_add(1);
    if (sleepers.load() != 0) {
        ::syscall(SYS_futex, &rings, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    }
}

Waiter::Waiter(Doorbell& doorbell) : m_doorbell(doorbell) {}

std::int64_t Waiter::SpinLimit() {
    const std::uint32_t wait = m_waits.fetch_add(1, std::memory_order_relaxed);
    if (wait % 64 == 0) { // the affinity may be changed while we run
        cpu_set_t usable;
        CPU_ZERO(&usable);
        const bool known = ::sched_getaffinity(0, sizeof(usable), &usable) == 0;
        m_one_core.store(known && CPU_COUNT(&usable) == 1, std::memory_order_relaxed);
    }
    if (m_one_core.load(std::memory_order_relaxed)) {
        return one_core;
    }
    return wait % 16 == 0 ? full_spin_ns : m_limit_ns.load(std::memory_order_relaxed);
}

void Waiter::GiveCoreAway() {
    ::sched_yield();
}

void Waiter::SleepWhile(std::uint32_t rings, std::chrono::nanoseconds slice) {
    const timespec time{static_cast<time_t>(slice.count() / 1'000'000'000),
                        static_cast<long>(slice.count() % 1'000'000'000)};
    ::syscall(SYS_futex, &m_doorbell.rings, FUTEX_WAIT, rings, &time, nullptr, 0);
}

} // namespace edgelam::bridge
