// SPDX-License-Identifier: GPL-2.0-only
#include "nr-slot-work.h"

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrSlotWork");

namespace edgelam::nr {

void SlotWork::Use(const std::shared_ptr<Workers>& workers) {
    if (!m_workers || m_workers->NumThreads() < workers->NumThreads()) {
        m_workers = workers;
    }
}

void SlotWork::Add(ChannelLink& link, std::function<void()> part) {
    m_links.push_back(&link);
    m_parts.push_back(std::move(part));
}

void SlotWork::AddAsking(ChannelLink& link, std::function<void()> part) {
    m_channels.Hold(link);
    m_parts.push_back(std::move(part));
}

void SlotWork::Run() {
    if (!m_workers) { // nothing has been added
        return;
    }
    m_channels.Run(*m_workers);
    for (const auto& part : m_alone) {
        part();
    }
    NS_LOG_LOGIC(m_parts.size() << " parts");
    for (auto* link : m_links) {
        m_frozen.Freeze(*link);
    }
    m_workers->Run(m_parts.size(), [this](std::size_t i) { m_parts[i](); });
    m_frozen.Release();
    m_channels.Release();
}

} // namespace edgelam::nr
