// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Which gains of antennas the mean received powers of a network are taken with.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "channel-link.h"

namespace edgelam {

/// How strong base stations are at a user on average, as RSRP and all that follows from it need it.
class PowerRule {
  public:
    /// rays, mean and direction are those of AntennaGain. With `strongest`, the strongest base stations by their mean
    /// gain have that of their rays, and the others the mean.
    static const std::vector<std::string>& Names();

    /// \param name one of Names; throws std::invalid_argument, with the legal ones, for another
    /// \param rayCells with `strongest`: how many have rays
    explicit PowerRule(const std::string& name = "strongest", unsigned rayCells = 9);

    /// ChannelLink::GetPortGain of the links of one user, at the present places; links of one site one after another
    /// share what is drawn.
    /// \param powers transmit power of each link's base station, linear: which are the strongest
    std::vector<double> Gains(std::span<const ns3::Ptr<ChannelLink>> links, std::span<const double> powers) const;

  private:
    AntennaGain m_gain;
    unsigned m_rayCells; ///< of the strongest that are looked at again
};

} // namespace edgelam
