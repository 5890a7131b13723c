// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A ring of bytes in shared memory that carries frames, with one producer and one consumer, and without locks.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "edgelam/bridge/errors.h"

namespace edgelam::bridge {

/// The header in front of every message. The frame takes up its size rounded up to 8 bytes, so that headers stay
/// aligned.
struct FrameHeader {
    std::uint32_t body_bytes;
    std::uint32_t tail_bytes;
    std::uint64_t sequence;
    std::uint16_t type;
    std::uint16_t reserved[3];
};
static_assert(sizeof(FrameHeader) == 24);

/// The part of a ring that both sides write: each index has its own cache line. Indices count bytes and never wrap
/// around.
struct RingState {
    alignas(64) std::atomic<std::uint64_t> written;        ///< by the producer
    alignas(64) std::atomic<std::uint64_t> consumed;       ///< by the consumer
    alignas(64) std::atomic<std::uint32_t> producer_waits; ///< the producer wants to be told of space
};

/// A frame that was taken out of a ring. It is eight-byte aligned.
struct OwnedFrame {
    FrameHeader header;
    std::vector<std::byte> bytes; ///< body, then tail

    std::span<const std::byte> body() const { return {bytes.data(), header.body_bytes}; }
    std::span<const std::byte> tail() const { return {bytes.data() + header.body_bytes, header.tail_bytes}; }
};

class Ring {
  public:
    Ring() = default;
    /// \p capacity: a power of two, the size of `data`.
    Ring(RingState* state, std::byte* data, std::uint64_t capacity)
        : m_state(state), m_data(data), m_capacity(capacity) {}

    static std::uint64_t FrameBytes(std::uint64_t body_bytes, std::uint64_t tail_bytes) {
        return (sizeof(FrameHeader) + body_bytes + tail_bytes + 7) / 8 * 8;
    }
    std::uint64_t capacity() const { return m_capacity; }

    // ---- producer ----

    bool HasSpace(std::uint64_t frame_bytes) const {
        return m_capacity - (m_state->written.load(std::memory_order_relaxed) - m_state->consumed.load()) >=
               frame_bytes;
    }
    /// Returns false if there is no space now. The caller must make sure that the frame is not larger than the ring.
    bool TryWrite(const FrameHeader& header, std::span<const std::byte> body, std::span<const std::byte> tail) {
        const std::uint64_t frame_bytes = FrameBytes(body.size(), tail.size());
        const std::uint64_t begin = m_state->written.load(std::memory_order_relaxed);
        if (m_capacity - (begin - m_seen_consumed) < frame_bytes) {
            m_seen_consumed = m_state->consumed.load(std::memory_order_acquire);
            if (m_capacity - (begin - m_seen_consumed) < frame_bytes) {
                return false;
            }
        }
        CopyIn(begin, std::as_bytes(std::span(&header, 1)));
        CopyIn(begin + sizeof(header), body);
        CopyIn(begin + sizeof(header) + body.size(), tail);
        m_state->written.store(begin + frame_bytes, std::memory_order_release);
        return true;
    }
    /// Asks the consumer to ring the doorbell when it has made space.
    void SetProducerWaits(bool waits) { m_state->producer_waits.store(waits); }

    // ---- consumer ----

    bool Empty() const {
        return m_state->written.load(std::memory_order_acquire) == m_state->consumed.load(std::memory_order_relaxed);
    }
    /// Takes the next frame out; returns false if there is none. Throws BridgeError if the bytes in the ring are not a
    /// valid frame.
    bool TryRead(OwnedFrame& frame) {
        const std::uint64_t begin = m_state->consumed.load(std::memory_order_relaxed);
        const std::uint64_t available = m_state->written.load(std::memory_order_acquire) - begin;
        if (available == 0) {
            return false;
        }
        CopyOut(begin, std::as_writable_bytes(std::span(&frame.header, 1)));
        const std::uint64_t size = std::uint64_t{frame.header.body_bytes} + frame.header.tail_bytes;
        const std::uint64_t frame_bytes = FrameBytes(size, 0);
        if (available > m_capacity || frame_bytes > available) {
            throw BridgeError("a frame of " + std::to_string(size) + " bytes in a ring that holds " +
                              std::to_string(available));
        }
        frame.bytes.resize(size);
        CopyOut(begin + sizeof(FrameHeader), frame.bytes);
        // Sequentially consistent, like the load of producer_waits after it: the producer never misses space.
        m_state->consumed.store(begin + frame_bytes);
        return true;
    }
    /// True if the producer has asked to be told of space.
    bool ProducerWaits() { return m_state->producer_waits.load() != 0; }

  private:
    void CopyIn(std::uint64_t at, std::span<const std::byte> from) {
        if (from.empty()) {
            return;
        }
        const std::uint64_t place = at & (m_capacity - 1);
        const std::uint64_t first = std::min<std::uint64_t>(from.size(), m_capacity - place);
        std::memcpy(m_data + place, from.data(), first);
        std::memcpy(m_data, from.data() + first, from.size() - first);
    }
    void CopyOut(std::uint64_t at, std::span<std::byte> to) const {
        if (to.empty()) {
            return;
        }
        const std::uint64_t place = at & (m_capacity - 1);
        const std::uint64_t first = std::min<std::uint64_t>(to.size(), m_capacity - place);
        std::memcpy(to.data(), m_data + place, first);
        std::memcpy(to.data() + first, m_data, to.size() - first);
    }

    RingState* m_state = nullptr;
    std::byte* m_data = nullptr;
    std::uint64_t m_capacity = 0;
    std::uint64_t m_seen_consumed = 0; // the producer's last look at `consumed`
};

} // namespace edgelam::bridge
