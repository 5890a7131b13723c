// SPDX-License-Identifier: GPL-2.0-only
#include "edgelam/bridge/participant.h"

#include <cstring>

#include "participant_impl.h"

namespace edgelam::bridge {

namespace {

using TimedLock = std::unique_lock<std::timed_mutex>;

/// Locks, looking up every 50 ms.
TimedLock LockPatiently(std::timed_mutex& mutex, const Participant::LookUp& look_up,
                        std::optional<WallClock::time_point> deadline = {}) {
    TimedLock lock(mutex, std::try_to_lock);
    while (!lock.owns_lock() && !(deadline && WallClock::now() >= *deadline)) {
        auto until = WallClock::now() + std::chrono::milliseconds(50);
        if (deadline) {
            until = std::min(until, *deadline);
        }
        if (!lock.try_lock_until(until)) {
            look_up();
        }
    }
    return lock;
}

} // namespace

// ---- frames ----------------------------------------------------------------------------------------------------

void Participant::Impl::CheckUsable() {
    if (ForkGeneration() != generation) {
        throw BridgeError("this process was forked from participant " + std::to_string(options.participant) + " (pid " +
                          std::to_string(pid) + "): only that process may use its bridge");
    }
    if (closed || detached) {
        throw BridgeError("participant " + std::to_string(options.participant) + " has " +
                          (closed ? "closed its bridge" : "detached"));
    }
}

void Participant::Impl::ThrowGone() {
    const ControlHeader& header = control->header();
    if (const AbortCause cause = header.aborted.load(); cause != AbortCause::none) {
        const std::size_t length = ::strnlen(header.abort_text, sizeof(header.abort_text));
        throw PeerDied(Utf8(std::string(header.abort_text, length)), cause, header.aborted_by);
    }
    throw PeerDied("the scenario (pid " + std::to_string(host_pid) + ") has ended" + HowItEnded(host_process));
}

bool Participant::Impl::TakeInbound(OwnedFrame& frame) {
    try {
        if (!inbound.TryRead(frame)) {
            return false;
        }
    } catch (const BridgeError& error) {
        throw ProtocolError("the scenario (pid " + std::to_string(host_pid) + ") has sent " + error.what());
    }
    if (!RightSize(frame.header)) {
        throw ProtocolError("the scenario (pid " + std::to_string(host_pid) + ") has sent " +
                            WrongSizeText(frame.header) + ": the protocol does not allow that");
    }
    if (inbound.ProducerWaits()) {
        control->doorbell(0).Ring();
    }
    return true;
}

Participant::Participant(const ParticipantOptions& options, const LookUp& look_up)
    : m_impl(std::make_shared<Impl>(options, look_up)) {}

Participant::~Participant() = default;

const std::string& Participant::catalogue() const {
    return m_impl->catalogue;
}
const std::string& Participant::address() const {
    return m_impl->options.address;
}
int Participant::participants() const {
    return m_impl->participants;
}
int Participant::participant() const {
    return m_impl->options.participant;
}
int Participant::host_pid() const {
    return m_impl->host_pid;
}
std::int64_t Participant::time_ns() const {
    return m_impl->control->header().time_ns.load(std::memory_order_relaxed);
}

std::uint64_t Participant::Send(std::uint16_t type, std::span<const std::byte> body, std::span<const std::byte> tail,
                                const LookUp& look_up) {
    auto& impl = *m_impl;
    impl.CheckUsable();
    if (type >= ProtocolMessages::size || body.size() != ProtocolMessages::SizeOf(type)) {
        throw BridgeError(type >= ProtocolMessages::size ? "there is no message of type " + std::to_string(type)
                                                         : "a " + ProtocolMessages::NameOf(type) + " has " +
                                                               std::to_string(ProtocolMessages::SizeOf(type)) +
                                                               " bytes, not " + std::to_string(body.size()));
    }
    const std::uint64_t frame_bytes = Ring::FrameBytes(body.size(), tail.size());
    if (frame_bytes > impl.outbound.capacity()) {
        throw BridgeError("a " + ProtocolMessages::NameOf(type) + " of " + FormatBytes(frame_bytes) +
                          " does not fit the ring of " + FormatBytes(impl.outbound.capacity()) +
                          ": raise ring_bytes (--edgelam-ring-bytes), or send it as an array");
    }
    const TimedLock lock = LockPatiently(impl.sending, look_up);
    impl.CheckUsable();
    if (impl.Gone()) {
        impl.ThrowGone();
    }
    const FrameHeader header{
        static_cast<std::uint32_t>(body.size()), static_cast<std::uint32_t>(tail.size()), impl.sequence, type, {}};
    while (!impl.outbound.TryWrite(header, body, tail)) {
        struct Waiting { // also when look_up throws
            Ring& ring;
            explicit Waiting(Ring& full) : ring(full) { ring.SetProducerWaits(true); }
            ~Waiting() { ring.SetProducerWaits(false); }
        } waiting(impl.outbound);
        impl.waiter->WaitUntil(
            [&] {
                // The host may itself be blocked on our full inbound ring. Where another thread is receiving, it
                // drains.
                if (const TimedLock drain(impl.receiving, std::try_to_lock); drain.owns_lock()) {
                    impl.DrainInbound();
                }
                return impl.outbound.HasSpace(frame_bytes) || impl.Gone();
            },
            std::nullopt, look_up);
        if (impl.Gone()) {
            impl.ThrowGone();
        }
    }
    impl.control->doorbell(0).Ring();
    return impl.sequence++;
}

void Participant::Receive(std::vector<OwnedFrame>& frames, std::optional<double> timeout_s, const LookUp& look_up) {
    auto& impl = *m_impl;
    impl.CheckUsable();
    std::optional<WallClock::time_point> deadline;
    if (timeout_s) {
        deadline = WallClock::now() + Seconds(*timeout_s);
    }
    const TimedLock lock = LockPatiently(impl.receiving, look_up, deadline);
    const bool ready =
        lock.owns_lock() &&
        impl.waiter->WaitUntil([&] { return !impl.inbox.empty() || !impl.inbound.Empty() || impl.Gone(); }, deadline,
                               look_up);
    if (!ready) {
        throw BridgeTimeout("the scenario (pid " + std::to_string(impl.host_pid) +
                            ") has sent nothing to participant " + std::to_string(impl.options.participant) + " for " +
                            SecondsText(*timeout_s));
    }
    impl.DrainInbound();
    if (impl.inbox.empty()) {
        impl.CheckUsable();
        impl.ThrowGone();
    }
    std::move(impl.inbox.begin(), impl.inbox.end(), std::back_inserter(frames));
    impl.inbox.clear();
}

OwnedFrame Participant::Exchange(std::uint16_t type, std::span<const std::byte> body, const LookUp& look_up) {
    Send(type, body, {}, look_up);
    auto& impl = *m_impl;
    const TimedLock lock = LockPatiently(impl.receiving, look_up);
    OwnedFrame frame;
    impl.waiter->WaitUntil([&] { return !impl.inbox.empty() || !impl.inbound.Empty() || impl.Gone(); }, std::nullopt,
                           look_up);
    if (!impl.inbox.empty()) {
        frame = std::move(impl.inbox.front());
        impl.inbox.pop_front();
    } else if (!impl.TakeInbound(frame)) {
        impl.ThrowGone();
    }
    return frame;
}

void Participant::Detach(const LookUp& look_up) {
    auto& impl = *m_impl;
    if (ForkGeneration() != impl.generation || impl.closed || impl.detached) {
        return;
    }
    const class Detach message{};
    try {
        Send(ProtocolMessages::TypeOf<class Detach>(), std::as_bytes(std::span(&message, 1)), {}, look_up);
        auto& presence = impl.control->participant(impl.options.participant).presence;
        Presence attached = Presence::attached;
        presence.compare_exchange_strong(attached, Presence::detached);
    } catch (const PeerDied&) { // nobody left to be told
    }
    impl.detached = true;
}

void Participant::Close() {
    m_impl->Close();
}

// ---- arrays ----------------------------------------------------------------------------------------------------

std::unique_ptr<Participant::Array> Participant::Allocate(std::uint64_t bytes) {
    m_impl->CheckUsable();
    ArrayRef ref{};
    std::byte* data = m_impl->access->own().Allocate(bytes, ref).data();
    return std::make_unique<Array>(m_impl->access, ref, data, true);
}

std::unique_ptr<Participant::Array> Participant::View(const ArrayRef& ref, bool counted) {
    m_impl->CheckUsable();
    std::byte* data = m_impl->access->AddView(ref, counted);
    return std::make_unique<Array>(m_impl->access, ref, data, false);
}

Participant::Array::~Array() {
    if (m_access->Forked()) {
        return; // the parent's to release
    }
    Quietly([this] { m_own ? m_access->own().Release(ref) : m_access->DropView(ref); });
}

} // namespace edgelam::bridge
