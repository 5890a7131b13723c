// SPDX-License-Identifier: GPL-2.0-only
#include "nr-beam-turns.h"

#include <algorithm>
#include <map>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrBeamTurns");

namespace edgelam::nr {

namespace {

/// The higher, the more urgent.
unsigned ClassOf(const Candidate& candidate) {
    constexpr unsigned guaranteed = 8, signalling = guaranteed + 128; // above 8 priorities, and 127 levels
    return candidate.signallingBytes > 0   ? signalling
           : candidate.guaranteedBytes > 0 ? guaranteed + 127U - candidate.level
                                           : candidate.priority;
}

} // namespace

std::uint32_t BeamTurns::Choose(const SchedulingRequest& request, const Scheduler& scheduler,
                                const std::function<std::uint32_t(std::uint32_t ue)>& beamOf) {
    struct Served {
        std::vector<Candidate> candidates;
        std::vector<std::uint64_t> waited;
        unsigned most = 0; ///< of the classes of traffic
    };
    std::map<std::uint32_t, Served> beams;
    for (const auto& candidate : request.candidates) {
        m_waited.resize(std::max<std::size_t>(m_waited.size(), candidate.ue + 1));
        Served& beam = beams[beamOf(candidate.ue)];
        beam.candidates.push_back(candidate);
        beam.waited.push_back(++m_waited[candidate.ue]);
        beam.most = std::max(beam.most, ClassOf(candidate));
    }
    const Served* best = nullptr;
    std::uint32_t chosen = 0;
    double largest = 0;
    for (const auto& [beam, served] : beams) {
        SchedulingRequest part = request;
        part.candidates = served.candidates;
        const double claim = scheduler.ClaimOfBeam(part, served.waited);
        if (best == nullptr || served.most > best->most || (served.most == best->most && claim > largest)) {
            best = &served;
            chosen = beam;
            largest = claim;
        }
    }
    for (std::size_t i = 0; best != nullptr && i < best->candidates.size(); ++i) {
        m_waited[best->candidates[i].ue] = 0;
    }
    NS_LOG_LOGIC("slot " << request.slot << ": beam " << chosen << " of " << beams.size());
    return chosen;
}

} // namespace edgelam::nr
