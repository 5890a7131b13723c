// SPDX-License-Identifier: GPL-2.0-only
#include "nr-radio-link.h"

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrRadioLink");

namespace edgelam::nr {

void RadioLink::Advance(std::uint64_t slot) {
    if (m_state == State::Failing && slot >= m_expiry) {
        Fail(m_expiry);
    }
    if (m_state == State::Failed && slot >= m_expiry) {
        NS_LOG_INFO("slot " << slot << ": T311 has run out, the connection is released");
        m_release = true;
        m_expiry = slot + m_timers.t311;
    }
}

void RadioLink::Indicate(Sync sync, std::uint64_t slot) {
    Advance(slot);
    m_out = sync == Sync::Out ? m_out + 1 : sync == Sync::In ? 0 : m_out;
    m_in = sync == Sync::In ? m_in + 1 : sync == Sync::Out ? 0 : m_in;
    if (m_state == State::Connected && m_out >= m_timers.n310) {
        NS_LOG_INFO("slot " << slot << ": out of sync, T310 runs");
        m_state = State::Failing;
        m_expiry = slot + m_timers.t310;
        Advance(slot); // it may be 0
    } else if ((m_state == State::Failing && m_in >= m_timers.n311) || (m_state == State::Failed && m_in > 0)) {
        NS_LOG_INFO("slot " << slot << ": in sync again");
        m_state = State::Connected;
    }
}

void RadioLink::Fail(std::uint64_t slot) {
    NS_LOG_INFO("slot " << slot << ": radio link failure");
    m_state = State::Failed;
    m_out = m_in = 0;
    m_expiry = slot + m_timers.t311;
}

void RadioLink::Resume(std::uint64_t slot) {
    Advance(slot);
    m_release = false;
    if (m_state == State::Failed) {
        m_expiry = slot + m_timers.t311;
    }
}

} // namespace edgelam::nr
