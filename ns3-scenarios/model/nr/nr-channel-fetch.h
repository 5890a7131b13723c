// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The channels that a step of work takes, computed on several threads before it begins.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "channel-link.h"
#include "nr-workers.h"

namespace edgelam::nr {

/// Holds or freezes links (ChannelLink::Hold, Freeze) until the end of its life.
class HeldLinks {
  public:
    HeldLinks() = default;
    ~HeldLinks() { Release(); }
    HeldLinks(const HeldLinks&) = delete;
    HeldLinks& operator=(const HeldLinks&) = delete;
    void Hold(ChannelLink& link) {
        link.Hold();
        m_links.push_back(&link);
    }
    void Freeze(ChannelLink& link) {
        link.Freeze();
        m_links.push_back(&link);
    }
    void Release() {
        for (auto* link : m_links) {
            link->Release();
        }
        m_links.clear();
    }
    const std::vector<ChannelLink*>& All() const { return m_links; } ///< in the order of the calls

  private:
    std::vector<ChannelLink*> m_links;
};

/// A list of channels from a gNB to a UE, whose links are held until Release or the end of its life. Nothing depends on
/// the number of threads: each link is asked for what it is asked for here, in this order, by one thread.
class ChannelFetch {
  public:
    using Values = std::vector<std::complex<float>>;

    /// Its own number, above 0.
    std::uint64_t Id() const { return m_id; }

    /// Add GetEffectiveChannel, which the link keeps; all arguments are used until Run.
    void Add(ChannelLink& link, const PortWeights& ue, const PortWeights& gnb, const std::vector<double>& offsetsHz);
    /// Add GetKeptResponse. \param out where to put the place of the result
    void Add(ChannelLink& link, const std::vector<double>& offsetsHz, double times, const Values** out);
    /// Hold a link, of which no channel is named here.
    void Hold(ChannelLink& link) { m_held.Hold(link); }
    /// Compute all that have been added. To be called once.
    void Run(Workers& workers);
    /// Links that have been added or held may have moved on: before that, nothing looks where they are.
    void Release() { m_held.Release(); }

  private:
    struct Wanted {
        ChannelLink* link;
        const PortWeights *ue, *gnb; ///< null: GetKeptResponse
        const std::vector<double>* offsetsHz;
        double times;
        const Values** out;
        const Values* Find() const; ///< null: it is not kept
        const Values* Get() const;
    };
    void Add(const Wanted& wanted);
    static inline std::uint64_t m_last = 0;
    std::uint64_t m_id = ++m_last;
    HeldLinks m_held;
    std::vector<Wanted> m_wanted;
    std::optional<UnchangedArrays> m_arrays{std::in_place}; ///< until Run
};

} // namespace edgelam::nr
