// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// UEs that move in straight lines within an area, for all radio scenarios.
///
///     edgelam::UeMotion motion;
///     motion.Add(node, {20, 0, 1.5}, speedMps, heading);
///     motion.Start(scenario.registry(), {inside, {50, 0, 1.5}}, "gnb0 stands at (0, 0, 10)");
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ns3/constant-velocity-mobility-model.h"
#include "ns3/node.h"
#include "ns3/vector.h"

#include "registry.h"

namespace edgelam {

/// Publishes the observables ue_position and ue_velocity and takes the control ue_velocity, all [ue, xyz].
/// Must live as long as the run.
class UeMotion {
  public:
    static constexpr double fastest_mps = 150;

    /// Where UEs may be.
    struct Area {
        std::function<bool(const ns3::Vector&)> inside;
        ns3::Vector middle; ///< where a UE heads that finds no other way back
    };

    /// Give a node its mobility model. \p heading: rad, from the x axis
    void Add(ns3::Ptr<ns3::Node> ue, const ns3::Vector& position, double speedMps, double heading);

    /// Call it after the last Add: it publishes, and looks every second for UEs that would be outside a second later.
    /// Such a UE bounces off a wall along x, along y, or both, whichever keeps it inside; if none does, it heads for
    /// the middle.
    void Start(Registry& registry, Area area, const std::string& whereElse);

  private:
    void TurnBack();
    std::string SetVelocities(const Array<double>& velocities);

    std::vector<ns3::Ptr<ns3::ConstantVelocityMobilityModel>> m_ues;
    Area m_area;
};

} // namespace edgelam
