// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Arrays in shared memory. Every process owns one arena; only the owner allocates from it, and all processes may read
/// it.
///
/// When memory is reclaimed: each block has one hold count for each process, in the control segment. A block is free
/// when all its counts are zero, and the owner takes it back when it next allocates. A view that is kept for ever keeps
/// its block and nothing else; the counts of a process that died are zeroed by the host.
///
/// Who counts: the owner's count is 1 after Allocate. A process that sends another process a message with an ArrayRef
/// counts that process in *before* sending (Host::Hold), while it holds the block itself; the receiver releases the
/// block. A request to the host is the exception: the host counts itself in when the request takes effect. At that time
/// the requesting participant still waits, and so it still holds the block.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "edgelam/bridge/protocol.h"
#include "edgelam/bridge/segment.h"

namespace edgelam::bridge {

/// True if a reference lies within an arena of this size and begins at a page.
bool InArena(const ArrayRef& ref, std::uint64_t arena_bytes);
/// A text such as "arena 1, slot 2, offset 4096, 10 bytes".
std::string ToText(const ArrayRef& ref);

/// The hold counts of all arenas: atomic uint32 [num_processes (arena)][max_slots][num_processes (holder)].
/// Process 0 is the host, process p + 1 is participant p.
class HoldTable {
  public:
    static constexpr std::uint32_t max_slots = 8192;

    HoldTable() = default;
    /// \p used_slots: [num_processes], the highest slot that was ever used, plus one.
    HoldTable(std::atomic<std::uint32_t>* counts, std::atomic<std::uint32_t>* used_slots, int num_processes)
        : m_counts(counts), m_used_slots(used_slots), m_num_processes(num_processes) {}

    static std::size_t SizeBytes(int num_processes) {
        return sizeof(std::uint32_t) * max_slots * num_processes * num_processes;
    }

    int num_processes() const { return m_num_processes; }
    std::uint32_t Count(std::uint32_t arena, std::uint32_t slot, int process) const { return At(arena, slot, process); }
    /// Adds to a count; throws BridgeError when it would fall below zero.
    void Add(std::uint32_t arena, std::uint32_t slot, int process, int count);
    bool Free(std::uint32_t arena, std::uint32_t slot) const;
    /// Forgets all holds of a process that has ended.
    void ForgetProcess(int process);
    void MarkUsed(std::uint32_t arena, std::uint32_t slot);

  private:
    std::atomic<std::uint32_t>& At(std::uint32_t arena, std::uint32_t slot, int process) const;

    std::atomic<std::uint32_t>* m_counts = nullptr;
    std::atomic<std::uint32_t>* m_used_slots = nullptr;
    int m_num_processes = 0;
};

/// The arena from which this process allocates. Thread-safe.
class Arena {
  public:
    /// \p process: its number in `holds`, which is also the number of the arena.
    Arena(int fd, std::uint64_t size_bytes, int process, HoldTable holds);

    /// A block of whole pages, held once by the owner. Its content is undefined: whatever was there before. `bytes` may
    /// be 0. If the block does not fit, throws BridgeError, which names the setting and how much each process holds.
    std::span<std::byte> Allocate(std::uint64_t bytes, ArrayRef& ref);
    /// Takes back one hold of the owner. Throws BridgeError for an array that was not allocated here, or is not held.
    void Release(const ArrayRef& ref);

    std::uint64_t size_bytes() const { return m_memory.size(); }
    /// Bytes in blocks that somebody still holds.
    std::uint64_t UsedBytes();

  private:
    struct Block {
        std::uint64_t offset, size_bytes;
    };
    bool TakeFree(std::uint64_t size_bytes, std::uint64_t& offset);
    void PutFree(Block block);
    void Reclaim(bool all);
    std::string FullText(std::uint64_t bytes) const;

    Mapping m_memory;
    int m_process;
    HoldTable m_holds;
    std::mutex m_mutex;
    std::map<std::uint64_t, std::uint64_t> m_free; // offset -> size, neighbours merged
    std::map<std::uint32_t, Block> m_blocks;       // by slot
    std::set<std::uint32_t> m_pending;             // released by the owner, perhaps still held by others
    std::vector<std::uint32_t> m_free_slots;
    std::uint32_t m_next_slot = 0;
};

} // namespace edgelam::bridge
