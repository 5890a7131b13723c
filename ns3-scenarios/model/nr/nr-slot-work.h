// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the cells of a carrier compute together, on several threads, before a step of a slot.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "nr-channel-fetch.h"
#include "nr-workers.h"

namespace edgelam::nr {

/// Channels, and then what follows from them. Nothing depends on the number of threads: a part changes only what is its
/// own, and channels do not change while parts are done.
class SlotWork {
  public:
    SlotWork() = default;
    SlotWork(const SlotWork&) = delete;
    SlotWork& operator=(const SlotWork&) = delete;

    /// Work on these threads, unless others that are more have been named.
    void Use(const std::shared_ptr<Workers>& workers);
    /// Channels that are computed first.
    ChannelFetch& Channels() { return m_channels; }
    /// Add a part that takes channels of this link, all of which are fetched before.
    void Add(ChannelLink& link, std::function<void()> part);
    /// Add a part that may ask this link for more, which only this part does.
    void AddAsking(ChannelLink& link, std::function<void()> part);
    /// Add a part that takes any channels. These are done one after the other, after the channels and before the other
    /// parts.
    void AddAlone(std::function<void()> part) { m_alone.push_back(std::move(part)); }
    /// Do it all. To be called once.
    void Run();

  private:
    std::shared_ptr<Workers> m_workers;
    ChannelFetch m_channels;
    HeldLinks m_frozen;
    std::vector<ChannelLink*> m_links; ///< of parts that ask for nothing more
    std::vector<std::function<void()>> m_parts, m_alone;
};

} // namespace edgelam::nr
