// SPDX-License-Identifier: GPL-2.0-only
#include "edgelam/bridge/participant.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <deque>
#include <mutex>
#include <thread>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edgelam/bridge/arena_access.h"
#include "edgelam/bridge/attach.h"
#include "edgelam/bridge/control.h"
#include "edgelam/bridge/socket.h"

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

WallClock::duration Seconds(double seconds) {
    // Far beyond any wait, and far from the overflow of the clock.
    return std::chrono::duration_cast<WallClock::duration>(std::chrono::duration<double>(std::min(seconds, 1e9)));
}

std::string SecondsText(double seconds) {
    char text[32];
    std::snprintf(text, sizeof(text), "%g s", seconds);
    return text;
}

bool Readable(int fd, int timeout_ms) {
    pollfd polled{fd, POLLIN, 0};
    return ::poll(&polled, 1, timeout_ms) > 0;
}

/// ", with exit status 3" or ", killed by signal 9 (Killed)" if the process is our child and nobody has reaped it yet.
std::string HowItEnded(const UniqueFd& process) {
    siginfo_t info{};
    if (!process || !Readable(process.get(), 200) ||
        ::waitid(P_PIDFD, static_cast<id_t>(process.get()), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0) {
        return "";
    }
    if (info.si_code == CLD_EXITED) {
        return " with exit status " + std::to_string(info.si_status);
    }
    return ", killed by signal " + std::to_string(info.si_status) + " (" + ::strsignal(info.si_status) + ")";
}

} // namespace

struct Participant::Impl {
    Impl(const ParticipantOptions& given, const LookUp& look_up) : options(given) { Attach(look_up); }
    ~Impl() { Close(); }

    void Attach(const LookUp& look_up);
    UniqueFd Connect(WallClock::time_point deadline, const LookUp& look_up, const UniqueFd& child);
    void ThrowIfChildEnded(const UniqueFd& child) const;
    void Watch();
    void Close();

    bool Gone() const { return host_gone || control->header().aborted.load() != 0; }
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

// ---- attach ----------------------------------------------------------------------------------------------------

void Participant::Impl::ThrowIfChildEnded(const UniqueFd& child) const {
    if (child && Readable(child.get(), 0)) {
        throw PeerDied("the scenario (pid " + std::to_string(options.child_pid) + ") has ended" + HowItEnded(child) +
                       " before participant " + std::to_string(options.participant) + " was attached");
    }
}

UniqueFd Participant::Impl::Connect(WallClock::time_point deadline, const LookUp& look_up, const UniqueFd& child) {
    for (int attempt = 0;; ++attempt) {
        if (UniqueFd connected = TryConnect(options.address)) {
            return connected;
        }
        ThrowIfChildEnded(child);
        look_up();
        if (WallClock::now() >= deadline) {
            throw BridgeTimeout("no scenario listens at " + options.address + ": participant " +
                                std::to_string(options.participant) + " has tried for " +
                                SecondsText(options.timeout_s));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(attempt < 50 ? 2 : 20));
    }
}

void Participant::Impl::Attach(const LookUp& look_up) {
    const auto deadline = WallClock::now() + Seconds(options.timeout_s);
    UniqueFd child;
    if (options.child_pid != 0) {
        child = OpenPidFd(options.child_pid);
    }
    socket = Connect(deadline, look_up, child);
    const PeerCredentials peer = CredentialsOf(socket.get());
    if (peer.uid != ::geteuid()) {
        throw AttachRefused("what listens at " + options.address + " belongs to user " + std::to_string(peer.uid) +
                            ", not to user " + std::to_string(::geteuid()));
    }
    host_pid = peer.pid;
    const Hello hello{protocol_version, options.participant, pid, options.name, ProtocolMessages::DescribeAllLines()};
    AttachReader reader;
    try {
        SendAttachMessage(socket.get(), 0, hello.ToText());
        while (!(Readable(socket.get(), 20) && reader.ReadSome(socket.get()))) {
            ThrowIfChildEnded(child);
            look_up();
            if (WallClock::now() >= deadline) {
                throw BridgeTimeout("the scenario (pid " + std::to_string(host_pid) + ") has not taken participant " +
                                    std::to_string(options.participant) + " in within " +
                                    SecondsText(options.timeout_s));
            }
        }
    } catch (const BridgeTimeout&) {
        throw;
    } catch (const PeerDied&) {
        throw;
    } catch (const BridgeError& error) {
        throw PeerDied("the scenario (pid " + std::to_string(host_pid) + ") has ended" + HowItEnded(child) +
                       " while participant " + std::to_string(options.participant) + " was attaching: " + error.what());
    }
    AttachMessage answer = reader.Take();
    if (answer.status != 0) {
        throw AttachRefused("the scenario (pid " + std::to_string(host_pid) + ") refuses participant " +
                            std::to_string(options.participant) + ": " + answer.text);
    }
    if (answer.fds.size() < 4) {
        throw BridgeError("the scenario sent " + std::to_string(answer.fds.size()) +
                          " descriptors: is the limit of open files too low?");
    }
    control = std::make_shared<Control>(std::move(answer.fds[0]));
    participants = static_cast<int>(control->header().participants);
    catalogue.resize(MemorySize(answer.fds[1].get()));
    if (::pread(answer.fds[1].get(), catalogue.data(), catalogue.size(), 0) != static_cast<ssize_t>(catalogue.size())) {
        throw BridgeError("cannot read the catalogue: " + ErrnoText());
    }
    std::vector<UniqueFd> arenas;
    for (std::size_t i = 2; i < answer.fds.size(); ++i) {
        arenas.push_back(std::move(answer.fds[i]));
    }
    access = std::make_shared<ArenaAccess>(control, std::move(arenas), options.participant + 1);
    waiter = std::make_unique<Waiter>(control->doorbell(options.participant + 1));
    inbound = control->ToParticipant(options.participant);
    outbound = control->ToHost(options.participant);
    if (child) {
        host_process = std::move(child);
    } else if (host_pid != 0) { // 0: it lives in a process name space that we cannot see
        host_process = OpenPidFd(host_pid);
    }
    stop = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    sigset_t all, before;
    sigfillset(&all); // signals are for the threads of the program
    pthread_sigmask(SIG_SETMASK, &all, &before);
    watcher = new std::thread([this] { Watch(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

/// A futex sleeper cannot watch a socket or a process: this thread does, and wakes it.
void Participant::Impl::Watch() {
    pollfd polled[] = {{stop.get(), POLLIN, 0}, {socket.get(), POLLIN, 0}, {host_process.get(), POLLIN, 0}};
    while (::poll(polled, 3, -1) < 0) {
    }
    if (polled[0].revents == 0) {
        host_gone = true;
        control->doorbell(options.participant + 1).Ring();
    }
}

void Participant::Impl::Close() {
    if (closed.exchange(true) || watcher == nullptr) {
        return;
    }
    if (ForkGeneration() == generation) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(stop.get(), &one, sizeof(one));
        watcher->join();
        delete watcher;
    }
    watcher = nullptr;
    socket.reset();
    host_process.reset();
}

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
    if (control->header().aborted.load() != 0) {
        throw PeerDied(control->header().abort_text);
    }
    throw PeerDied("the scenario (pid " + std::to_string(host_pid) + ") has ended" + HowItEnded(host_process));
}

bool Participant::Impl::TakeInbound(OwnedFrame& frame) {
    if (!inbound.TryRead(frame)) {
        return false;
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
    if (m_own) {
        m_access->own().Release(ref);
    } else {
        m_access->DropView(ref);
    }
}

} // namespace edgelam::bridge
