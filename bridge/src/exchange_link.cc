// SPDX-License-Identifier: GPL-2.0-only
#include "exchange_link.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edgelam/bridge/errors.h"

namespace edgelam::bridge {

namespace {

constexpr std::uint32_t status_hello = 0, status_announcement = 2;

/// "@edgelam-ai-UID[-PID]-SEGMENT"; a segment that is too long for an address gives its beginning and a hash.
std::string AddressOf(const std::string& segment, int pid = 0) {
    std::string name = segment;
    if (name.size() > 60) {
        std::uint64_t hash = 0xcbf29ce484222325; // FNV-1a
        for (const unsigned char c : segment) {
            hash = (hash ^ c) * 0x100000001b3;
        }
        name = segment.substr(0, 40) + "-" + std::to_string(hash);
    }
    return "@edgelam-ai-" + std::to_string(::geteuid()) + (pid != 0 ? "-" + std::to_string(pid) : "") + "-" + name;
}

/// The parent of a process; 0 when there is none that can be seen.
int ParentOf(int pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(file, line);
    const auto name_end = line.rfind(')'); // the name may hold anything
    int parent = 0;
    char state = 0;
    if (name_end != std::string::npos) {
        std::sscanf(line.c_str() + name_end + 1, " %c %d", &state, &parent);
    }
    return parent;
}

bool Readable(int fd, int timeout_ms) {
    pollfd polled{fd, POLLIN, 0};
    return fd >= 0 && ::poll(&polled, 1, timeout_ms) > 0;
}

/// What ns3-ai's versions call the segment of a program that gives no name: they mean the same.
const std::vector<std::string> unnamed_segments = {"My Seg", "ns3-ai_single_trial", "ns3-ai"};

std::vector<int> Ancestors() {
    std::vector<int> pids;
    for (int pid = ParentOf(::getpid()); pid > 0; pid = ParentOf(pid)) {
        pids.push_back(pid);
    }
    return pids;
}

UniqueFd ConnectToCreator(const std::string& segment) {
    std::vector<std::string> names = {segment};
    if (std::ranges::count(unnamed_segments, segment) != 0) {
        names.insert(names.end(), unnamed_segments.begin(), unnamed_segments.end());
    }
    std::vector<int> places = Ancestors();
    places.push_back(0); // whoever it is
    for (const int pid : places) {
        for (const auto& name : names) {
            if (UniqueFd socket = TryConnect(AddressOf(name, pid))) {
                return socket;
            }
        }
    }
    return {};
}

/// Addresses of the segments that a process has made.
std::set<std::string> AddressesOf(int pid) {
    const std::string beginning = AddressOf("", pid);
    std::set<std::string> addresses;         // an accepted socket has its listener's
    std::ifstream sockets("/proc/net/unix"); // abstract addresses are shown with '@'
    for (std::string line; std::getline(sockets, line);) {
        if (const auto at = line.find(beginning); at != std::string::npos) {
            addresses.insert(line.substr(at));
        }
    }
    return addresses;
}

/// For the end of a text: what other segments are there.
std::string OthersMade() {
    std::string text;
    for (const int pid : Ancestors()) {
        const auto addresses = AddressesOf(pid);
        for (const auto& address : addresses) {
            text += (text.empty() ? "; there is '" : ", '") + address.substr(AddressOf("", pid).size()) +
                    "' of process " + std::to_string(pid);
        }
    }
    return text;
}

/// The listeners of this process, by segment.
std::mutex g_mutex;
std::map<std::string, ExchangeListener*>& Listeners() {
    static std::map<std::string, ExchangeListener*> listeners;
    return listeners;
}

} // namespace

Peer::Peer(UniqueFd socket, int pid) : m_socket(std::move(socket)), m_pid(pid) {
    if (pid != 0) { // 0: it lives in a process name space that we cannot see
        try {
            m_process = OpenPidFd(pid);
        } catch (const BridgeError&) {
            m_pid = 0; // ended already: the socket says so too
        }
    }
}

bool Peer::Ended() const {
    if (Readable(m_process.get(), 0)) {
        return true;
    }
    char byte = 0;
    return m_socket && ::recv(m_socket.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

std::string Peer::HowItEnded() const {
    siginfo_t info{};
    // A process closes its sockets a moment before it can be waited for. Its parent still reaps it (WNOWAIT).
    if (Readable(m_process.get(), 500) &&
        ::waitid(P_PIDFD, static_cast<id_t>(m_process.get()), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid != 0) {
        if (info.si_code == CLD_EXITED) {
            return "has ended with exit status " + std::to_string(info.si_status);
        }
        return std::string("was killed by signal ") + std::to_string(info.si_status) + " (" +
               ::strsignal(info.si_status) + ")";
    }
    return "has ended";
}

void AnnounceProcess(int pid, const std::vector<std::string>& not_to) {
    std::set<std::string> addresses = AddressesOf(::getpid());
    for (const auto& segment : not_to) {
        addresses.erase(AddressOf(segment, ::getpid()));
    }
    for (const auto& address : addresses) {
        if (const UniqueFd socket = TryConnect(address)) {
            SendAttachMessage(socket.get(), status_announcement, std::to_string(pid));
        }
    }
}

int AncestorWith(const std::string& segment) {
    for (const int pid : Ancestors()) {
        if (AddressesOf(pid).contains(AddressOf(segment, pid))) {
            return pid;
        }
    }
    return 0;
}

ExchangeListener::ExchangeListener(const std::string& segment) : m_segment(segment) {
    {
        const std::lock_guard lock(g_mutex);
        if (auto& present = Listeners()[segment]; present != nullptr) {
            present->m_own.reset();
            present->m_shared.reset();
        }
        Listeners()[segment] = this;
    }
    m_own = ListenAt(AddressOf(segment, ::getpid()));
    try {
        m_shared = ListenAt(AddressOf(segment));
    } catch (const BridgeError&) {
        // Another process has a segment of this name. Our children reach us all the same.
    }
}

ExchangeListener::~ExchangeListener() {
    const std::lock_guard lock(g_mutex);
    if (Listeners()[m_segment] == this) {
        Listeners().erase(m_segment);
    }
}

std::optional<ExchangeListener::News> ExchangeListener::Next() {
    for (const UniqueFd* listener : {&m_own, &m_shared}) {
        while (Readable(listener->get(), 0)) {
            if (auto news = Accept(*listener)) {
                return news;
            }
        }
    }
    return {};
}

std::optional<ExchangeListener::News> ExchangeListener::Accept(const UniqueFd& listener) {
    UniqueFd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket || CredentialsOf(socket.get()).uid != ::geteuid()) {
        return {}; // gone again, or another user's
    }
    try {
        AttachReader reader;
        while (!reader.ReadSome(socket.get())) {
            if (!Readable(socket.get(), 1000)) {
                return {}; // what it has to say it says at once
            }
        }
        const AttachMessage message = reader.Take();
        News news;
        if (message.status == status_announcement) {
            news.announced = Peer(UniqueFd(), std::stoi(message.text));
        } else {
            news.hello = message.text;
            news.socket = std::move(socket);
        }
        return news;
    } catch (const std::exception&) {
        return {}; // it went away while it spoke
    }
}

Attached AttachToCreator(const std::string& segment, const std::string& hello, const std::function<void()>& look_up,
                         const std::function<void(const std::string&)>& notice) {
    const std::string what = "segment '" + segment + "'";
    const auto begin = WallClock::now();
    bool noticed = false;
    const auto tell_once = [&](const auto& text) {
        if (!noticed && WallClock::now() - begin > notice_after) {
            noticed = true;
            notice(text());
        }
    };
    UniqueFd socket = ConnectToCreator(segment);
    while (!socket) {
        if (WallClock::now() - begin > connect_limit) {
            throw BridgeError(
                "nobody has made " + what +
                " within 60 s. Its maker (as a rule the Python process, with Experiment) starts first and "
                "uses the same segment name" +
                OthersMade());
        }
        tell_once([&] { return "waiting for a process that makes " + what + OthersMade(); });
        ::poll(nullptr, 0, 20);
        look_up();
        socket = ConnectToCreator(segment);
    }
    const int fd = socket.get();
    const PeerCredentials creator = CredentialsOf(fd);
    if (creator.uid != ::geteuid()) {
        throw BridgeError(what + " belongs to another user");
    }
    Attached attached{Peer(std::move(socket), creator.pid), {}};
    SendAttachMessage(fd, status_hello, hello);
    AttachReader reader;
    while (!reader.ReadSome(fd)) {
        if (attached.peer.Ended()) {
            throw PeerDied("the process that made " + what + " (pid " + std::to_string(creator.pid) + ") " +
                           attached.peer.HowItEnded() + " before it answered");
        }
        tell_once([&] {
            return "process " + std::to_string(creator.pid) + " has made " + what +
                   ", but neither sends nor receives yet; waiting for it";
        });
        Readable(fd, 50);
        look_up();
    }
    attached.answer = reader.Take();
    return attached;
}

} // namespace edgelam::bridge
