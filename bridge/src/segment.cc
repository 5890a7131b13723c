// SPDX-License-Identifier: GPL-2.0-only
#include "edgelam/bridge/segment.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace edgelam::bridge {

std::string ErrnoText() {
    const int number = errno;
    const auto limit = [](int which) {
        rlimit value{};
        ::getrlimit(static_cast<__rlimit_resource>(which), &value);
        return std::to_string(value.rlim_cur);
    };
    std::string text = std::strerror(number);
    if (number == EMFILE) {
        text += " (this process may have " + limit(RLIMIT_NOFILE) + " open: ulimit -n)";
    } else if (number == ENOMEM) {
        text += " (memory is short, or the limit of address space, ulimit -v, is)";
    }
    return text;
}

UniqueFd::~UniqueFd() {
    if (m_fd >= 0) {
        ::close(m_fd);
    }
}

Mapping::Mapping(int fd, std::size_t size, Access access) : m_size(size) {
    const int protection = access == Access::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    const int sharing = access == Access::copy_on_write ? MAP_PRIVATE : MAP_SHARED;
    void* data = ::mmap(nullptr, size, protection, sharing | MAP_NORESERVE, fd, 0);
    if (data == MAP_FAILED) {
        throw BridgeError("cannot map " + FormatBytes(size) + " of shared memory: " + ErrnoText());
    }
    m_data = static_cast<std::byte*>(data);
}

Mapping::~Mapping() {
    if (m_data != nullptr) {
        ::munmap(m_data, m_size);
    }
}

UniqueFd MakeMemory(const char* label, std::size_t size) {
    rlimit largest_file{}; // larger memory than that would end the process by SIGXFSZ
    if (::getrlimit(RLIMIT_FSIZE, &largest_file) == 0 && largest_file.rlim_cur < size) {
        throw BridgeError("cannot make " + FormatBytes(size) +
                          " of shared memory: the limit of file sizes (ulimit -f) is " +
                          FormatBytes(largest_file.rlim_cur) +
                          ", and it holds for shared memory too; raise it, or lower arena_bytes "
                          "(--edgelam-arena-bytes)");
    }
    UniqueFd fd(::memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0 ||
        ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        throw BridgeError("cannot make " + FormatBytes(size) + " of shared memory: " + ErrnoText());
    }
    return fd;
}

std::size_t MemorySize(int fd) {
    struct stat status{};
    if (::fstat(fd, &status) != 0) {
        throw BridgeError("cannot inspect shared memory: " + ErrnoText());
    }
    return static_cast<std::size_t>(status.st_size);
}

std::uint64_t PageAlign(std::uint64_t bytes) {
    static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    return (bytes + page - 1) / page * page;
}

namespace {
std::atomic<std::uint32_t> g_fork_generation{0};
} // namespace

std::uint32_t ForkGeneration() {
    static const int registered =
        ::pthread_atfork(nullptr, nullptr, [] { g_fork_generation.fetch_add(1, std::memory_order_relaxed); });
    static_cast<void>(registered);
    return g_fork_generation.load(std::memory_order_relaxed);
}

UniqueFd MakeEventFd() {
    UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd) {
        throw BridgeError("cannot make an event descriptor: " + ErrnoText());
    }
    return fd;
}

std::thread StartThread(std::function<void()> run) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread;
    std::string trouble;
    try {
        thread = std::thread(std::move(run));
    } catch (const std::system_error& error) {
        trouble = error.what();
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (!thread.joinable()) {
        throw BridgeError("cannot start a thread: " + trouble +
                          " (the limit of processes, ulimit -u, or of address space, ulimit -v, is too low)");
    }
    return thread;
}

std::string Utf8(std::string text) {
    for (std::size_t at = 0; at < text.size();) {
        const auto byte = [&](std::size_t i) {
            return i < text.size() ? static_cast<unsigned>(static_cast<unsigned char>(text[i])) : 0u;
        };
        const unsigned first = byte(at);
        const std::size_t length = first < 0x80   ? 1
                                   : first < 0xc2 ? 0
                                   : first < 0xe0 ? 2
                                   : first < 0xf0 ? 3
                                   : first < 0xf5 ? 4
                                                  : 0;
        bool legal = length > 0;
        for (std::size_t i = 1; i < length; ++i) {
            legal = legal && (byte(at + i) & 0xc0) == 0x80;
        }
        // Not longer than needed, no half of a pair, not beyond the last letter there can be.
        const unsigned second = byte(at + 1);
        legal = legal && !(first == 0xe0 && second < 0xa0) && !(first == 0xed && second >= 0xa0) &&
                !(first == 0xf0 && second < 0x90) && !(first == 0xf4 && second >= 0x90);
        if (!legal) {
            text[at] = '?';
        }
        at += legal ? length : 1;
    }
    return text;
}

UniqueFd OpenPidFd(int pid) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!fd) {
        throw BridgeError("cannot watch process " + std::to_string(pid) + ": " + ErrnoText());
    }
    return fd;
}

std::string FormatBytes(std::uint64_t bytes) {
    const char* const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double value = static_cast<double>(bytes);
    int unit = 0;
    for (; value >= 1000 && unit < 4; ++unit) {
        value /= 1000;
    }
    char text[32];
    std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

} // namespace edgelam::bridge
