// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// How processes wait. Each process has one doorbell, which all its peers ring after they have put something in a ring.
/// The owner spins for an adaptive time, and then sleeps on a futex in slices that are short enough to notice signals
/// and the death of a peer.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

namespace edgelam::bridge {

using WallClock = std::chrono::steady_clock;

/// In shared memory, on its own cache line.
struct alignas(64) Doorbell {
    std::atomic<std::uint32_t> rings;
    std::atomic<std::uint32_t> sleepers;

    /// Wakes the threads that sleep on it.
    void Ring();
};

/// The waiting of one process on its doorbell. Any number of threads may wait.
class Waiter {
  public:
    explicit Waiter(Doorbell& doorbell);

    /// Returns true once `ready()` is true, false at the deadline. `look_up`, if given, is called after every slice
    /// of sleep (at most 50 ms); an exception from it ends the wait.
    template<class Ready>
    bool WaitUntil(Ready&& ready, std::optional<WallClock::time_point> deadline,
                   const std::function<void()>& look_up = {}) {
        if (ready()) {
            return true;
        }
        if (Spin(ready)) {
            return true;
        }
        for (;;) {
            const std::uint32_t rings = m_doorbell.rings.load();
            if (ready()) {
                return true;
            }
            auto slice = max_slice;
            if (deadline) {
                const auto left = *deadline - WallClock::now();
                if (left <= left.zero()) {
                    return false;
                }
                slice = std::min<std::chrono::nanoseconds>(slice, left);
            }
            m_doorbell.sleepers.fetch_add(1);
            // A ring between the load above and here is noticed by the kernel, which compares the value again.
            SleepWhile(rings, slice);
            m_doorbell.sleepers.fetch_sub(1);
            if (ready()) {
                return true;
            }
            if (look_up) {
                look_up();
            }
        }
    }

  private:
    static constexpr std::chrono::nanoseconds max_slice = std::chrono::milliseconds(50);
    // A round trip between two cores takes about 1 us; sleeping and waking costs 3 to 5 us on each side.
    static constexpr std::int64_t full_spin_ns = 50'000;
    static constexpr std::int64_t one_core = -1;

    template<class Ready>
    bool Spin(Ready&& ready) {
        const std::int64_t limit_ns = SpinLimit();
        if (limit_ns == one_core) {
            return Yield(ready);
        }
        const auto end = WallClock::now() + std::chrono::nanoseconds(limit_ns);
        do {
            for (int i = 0; i < 16; ++i) {
                __builtin_ia32_pause();
                if (ready()) {
                    m_limit_ns.store(full_spin_ns, std::memory_order_relaxed);
                    return true;
                }
            }
        } while (WallClock::now() < end);
        m_limit_ns.store(limit_ns / 2, std::memory_order_relaxed);
        return false;
    }

    /// With one core, the peer that is awaited needs it: give it away a few times, which is cheaper than a sleep and a
    /// wake-up if the peer takes it. If others take it, this is not tried again for a while.
    template<class Ready>
    bool Yield(Ready&& ready) {
        if (m_no_yield.load(std::memory_order_relaxed) > 0) {
            m_no_yield.fetch_sub(1, std::memory_order_relaxed);
            return false;
        }
        GiveCoreAway();
        if (ready()) {
            return true;
        }
        const auto begin = WallClock::now();
        for (int i = 0; i < 2; ++i) {
            GiveCoreAway();
            if (ready()) {
                return true;
            }
        }
        if (WallClock::now() - begin > std::chrono::nanoseconds(full_spin_ns)) {
            m_no_yield.store(64, std::memory_order_relaxed);
        }
        return false;
    }

    /// How long to spin now. A successful spin restores the full length, an unsuccessful one halves it; every 16th wait
    /// spins for the full length. `one_core` if only one core is usable.
    std::int64_t SpinLimit();
    static void GiveCoreAway();
    void SleepWhile(std::uint32_t rings, std::chrono::nanoseconds slice);

    Doorbell& m_doorbell;
    std::atomic<std::int64_t> m_limit_ns{full_spin_ns};
    std::atomic<std::uint32_t> m_waits{0};
    std::atomic<bool> m_one_core{false};
    std::atomic<int> m_no_yield{0};
};

} // namespace edgelam::bridge
