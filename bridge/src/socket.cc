// SPDX-License-Identifier: GPL-2.0-only
#include "edgelam/bridge/socket.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace edgelam::bridge {

namespace {

constexpr std::uint32_t attach_magic = 0x656c6131; // "1ale"
constexpr std::size_t max_text_bytes = 1 << 20;
constexpr std::size_t max_fds = 253; // the kernel's limit for one message

struct AttachHeader {
    std::uint32_t magic;
    std::uint32_t status;
    std::uint64_t text_bytes;
};

socklen_t FillAddress(const std::string& address, sockaddr_un& out) {
    if (address.size() < 2 || address[0] != '@' || address.size() > sizeof(out.sun_path)) {
        throw BridgeError("'" + address + "' is no bridge address: '@' and 1 to " +
                          std::to_string(sizeof(out.sun_path) - 1) + " characters are expected");
    }
    out = {};
    out.sun_family = AF_UNIX;
    std::memcpy(out.sun_path, address.data(), address.size());
    out.sun_path[0] = '\0'; // the abstract name space
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
}

UniqueFd MakeSocket(int more = 0) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | more, 0));
    if (!fd) {
        throw BridgeError("cannot make a Unix socket: " + ErrnoText());
    }
    return fd;
}

} // namespace

std::string TakeAddressFromEnvironment() {
    constexpr const char* name = "EDGELAM_SCENARIO_ADDRESS";
    const char* value = std::getenv(name);
    const std::string address = value == nullptr ? "" : value;
    ::unsetenv(name);
    return address;
}

UniqueFd ListenAt(const std::string& address) {
    sockaddr_un where{};
    const socklen_t length = FillAddress(address, where);
    UniqueFd fd = MakeSocket();
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&where), length) != 0 || ::listen(fd.get(), 256) != 0) {
        throw BridgeError("cannot listen at " + address + ": " +
                          (errno == EADDRINUSE ? "another scenario has this address" : ErrnoText()));
    }
    return fd;
}

UniqueFd TryConnect(const std::string& address) {
    sockaddr_un where{};
    const socklen_t length = FillAddress(address, where);
    UniqueFd fd = MakeSocket(SOCK_NONBLOCK); // whoever listens there may let nobody in
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where), length) != 0) {
        if (errno == ECONNREFUSED || errno == EAGAIN || errno == EINTR) {
            return {};
        }
        throw BridgeError("cannot connect to " + address + ": " + ErrnoText());
    }
    ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
    return fd;
}

PeerCredentials CredentialsOf(int socket) {
    ucred peer{};
    socklen_t size = sizeof(peer);
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        throw BridgeError("cannot tell who is at the other end: " + ErrnoText());
    }
    return {peer.pid, peer.uid};
}

void SendAttachMessage(int socket, std::uint32_t status, const std::string& text, const std::vector<int>& fds) {
    const AttachHeader header{attach_magic, status, text.size()};
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
    bytes += text;

    const timeval limit{5, 0}; // the other side reads at once, or it is not what it seems
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    std::vector<char> ancillary(CMSG_SPACE(sizeof(int) * fds.size()));
    for (std::size_t sent = 0; sent < bytes.size();) {
        iovec piece{bytes.data() + sent, bytes.size() - sent};
        msghdr message{};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        if (sent == 0 && !fds.empty()) {
            message.msg_control = ancillary.data();
            message.msg_controllen = ancillary.size();
            cmsghdr* part = CMSG_FIRSTHDR(&message);
            part->cmsg_level = SOL_SOCKET;
            part->cmsg_type = SCM_RIGHTS;
            part->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
            std::memcpy(CMSG_DATA(part), fds.data(), sizeof(int) * fds.size());
        }
        const ssize_t count = ::sendmsg(socket, &message, MSG_NOSIGNAL);
        if (count < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            throw SocketClosed("the other side closed the control socket");
        }
        if (count < 0 && errno != EINTR) {
            throw BridgeError("cannot send over the control socket: " + ErrnoText());
        }
        sent += count > 0 ? static_cast<std::size_t>(count) : 0;
    }
}

bool AttachReader::ReadSome(int socket) {
    alignas(cmsghdr) char ancillary[CMSG_SPACE(sizeof(int) * max_fds)];
    for (;;) {
        char buffer[16384];
        iovec piece{buffer, sizeof(buffer)};
        msghdr message{};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_control = ancillary;
        message.msg_controllen = sizeof(ancillary);
        const ssize_t count = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (count < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                return false;
            }
            if (errno == ECONNRESET) {
                throw SocketClosed("the other side closed the control socket");
            }
            throw BridgeError("cannot read from the control socket: " + ErrnoText());
        }
        for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
            if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
                std::vector<int> fds((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
                std::memcpy(fds.data(), CMSG_DATA(part), fds.size() * sizeof(int));
                for (const int fd : fds) {
                    m_fds.emplace_back(fd);
                }
            }
        }
        if (message.msg_flags & MSG_CTRUNC) {
            errno = EMFILE;
            throw BridgeError("descriptors were lost on the control socket: " + ErrnoText());
        }
        if (count == 0) {
            throw SocketClosed("the other side closed the control socket");
        }
        m_bytes.append(buffer, static_cast<std::size_t>(count));
        if (m_bytes.size() >= sizeof(AttachHeader)) {
            AttachHeader header{};
            std::memcpy(&header, m_bytes.data(), sizeof(header));
            if (header.magic != attach_magic || header.text_bytes > max_text_bytes) {
                throw BridgeError("what came over the control socket is not the attach protocol");
            }
            if (m_bytes.size() >= sizeof(header) + header.text_bytes) {
                return true;
            }
        }
    }
}

AttachMessage AttachReader::Take() {
    AttachHeader header{};
    std::memcpy(&header, m_bytes.data(), sizeof(header));
    return {header.status, m_bytes.substr(sizeof(header), header.text_bytes), std::move(m_fds)};
}

} // namespace edgelam::bridge
