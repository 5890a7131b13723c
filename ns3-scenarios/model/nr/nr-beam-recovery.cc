// SPDX-License-Identifier: GPL-2.0-only
#include "nr-beam-recovery.h"

#include <utility>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrBeamRecovery");

namespace edgelam::nr {

bool BeamFailureCounter::Measure(bool bad) {
    if (!bad) {
        if (++m_good >= m_timer) {
            m_count = 0;
        }
        return false;
    }
    m_good = 0;
    return ++m_count == m_most;
}

BeamRecovery::BeamRecovery(const Carrier& carrier, ns3::Ptr<ns3::UniformRandomVariable> random,
                           std::function<void(std::uint32_t, double)> sent)
    : m_carrier(carrier), m_access({}, AccessOf(carrier, std::move(sent)), random) {}

BeamRecovery::Ue& BeamRecovery::Make(std::uint32_t ue) {
    while (m_ues.size() <= ue) {
        m_ues.push_back(
            {BeamFailureCounter(m_carrier.settings.beamFailureMaxCount, m_carrier.settings.beamFailureTimer)});
    }
    return m_ues[ue];
}

bool BeamRecovery::Measure(std::uint32_t number, bool bad, std::uint64_t slot) {
    Ue& ue = Make(number);
    if (ue.failed) {
        if (slot >= ue.failedSlot + m_carrier.SlotsOf(m_carrier.settings.beamRecoveryTimer)) {
            m_access.Release(number);
        }
        return false;
    }
    if (!ue.counter.Measure(bad)) {
        return false;
    }
    NS_LOG_INFO("slot " << slot << " UE " << number << ": beam failure");
    ue.failed = true;
    ue.failedSlot = slot;
    m_access.Reserve(number);
    return true;
}

void BeamRecovery::Seek(std::uint32_t ue, RandomAccessChannel::LossDb lossDb, std::function<void()> done,
                        std::function<void()> problem) {
    m_access.Start(ue, std::move(lossDb), [done = std::move(done)](unsigned) { done(); }, std::move(problem));
}

void BeamRecovery::Reset(std::uint32_t number) {
    Ue& ue = Make(number);
    ue.counter.Reset();
    ue.failed = false;
    m_access.Stop(number);
    m_access.Release(number);
}

} // namespace edgelam::nr
