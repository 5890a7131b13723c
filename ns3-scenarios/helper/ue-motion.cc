// SPDX-License-Identifier: GPL-2.0-only
#include "ue-motion.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "ns3/random-variable-stream.h"
#include "ns3/simulator.h"

#include "participant-time.h"

namespace edgelam {

using ns3::Vector;

void UeMotion::AddOptions(Options& options, const std::string& ways) {
    m_kind = m_default = ways;
    options.Section("Motion");
    options.Choice("mobility", m_kind, "how UEs move: straight on, random waypoints, Manhattan grid, road along x",
                   {"straight", "waypoints", "grid", "road"});
    options.Text("mobilityFile", m_file, "file of ns-2 movements (as SUMO writes them) that UEs follow instead");
    options.Real("speedSpread", m_spread, "",
                 "on waypoints, grid and road: speeds are uniform within this part below and above --speed", 0, 0.9);
    options.Time("pause", m_longestPauseS, "longest pause at a waypoint; pauses are uniform from 0 on", 0, 3600);
    options.Real("block", m_blockM, "m", "distance of the grid's streets", 10, 10000);
}

std::int64_t UeMotion::AssignStreams(std::int64_t stream) {
    m_stream = stream;
    return 1;
}

void UeMotion::SetArea(Area area, std::uint32_t numUes, std::optional<double> speedMps) {
    m_area = std::move(area);
    m_wayMps = speedMps;
    if (!m_file.empty()) {
        if (m_kind != "straight" && m_kind != m_default) {
            throw std::invalid_argument("option --mobility=" + m_kind + " is not legal beside --mobilityFile");
        }
        const double height = m_area.middle.z;
        m_fileWays = ReadNs2Trace(
            m_file, numUes,
            {[&](const ns3::Vector2D& place) { return m_area.inside({place.x, place.y, height}); }, m_area.bounds},
            fastest_mps);
        return;
    }
    if (m_kind == "straight") {
        return;
    }
    auto random = ns3::CreateObject<ns3::UniformRandomVariable>();
    random->SetStream(m_stream);
    const auto seed = static_cast<std::uint64_t>(random->GetValue(0, 1) * 0x1p52);
    const WaySettings settings{m_area.bounds,   m_area.inside, m_spread,     fastest_mps,
                               m_longestPauseS, m_blockM,      m_area.lanesM};
    m_ways = m_kind == "waypoints" ? MakeRandomWaypoint(seed, settings)
             : m_kind == "grid"    ? MakeManhattanGrid(seed, settings)
                                   : MakeRoad(seed, settings);
}

void UeMotion::Add(ns3::Ptr<ns3::Node> node, const Vector& position, double speedMps, double heading) {
    auto mobility = ns3::CreateObject<ns3::ConstantVelocityMobilityModel>();
    node->AggregateObject(mobility);
    const auto number = static_cast<std::uint32_t>(m_ues.size());
    m_ues.push_back({mobility});
    if (m_ways) {
        m_ues.back().straight = false;
        mobility->SetPosition(m_ways->Begin(number, position, m_wayMps.value_or(speedMps)));
    } else if (!m_fileWays.empty()) {
        m_ues.back().straight = false;
        mobility->SetPosition({m_fileWays[number].start.x, m_fileWays[number].start.y, position.z});
    } else {
        mobility->SetPosition(position);
        mobility->SetVelocity({speedMps * std::cos(heading), speedMps * std::sin(heading), 0});
    }
}

void UeMotion::Start(Registry& registry, const std::string& whereElse) {
    const std::vector<Axis> perUeXyz{{"ue", static_cast<std::int64_t>(m_ues.size())}, {"xyz", 3}};
    const auto vectors = [this](auto get) {
        return [this, get] {
            Array<double> array{{static_cast<std::int64_t>(m_ues.size()), 3}, {}};
            for (const auto& ue : m_ues) {
                const Vector v = get(*ue.mobility);
                array.values.insert(array.values.end(), {v.x, v.y, v.z});
            }
            return array;
        };
    };
    registry.Publish<Array<double>>("ue_position", "m", "where the UEs are; " + whereElse,
                                    vectors([](const auto& ue) { return ue.GetPosition(); }), perUeXyz);
    registry.Publish<Array<double>>("ue_velocity", "m/s", "velocities of the UEs",
                                    vectors([](const auto& ue) { return ue.GetVelocity(); }), perUeXyz);
    registry.Control<Array<double>>(
        "ue_velocity", "m/s",
        "velocities of the UEs from now on; at most 150 m/s, on the ground (z = 0); UEs turn round at the edge",
        [this](const Array<double>& velocities) { return SetVelocities(velocities); }, perUeXyz);
    ns3::Simulator::Schedule(ns3::Seconds(1), &UeMotion::TurnBack, this);
    for (std::uint32_t number = 0; number < m_ues.size(); ++number) {
        if (m_ways) {
            Depart(number);
        } else if (!m_fileWays.empty()) { // in an event: by then the warm-up is known
            ns3::Simulator::ScheduleNow(&UeMotion::NextMovement, this, number);
        }
    }
}

void UeMotion::Depart(std::uint32_t number) {
    constexpr double look_again_s = 1; ///< where no way leads on
    Ue& ue = m_ues[number];
    const Vector here = ue.mobility->GetPosition();
    const WayLeg leg = m_ways->Next(number, here);
    if (leg.speedMps == 0) {
        return;
    }
    const bool stays = leg.to.x == here.x && leg.to.y == here.y;
    ue.next = ns3::Simulator::Schedule(ns3::Seconds(leg.waitS + (stays ? look_again_s : 0)),
                                       [this, number, leg] { GoTo(number, leg.to, leg.speedMps); });
}

void UeMotion::GoTo(std::uint32_t number, const Vector& to, double speedMps) {
    Ue& ue = m_ues[number];
    const Vector here = ue.mobility->GetPosition();
    const double dx = to.x - here.x, dy = to.y - here.y, distance = std::hypot(dx, dy);
    if (distance == 0 || speedMps == 0) {
        ue.mobility->SetVelocity({0, 0, 0});
    } else {
        ue.mobility->SetVelocity({dx * speedMps / distance, dy * speedMps / distance, 0});
    }
    if (speedMps > 0) {
        ue.next =
            ns3::Simulator::Schedule(ns3::Seconds(distance / speedMps), [this, number, to] { Arrive(number, to); });
    }
}

void UeMotion::Arrive(std::uint32_t number, const Vector& at) {
    Ue& ue = m_ues[number];
    ue.mobility->SetPosition({at.x, at.y, ue.mobility->GetPosition().z});
    ue.mobility->SetVelocity({0, 0, 0});
    if (m_ways) {
        Depart(number);
    }
}

/// Wait for the next movement of the file.
void UeMotion::NextMovement(std::uint32_t number) {
    const auto& movements = m_fileWays[number].movements;
    Ue& ue = m_ues[number];
    if (ue.movements == movements.size()) {
        return;
    }
    const Ns2Way::Movement& movement = movements[ue.movements++];
    const ns3::Time wait = ns3::Seconds(movement.timeS) - ns3::NanoSeconds(NowNs());
    ns3::Simulator::Schedule(ns3::Max(wait, ns3::Time()), [this, number, movement] {
        if (!m_ues[number].straight) { // otherwise a control has taken it off its way
            m_ues[number].next.Cancel();
            GoTo(number, {movement.to.x, movement.to.y, 0}, movement.speedMps);
            NextMovement(number);
        }
    });
}

std::string UeMotion::SetVelocities(const Array<double>& velocities) {
    for (std::size_t i = 0; i < m_ues.size(); ++i) {
        const double* xyz = &velocities.values[3 * i];
        if (!(std::hypot(xyz[0], xyz[1]) <= fastest_mps) || xyz[2] != 0) {
            return "velocity (" + std::to_string(xyz[0]) + ", " + std::to_string(xyz[1]) + ", " +
                   std::to_string(xyz[2]) + ") m/s of ue" + std::to_string(i) + "; legal are up to 150 m/s with z = 0";
        }
    }
    for (std::size_t i = 0; i < m_ues.size(); ++i) {
        m_ues[i].straight = true;
        m_ues[i].next.Cancel();
        m_ues[i].mobility->SetVelocity({velocities.values[3 * i], velocities.values[3 * i + 1], 0});
    }
    return {};
}

void UeMotion::TurnBack() {
    for (const auto& ue : m_ues) {
        if (!ue.straight) {
            continue;
        }
        const Vector p = ue.mobility->GetPosition(), v = ue.mobility->GetVelocity();
        const double speed = std::hypot(v.x, v.y);
        const std::array bounces{v, Vector(-v.x, v.y, 0), Vector(v.x, -v.y, 0), Vector(-v.x, -v.y, 0)};
        const auto back = std::find_if(bounces.begin(), bounces.end(),
                                       [&](const Vector& bounce) { return m_area.inside(p + bounce); });
        if (back != bounces.end()) {
            if (back != bounces.begin()) {
                ue.mobility->SetVelocity(*back);
            }
        } else if (speed > 0) {
            const double dx = m_area.middle.x - p.x, dy = m_area.middle.y - p.y;
            const double scale = speed / std::max(std::hypot(dx, dy), 1e-9);
            ue.mobility->SetVelocity({dx * scale, dy * scale, 0});
        }
    }
    ns3::Simulator::Schedule(ns3::Seconds(1), &UeMotion::TurnBack, this);
}

} // namespace edgelam
