// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Bodies that go about and block rays: options, ways, and what participants see and set.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ns3/ptr.h"
#include "ns3/rectangle.h"
#include "ns3/vector.h"

#include "nr-helper.h"
#include "options.h"
#include "radio-channel.h"
#include "registry.h"

namespace edgelam {

/// Upright screens on the floor (blockage model B of TR 38.901 7.6.4.2, whose default for people is 0.3 m x 1.7 m at 3
/// km/h), which go straight on and turn round at the edges of an area. The channel sees them where they were at the
/// last of their steps.
///
/// Publishes
///
///     blocker_position         m [blocker, xy]: of the middle of each screen
///     direct_blockage_db       dB [ue]: what they take from the straight line between UE and gNB
///
/// and takes the control blocker_position [blocker, xy]: each goes on from there.
class Blockers {
  public:
    /// \param count the default of --blockers
    explicit Blockers(std::uint32_t count) : m_count(count) {}

    void AddOptions(Options& options);
    /// Before the first UE. \return streams used, 1
    std::int64_t Install(const ns3::Ptr<RadioChannel>& channel, const ns3::Rectangle& area, std::int64_t stream);
    /// After the last UE. This and the helper must live as long as the run.
    void Start(Registry& registry, const NrHelper& helper);

  private:
    struct Way {
        ns3::Vector2D from, velocity; ///< at the time `sinceS`
        double sinceS = 0;
    };
    ns3::Vector2D PlaceOf(const Way& way) const;
    void Step();
    void Walk();
    std::string SetPlaces(const std::vector<double>& xy);

    std::uint32_t m_count;
    double m_widthM = 0.3, m_heightM = 1.7, m_speedMps = 3 / 3.6, m_stepS = 0.01;
    ns3::Ptr<RadioChannel> m_channel;
    ns3::Rectangle m_area;
    std::vector<Way> m_ways;
};

} // namespace edgelam
