// SPDX-License-Identifier: GPL-2.0-only
#include "nr-harq-entity.h"

#include <bit>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrHarqEntity");

namespace edgelam::nr {

unsigned HarqEntity::Next() const {
    return static_cast<unsigned>(std::countr_zero(m_retransmit != 0 ? m_retransmit : ~m_busy));
}

void HarqEntity::Begin(unsigned process) {
    m_processes[process].attempts = 0;
    m_busy |= 1U << process;
}

bool HarqEntity::TakeRetransmission(unsigned process) {
    const std::uint32_t bit = 1U << process;
    const bool retransmits = (m_retransmit & bit) != 0;
    m_retransmit &= ~bit;
    return retransmits;
}

bool HarqEntity::GiveUp() {
    const bool any = Retransmits();
    for (; m_retransmit != 0; m_retransmit &= m_retransmit - 1) {
        Finish(static_cast<unsigned>(std::countr_zero(m_retransmit)), false, 0);
    }
    return any;
}

void HarqEntity::Finish(unsigned process, bool decoded, unsigned maxTransmissions) {
    HarqProcess& each = m_processes[process];
    const std::uint32_t bit = 1U << process;
    if (decoded || each.attempts >= maxTransmissions) {
        NS_LOG_LOGIC("process " << process << (decoded ? " decoded" : " given up") << " after " << int(each.attempts));
        m_busy &= ~bit;
        each.pdus.clear();
        each.statuses.clear();
    } else {
        m_retransmit |= bit;
    }
}

} // namespace edgelam::nr
