// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// UEs that move within an area, for all radio scenarios: in straight lines, on ways (ue-ways.h), or as a file says
/// (ns2-trace.h).
///
///     edgelam::UeMotion motion;
///     motion.AddOptions(scenario.options());                                   // --mobility, --mobilityFile, ...
///     ...                                                                      // once the options are read:
///     motion.SetArea({inside, {50, 0, 1.5}, bounds}, numUe, speedMps);
///     motion.Add(node, {20, 0, 1.5}, speedMps, heading);
///     motion.Start(scenario.registry(), "gnb0 stands at (0, 0, 10)");
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ns3/constant-velocity-mobility-model.h"
#include "ns3/event-id.h"
#include "ns3/node.h"
#include "ns3/vector.h"

#include "ns2-trace.h"
#include "options.h"
#include "registry.h"
#include "ue-ways.h"

namespace edgelam {

/// Publishes the observables ue_position and ue_velocity and takes the control ue_velocity, all [ue, xyz]. A UE whose
/// velocity is set leaves its way, and goes straight on from then on. Must live as long as the run.
class UeMotion {
  public:
    static constexpr double fastest_mps = 150;

    /// Where UEs may be.
    struct Area {
        std::function<bool(const ns3::Vector&)> inside;
        ns3::Vector middle;             ///< where a UE heads that finds no other way back
        ns3::Rectangle bounds{};        ///< around the area, for ways
        std::vector<double> lanesM{0.}; ///< of a road along x: its lanes, y in ascending order, the same to both sides
    };

    /// Add the section "Motion" to a scenario's command line. \param ways the default of --mobility
    void AddOptions(Options& options, const std::string& ways = "straight");
    /// Before SetArea. One stream. \return 1
    std::int64_t AssignStreams(std::int64_t stream);
    /// With AddOptions, before the first Add. Throws std::invalid_argument for options that do not go together, and for
    /// what is wrong in a mobility file. \param speedMps mean speed on ways; without it, that of each UE
    void SetArea(Area area, std::uint32_t numUes, std::optional<double> speedMps = {});

    /// Give the next UE its mobility model: at this place, or where its way begins. \p heading: rad, from the x axis,
    /// if it goes in a straight line
    void Add(ns3::Ptr<ns3::Node> ue, const ns3::Vector& position, double speedMps, double heading);

    /// Call it after the last Add: it publishes, and looks every second for UEs in straight lines that would be outside
    /// a second later. Such a UE bounces off a wall along x, along y, or both, whichever keeps it inside; if none does,
    /// it heads for the middle.
    void Start(Registry& registry, const std::string& whereElse);
    /// For UEs that all go in straight lines.
    void Start(Registry& registry, Area area, const std::string& whereElse) {
        m_area = std::move(area);
        Start(registry, whereElse);
    }

  private:
    struct Ue {
        ns3::Ptr<ns3::ConstantVelocityMobilityModel> mobility;
        bool straight = true;      ///< otherwise on its way
        std::size_t movements = 0; ///< of the file, so far
        ns3::EventId next;         ///< on its way
    };
    void TurnBack();
    void Depart(std::uint32_t number);
    void GoTo(std::uint32_t number, const ns3::Vector& to, double speedMps);
    void Arrive(std::uint32_t number, const ns3::Vector& at);
    void NextMovement(std::uint32_t number);
    std::string SetVelocities(const Array<double>& velocities);

    std::string m_kind = "straight", m_default = "straight", m_file;
    double m_longestPauseS = 0, m_blockM = 100, m_spread = 0;
    std::optional<double> m_wayMps; ///< mean speed of all on ways
    std::int64_t m_stream = 0;
    std::unique_ptr<UeWays> m_ways; ///< null: straight lines, or a file
    std::vector<Ns2Way> m_fileWays; ///< [ue] of the file; empty: there is none
    std::vector<Ue> m_ues;
    Area m_area;
};

} // namespace edgelam
