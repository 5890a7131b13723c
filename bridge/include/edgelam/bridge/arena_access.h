// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// All arenas as one participant sees them: it allocates from its own, and views all of them, copy-on-write. The arrays
/// share this object, so that they stay valid after the participant has closed.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "edgelam/bridge/arena.h"
#include "edgelam/bridge/control.h"

namespace edgelam::bridge {

class ArenaAccess {
  public:
    /// \p arena_fds: [1 + participants], by process.
    ArenaAccess(std::shared_ptr<Control> control, std::vector<UniqueFd> arena_fds, int process);

    Arena& own() { return m_own; }
    /// Maps the arena on first use; throws BridgeError for a reference that lies outside its arena. `counted`: this
    /// process is already in the hold counts.
    std::byte* AddView(const ArrayRef& ref, bool counted);
    /// Gives the pages of a block back to the shared data when its last view in this process is dropped.
    void DropView(const ArrayRef& ref);
    /// Closes what is needed only for further mappings: no further arena can be mapped.
    void CloseDescriptors();
    /// True in a process that was forked from the one that attached: nothing here belongs to it.
    bool Forked() const { return ForkGeneration() != m_generation; }

  private:
    std::shared_ptr<Control> m_control;
    std::vector<UniqueFd> m_arena_fds;
    int m_process;
    HoldTable m_holds;
    Arena m_own;
    std::uint32_t m_generation = ForkGeneration();
    std::mutex m_mutex;
    std::vector<Mapping> m_views;                                         // by arena, mapped on first use
    std::map<std::pair<std::uint32_t, std::uint32_t>, int> m_view_counts; // (arena, slot)
};

} // namespace edgelam::bridge
