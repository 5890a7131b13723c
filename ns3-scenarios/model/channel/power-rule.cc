// SPDX-License-Identifier: GPL-2.0-only
#include "power-rule.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace edgelam {

const std::vector<std::string>& PowerRule::Names() {
    static const std::vector<std::string> names{"strongest", "rays", "mean", "direction"};
    return names;
}

PowerRule::PowerRule(const std::string& name, unsigned rayCells)
    : m_gain(name == "rays"        ? AntennaGain::Rays
             : name == "direction" ? AntennaGain::Direction
                                   : AntennaGain::Mean),
      m_rayCells(name == "strongest" ? rayCells : 0) {
    if (std::find(Names().begin(), Names().end(), name) == Names().end()) {
        throw std::invalid_argument("received power '" + name + "'; legal are strongest, rays, mean, direction");
    }
}

std::vector<double> PowerRule::Gains(std::span<const ns3::Ptr<ChannelLink>> links,
                                     std::span<const double> powers) const {
    std::vector<double> gains(links.size());
    std::transform(links.begin(), links.end(), gains.begin(),
                   [&](const auto& link) { return link->GetPortGain(m_gain); });
    std::vector<std::size_t> order(links.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return gains[a] * powers[a] > gains[b] * powers[b]; });
    order.resize(std::min<std::size_t>(m_rayCells, order.size()));
    std::sort(order.begin(), order.end());
    for (const std::size_t i : order) {
        gains[i] = links[i]->GetPortGain(AntennaGain::Rays);
    }
    return gains;
}

} // namespace edgelam
