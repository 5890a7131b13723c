// SPDX-License-Identifier: GPL-2.0-only
#include "nr-channel-fetch.h"

#include <algorithm>
#include <functional>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrChannelFetch");

namespace edgelam::nr {

const ChannelFetch::Values* ChannelFetch::Wanted::Find() const {
    return ue ? link->FindEffectiveChannel(Direction::Downlink, *ue, *gnb, *offsetsHz)
              : link->FindKeptResponse(*offsetsHz, times);
}

const ChannelFetch::Values* ChannelFetch::Wanted::Get() const {
    return ue ? &link->GetEffectiveChannel(Direction::Downlink, *ue, *gnb, *offsetsHz)
              : &link->GetKeptResponse(*offsetsHz, times);
}

void ChannelFetch::Add(ChannelLink& link, const PortWeights& ue, const PortWeights& gnb,
                       const std::vector<double>& offsetsHz) {
    Add({&link, &ue, &gnb, &offsetsHz, 1, nullptr});
}

void ChannelFetch::Add(ChannelLink& link, const std::vector<double>& offsetsHz, double times, const Values** out) {
    Add({&link, nullptr, nullptr, &offsetsHz, times, out});
}

void ChannelFetch::Add(const Wanted& wanted) {
    const Values* known = wanted.link->CanBeHeld() ? wanted.Find() : wanted.Get();
    if (known && wanted.out) {
        *wanted.out = known;
    } else if (!known) {
        m_held.Hold(*wanted.link);
        m_wanted.push_back(wanted);
    }
}

void ChannelFetch::Run(Workers& workers) {
    m_arrays.reset();
    struct Part {
        ChannelLink* link;
        std::size_t begin, end; ///< in m_wanted
        bool waits = false;     ///< for drops
    };
    std::vector<Part> parts;
    std::ranges::stable_sort(m_wanted, std::less<>(), &Wanted::link);
    auto links = m_held.All();
    std::ranges::sort(links);
    const auto again = std::ranges::unique(links);
    links.erase(again.begin(), again.end());
    for (std::size_t i = 0; auto* link : links) {
        const std::size_t begin = i;
        while (i < m_wanted.size() && m_wanted[i].link == link) {
            ++i;
        }
        parts.push_back({link, begin, i});
    }
    NS_LOG_LOGIC(m_wanted.size() << " channels of " << parts.size() << " links");
    const auto get = [this](const Part& part) {
        for (std::size_t i = part.begin; i < part.end; ++i) {
            const Values* values = m_wanted[i].Get();
            if (m_wanted[i].out) {
                *m_wanted[i].out = values;
            }
        }
    };
    workers.Run(parts.size(), [&](std::size_t i) {
        parts[i].link->Place();
        parts[i].waits = parts[i].link->LacksDrops();
        if (!parts[i].waits) {
            get(parts[i]);
        }
    });
    std::erase_if(parts, [](const Part& part) { return !part.waits; });
    if (parts.empty()) {
        return;
    }
    std::vector<std::shared_ptr<ClusterDrop>> undrawn;
    for (auto* link : m_held.All()) {
        if (link->LacksDrops()) {
            link->TakeDrops(undrawn);
        }
    }
    std::ranges::sort(undrawn); // links of one site share them
    const auto same = std::ranges::unique(undrawn);
    undrawn.erase(same.begin(), same.end());
    workers.Run(undrawn.size(), [&](std::size_t i) { undrawn[i]->Draw(); });
    workers.Run(parts.size(), [&](std::size_t i) { get(parts[i]); });
}

} // namespace edgelam::nr
