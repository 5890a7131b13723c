// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The host side of the bridge: the scenario process. It makes the memory, admits the participants, and exchanges
/// frames with them. It is not thread-safe: one thread uses it (it has a watcher thread for attaching and for deaths).
///
///     Host host({.address = "@edgelam-...", .participants = 2});
///     host.AwaitParticipants(catalogue_json);
///     for (;;) {
///         host.WaitForFrames();
///         for (int p = 0; p < host.participants(); ++p)
///             for (Frame frame; host.Receive(p, frame);)
///                 if (frame.Is<Wait>()) { ... frame.As<Wait>().deadline_ns ...; host.Send(p, Resume{now_ns}); }
///                 else if (frame.Is<Detach>()) { host.MarkDetached(p); }
///     }
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "edgelam/bridge/arena.h"
#include "edgelam/bridge/errors.h"
#include "edgelam/bridge/protocol.h"

namespace edgelam::bridge {

struct HostOptions {
    std::string address;                    ///< "@name": a Unix socket in the abstract name space
    int participants = 1;                   ///< known before t = 0; 1 to 200
    std::uint64_t ring_bytes = 1 << 20;     ///< each ring, in each direction; a power of two, at least 4096
    std::uint64_t arena_bytes = 1ull << 30; ///< the arena of each process; pages take memory once touched
    double attach_timeout_s = 60;
    /// The time for which the process may go on after a participant's death, before the watcher ends it with
    /// `death_status`.
    double exit_grace_s = 0.5;
    int death_status = 3;
};

/// A received message. `body` and `tail` are valid until the next Receive from the same participant.
struct Frame {
    std::uint16_t type = 0;
    std::uint64_t sequence = 0; ///< the number of the frame among those of one participant, from 0
    std::span<const std::byte> body, tail;

    template<class M>
    bool Is() const {
        return type == ProtocolMessages::TypeOf<M>();
    }
    /// The message; check with Is first. Its size has been checked.
    template<class M>
    const M& As() const {
        return *reinterpret_cast<const M*>(body.data());
    }
    std::string_view TailText() const { return {reinterpret_cast<const char*>(tail.data()), tail.size()}; }
};

class Host {
  public:
    /// Binds the address and makes the memory. From here on, participants may connect.
    explicit Host(HostOptions options);
    /// Participants that are still attached see that the scenario ends.
    ~Host();
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    /// Blocks until all participants are attached. Throws BridgeTimeout, which names the missing indices; PeerDied; and
    /// BridgeError if the process that started this one is gone.
    void AwaitParticipants(const std::string& catalogue_json);

    int participants() const;
    /// True from attach until MarkDetached.
    bool Attached(int p) const;
    /// The name that the participant gives itself, for messages: "participant 1 (pid 4711)".
    std::string Describe(int p) const;

    /// Sends a message with a tail of bytes. While the participant's ring is full, this side receives what comes in, so
    /// that two full rings cannot block each other. It does not count holds (see Hold). Frames to detached participants
    /// are dropped. Throws PeerDied; BridgeError, which names ring_bytes, if the frame is larger than the ring.
    template<class M>
    void Send(int p, const M& message, std::span<const std::byte> tail = {}) {
        SendBytes(p, ProtocolMessages::TypeOf<M>(), std::as_bytes(std::span(&message, 1)), tail);
    }
    template<class M>
    void Send(int p, const M& message, std::string_view tail) {
        Send(p, message, std::as_bytes(std::span(tail)));
    }

    /// Takes the next frame of participant p; returns false if there is none now. Ends the run (see Violation) for a
    /// message that does not exist or has another size.
    bool Receive(int p, Frame& out);
    /// Called when participant p has sent something that the protocol does not allow: informs all participants and
    /// throws ProtocolError, which ends the scenario. `what` continues "participant 0 has sent ".
    [[noreturn]] void Violation(int p, const std::string& what);
    /// Ends the run (see Violation) unless `ref` means "no array", or is an array in p's arena that p holds.
    void CheckOwn(int p, const ArrayRef& ref);
    /// Blocks until an attached participant has a frame. Throws PeerDied if one has died without Detach, after
    /// everything that it sent before has been received; BridgeError if nobody is attached.
    void WaitForFrames();

    /// The host's own arena.
    Arena& arena();
    /// The bytes of an array in any arena. Throws BridgeError for a reference that lies outside its arena.
    std::span<const std::byte> View(const ArrayRef& ref);
    /// Adds `count`, which may be negative, to the holds of `process` on the array: 0 is the host, p + 1 is participant
    /// p.
    void Hold(const ArrayRef& ref, int process, int count);
    /// Stores the simulated time where participants can read it when something has gone wrong.
    void NoteTime(std::int64_t time_ns);
    /// To be called when Detach has been received: the participant may end, and is not waited for.
    void MarkDetached(int p);

  private:
    void SendBytes(int p, std::uint16_t type, std::span<const std::byte> body, std::span<const std::byte> tail);

    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace edgelam::bridge
