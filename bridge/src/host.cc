// SPDX-License-Identifier: GPL-2.0-only
#include "edgelam/bridge/host.h"

#include <bit>
#include <cstdlib>
#include <deque>
#include <vector>

#include <poll.h>
#include <unistd.h>

#include "edgelam/bridge/control.h"
#include "edgelam/bridge/segment.h"
#include "host_watcher.h"

namespace edgelam::bridge {

namespace {

HostOptions Checked(HostOptions options) {
    if (options.participants < 1 || options.participants > max_participants) {
        throw BridgeError("the number of participants must be 1 to " + std::to_string(max_participants) + ", not " +
                          std::to_string(options.participants));
    }
    if (!std::has_single_bit(options.ring_bytes) || options.ring_bytes < min_ring_bytes ||
        options.ring_bytes > max_ring_bytes) {
        throw BridgeError("ring_bytes must be a power of two from 4096 to 1073741824, not " +
                          std::to_string(options.ring_bytes));
    }
    if (options.arena_bytes < min_arena_bytes || options.arena_bytes > max_arena_bytes) {
        throw BridgeError("arena_bytes must be 4096 to 17592186044416 (16 TiB), not " +
                          std::to_string(options.arena_bytes));
    }
    options.arena_bytes = PageAlign(options.arena_bytes);
    return options;
}

std::vector<UniqueFd> MakeArenas(int participants, std::uint64_t bytes) {
    std::vector<UniqueFd> fds;
    for (int process = 0; process <= participants; ++process) {
        fds.push_back(MakeMemory("edgelam-arena", bytes));
    }
    return fds;
}

std::vector<int> Numbers(const std::vector<UniqueFd>& fds) {
    std::vector<int> numbers;
    for (const auto& fd : fds) {
        numbers.push_back(fd.get());
    }
    return numbers;
}

/// The process that started this one. It may say its number in the environment: then it is also seen to have gone if it
/// ended while this process was loaded.
class Starter {
  public:
    Starter() {
        if (const char* number = std::getenv("EDGELAM_SCENARIO_STARTER")) {
            try {
                m_process = OpenPidFd(std::atoi(number));
            } catch (const BridgeError&) { // no such process
                m_gone = true;
            }
        }
    }

    bool Gone() const {
        pollfd ended{m_process.get(), POLLIN, 0};
        return m_gone || ::getppid() != m_parent || (m_process && ::poll(&ended, 1, 0) > 0);
    }

  private:
    const int m_parent = ::getppid();
    UniqueFd m_process; ///< readable when it has ended
    bool m_gone = false;
};

} // namespace

struct Host::Impl {
    struct Participant {
        Ring inbound, outbound;
        std::uint64_t sequence = 0;
        std::deque<OwnedFrame> inbox; // drained from `inbound` while a Send was blocked
        OwnedFrame current;           // what the last Receive gave out
        bool left = false;            // MarkDetached
    };

    explicit Impl(HostOptions given)
        : options(Checked(std::move(given))),
          control(Control::Make(options.participants, options.ring_bytes, options.arena_bytes)),
          arena_fds(MakeArenas(options.participants, options.arena_bytes)),
          arena(arena_fds[0].get(), options.arena_bytes, 0, control.holds()), views(arena_fds.size()),
          waiter(control.doorbell(0)), participants(options.participants),
          watcher(options, control, Numbers(arena_fds)) {
        for (int p = 0; p < options.participants; ++p) {
            participants[p].inbound = control.ToHost(p);
            participants[p].outbound = control.ToParticipant(p);
        }
    }

    Presence PresenceOf(int p) const { return control.participant(p).presence.load(); }

    /// Takes a frame out of p's ring; tells p when it waits for the space.
    bool Take(int p, OwnedFrame& frame) {
        auto& ring = participants[p].inbound;
        try {
            if (!ring.TryRead(frame)) {
                return false;
            }
        } catch (const BridgeError& error) {
            Violation(p, error.what());
        }
        if (ring.ProducerWaits()) {
            control.doorbell(p + 1).Ring();
        }
        return true;
    }

    void DrainAll() {
        for (int p = 0; p < options.participants; ++p) {
            for (OwnedFrame frame; Take(p, frame);) {
                participants[p].inbox.push_back(std::move(frame));
            }
        }
    }

