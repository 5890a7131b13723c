// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One UE's link with a beamformer, as a cell makes it.
#pragma once

#include "channel-testbed.h"
#include "nr-ue-link.h"

namespace edgelam::test {

/// \param samplesPerGroup of `offsets`
inline nr::UeLink MakeUeLink(const ns3::Ptr<ChannelLink>& link, const ns3::Ptr<nr::Beamformer>& beamformer,
                             const std::vector<double>& offsets, unsigned uplinkLayers = 1,
                             std::size_t samplesPerGroup = 1, std::uint32_t ue = 0) {
    std::vector<double> centres;
    for (std::size_t g = 0; g < offsets.size(); g += samplesPerGroup) {
        centres.push_back((offsets[g] + offsets[g + samplesPerGroup - 1]) / 2);
    }
    return {ue, nr::PhyLink(link, offsets, uplinkLayers), beamformer, centres};
}

} // namespace edgelam::test
