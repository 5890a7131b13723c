// SPDX-License-Identifier: GPL-2.0-only
#include "nr-channel-fetch.h"

#include <algorithm>
#include <functional>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrChannelFetch");

namespace edgelam::nr {

bool ChannelFetch::Wanted::IsKept() const {
    return ue ? link->HasEffectiveChannel(Direction::Downlink, *ue, *gnb, *offsetsHz)
              : link->HasKeptResponse(*offsetsHz, times);
}

void ChannelFetch::Wanted::Get() const {
    if (ue) {
        link->GetEffectiveChannel(Direction::Downlink, *ue, *gnb, *offsetsHz);
    } else {
        *out = &link->GetKeptResponse(*offsetsHz, times);
    }
}

void ChannelFetch::Add(ChannelLink& link, const PortWeights& ue, const PortWeights& gnb,
                       const std::vector<double>& offsetsHz) {
    Add({&link, &ue, &gnb, &offsetsHz, 1, nullptr});
}

void ChannelFetch::Add(ChannelLink& link, const std::vector<double>& offsetsHz, double times, const Values** out) {
    Add({&link, nullptr, nullptr, &offsetsHz, times, out});
}

void ChannelFetch::Add(const Wanted& wanted) {
    if (!wanted.link->CanBeHeld() || wanted.IsKept()) {
        wanted.Get();
    } else {
        m_held.Hold(*wanted.link, &m_undrawn);
        m_wanted.push_back(wanted);
    }
}

void ChannelFetch::Run(Workers& workers) {
    m_arrays.reset();
    if (m_wanted.empty()) {
        return;
    }
    std::ranges::sort(m_undrawn); // links of one site share them
    const auto again = std::ranges::unique(m_undrawn);
    m_undrawn.erase(again.begin(), again.end());
    workers.Run(m_undrawn.size(), [this](std::size_t i) { m_undrawn[i]->Draw(); });
    std::ranges::stable_sort(m_wanted, std::less<>(), &Wanted::link);
    std::vector<std::size_t> begin; // of each link
    for (std::size_t i = 0; i < m_wanted.size(); ++i) {
        if (i == 0 || m_wanted[i].link != m_wanted[i - 1].link) {
            begin.push_back(i);
        }
    }
    begin.push_back(m_wanted.size());
    NS_LOG_LOGIC(m_wanted.size() << " channels of " << begin.size() - 1 << " links");
    workers.Run(begin.size() - 1, [&](std::size_t link) {
        for (std::size_t i = begin[link]; i < begin[link + 1]; ++i) {
            m_wanted[i].Get();
        }
    });
    m_held.Release();
}

} // namespace edgelam::nr
