// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The participant side of the bridge. Thread-safe: any thread may send, receive, allocate and view.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "edgelam/bridge/arena.h"
#include "edgelam/bridge/ring.h"

namespace edgelam::bridge {

struct ParticipantOptions {
    std::string address;
    int participant = 0;
    std::string name;      ///< for messages
    double timeout_s = 60; ///< to connect and to be admitted
    int child_pid = 0;     ///< the scenario, if this process has started it: if it ends, the attach ends at once
};

class Participant {
  public:
    /// Called at least every 50 ms while this side waits; an exception from it ends the wait (for Python's signals).
    using LookUp = std::function<void()>;

    Participant(const ParticipantOptions& options, const LookUp& look_up);
    ~Participant();
    Participant(const Participant&) = delete;
    Participant& operator=(const Participant&) = delete;

    const std::string& catalogue() const;
    const std::string& address() const;
    int participants() const;
    int participant() const;
    int host_pid() const;
    /// The simulated time that the host noted last, for messages; it may be ahead of the time that this side was told.
    std::int64_t time_ns() const;

    /// Puts a frame into the ring to the host; returns its sequence number. While the ring is full, this side receives
    /// what comes in. Throws PeerDied; BridgeError for a message of the wrong size or larger than the ring.
    std::uint64_t Send(std::uint16_t type, std::span<const std::byte> body, std::span<const std::byte> tail,
                       const LookUp& look_up);
    /// Appends all frames that have arrived, at least one.
    void Receive(std::vector<OwnedFrame>& frames, std::optional<double> timeout_s, const LookUp& look_up);
    /// Sends, then waits for one frame.
    OwnedFrame Exchange(std::uint16_t type, std::span<const std::byte> body, const LookUp& look_up);

    /// An array that releases its block when it is destroyed, unless in a forked child. It may outlive the Participant.
    class Array;
    /// A new array in this participant's arena: shared memory, writable.
    std::unique_ptr<Array> Allocate(std::uint64_t bytes);
    /// The array behind a reference: copy-on-write memory. `counted`: this process is already in its hold counts (the
    /// sender of the message counted it in).
    std::unique_ptr<Array> View(const ArrayRef& ref, bool counted);

    /// Leaves the run in an orderly way; calls after it throw. Does nothing the second time, or if the host has gone.
    void Detach(const LookUp& look_up);
    /// Gives everything back except what arrays still need.
    void Close();

  private:
    struct Impl;
    std::shared_ptr<Impl> m_impl;
};

/// The arenas as one process sees them.
class ArenaAccess;

class Participant::Array {
  public:
    Array(std::shared_ptr<ArenaAccess> access, ArrayRef ref, std::byte* data, bool own)
        : ref(ref), data(data), m_access(std::move(access)), m_own(own) {}
    ~Array();
    Array(const Array&) = delete;
    Array& operator=(const Array&) = delete;

    const ArrayRef ref;
    std::byte* const data;

  private:
    std::shared_ptr<ArenaAccess> m_access;
    bool m_own;
};

} // namespace edgelam::bridge
