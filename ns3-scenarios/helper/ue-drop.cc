// SPDX-License-Identifier: GPL-2.0-only
#include "ue-drop.h"

#include <algorithm>
#include <stdexcept>

#include "ns3/random-variable-stream.h"

namespace edgelam {

UeDrop::UeDrop(const UeDropDefaults& defaults)
    : m_building(defaults.building), m_wayIn(defaults.wayIn), m_indoorFraction(defaults.indoorFraction),
      m_heightM(defaults.heightM), m_leastDistanceM(defaults.leastDistanceM), m_carFraction(defaults.carFraction) {}

void UeDrop::AddOptions(Options& options) {
    options.Section("UEs and buildings");
    options.Real("minDistance", m_leastDistanceM, "m", "smallest distance of a UE from the antennas, on the ground", 0,
                 5000);
    options.Real("ueHeight", m_heightM, "m", "height of a UE above its floor", 0.5, 50);
    options.Choice("indoor", m_indoor,
                   "whether being indoors goes with the UE, which is drawn once; or with the place, with a soft state "
                   "that is correlated over 50 m",
                   {"ue", "place"});
    options.Real("indoorFraction", m_indoorFraction, "", "share of UEs, or of places, in a building", 0, 1);
    options.Choice("buildingLoss", m_building,
                   "outer walls: low or high loss (TR 38.901 table 7.4.3-2), mixed, or 20 dB (legacy, table 7.4.3-3)",
                   {"low", "high", "mixed", "legacy"});
    options.Real("highLossFraction", m_highFraction, "", "with mixed walls: share of buildings with high loss", 0, 1);
    options.Real("indoorDistance", m_longestWayM, "m", "longest way inside a building", 0, 1000);
    options.Choice("indoorDistanceLaw", m_wayIn,
                   "the way inside is the lesser of two uniform numbers up to the longest, or one uniform number",
                   {"least-of-two", "uniform"});
    options.Integer("leastFloors", m_leastFloors,
                    "floors of a building: uniform from this; a UE indoors is on any of them, 3 m apart", 1, 100);
    options.Integer("mostFloors", m_mostFloors, "floors of a building: uniform up to this", 1, 100);
    AddCarOptions(options);
}

void UeDrop::AddCarOptions(Options& options) {
    options.Real("carFraction", m_carFraction, "", "share of the UEs outdoors that are in a car (TR 38.901 7.4.3.2)", 0,
                 1);
    options.Real("carLoss", m_carLossDb, "dB", "mean loss of a car's body; 20 with metallised windows", 0, 60);
    options.Real("carLossDeviation", m_carDeviationDb, "dB", "standard deviation of it", 0, 20);
}

std::uint64_t UeDrop::Seed() {
    constexpr std::int64_t stream = 2; // of nothing else: the cells of a network draw from streams from 3 on
    const auto random = ns3::CreateObject<ns3::UniformRandomVariable>();
    random->SetStream(stream);
    const std::uint64_t high = random->GetInteger(0, 0xffffffffu - 1);
    return high << 32 | random->GetInteger(0, 0xffffffffu - 1);
}

void UeDrop::Apply(AttributeValues& channel) const {
    if (m_leastFloors > m_mostFloors) {
        throw std::invalid_argument("option --leastFloors=" + std::to_string(m_leastFloors) +
                                    " is not legal: it takes at most --mostFloors, " + std::to_string(m_mostFloors));
    }
    if (m_indoor == "ue") {
        return;
    }
    if (m_building == "mixed" || m_mostFloors > 1 || m_carFraction > 0) {
        throw std::invalid_argument(
            "option --indoor=place is not legal with --buildingLoss=mixed, floors or cars, which "
            "go with the UE; use --indoor=ue");
    }
    channel.Set("IndoorFraction", m_indoorFraction);
    channel.Set("BuildingLoss", std::string(m_building == "low" ? "Low" : m_building == "high" ? "High" : "Legacy"));
}

DroppedUe UeDrop::Draw(NamedRandom& random) const {
    const double indoor = random.Uniform(), high = random.Uniform(), floors = random.Uniform(), at = random.Uniform();
    const double first = random.Uniform(), second = random.Uniform(), car = random.Uniform();
    const double deviation = random.Normal(), carDeviation = random.Normal();
    DroppedUe ue{};
    ue.floor = 1;
    ue.z = m_heightM;
    if (m_indoor == "place") {
        return ue;
    }
    if (indoor < m_indoorFraction) {
        ue.indoor = 1;
        ue.building =
            m_building == "legacy" ? 2 : m_building == "high" || (m_building == "mixed" && high < m_highFraction);
        const auto count = m_leastFloors + static_cast<std::uint32_t>(floors * (m_mostFloors - m_leastFloors + 1));
        ue.floor = 1 + static_cast<std::uint32_t>(at * count);
        ue.z += 3.0 * (ue.floor - 1);
        ue.way_in_m = m_longestWayM * (m_wayIn == "uniform" ? first : std::min(first, second));
        ue.deviation = deviation;
    } else if (car < m_carFraction) {
        ue.car = 1;
        ue.car_db = std::max(0.0, m_carLossDb + m_carDeviationDb * carDeviation);
    }
    return ue;
}

DroppedUe UeDrop::Draw(const SiteLayout& layout, std::uint32_t cell, std::uint64_t seed, std::uint32_t ue) const {
    NamedRandom ground(seed, {1, ue}), around(seed, {2, ue});
    DroppedUe drawn = Draw(around);
    const ns3::Vector at = layout.Drop(cell, m_leastDistanceM, ground);
    drawn.x = at.x;
    drawn.y = at.y;
    return drawn;
}

void UeDrop::Apply(RadioChannel& channel, ns3::Ptr<ns3::MobilityModel> ue, const DroppedUe& dropped) const {
    if (m_indoor == "place") {
        return;
    }
    static constexpr BuildingLoss walls[] = {BuildingLoss::Low, BuildingLoss::High, BuildingLoss::Legacy};
    channel.SetSurroundings(ue, {.indoor = dropped.indoor != 0,
                                 .wayInM = dropped.way_in_m,
                                 .building = walls[dropped.building],
                                 .deviation = dropped.deviation,
                                 .carDb = dropped.car_db});
}

} // namespace edgelam
