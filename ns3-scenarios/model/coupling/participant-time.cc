// SPDX-License-Identifier: GPL-2.0-only
#include "participant-time.h"

#include "ns3/log.h"
#include "ns3/simulator.h"

NS_LOG_COMPONENT_DEFINE("EdgelamParticipantTime");

namespace edgelam {

namespace {

std::int64_t warmUp = 0; ///< ns; one, as ns-3 has one simulator

} // namespace

std::int64_t NowNs() {
    return ParticipantNs(ns3::Simulator::Now().GetNanoSeconds());
}

std::int64_t ParticipantNs(std::int64_t simulatorNs) {
    return simulatorNs - warmUp;
}

void SetWarmUpNs(std::int64_t warmUpNs) {
    NS_LOG_INFO("time 0 of the participants is " << warmUpNs << " ns of the simulator");
    warmUp = warmUpNs;
}

} // namespace edgelam
