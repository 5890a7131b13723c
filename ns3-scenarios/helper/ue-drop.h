// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What is around each UE of a drop: a building and its floor, a car, or nothing (TR 38.901 7.2 and 7.4.3; TR 37.910).
///
///     edgelam::UeDrop drop;
///     drop.AddOptions(scenario.options());               // --indoorFraction, --mostFloors, --carFraction, ...
///     ...
///     drop.Apply(channelAttributes);                     // before the channel is made
///     auto ue = drop.Draw(layout, cell, seed, number);   // for each UE: ue.x, ue.z, ue.car_db, ...
///     drop.Apply(*channel, mobility, ue);
#pragma once

#include <cstdint>
#include <string>

#include "ns3/mobility-model.h"

#include "attribute-values.h"
#include "edgelam/bridge/schema.h"
#include "named-random.h"
#include "options.h"
#include "radio-channel.h"
#include "site-layout.h"

namespace edgelam {

/// One UE of a drop.
struct DroppedUe {
    double x, y, z;         ///< m
    std::uint32_t indoor;   ///< 1: in a building, wherever it goes; 0: outdoors, or as its place is
    std::uint32_t floor;    ///< 1: the ground floor
    std::uint32_t building; ///< outer walls: 0 low loss, 1 high loss, 2 the 20 dB of TR 38.901 table 7.4.3-3
    std::uint32_t car;      ///< 1: in a car
    double way_in_m;        ///< way inside the building on the ground (d_2D-in)
    double deviation;       ///< of the building's loss from its mean, in standard deviations
    double car_db;          ///< loss of its car; 0: in none
};
EDGELAM_MESSAGE(DroppedUe, x, y, z, indoor, floor, building, car, way_in_m, deviation, car_db)

/// The defaults that differ between scenarios.
struct UeDropDefaults {
    double indoorFraction = 0;
    std::string building = "low", wayIn = "least-of-two";
    double heightM = 1.5, leastDistanceM = 10, carFraction = 0;
};

/// The options of the section "UEs and buildings", and the draws that follow from them.
class UeDrop {
  public:
    explicit UeDrop(const UeDropDefaults& defaults = {});
    void AddOptions(Options& options);
    /// Only those of cars, where UEs are on a road.
    void AddCarOptions(Options& options);

    /// A seed for everything that is drawn for UEs: the same in all scenarios with the same --seed and --runNumber.
    static std::uint64_t Seed();

    /// Give a channel that is to be made what it must know. Throws std::invalid_argument, with the options, for
    /// settings that do not go together.
    void Apply(AttributeValues& channel) const;
    /// The surroundings and the height of a UE; its place on the ground is left to the caller. The same numbers are
    /// drawn whatever the options are.
    DroppedUe Draw(NamedRandom& random) const;
    /// The same for a UE in the area of a cell. \param seed of everything that is drawn for UEs: each UE and purpose
    /// has numbers of its own, so that no option moves what it does not name
    DroppedUe Draw(const SiteLayout& layout, std::uint32_t cell, std::uint64_t seed, std::uint32_t ue) const;
    /// Give the UE its surroundings.
    void Apply(RadioChannel& channel, ns3::Ptr<ns3::MobilityModel> ue, const DroppedUe& dropped) const;
    double LeastDistanceM() const { return m_leastDistanceM; }
    /// Above a UE's floor.
    double HeightM() const { return m_heightM; }

  private:
    std::string m_indoor = "ue", m_building, m_wayIn;
    double m_indoorFraction, m_highFraction = 0.5, m_longestWayM = 25, m_heightM, m_leastDistanceM;
    std::uint32_t m_leastFloors = 1, m_mostFloors = 1;
    double m_carFraction, m_carLossDb = 9, m_carDeviationDb = 5;
};

} // namespace edgelam
