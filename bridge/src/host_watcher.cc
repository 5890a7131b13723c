// SPDX-License-Identifier: GPL-2.0-only
#include "host_watcher.h"

#include <cerrno>
#include <cstdio>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace edgelam::bridge {

HostWatcher::HostWatcher(const HostOptions& options, Control& control, std::vector<int> arena_fds)
    : m_options(options), m_control(control), m_arena_fds(std::move(arena_fds)), m_listener(ListenAt(options.address)),
      m_wake(MakeEventFd()), m_peers(options.participants), m_thread(StartThread([this] { Run(); })) {}

HostWatcher::~HostWatcher() {
    m_stop = true;
    Wake();
    m_thread.join();
}

void HostWatcher::Wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(m_wake.get(), &one, sizeof(one));
}

void HostWatcher::Open(const std::string& catalogue_json) {
    // The catalogue may be large: it travels as memory.
    m_catalogue = MakeMemory("edgelam-catalogue", catalogue_json.size());
    if (::pwrite(m_catalogue.get(), catalogue_json.data(), catalogue_json.size(), 0) !=
        static_cast<ssize_t>(catalogue_json.size())) {
        throw BridgeError("cannot write the catalogue: " + ErrnoText());
    }
    m_open = true;
    Wake();
}

std::string HostWatcher::Describe(int p) {
    const std::lock_guard lock(m_mutex);
    const auto& peer = m_peers[p];
    std::string text = "participant " + std::to_string(p);
    if (peer.pid != 0) {
        text += " (" + (peer.name.empty() ? "" : "'" + peer.name + "', ") + "pid " + std::to_string(peer.pid) + ")";
    }
    return text;
}

void HostWatcher::Run() {
    while (!m_stop) {
        std::vector<pollfd> polled{{m_wake.get(), POLLIN, 0}, {m_listener.get(), POLLIN, 0}};
        for (auto& [fd, visitor] : m_visitors) {
            // Before the catalogue is there, a complete hello waits.
            polled.push_back({visitor.complete ? -1 : fd, POLLIN, 0});
        }
        const std::size_t first_peer = polled.size();
        for (const auto& peer : m_peers) {
            polled.push_back({peer.socket.get(), POLLIN, 0});
            polled.push_back({peer.process.get(), POLLIN, 0});
        }
        ::poll(polled.data(), polled.size(), -1);
        if (polled[0].revents != 0) {
            std::uint64_t count = 0;
            [[maybe_unused]] const auto got = ::read(m_wake.get(), &count, sizeof(count));
        }
        for (std::size_t p = 0; p < m_peers.size() && !m_stop; ++p) {
            const bool process_ended = polled[first_peer + 2 * p + 1].revents != 0;
            if (process_ended || polled[first_peer + 2 * p].revents != 0) {
                PeerEnded(static_cast<int>(p), process_ended);
            }
        }
        for (auto visitor = m_visitors.begin(); visitor != m_visitors.end();) {
            visitor = Serve(visitor->second) ? m_visitors.erase(visitor) : std::next(visitor);
        }
        if (polled[1].revents != 0) {
            Accept();
        }
    }
}

