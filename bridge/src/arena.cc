// SPDX-License-Identifier: GPL-2.0-only
#include "edgelam/bridge/arena.h"

#include <algorithm>

#include <sys/mman.h>

#include "edgelam/bridge/arena_access.h"

namespace edgelam::bridge {

namespace {

std::string ProcessName(int process) {
    return process == 0 ? "the scenario" : "participant " + std::to_string(process - 1);
}

} // namespace

bool InArena(const ArrayRef& ref, std::uint64_t arena_bytes) {
    return ref.offset <= arena_bytes && ref.size_bytes <= arena_bytes - ref.offset &&
           ref.offset == PageAlign(ref.offset);
}

std::string ToText(const ArrayRef& ref) {
    return "arena " + std::to_string(ref.arena) + ", slot " + std::to_string(ref.slot) + ", offset " +
           std::to_string(ref.offset) + ", " + std::to_string(ref.size_bytes) + " bytes";
}

// ---- HoldTable -------------------------------------------------------------------------------------------------

std::atomic<std::uint32_t>& HoldTable::At(std::uint32_t arena, std::uint32_t slot, int process) const {
    const auto processes = static_cast<std::uint32_t>(m_num_processes);
    if (arena >= processes || slot >= max_slots || process < 0 || process >= m_num_processes) {
        throw BridgeError("no such array: slot " + std::to_string(slot) + " of arena " + std::to_string(arena) +
                          ", process " + std::to_string(process) + " (there are " + std::to_string(processes) +
                          " arenas of " + std::to_string(max_slots) + " slots)");
    }
    return m_counts[(std::size_t{arena} * max_slots + slot) * processes + process];
}

void HoldTable::Add(std::uint32_t arena, std::uint32_t slot, int process, int count) {
    auto& held = At(arena, slot, process);
    const auto before = static_cast<std::int32_t>(held.fetch_add(static_cast<std::uint32_t>(count)));
    if (before + count < 0) {
        held.fetch_sub(static_cast<std::uint32_t>(count));
        throw BridgeError(ProcessName(process) + " releases slot " + std::to_string(slot) + " of the arena of " +
                          ProcessName(static_cast<int>(arena)) + " more often than it held it");
    }
}

bool HoldTable::Free(std::uint32_t arena, std::uint32_t slot) const {
    for (int process = 0; process < m_num_processes; ++process) {
        if (At(arena, slot, process).load() != 0) {
            return false;
        }
    }
    return true;
}

void HoldTable::ForgetProcess(int process) {
    for (int arena = 0; arena < m_num_processes; ++arena) {
        const std::uint32_t used = std::min(m_used_slots[arena].load(), max_slots);
        for (std::uint32_t slot = 0; slot < used; ++slot) {
            At(arena, slot, process).store(0);
        }
    }
}

void HoldTable::MarkUsed(std::uint32_t arena, std::uint32_t slot) {
    auto& used = m_used_slots[arena];
    if (used.load(std::memory_order_relaxed) <= slot) {
        used.store(slot + 1); // only the owner writes it
    }
}

// ---- Arena -----------------------------------------------------------------------------------------------------

Arena::Arena(int fd, std::uint64_t size_bytes, int process, HoldTable holds)
    : m_memory(fd, size_bytes, Access::shared), m_process(process), m_holds(holds) {
    m_free[0] = size_bytes;
}

std::span<std::byte> Arena::Allocate(std::uint64_t bytes, ArrayRef& ref) {
    const std::lock_guard lock(m_mutex);
    if (bytes > m_memory.size()) {
        throw BridgeError("an array of " + FormatBytes(bytes) + " does not fit the arena of " + ProcessName(m_process) +
                          ", " + FormatBytes(m_memory.size()) + ": raise arena_bytes (--edgelam-arena-bytes)");
    }
    const std::uint64_t size = PageAlign(std::max<std::uint64_t>(bytes, 1));
    std::uint64_t offset = 0;
    Reclaim(false);
    const bool slots_left = !m_free_slots.empty() || m_next_slot < HoldTable::max_slots;
    if (!slots_left || !TakeFree(size, offset)) {
        Reclaim(true);
        if (m_free_slots.empty() && m_next_slot == HoldTable::max_slots) {
            throw BridgeError("the arena of " + ProcessName(m_process) + " already has " +
                              std::to_string(HoldTable::max_slots) + " arrays, the most there can be" +
                              FullText(bytes));
        }
        if (!TakeFree(size, offset)) {
            throw BridgeError("the arena of " + ProcessName(m_process) + " is full: " + FormatBytes(bytes) +
                              " asked for, " + FormatBytes(m_memory.size()) +
                              " in all (arena_bytes, --edgelam-arena-bytes)" + FullText(bytes));
        }
    }
    std::uint32_t slot = m_next_slot;
    if (m_free_slots.empty()) {
        ++m_next_slot;
    } else {
        slot = m_free_slots.back();
        m_free_slots.pop_back();
    }
    m_blocks[slot] = {offset, size};
    const auto arena = static_cast<std::uint32_t>(m_process);
    m_holds.MarkUsed(arena, slot);
    m_holds.Add(arena, slot, m_process, 1);
    ref = {arena, slot, offset, bytes};
    return {m_memory.data() + offset, bytes};
}

void Arena::Release(const ArrayRef& ref) {
    const std::lock_guard lock(m_mutex);
    const auto arena = static_cast<std::uint32_t>(m_process);
    if (!m_blocks.contains(ref.slot)) {
        throw BridgeError("there is no array in slot " + std::to_string(ref.slot) + " of the arena of " +
                          ProcessName(m_process));
    }
    m_holds.Add(arena, ref.slot, m_process, -1);
    if (m_holds.Count(arena, ref.slot, m_process) == 0) {
        m_pending.insert(ref.slot);
    }
}

std::uint64_t Arena::UsedBytes() {
    const std::lock_guard lock(m_mutex);
    Reclaim(true);
    std::uint64_t used = 0;
    for (const auto& [slot, block] : m_blocks) {
        used += block.size_bytes;
    }
    return used;
}

/// First fit.
bool Arena::TakeFree(std::uint64_t size_bytes, std::uint64_t& offset) {
    const auto found =
        std::find_if(m_free.begin(), m_free.end(), [&](const auto& item) { return item.second >= size_bytes; });
    if (found == m_free.end()) {
        return false;
    }
    offset = found->first;
    const std::uint64_t left = found->second - size_bytes;
    m_free.erase(found);
    if (left > 0) {
        m_free[offset + size_bytes] = left;
    }
    return true;
}

void Arena::PutFree(Block block) {
    auto next = m_free.upper_bound(block.offset);
    if (next != m_free.end() && block.offset + block.size_bytes == next->first) {
        block.size_bytes += next->second;
        next = m_free.erase(next);
    }
    if (next != m_free.begin()) {
        const auto previous = std::prev(next);
        if (previous->first + previous->second == block.offset) {
            previous->second += block.size_bytes;
            return;
        }
    }
    m_free[block.offset] = block.size_bytes;
}

/// Takes back what nobody holds: of the blocks the owner has let go, or (after a death, say) of all.
void Arena::Reclaim(bool all) {
    if (all) {
        for (const auto& [slot, block] : m_blocks) {
            m_pending.insert(slot);
        }
    }
    const auto arena = static_cast<std::uint32_t>(m_process);
    for (auto slot = m_pending.begin(); slot != m_pending.end();) {
        if (m_holds.Free(arena, *slot)) {
            PutFree(m_blocks.at(*slot));
            m_blocks.erase(*slot);
            m_free_slots.push_back(*slot);
            slot = m_pending.erase(slot);
        } else if (m_holds.Count(arena, *slot, m_process) != 0) {
            slot = m_pending.erase(slot); // held by the owner again: its Release will bring it back
        } else {
            ++slot;
        }
    }
}

/// "; held by participant 0: 512.0 MB in 3 arrays; ..."
std::string Arena::FullText(std::uint64_t bytes) const {
    std::string text;
    const auto arena = static_cast<std::uint32_t>(m_process);
    for (int process = 0; process < m_holds.num_processes(); ++process) {
        std::uint64_t held = 0;
        int arrays = 0;
        for (const auto& [slot, block] : m_blocks) {
            if (m_holds.Count(arena, slot, process) != 0) {
                held += block.size_bytes;
                ++arrays;
            }
        }
        if (arrays > 0) {
            text += "; " + ProcessName(process) + " holds " + FormatBytes(held) + " in " + std::to_string(arrays) +
                    (arrays == 1 ? " array" : " arrays");
        }
    }
    std::uint64_t largest = 0;
    for (const auto& [offset, size] : m_free) {
        largest = std::max(largest, size);
    }
    return text + "; the largest free piece has " + FormatBytes(largest);
}

// ---- ArenaAccess -----------------------------------------------------------------------------------------------

ArenaAccess::ArenaAccess(std::shared_ptr<Control> control, std::vector<UniqueFd> arena_fds, int process)
    : m_control(std::move(control)), m_arena_fds(std::move(arena_fds)), m_process(process), m_holds(m_control->holds()),
      m_own(m_arena_fds.at(process).get(), m_control->header().arena_bytes, process, m_holds),
      m_views(m_arena_fds.size()) {}

std::byte* ArenaAccess::AddView(const ArrayRef& ref, bool counted) {
    const std::uint64_t size = m_own.size_bytes();
    if (ref.arena >= m_views.size() || ref.slot >= HoldTable::max_slots || !InArena(ref, size)) {
        throw ProtocolError("an array reference lies outside its arena: " + ToText(ref) + ", in arenas of " +
                            FormatBytes(size));
    }
    if (counted && m_holds.Count(ref.arena, ref.slot, m_process) == 0) {
        throw ProtocolError("an array reference that this process does not hold: " + ToText(ref));
    }
    const std::lock_guard lock(m_mutex);
    auto& mapping = m_views[ref.arena];
    if (mapping.data() == nullptr) {
        if (m_arena_fds.empty()) {
            throw BridgeError("the bridge is closed");
        }
        mapping = Mapping(m_arena_fds[ref.arena].get(), size, Access::copy_on_write);
    }
    if (!counted) {
        m_holds.Add(ref.arena, ref.slot, m_process, 1);
    }
    ++m_view_counts[{ref.arena, ref.slot}];
    return mapping.data() + ref.offset;
}

void ArenaAccess::CloseDescriptors() {
    const std::lock_guard lock(m_mutex);
    m_arena_fds.clear();
}

void ArenaAccess::DropView(const ArrayRef& ref) {
    const std::lock_guard lock(m_mutex);
    const auto count = m_view_counts.find({ref.arena, ref.slot});
    if (--count->second == 0) {
        m_view_counts.erase(count);
        // Forget private copies of pages that were written through the view: the block will carry other data.
        ::madvise(m_views[ref.arena].data() + ref.offset, PageAlign(std::max<std::uint64_t>(ref.size_bytes, 1)),
                  MADV_DONTNEED);
    }
    if (ref.arena == static_cast<std::uint32_t>(m_process)) {
        m_own.Release(ref);
    } else {
        m_holds.Add(ref.arena, ref.slot, m_process, -1);
    }
}

} // namespace edgelam::bridge
