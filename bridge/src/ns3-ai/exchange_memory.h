// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What lies where in the memory of an exchange: a header, then the message that C++ sends, then Python's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "edgelam/bridge/doorbell.h"
#include "edgelam/bridge/ns3-ai/exchange.h"
#include "edgelam/bridge/segment.h"

namespace edgelam::bridge {

/// At the start of the memory. Zero bytes are its initial state.
struct ExchangeHeader {
    Doorbell doorbells[2]; ///< of the creator, of the opener
    struct alignas(64) Slot {
        std::atomic<std::uint32_t> full;    ///< 1: there is a message that has not been read
    } slots[2];                             ///< by sender
    std::atomic<std::uint32_t> finished[2]; ///< by side: said that it has finished
    std::atomic<std::uint32_t> left[2];     ///< creator, opener: has closed its end in order
    /// Creator, opener: a number that is odd while the side waits, for the case that both do. Even where other threads
    /// of the side may still send or receive.
    std::atomic<std::uint32_t> waits[2];
};

/// Where the room of the message of that sender begins; of 2: the memory's size.
std::size_t ExchangeMessageOffset(std::size_t memory_bytes, int sender);

/// The memory, mapped.
class ExchangeMemory {
  public:
    ExchangeMemory() = default;
    ExchangeMemory(UniqueFd fd, std::size_t message_bytes)
        : m_fd(std::move(fd)), m_message_bytes(message_bytes),
          m_memory(m_fd.get(), MemorySize(m_fd.get()), Access::shared) {}

    explicit operator bool() const { return m_memory.data() != nullptr; }
    int fd() const { return m_fd.get(); }
    /// What each sender has for its message.
    std::size_t message_bytes() const { return m_message_bytes; }
    ExchangeHeader& header() const { return *reinterpret_cast<ExchangeHeader*>(m_memory.data()); }
    std::byte* message(Side sender) const {
        return m_memory.data() + ExchangeMessageOffset(m_message_bytes, static_cast<int>(sender));
    }
    /// Gives the mapping away.
    Mapping Release() { return std::move(m_memory); }

  private:
    UniqueFd m_fd;
    std::size_t m_message_bytes = 0;
    Mapping m_memory;
};

/// Throws BridgeError where the memory that `options` ask for cannot hold the messages.
void CheckSizes(const ExchangeOptions& options);

/// Python may hold a message for longer than the interface: what it refers to stays mapped, 64 MiB in all.
void KeepMapped(Mapping memory);

} // namespace edgelam::bridge