void HostWatcher::Accept() {
    UniqueFd socket(::accept4(m_listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
        // It would be asked for again at once, for ever.
        m_control.Abort(AbortCause::host, -1, "the scenario cannot take participants in: " + ErrnoText());
        m_listener.reset();
        return;
    }
    if (!socket || CredentialsOf(socket.get()).uid != ::geteuid()) {
        return; // gone again, or another user's
    }
    const int fd = socket.get();
    m_visitors[fd].socket = std::move(socket);
}

bool HostWatcher::Serve(Visitor& visitor) {
    try {
        visitor.complete = visitor.complete || visitor.reader.ReadSome(visitor.socket.get());
        if (!visitor.complete || !m_open) {
            return false;
        }
        char byte = 0;
        if (::recv(visitor.socket.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
            return true; // it has given up waiting for us
        }
        const Hello hello = Hello::FromText(visitor.reader.Take().text);
        if (const std::string reason = Judge(hello); !reason.empty()) {
            SendAttachMessage(visitor.socket.get(), 1, reason);
            return true;
        }
        TakeIn(hello, visitor);
    } catch (const BridgeError& error) {
        std::fprintf(stderr, "edgelam: a participant did not attach: %s\n", error.what());
        try {
            if (visitor.socket) {
                SendAttachMessage(visitor.socket.get(), 1, error.what());
            }
        } catch (const BridgeError&) { // it has gone
        }
    }
    return true;
}

std::string HostWatcher::Judge(const Hello& hello) {
    const std::string who = "participant " + std::to_string(hello.participant);
    if (hello.version != protocol_version) {
        return who + " speaks version " + std::to_string(hello.version) +
               " of the bridge protocol, the scenario version " + std::to_string(protocol_version) +
               ": build both from the same sources";
    }
    if (const std::string differences = CompareSchemas(who, hello.schema, ProtocolMessages::DescribeAllLines());
        !differences.empty()) {
        return "the messages compiled into " + who + " and into the scenario differ: build both from the same sources" +
               differences;
    }
    if (hello.participant < 0 || hello.participant >= m_options.participants) {
        return "there is no " + who + ": the scenario was started for " + std::to_string(m_options.participants) +
               (m_options.participants == 1
                    ? " participant, index 0"
                    : " participants, index 0 to " + std::to_string(m_options.participants - 1));
    }
    switch (m_control.participant(hello.participant).presence.load()) {
    case Presence::absent:
        break;
    case Presence::attached:
        return Describe(hello.participant) + " is already attached";
    default:
        return Describe(hello.participant) + " has been attached before and has left: attaching again is not possible";
    }
    if (m_started) {
        return "the simulation has started: participants attach before t = 0";
    }
    return "";
}

void HostWatcher::TakeIn(const Hello& hello, Visitor& visitor) {
    auto& presence = m_control.participant(hello.participant).presence;
    Peer peer;
    peer.pid = CredentialsOf(visitor.socket.get()).pid;
    peer.name = hello.name;
    if (peer.pid != 0) { // 0: it lives in a process name space that we cannot see
        peer.process = OpenPidFd(peer.pid);
    }
    std::vector<int> fds{m_control.fd(), m_catalogue.get()};
    fds.insert(fds.end(), m_arena_fds.begin(), m_arena_fds.end());
    peer.socket = std::move(visitor.socket);
    {
        const std::lock_guard lock(m_mutex);
        m_peers[hello.participant] = std::move(peer);
    }
    presence = Presence::attached;
    SendAttachMessage(m_peers[hello.participant].socket.get(), 0, "", fds);
    m_control.doorbell(0).Ring();
}

void HostWatcher::PeerEnded(int p, bool process_ended) {
    auto& peer = m_peers[p];
    auto& presence = m_control.participant(p).presence;
    Presence attached = Presence::attached;
    const bool died = presence.compare_exchange_strong(attached, Presence::dead);
    peer.socket.reset();
    if (process_ended) { // after a mere Detach and close its arrays live on
        peer.process.reset();
        m_control.holds().ForgetProcess(p + 1);
    }
    if (!died) {
        return;
    }
    const std::string text = Describe(p) + " has ended without detaching";
    m_control.Abort(AbortCause::participant_died, p, text);
    std::fprintf(stderr, "edgelam: %s; the scenario ends with status %d\n", text.c_str(), m_options.death_status);
    // The simulation may be deep inside an event: it gets a moment to come back and end by itself.
    const auto end = WallClock::now() + std::chrono::duration<double>(m_options.exit_grace_s);
    while (!m_stop) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - WallClock::now()).count();
        if (left <= 0) {
            ::_exit(m_options.death_status);
        }
        pollfd wake{m_wake.get(), POLLIN, 0};
        ::poll(&wake, 1, static_cast<int>(left));
    }
}

} // namespace edgelam::bridge
