// SPDX-License-Identifier: GPL-2.0-only
#include "nr-external-selection.h"

#include <algorithm>
#include <bit>

#include "ns3/log.h"

#include "nr-external-beamformer.h"

NS_LOG_COMPONENT_DEFINE("NrExternalSelection");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(ExternalSelection);

ns3::TypeId ExternalSelection::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::ExternalSelection")
                                       .SetParent<UserSelection>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<ExternalSelection>();
    return tid;
}

void ExternalSelection::Select(const SelectionRequest& request, Allocation& allocation, std::vector<unsigned>& layers) {
    const auto& beamformer = dynamic_cast<const ExternalBeamformer&>(request.beamformer);
    const auto& candidates = request.slot.candidates;
    const std::size_t count = request.ues.size();
    const auto sizeOf = [](std::uint32_t groups) { return static_cast<std::uint32_t>(std::popcount(groups)); };
    std::vector<std::uint32_t> granted(count), given(count); // groups as bits: by the scheduler, and with weights
    for (std::uint32_t g = 0; g < allocation.size(); ++g) {
        for (const auto c : allocation[g]) {
            granted[c] |= 1U << g;
        }
        allocation[g].clear();
    }
    std::uint32_t taken = 0; // by those who are alone
    std::vector<bool> member(count);
    for (std::size_t c = 0; c < count; ++c) {
        const SelectableUe& each = request.ues[c];
        const std::uint32_t fixed = candidates[c].fixedGroups;
        if (candidates[c].multicast) {
            taken |= granted[c];
            continue;
        }
        if (const unsigned own = beamformer.GivenLayers(each.ue); own > 0 && fixed == 0) {
            layers[c] = own;
        }
        given[c] = beamformer.GivenGroups(each.ue, layers[c]);
        member[c] = each.state && given[c] != 0 && sizeOf(given[c]) >= fixed;
        if (!each.state && given[c] != 0) { // under a cap: what the scheduler gave, where it has weights
            granted[c] &= given[c];
            granted[c] = sizeOf(granted[c]) < fixed ? 0 : granted[c];
        }
        if (!member[c] && (fixed > 0 || !each.state)) {
            taken |= granted[c];
        }
    }
    ControlRoom room = request.slot.room;
    std::uint32_t shared = 0;
    ++m_first;
    for (std::size_t k = 0; k < count; ++k) {
        const std::size_t c = (m_first + k) % count;
        if (!member[c]) {
            continue;
        }
        const std::uint32_t fixed = candidates[c].fixedGroups;
        std::uint32_t groups = given[c] & ~taken;
        if (groups == 0 || sizeOf(groups) < fixed || (granted[c] == 0 && !room.Fits(candidates[c]))) {
            granted[c] = 0;
            continue;
        }
        if (granted[c] == 0) {
            room.Take(candidates[c]);
        }
        while (fixed > 0 && sizeOf(groups) > fixed) { // without the last
            groups &= ~std::bit_floor(groups);
        }
        granted[c] = groups;
        shared |= groups;
    }
    for (std::uint32_t c = 0; c < count; ++c) {
        const bool waits = !member[c] && (granted[c] & ~taken) != 0; // no weights: what the others leave over
        const std::uint32_t groups = waits ? granted[c] & ~shared & ~taken : granted[c];
        for (std::uint32_t g = 0; groups >> g != 0; ++g) {
            if ((groups >> g & 1U) != 0) {
                allocation[g].push_back(c);
            }
        }
    }
    NS_LOG_LOGIC("slot " << request.slot.slot << ": " << sizeOf(shared) << " groups with weights from outside");
}

} // namespace edgelam::nr
