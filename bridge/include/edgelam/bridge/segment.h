// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Memory without a name (memfd), file descriptors and mappings that close themselves, and the fork check.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "edgelam/bridge/errors.h"

namespace edgelam::bridge {

/// A file descriptor that closes itself.
class UniqueFd {
  public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : m_fd(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : m_fd(std::exchange(other.m_fd, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        std::swap(m_fd, other.m_fd);
        return *this;
    }
    ~UniqueFd();

    int get() const { return m_fd; }
    explicit operator bool() const { return m_fd >= 0; }
    void reset() { *this = UniqueFd(); }

  private:
    int m_fd = -1;
};

/// How a segment is mapped.
enum class Access {
    shared,       ///< read and write, visible to all processes
    read_only,    ///< read
    copy_on_write ///< read; a write changes only a private copy of the page
};

/// A mapping that unmaps itself.
class Mapping {
  public:
    Mapping() = default;
    Mapping(int fd, std::size_t size, Access access);
    Mapping(Mapping&& other) noexcept
        : m_data(std::exchange(other.m_data, nullptr)), m_size(std::exchange(other.m_size, 0)) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(m_data, other.m_data);
        std::swap(m_size, other.m_size);
        return *this;
    }
    ~Mapping();

    std::byte* data() const { return m_data; }
    std::size_t size() const { return m_size; }

  private:
    std::byte* m_data = nullptr;
    std::size_t m_size = 0;
};

/// A new memfd with `size` zero bytes. It is closed on exec, and its size is sealed (nobody can shrink it under a
/// reader). Pages take memory only after they are touched.
UniqueFd MakeMemory(const char* label, std::size_t size);

/// Size of the memory behind a descriptor.
std::size_t MemorySize(int fd);

/// The number of bytes rounded up to whole pages.
std::uint64_t PageAlign(std::uint64_t bytes);

/// Counts the forks between the process that called this first and the present one: if the value differs from the one
/// at which an object was made, the object belongs to a parent process.
std::uint32_t ForkGeneration();

/// An eventfd, with which one thread wakes another from poll(2). Throws BridgeError.
UniqueFd MakeEventFd();

/// Runs `run` in a thread that receives no signals: these are for the threads of the program. Throws BridgeError.
std::thread StartThread(std::function<void()> run);

/// A text from another process, with '?' for each byte that is not part of valid UTF-8: Python's strings accept nothing
/// else.
std::string Utf8(std::string text);

/// Opens a pidfd, which becomes readable when the process ends. Throws BridgeError.
UniqueFd OpenPidFd(int pid);

/// A size as text for messages, such as "64.0 MB".
std::string FormatBytes(std::uint64_t bytes);

/// The text for errno.
std::string ErrnoText();

} // namespace edgelam::bridge
