// SPDX-License-Identifier: GPL-2.0-only
#include "nr-scheduler.h"

#include <numeric>
#include <stdexcept>

#include "ns3/log.h"

#include "nr-component.h"

NS_LOG_COMPONENT_DEFINE("NrScheduler");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(Scheduler);

ns3::TypeId Scheduler::GetTypeId() {
    static const ns3::TypeId tid =
        ns3::TypeId("edgelam::nr::Scheduler").SetParent<ns3::Object>().SetGroupName("Edgelam");
    return tid;
}

double Scheduler::ClaimOfBeam(const SchedulingRequest&, std::span<const std::uint64_t> waited) const {
    return static_cast<double>(std::accumulate(waited.begin(), waited.end(), std::uint64_t{0}));
}

ns3::Ptr<Scheduler> Scheduler::Make(const std::string& name) {
    constexpr ShortName names[] = {{"rr", "edgelam::nr::RoundRobinScheduler"},
                                   {"pf", "edgelam::nr::ProportionalFairScheduler"},
                                   {"max-rate", "edgelam::nr::MaxRateScheduler"},
                                   {"external", "edgelam::nr::ExternalScheduler"}};
    return MakeComponent<Scheduler>("scheduler", name, names);
}

void CheckAllocation(const ns3::Object& maker, const SchedulingRequest& request, const Allocation& allocation,
                     std::vector<Granted>& granted) {
    const auto refuse = [&](const std::string& what) {
        throw std::logic_error("NR cell: " + maker.GetInstanceTypeId().GetName() + " " + what);
    };
    const auto in = [](std::uint32_t group) { return " in resource block group " + std::to_string(group); };
    const auto& candidates = request.candidates;
    if (allocation.size() != request.numGroups) {
        refuse("gives " + std::to_string(allocation.size()) + " resource block groups; there are " +
               std::to_string(request.numGroups));
    }
    granted.assign(candidates.size(), {});
    for (std::uint32_t g = 0; g < allocation.size(); ++g) {
        for (const auto c : allocation[g]) {
            if (c >= candidates.size()) {
                refuse("names candidate " + std::to_string(c) + in(g) + "; legal are 0 to " +
                       std::to_string(candidates.size() - 1));
            }
            Granted& given = granted[c];
            if (given.count > 0 && given.last == g) {
                refuse("names candidate " + std::to_string(c) + in(g) + " twice");
            }
            if (candidates[c].multicast && allocation[g].size() > 1) {
                refuse("puts a multicast group and somebody else" + in(g));
            }
            given.first = given.count == 0 ? g : given.first;
            given.last = g;
            ++given.count;
        }
    }
    for (std::size_t c = 0; c < candidates.size(); ++c) {
        const auto& [count, first, last] = granted[c];
        const auto fixed = candidates[c].fixedGroups;
        if (count == 0) {
            NS_LOG_LOGIC("slot " << request.slot << (request.direction == Direction::Downlink ? " downlink" : " uplink")
                                 << ": " << candidates[c].ue << " gets nothing and waits with "
                                 << candidates[c].wantedBytes << " bytes");
        }
        const auto who = [&] { return "UE " + std::to_string(candidates[c].ue); };
        if (fixed > 0 && count != 0 && count != fixed) {
            refuse("gives the retransmission of " + who() + " " + std::to_string(count) +
                   " resource block groups; legal are " + std::to_string(fixed) + " or none");
        }
        if (request.direction == Direction::Uplink && count > 0 && last - first + 1 != count) {
            refuse("gives " + who() + " uplink resource block groups that do not lie side by side");
        }
    }
}

} // namespace edgelam::nr
