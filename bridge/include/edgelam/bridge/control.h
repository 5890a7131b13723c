// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The control segment: the one piece of memory that all processes of a testbed map read-write. It contains the
/// following parts in this order. Each part has its own cache lines (and the small parts are close together, for the
/// sake of the TLB):
///
///     ControlHeader
///     Doorbell      [1 + N]        process 0 is the host, process p + 1 participant p
///     ParticipantState [N]
///     RingState     [N][2]         0: participant to host, 1: host to participant
///     uint32        used_slots [1 + N]
///     bytes         [N][2][ring_bytes]
///     uint32        hold counts [1 + N][max_slots][1 + N]
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "edgelam/bridge/arena.h"
#include "edgelam/bridge/doorbell.h"
#include "edgelam/bridge/errors.h"
#include "edgelam/bridge/ring.h"
#include "edgelam/bridge/segment.h"

namespace edgelam::bridge {

inline constexpr std::uint32_t control_magic = 0x6c616d65; // "emal"

constexpr int max_participants = 200; // all arenas are sent in one message, which takes 253 descriptors
constexpr std::uint64_t min_ring_bytes = 4096, max_ring_bytes = 1u << 30;
constexpr std::uint64_t min_arena_bytes = 4096, max_arena_bytes = 1ull << 44;

struct ControlHeader {
    std::uint32_t magic;
    std::uint32_t participants;
    std::uint64_t ring_bytes;
    std::uint64_t arena_bytes;
    std::uint64_t total_bytes;
    /// The simulated time that the host noted last (Host::NoteTime), for the texts of errors.
    std::atomic<std::int64_t> time_ns;
    /// Set by the host, after the fields below, when the run cannot go on.
    std::atomic<AbortCause> aborted;
    std::int32_t aborted_by; ///< the participant whose fault it is, -1 for the host
    char abort_text[1016];
};

/// True for a message that exists and has the right size.
inline bool RightSize(const FrameHeader& header) {
    return header.type < ProtocolMessages::size && header.body_bytes == ProtocolMessages::SizeOf(header.type);
}
/// The text for a message with a wrong size: "a Wait of 3 bytes, not 8".
std::string WrongSizeText(const FrameHeader& header);

enum class Presence : std::uint32_t { absent = 0, attached = 1, detached = 2, dead = 3 };

struct alignas(64) ParticipantState {
    std::atomic<Presence> presence;
};

/// The control segment, mapped.
class Control {
  public:
    Control() = default;
    /// Makes a new control segment.
    static Control Make(int participants, std::uint64_t ring_bytes, std::uint64_t arena_bytes);
    /// Maps an existing control segment; throws BridgeError if it is not one.
    explicit Control(UniqueFd fd);

    int fd() const { return m_fd.get(); }
    /// Closes what is needed only to pass the segment on.
    void CloseDescriptor() { m_fd.reset(); }
    ControlHeader& header() const { return *reinterpret_cast<ControlHeader*>(m_memory.data()); }
    Doorbell& doorbell(int process) const { return At<Doorbell>(m_places.doorbells)[process]; }
    ParticipantState& participant(int p) const { return At<ParticipantState>(m_places.participants)[p]; }
    Ring ToHost(int p) const { return RingAt(2 * p); }
    Ring ToParticipant(int p) const { return RingAt(2 * p + 1); }
    HoldTable holds() const;

    /// Ends the run for all processes, with the reason and the participant whose fault it is (-1: the host); only the
    /// first call counts. Called by the host.
    void Abort(AbortCause cause, int participant, const std::string& text);
    bool Aborted() const { return header().aborted.load() != AbortCause::none; }
    void RingAll() const;

  private:
    struct Places {
        std::uint64_t doorbells, participants, rings, used_slots, ring_data, holds, total;
    };
    static Places PlacesFor(std::uint64_t participants, std::uint64_t ring_bytes);
    template<class T>
    T* At(std::uint64_t offset) const {
        return reinterpret_cast<T*>(m_memory.data() + offset);
    }
    Ring RingAt(int index) const;

    UniqueFd m_fd;
    Mapping m_memory;
    Places m_places{};
};

} // namespace edgelam::bridge
