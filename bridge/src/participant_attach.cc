// SPDX-License-Identifier: GPL-2.0-only
#include <csignal>
#include <cstring>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edgelam/bridge/attach.h"
#include "edgelam/bridge/socket.h"
#include "participant_impl.h"

namespace edgelam::bridge {

namespace {

bool Readable(int fd, int timeout_ms) {
    pollfd polled{fd, POLLIN, 0};
    return ::poll(&polled, 1, timeout_ms) > 0;
}

} // namespace

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
    } catch (const SocketClosed& error) {
        throw PeerDied("the scenario (pid " + std::to_string(host_pid) + ") has ended" + HowItEnded(child) +
                       " while participant " + std::to_string(options.participant) + " was attaching: " + error.what());
    }
    AttachMessage answer = reader.Take();
    if (answer.status != 0) {
        throw AttachRefused("the scenario (pid " + std::to_string(host_pid) + ") refuses participant " +
                            std::to_string(options.participant) + ": " + Utf8(answer.text));
    }
    if (answer.fds.size() < 4) {
        throw BridgeError("the scenario sent " + std::to_string(answer.fds.size()) +
                          " descriptors: is the limit of open files too low?");
    }
    control = std::make_shared<Control>(std::move(answer.fds[0]));
    participants = static_cast<int>(control->header().participants);
    if (answer.fds.size() != static_cast<std::size_t>(participants) + 3 || options.participant < 0 ||
        options.participant >= participants) {
        throw ProtocolError("the scenario (pid " + std::to_string(host_pid) + ") has taken in participant " +
                            std::to_string(options.participant) + " of " + std::to_string(participants) + " with " +
                            std::to_string(answer.fds.size()) + " descriptors");
    }
    catalogue.resize(MemorySize(answer.fds[1].get()));
    if (::pread(answer.fds[1].get(), catalogue.data(), catalogue.size(), 0) != static_cast<ssize_t>(catalogue.size())) {
        throw BridgeError("cannot read the catalogue: " + ErrnoText());
    }
    std::vector<UniqueFd> arenas;
    for (std::size_t i = 2; i < answer.fds.size(); ++i) {
        arenas.push_back(std::move(answer.fds[i]));
        if (MemorySize(arenas.back().get()) != control->header().arena_bytes) {
            throw ProtocolError("the scenario (pid " + std::to_string(host_pid) + ") has sent an arena of " +
                                std::to_string(MemorySize(arenas.back().get())) + " bytes, and says that it has " +
                                std::to_string(control->header().arena_bytes));
        }
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
    stop = MakeEventFd();
    watcher = new std::thread(StartThread([this] { Watch(); }));
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
    // All descriptors, whoever still has arrays: these need the mappings only.
    socket.reset();
    host_process.reset();
    stop.reset();
    control->CloseDescriptor();
    access->CloseDescriptors();
}

} // namespace edgelam::bridge
