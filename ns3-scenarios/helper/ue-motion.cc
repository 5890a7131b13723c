// SPDX-License-Identifier: GPL-2.0-only
#include "ue-motion.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "ns3/simulator.h"

namespace edgelam {

using ns3::Vector;

void UeMotion::Add(ns3::Ptr<ns3::Node> ue, const Vector& position, double speedMps, double heading) {
    auto mobility = ns3::CreateObject<ns3::ConstantVelocityMobilityModel>();
    ue->AggregateObject(mobility);
    mobility->SetPosition(position);
    mobility->SetVelocity({speedMps * std::cos(heading), speedMps * std::sin(heading), 0});
    m_ues.push_back(mobility);
}

void UeMotion::Start(Registry& registry, Area area, const std::string& whereElse) {
    m_area = std::move(area);
    const std::vector<Axis> perUeXyz{{"ue", static_cast<std::int64_t>(m_ues.size())}, {"xyz", 3}};
    const auto vectors = [this](auto get) {
        return [this, get] {
            Array<double> array{{static_cast<std::int64_t>(m_ues.size()), 3}, {}};
            for (const auto& ue : m_ues) {
                const Vector v = get(*ue);
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
        m_ues[i]->SetVelocity({velocities.values[3 * i], velocities.values[3 * i + 1], 0});
    }
    return {};
}

void UeMotion::TurnBack() {
    for (const auto& ue : m_ues) {
        const Vector p = ue->GetPosition(), v = ue->GetVelocity();
        const double speed = std::hypot(v.x, v.y);
        const std::array bounces{v, Vector(-v.x, v.y, 0), Vector(v.x, -v.y, 0), Vector(-v.x, -v.y, 0)};
        const auto back = std::find_if(bounces.begin(), bounces.end(),
                                       [&](const Vector& bounce) { return m_area.inside(p + bounce); });
        if (back != bounces.end()) {
            if (back != bounces.begin()) {
                ue->SetVelocity(*back);
            }
        } else if (speed > 0) {
            const double dx = m_area.middle.x - p.x, dy = m_area.middle.y - p.y;
            const double scale = speed / std::max(std::hypot(dx, dy), 1e-9);
            ue->SetVelocity({dx * scale, dy * scale, 0});
        }
    }
    ns3::Simulator::Schedule(ns3::Seconds(1), &UeMotion::TurnBack, this);
}

} // namespace edgelam
