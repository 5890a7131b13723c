// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The inside of Participant: its state, shared by participant.cc (frames, arrays) and participant_attach.cc.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <deque>
#include <mutex>
#include <thread>

#include <unistd.h>

#include "edgelam/bridge/arena_access.h"
#include "edgelam/bridge/control.h"
#include "edgelam/bridge/participant.h"

namespace edgelam::bridge {

inline WallClock::duration Seconds(double seconds) {
    // Far beyond any wait, and far from the overflow of the clock; not a number counts as that.
    const double bounded = seconds < 1e9 ? std::max(seconds, 0.0) : 1e9;
    return std::chrono::duration_cast<WallClock::duration>(std::chrono::duration<double>(bounded));
}

inline std::string SecondsText(double seconds) {
    char text[32];
    std::snprintf(text, sizeof(text), "%g s", seconds);
    return text;
}

/// " with exit status 3" or ", killed by signal 9 (Killed)" if the process is our child and nobody has reaped it yet.
std::string HowItEnded(const UniqueFd& process);

struct Participant::Impl {
    Impl(const ParticipantOptions& given, const LookUp& look_up) : options(given) { Attach(look_up); }
    ~Impl() { Close(); }

    void Attach(const LookUp& look_up);
    UniqueFd Connect(WallClock::time_point deadline, const LookUp& look_up, const UniqueFd& child);
    void ThrowIfChildEnded(const UniqueFd& child) const;
    void Watch();
    void Close();

    bool Gone() const { return host_gone || control->Aborted(); }
    void ThrowGone();
    void CheckUsable();
    bool TakeInbound(OwnedFrame& frame);
    /// Called with `receiving` locked.
    void DrainInbound() {
        for (OwnedFrame frame; TakeInbound(frame);) {
            inbox.push_back(std::move(frame));
        }
    }

    ParticipantOptions options;
    std::uint32_t generation = ForkGeneration();
    int pid = ::getpid();
    int host_pid = 0;
    std::string catalogue;
    int participants = 0;
    UniqueFd socket, host_process, stop;
    std::shared_ptr<Control> control;
    std::shared_ptr<ArenaAccess> access;
    std::unique_ptr<Waiter> waiter;
    Ring inbound, outbound;

    std::atomic<bool> host_gone{false}, detached{false}, closed{false};
    std::timed_mutex sending;   // outbound, sequence
    std::timed_mutex receiving; // inbound, inbox
    std::uint64_t sequence = 0;
    std::deque<OwnedFrame> inbox;
    std::thread* watcher = nullptr; // by hand: in a forked child the thread is not there to be joined
};

} // namespace edgelam::bridge
