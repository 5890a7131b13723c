// SPDX-License-Identifier: GPL-2.0-only
//
//            gnb1 ))  ue ~  (( gnb2                     Each gnb is a site of 1 to 6 cells (sectors) on one carrier,
//                \    |    /                            with edge servers of its own; sites stand on a hexagonal grid,
//      gnb6 )) -- gnb0 --- (( gnb3   ...  N3 --- UPF    the first in the middle. All N3 links end at one UPF, with
//                /         \                    |       edge servers and the cloud behind it.
//            gnb5 ))       (( gnb4            cloud0
//
// A 5G NR network in a city: TR 38.901 UMi, sites 200 m apart, pedestrians and cars between them. All cells share one
// carrier and hear one another: interference is what the other cells really send in a slot (docs/cells.md). UEs are
// handed over by event A3 (docs/mobility.md).
//
// Try:     nr-urban-grid --sites=3 --sectors=1 --numUe=3 --bytes=1e6 --bandwidth=20
// Expect:  1 MB up at 1.4, 5.2 and 20 Mb/s, and down at 99, 105 and 71 Mb/s. The uplink of the UE that is farthest from
//          its gNB suffers most from the others; in nr-urban-micro, one cell of 20 MHz, three UEs have 7 Mb/s each.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/node-container.h"
#include "ns3/random-variable-stream.h"
#include "ns3/string.h"

#include "nr-network-helper.h"
#include "scenario.h"
#include "ue-motion.h"

using namespace ns3;

namespace {

/// Places on a hexagonal grid, ring by ring.
std::vector<Vector> Hexagons(std::uint32_t count, double distanceM, double heightM) {
    std::vector<Vector> places;
    const auto at = [&](int q, int r) { // axial coordinates
        return Vector(distanceM * (q + 0.5 * r), distanceM * std::sqrt(0.75) * r, heightM);
    };
    places.push_back(at(0, 0));
    constexpr int steps[6][2] = {{-1, 1}, {-1, 0}, {0, -1}, {1, -1}, {1, 0}, {0, 1}};
    for (int ring = 1; places.size() < count; ++ring) {
        int q = ring, r = 0;
        for (const auto& step : steps) {
            for (int i = 0; i < ring && places.size() < count; ++i) {
                places.push_back(at(q, r));
                q += step[0];
                r += step[1];
            }
        }
    }
    return places;
}

class NrUrbanGrid {
  public:
    explicit NrUrbanGrid(edgelam::Scenario& scenario) : m_scenario(scenario) {
        auto& options = scenario.options();
        options.Section("City");
        options.Integer("sites", m_sites, "sites gnb0, gnb1, ... on a hexagonal grid", 1, 61);
        options.Integer("sectors", m_sectors, "cells of each site, which face different ways", 1, 6);
        options.Real("isd", m_distanceM, "m", "distance between neighbouring sites", 20, 5000);
        options.Integer("numUe", m_numUe, "UEs ue0, ue1, ...", 1, 1000);
        options.Real("carFraction", m_carFraction, "", "share of the UEs that drive", 0, 1);
        options.Real("speed", m_walkMps, "m/s", "speed of a pedestrian; the seed decides its heading", 0,
                     edgelam::UeMotion::fastest_mps);
        options.Real("carSpeed", m_driveMps, "m/s", "speed of a car", 0, edgelam::UeMotion::fastest_mps);
        options.Real("gnbHeight", m_gnbHeightM, "m", "height of the gNBs' antennas", 3, 100);
        options.AttributeChoice("los", m_channel, "LosState", {"Probability", "Always", "Never"});
        options.Attribute("indoorFraction", m_channel, "IndoorFraction");
        options.Sets(m_channel.type(), {{"Deployment", ""}});
        m_nr.AddOptions(options);
        m_motion.AddOptions(options);
    }

    void Build() {
        try {
            BuildCells();
        } catch (const std::invalid_argument& error) { // settings that do not go together
            m_scenario.Refuse(error.what());
        }
    }

