// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What lies where in the memory of an exchange: a header, then the message that C++ sends, then Python's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

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

/// Throws BridgeError where the memory that `options` ask for cannot hold the messages.
void CheckSizes(const ExchangeOptions& options);

/// Python may hold a message for longer than the interface: what it refers to stays mapped, 64 MiB in all.
void KeepMapped(Mapping memory);

} // namespace edgelam::bridge
