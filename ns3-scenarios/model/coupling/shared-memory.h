// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Memory for large values of observables: written where participants read it, so that nothing is copied.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "edgelam/bridge/arena.h"

namespace edgelam {

/// A block of bytes that is in the arena of the scenario while participants are attached, and in private memory if
/// the scenario runs alone. It is freed when neither the scenario nor a participant holds it.
class SharedBlock {
  public:
    ~SharedBlock();
    SharedBlock(const SharedBlock&) = delete;
    SharedBlock& operator=(const SharedBlock&) = delete;

    std::span<std::byte> bytes() const { return m_bytes; }
    /// Where it lies in the arena; `size_bytes` is 0 for private memory.
    const bridge::ArrayRef& ref() const { return m_ref; }

  private:
    friend class SharedMemory;
    SharedBlock() = default;

    std::span<std::byte> m_bytes;
    bridge::ArrayRef m_ref{};
    std::vector<std::byte> m_private;
    std::shared_ptr<bridge::Arena*> m_arena;
};

/// Where blocks come from.
class SharedMemory {
  public:
    /// A block, not initialised, at least one byte. Throws BridgeError naming the setting and who holds how much when
    /// the arena is full.
    std::shared_ptr<SharedBlock> Allocate(std::size_t bytes);
    /// From now on, blocks come from `arena`; null: from private memory, and the previous arena is about to end.
    void Connect(bridge::Arena* arena);

  private:
    /// Shared with the blocks, which may live longer than the arena.
    std::shared_ptr<bridge::Arena*> m_arena = std::make_shared<bridge::Arena*>(nullptr);
};

} // namespace edgelam
