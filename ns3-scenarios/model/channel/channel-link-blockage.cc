// SPDX-License-Identifier: GPL-2.0-only
// What bodies take from the rays of a link.
#include "blockage.h"
#include "channel-link.h"
#include "radio-channel.h"

namespace edgelam {

double ChannelLink::GetDirectBlockage() {
    RefreshLargeScale();
    double left = 1;
    for (const auto& screen : m_channel.m_screens) {
        left *= DirectBlockage(screen, m_utPlace, m_bsPlace, m_channel.GetWavelengthM());
    }
    return left;
}

/// Screens are where they really are, so that an image of the site is elsewhere for them.
void ChannelLink::Block(const Part& part, RayWindow& window) const {
    const double wavelength = m_channel.GetWavelengthM();
    std::vector<float> left(window.numRays());
    for (std::size_t ray = 0; ray < left.size(); ++ray) {
        double amplitude = 1;
        const ns3::Vector arrival = window.Arrival(ray);
        for (const auto& screen : m_channel.m_screens) {
            amplitude *= part.direct ? DirectBlockage(screen, m_utPlace, m_bsPlace + part.shift, wavelength)
                                     : PathBlockage(screen, m_utPlace, arrival, wavelength);
        }
        left[ray] = static_cast<float>(amplitude);
    }
    window.Block(std::move(left));
}

} // namespace edgelam