  private:
    void BuildCells() {
        auto channel = CreateObject<edgelam::RadioChannel>();
        channel->SetAttribute("Deployment", StringValue("UMi"));
        m_channel.Apply(channel);
        std::int64_t stream = 1 + m_nr.AssignStreams(1);
        m_places = Hexagons(m_sites, m_distanceM, m_gnbHeightM);
        NodeContainer nodes(m_sites + m_numUe);
        std::vector<double> bearings;
        for (std::uint32_t sector = 0; sector < m_sectors; ++sector) {
            bearings.push_back(30 + sector * 360.0 / m_sectors);
        }
        for (std::uint32_t site = 0; site < m_sites; ++site) {
            auto mobility = CreateObject<ConstantPositionMobilityModel>();
            mobility->SetPosition(m_places[site]);
            nodes.Get(site)->AggregateObject(mobility);
            m_nr.AddGnb(nodes.Get(site), channel, bearings);
        }
        stream += m_motion.AssignStreams(stream);
        double side = 0;
        for (const auto& place : m_places) {
            side = std::max({side, std::abs(place.x) + CellRadiusM(), std::abs(place.y) + CellRadiusM()});
        }
        m_motion.SetArea({[this](const Vector& p) { return Inside(p); },
                          {0.5 * m_distanceM, 0, ue_height_m},
                          {-side, side, -side, side}},
                         m_numUe, m_walkMps);
        auto random = CreateObject<UniformRandomVariable>();
        random->SetStream(stream++);
        for (std::uint32_t i = 0; i < m_numUe; ++i) {
            Vector place;
            do { // around a site, in the hexagon's circle of the same area
                const Vector& site = m_places[i % m_sites];
                const double distance = CellRadiusM() * std::sqrt(random->GetValue(0, 1));
                const double azimuth = random->GetValue(-std::numbers::pi, std::numbers::pi);
                place = {site.x + distance * std::cos(azimuth), site.y + distance * std::sin(azimuth), ue_height_m};
            } while (!Inside(place));
            const bool drives = random->GetValue(0, 1) < m_carFraction;
            m_motion.Add(nodes.Get(m_sites + i), place, drives ? m_driveMps : m_walkMps,
                         random->GetValue(-std::numbers::pi, std::numbers::pi));
            m_nr.AddUe(nodes.Get(m_sites + i));
        }
        m_nr.Install(m_scenario);
        m_motion.Start(m_scenario.registry(), "gnb0 stands at the origin");
    }

    double CellRadiusM() const { return m_distanceM * std::sqrt(std::sqrt(0.75) / std::numbers::pi); }
    /// Near some site, and not below one.
    bool Inside(const Vector& p) const {
        double nearest = 1e300;
        for (const auto& site : m_places) {
            nearest = std::min(nearest, std::hypot(p.x - site.x, p.y - site.y));
        }
        return nearest >= std::min(least_m, 0.25 * m_distanceM) && nearest <= CellRadiusM();
    }

    static constexpr double ue_height_m = 1.5, least_m = 10; // TR 38.901 table 7.2-1

    edgelam::Scenario& m_scenario;
    edgelam::NrNetworkHelper m_nr{{.rows = 4, .columns = 2}};
    edgelam::UeMotion m_motion;
    std::vector<Vector> m_places;
    std::uint32_t m_sites = 3, m_sectors = 3, m_numUe = 6;
    double m_distanceM = 200, m_carFraction = 0.2, m_walkMps = 3 / 3.6, m_driveMps = 30 / 3.6, m_gnbHeightM = 10;
    edgelam::AttributeValues m_channel{"edgelam::RadioChannel"};
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("nr-urban-grid",
                               "a 5G NR network in a city: sites on a hexagonal grid, which disturb one another");
    NrUrbanGrid city(scenario);
    return scenario.Main(argc, argv, [&] { city.Build(); });
}