    [[noreturn]] void Violation(int p, const std::string& what) {
        const std::string text = watcher.Describe(p) + " has sent " + what + ": the protocol does not allow that";
        control.Abort(AbortCause::violation, p, text);
        throw ProtocolError(text);
    }

    bool HasFrame(int p) const {
        const auto& participant = participants[p];
        return !participant.left && (!participant.inbox.empty() || !participant.inbound.Empty());
    }

    /// Throws for a participant that has died and from which nothing is left to receive.
    void ThrowIfDead() {
        for (int p = 0; p < options.participants; ++p) {
            if (PresenceOf(p) == Presence::dead && !participants[p].left && !HasFrame(p)) {
                throw PeerDied(watcher.Describe(p) + " has ended without detaching", AbortCause::participant_died, p);
            }
        }
    }

    void CheckIndex(int p) const {
        if (p < 0 || p >= options.participants) {
            throw BridgeError("there is no participant " + std::to_string(p) + " (of " +
                              std::to_string(options.participants) + ")");
        }
    }

    HostOptions options;
    const Starter starter;
    Control control;
    std::vector<UniqueFd> arena_fds; // [1 + participants]
    Arena arena;
    std::vector<Mapping> views; // the participants' arenas, mapped on first use
    Waiter waiter;
    std::vector<Participant> participants;
    HostWatcher watcher; // last: its thread uses the others
};

Host::Host(HostOptions options) : m_impl(std::make_unique<Impl>(std::move(options))) {}

Host::~Host() = default;

int Host::participants() const {
    return m_impl->options.participants;
}

bool Host::Attached(int p) const {
    m_impl->CheckIndex(p);
    const Presence presence = m_impl->PresenceOf(p);
    return presence != Presence::absent && !m_impl->participants[p].left;
}

std::string Host::Describe(int p) const {
    m_impl->CheckIndex(p);
    return m_impl->watcher.Describe(p);
}

Arena& Host::arena() {
    return m_impl->arena;
}

void Host::AwaitParticipants(const std::string& catalogue_json) {
    auto& impl = *m_impl;
    impl.watcher.Open(catalogue_json);
    const auto missing = [&] {
        std::vector<int> indices;
        for (int p = 0; p < impl.options.participants; ++p) {
            if (impl.PresenceOf(p) == Presence::absent) {
                indices.push_back(p);
            }
        }
        return indices;
    };
    const auto look_up = [&] {
        // Nobody is here yet who could be seen to die: at least do not outlive whoever started us.
        if (impl.starter.Gone() && static_cast<int>(missing().size()) == impl.options.participants) {
            throw BridgeError("the process that started this scenario has gone, and nobody has attached");
        }
    };
    const auto deadline = WallClock::now() + std::chrono::duration_cast<WallClock::duration>(
                                                 std::chrono::duration<double>(impl.options.attach_timeout_s));
    const bool complete =
        impl.waiter.WaitUntil([&] { return impl.control.Aborted() || missing().empty(); }, deadline, look_up);
    impl.ThrowIfDead();
    if (complete && !missing().empty()) {
        throw BridgeError(impl.control.header().abort_text);
    }
    if (!complete) {
        std::string text = "not all participants have attached within " +
                           std::to_string(static_cast<int>(impl.options.attach_timeout_s)) + " s: missing";
        const char* comma = " ";
        for (const int p : missing()) {
            text += comma + std::to_string(p);
            comma = ", ";
        }
        text += " of " + std::to_string(impl.options.participants);
        impl.control.Abort(AbortCause::host, -1, "the scenario gave up: " + text);
        throw BridgeTimeout(text);
    }
    impl.watcher.CloseAttach();
}

void Host::SendBytes(int p, std::uint16_t type, std::span<const std::byte> body, std::span<const std::byte> tail) {
    m_impl->CheckIndex(p);
    auto& participant = m_impl->participants[p];
    const auto gone = [&] { return participant.left || m_impl->PresenceOf(p) != Presence::attached; };
    auto& ring = participant.outbound;
    const std::uint64_t frame_bytes = Ring::FrameBytes(body.size(), tail.size());
    if (frame_bytes > ring.capacity()) {
        throw BridgeError("a " + ProtocolMessages::NameOf(type) + " of " + FormatBytes(frame_bytes) +
                          " does not fit the ring of " + FormatBytes(ring.capacity()) +
                          ": raise ring_bytes (--edgelam-ring-bytes), or send it as an array");
    }
    if (gone()) {
        m_impl->ThrowIfDead();
        return;
    }
    FrameHeader header{static_cast<std::uint32_t>(body.size()),
                       static_cast<std::uint32_t>(tail.size()),
                       participant.sequence,
                       type,
                       {}};
    if (!ring.TryWrite(header, body, tail)) {
        ring.SetProducerWaits(true);
        m_impl->waiter.WaitUntil(
            [&] {
                m_impl->DrainAll();
                return ring.HasSpace(frame_bytes) || gone() || m_impl->control.Aborted();
            },
            std::nullopt);
        ring.SetProducerWaits(false);
        if (gone() || !ring.TryWrite(header, body, tail)) {
            m_impl->ThrowIfDead();
            return;
        }
    }
    ++participant.sequence;
    m_impl->control.doorbell(p + 1).Ring();
}

bool Host::Receive(int p, Frame& out) {
    m_impl->CheckIndex(p);
    auto& participant = m_impl->participants[p];
    if (participant.left) {
        return false;
    }
    if (!participant.inbox.empty()) {
        participant.current = std::move(participant.inbox.front());
        participant.inbox.pop_front();
    } else if (!m_impl->Take(p, participant.current)) {
        return false;
    }
    const auto& frame = participant.current;
    if (!RightSize(frame.header)) {
        Violation(p, WrongSizeText(frame.header));
    }
    out = {frame.header.type, frame.header.sequence, frame.body(), frame.tail()};
    return true;
}

void Host::Violation(int p, const std::string& what) {
    m_impl->CheckIndex(p);
    m_impl->Violation(p, what);
}

void Host::CheckOwn(int p, const ArrayRef& ref) {
    if (ref.size_bytes == 0) {
        return;
    }
    const auto arena = static_cast<std::uint32_t>(p + 1);
    if (ref.arena != arena || !InArena(ref, m_impl->options.arena_bytes) || ref.slot >= HoldTable::max_slots ||
        m_impl->control.holds().Count(arena, ref.slot, p + 1) == 0) {
        Violation(p, "a reference to what is no array of its own: " + ToText(ref));
    }
}

void Host::WaitForFrames() {
    auto& impl = *m_impl;
    bool anybody = false;
    for (int p = 0; p < impl.options.participants; ++p) {
        anybody = anybody || Attached(p);
    }
    if (!anybody) {
        throw BridgeError("nobody is attached: there is no frame to wait for");
    }
    impl.waiter.WaitUntil(
        [&] {
            for (int p = 0; p < impl.options.participants; ++p) {
                if (impl.HasFrame(p)) {
                    return true;
                }
            }
            return impl.control.Aborted();
        },
        std::nullopt);
    if (impl.control.Aborted()) {
        impl.ThrowIfDead();
    }
}

std::span<const std::byte> Host::View(const ArrayRef& ref) {
    const std::uint64_t size = m_impl->options.arena_bytes;
    if (ref.arena >= m_impl->views.size() || !InArena(ref, size)) {
        throw BridgeError("an array reference lies outside its arena: " + ToText(ref) + ", in arenas of " +
                          FormatBytes(size));
    }
    auto& mapping = m_impl->views[ref.arena];
    if (mapping.data() == nullptr) {
        mapping = Mapping(m_impl->arena_fds[ref.arena].get(), size, Access::read_only);
    }
    return {mapping.data() + ref.offset, ref.size_bytes};
}

void Host::Hold(const ArrayRef& ref, int process, int count) {
    if (process == 0 && ref.arena == 0 && count < 0) { // the owner's own: the arena must hear of it
        for (; count < 0; ++count) {
            m_impl->arena.Release(ref);
        }
        return;
    }
    m_impl->control.holds().Add(ref.arena, ref.slot, process, count);
}

void Host::NoteTime(std::int64_t time_ns) {
    m_impl->control.header().time_ns.store(time_ns, std::memory_order_relaxed);
}

void Host::MarkDetached(int p) {
    m_impl->CheckIndex(p);
    m_impl->participants[p].left = true;
    m_impl->participants[p].inbox.clear();
    m_impl->control.participant(p).presence = Presence::detached;
}

} // namespace edgelam::bridge
