// SPDX-License-Identifier: GPL-2.0-only
#include "nr-channel-fetch.h"

#include <algorithm>
#include <functional>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrChannelFetch");

namespace edgelam::nr {

void ChannelFetch::Wanted::Get() const {
    const Values& values = link->GetEffectiveChannel(Direction::Downlink, *ue, *gnb, *offsetsHz);
    if (out) {
        *out = &values;
    }
}

void ChannelFetch::Add(ChannelLink& link, const PortWeights& ue, const PortWeights& gnb,
                       const std::vector<double>& offsetsHz, const Values** out) {
    const Wanted wanted{&link, &ue, &gnb, &offsetsHz, out};
    if (!link.CanBeHeld() || link.HasEffectiveChannel(Direction::Downlink, ue, gnb, offsetsHz)) {
        wanted.Get();
    } else {
        m_held.Hold(link);
        m_wanted.push_back(wanted);
    }
}

void ChannelFetch::Run() {
    if (m_wanted.empty()) {
        return;
    }
    std::ranges::stable_sort(m_wanted, std::less<>(), &Wanted::link);
    std::vector<std::size_t> begin; // of each link
    for (std::size_t i = 0; i < m_wanted.size(); ++i) {
        if (i == 0 || m_wanted[i].link != m_wanted[i - 1].link) {
            begin.push_back(i);
        }
    }
    begin.push_back(m_wanted.size());
    NS_LOG_LOGIC(m_wanted.size() << " channels of " << begin.size() - 1 << " links");
    m_workers.Run(begin.size() - 1, [&](std::size_t link) {
        for (std::size_t i = begin[link]; i < begin[link + 1]; ++i) {
            m_wanted[i].Get();
        }
    });
    m_held.Release();
}

} // namespace edgelam::nr
