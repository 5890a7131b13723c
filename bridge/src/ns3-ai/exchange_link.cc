// SPDX-License-Identifier: GPL-2.0-only
#include "exchange_link.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edgelam/bridge/errors.h"

namespace edgelam::bridge {

namespace {

constexpr std::uint32_t status_hello = 0, status_announcement = 2;

/// A segment's name as it stands in addresses: whole, or its beginning and a hash where it is long or has letters that
/// a list of addresses cannot show.
std::string Shown(const std::string& segment) {
    const bool plain = std::ranges::all_of(segment, [](char c) { return c >= ' ' && c < 127; });
    if (plain && segment.size() <= 50) {
        return segment;
    }
    std::uint64_t hash = 0xcbf29ce484222325; // FNV-1a
    for (const unsigned char c : segment) {
        hash = (hash ^ c) * 0x100000001b3;
    }
    std::string beginning = segment.substr(0, 28);
    std::ranges::replace_if(beginning, [](char c) { return c < ' ' || c >= 127; }, '?');
    return beginning + "-" + std::to_string(hash);
}

/// "@edgelam-ai-UID-", what the addresses of one user begin with.
std::string Beginning() {
    return "@edgelam-ai-" + std::to_string(::geteuid()) + "-";
}

constexpr std::size_t random_digits = 16;

std::string NewAddress(const std::string& segment) {
    std::random_device random; // getrandom or the like: nobody can listen there first
    char digits[random_digits + 1];
    std::snprintf(digits, sizeof(digits), "%08x%08x", random(), random());
    return Beginning() + std::to_string(::getpid()) + "-" + digits + "-" + Shown(segment);
}

/// Where somebody listens.
struct Place {
    std::string address;
    int pid = 0;         ///< of the process that made the segment, as it calls itself
    std::string segment; ///< as Shown
};

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

/// All places that have this user's form. Another user may listen at such a place: Reach tells.
std::vector<Place> Places() {
    std::vector<Place> places;
    std::ifstream sockets("/proc/net/unix"); // abstract addresses are shown with '@'
    for (std::string line; std::getline(sockets, line);) {
        const auto at = line.find(Beginning());
        if (at == std::string::npos || line.find(" 00010000 ") > at) { // the flag of a socket that listens
            continue;
        }
        Place place{line.substr(at), 0, ""};
        int end = 0;
        if (std::sscanf(place.address.c_str() + Beginning().size(), "%d-%*16[0-9a-f]-%n", &place.pid, &end) == 1 &&
            end != 0) {
            place.segment = place.address.substr(Beginning().size() + static_cast<std::size_t>(end));
            places.push_back(std::move(place));
        }
    }
    return places;
}

/// Connects; empty unless a process of this user, which has not ended, listens there.
UniqueFd Reach(const Place& place) {
    UniqueFd socket = TryConnect(place.address);
    if (socket) {
        const PeerCredentials owner = CredentialsOf(socket.get());
        if (owner.uid != ::geteuid() || (owner.pid != 0 && ::kill(owner.pid, 0) != 0)) {
            return {};
        }
    }
    return socket;
}

/// How near a process is to this one: it has started this one (the fewer in between, the nearer); otherwise a process
/// that has started this one has started it, too.
std::pair<bool, std::size_t> Distance(int pid, const std::vector<int>& ancestors) {
    const auto direct = std::ranges::find(ancestors, pid);
    if (direct != ancestors.end()) {
        return {false, direct - ancestors.begin()};
    }
    std::size_t nearest = ancestors.size();
    for (int parent = pid; parent > 0; parent = ParentOf(parent)) {
        const auto common = std::ranges::find(ancestors, parent);
        nearest = std::min<std::size_t>(nearest, common - ancestors.begin());
    }
    return {true, nearest};
}

/// Connects to the nearest process that has made the segment; empty if there is none. Throws BridgeError where two are
/// equally near.
UniqueFd ConnectToCreator(const std::string& segment) {
    std::vector<std::string> names = {Shown(segment)};
    if (std::ranges::count(unnamed_segments, segment) != 0) {
        names.insert(names.end(), unnamed_segments.begin(), unnamed_segments.end());
    }
    const std::vector<int> ancestors = Ancestors();
    using Rank = std::tuple<std::pair<bool, std::size_t>, std::ptrdiff_t>;
    std::vector<std::pair<Rank, Place>> found;
    for (Place& place : Places()) {
        const auto name = std::ranges::find(names, place.segment);
        if (name != names.end()) {
            found.push_back({{Distance(place.pid, ancestors), name - names.begin()}, std::move(place)});
        }
    }
    std::ranges::sort(found, {}, [](const auto& each) { return each.first; });
    UniqueFd socket;
    for (auto each = found.begin(), best = found.end(); each != found.end(); ++each) {
        if (best != found.end() && each->first != best->first) {
            break;
        }
        UniqueFd reached = Reach(each->second);
        if (!reached) {
            continue;
        }
        if (best != found.end()) {
            throw BridgeError(
                "processes " + std::to_string(best->second.pid) + " and " + std::to_string(each->second.pid) +
                " have both made segment '" + segment +
                "', and neither has started this one: give each pair of programs a segment name of its own");
        }
        best = each;
        socket = std::move(reached);
    }
    return socket;
}

/// For the end of a text: what other segments are there.
std::string OthersMade() {
    const std::vector<int> ancestors = Ancestors();
    std::string text;
    for (const Place& place : Places()) {
        if (std::ranges::count(ancestors, place.pid) != 0 && Reach(place)) {
            text +=
                (text.empty() ? "; there is '" : ", '") + place.segment + "' of process " + std::to_string(place.pid);
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
    std::set<std::string> others;
    for (const auto& segment : not_to) {
        others.insert(Shown(segment));
    }
    for (const Place& place : Places()) {
        if (place.pid == ::getpid() && !others.contains(place.segment)) {
            if (const UniqueFd socket = Reach(place)) {
                SendAttachMessage(socket.get(), status_announcement, std::to_string(pid));
            }
        }
    }
}

int AncestorWith(const std::string& segment) {
    const std::vector<int> ancestors = Ancestors();
    for (const Place& place : Places()) {
        if (place.segment == Shown(segment) && std::ranges::count(ancestors, place.pid) != 0 && Reach(place)) {
            return place.pid;
        }
    }
    return 0;
}

ExchangeListener::ExchangeListener(const std::string& segment)
    : m_segment(segment), m_listener(ListenAt(NewAddress(segment))) {
    const std::lock_guard lock(g_mutex);
    if (auto& present = Listeners()[segment]; present != nullptr) {
        present->m_listener.reset();
    }
    Listeners()[segment] = this;
}

ExchangeListener::~ExchangeListener() {
    const std::lock_guard lock(g_mutex);
    if (Listeners()[m_segment] == this) {
        Listeners().erase(m_segment);
    }
}

std::optional<ExchangeListener::News> ExchangeListener::Next() {
    while (Readable(m_listener.get(), 0)) {
        if (auto news = Accept()) {
            return news;
        }
    }
    return {};
}

std::optional<ExchangeListener::News> ExchangeListener::Accept() {
    UniqueFd socket(::accept4(m_listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
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
