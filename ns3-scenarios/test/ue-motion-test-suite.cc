// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// UEs that move: mobility files, random waypoint, Manhattan grid, road.

#include <cmath>
#include <fstream>
#include <set>

#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"

#include "channel-testbed.h"
#include "ue-motion.h"

using namespace edgelam;
using namespace edgelam::test;
using ns3::Vector;

namespace {

constexpr double height_m = 1.5;

/// UEs in a square of 400 m around the origin, without a corner of 100 m.
class Walk {
  public:
    Walk(std::uint32_t numUes, const std::vector<std::string>& arguments, double speedMps = 10,
         const std::vector<double>& lanesM = {0}) {
        Options options("test", "a test");
        motion.AddOptions(options);
        std::vector<const char*> line{"test"};
        for (const auto& each : arguments) {
            line.push_back(each.c_str());
        }
        options.Parse(static_cast<int>(line.size()), line.data());
        motion.AssignStreams(5);
        motion.SetArea({Inside, {0, 0, height_m}, {-200, 200, -200, 200}, lanesM}, numUes, speedMps);
        for (std::uint32_t i = 0; i < numUes; ++i) {
            nodes.push_back(ns3::CreateObject<ns3::Node>());
            motion.Add(nodes.back(), {7. * i - 190, 5. * i - 190, height_m}, speedMps, 0);
        }
        motion.Start(registry, "test");
    }
    ~Walk() { ns3::Simulator::Destroy(); }

    static bool Inside(const Vector& p) {
        return std::abs(p.x) <= 200 && std::abs(p.y) <= 200 && !(p.x > 100 && p.y > 100);
    }
    Vector At(std::uint32_t ue) const { return nodes[ue]->GetObject<ns3::MobilityModel>()->GetPosition(); }
    double SpeedOf(std::uint32_t ue) const {
        return nodes[ue]->GetObject<ns3::MobilityModel>()->GetVelocity().GetLength();
    }
    /// Calls `look` every `stepS`, and runs.
    void Run(double seconds, double stepS, const std::function<void()>& look) {
        for (double s = stepS / 2; s < seconds; s += stepS) {
            ns3::Simulator::Schedule(ns3::Seconds(s), look);
        }
        ns3::Simulator::Stop(ns3::Seconds(seconds));
        ns3::Simulator::Run();
    }

    Registry registry;
    UeMotion motion;
    std::vector<ns3::Ptr<ns3::Node>> nodes;
};

std::string Write(const std::string& text) {
    const std::string path = "movements.tcl";
    std::ofstream(path) << text;
    return path;
}

/// Positions by hand: a movement that ends, one that another one replaces, and standing.
void FileByHand(Case& test) {
    const std::string path = Write("# SUMO\n"
                                   "$node_(0) set X_ -100.0\n$node_(0) set Y_ 20\n$node_(0) set Z_ 0\n"
                                   "$node_(1) set X_ 1e1\n$node_(1) set Y_ 0.5\n$node_(1) set Z_ 0.0\n\n"
                                   "$ns_ at 2.0 \"$node_(0) setdest -60.0 50.0 10.0\"\n"
                                   "$ns_ at 1 \"$node_(1) setdest 110 0.5 20\"\n"
                                   "$ns_ at 3 \"$node_(1) setdest 50 30.5 5.0\"\n"
                                   "$ns_ at 4 \"$node_(1) setdest 0 0 0\"\n$god_ set-dist 0 1 2\n");
    Walk walk(2, {"--mobilityFile=" + path});
    const auto at = [&](double seconds, std::uint32_t ue, const Vector& place) {
        ns3::Simulator::Schedule(ns3::Seconds(seconds), [&walk, &test, seconds, ue, place] {
            test.True((walk.At(ue) - place).GetLength() < 1e-6, "at " + std::to_string(seconds) + " s");
        });
    };
    at(1.5, 0, {-100, 20, height_m});
    at(4.5, 0, {-80, 35, height_m}); // 25 of 50 m
    at(9, 0, {-60, 50, height_m});
    at(2, 1, {30, 0.5, height_m});
    at(3, 1, {50, 0.5, height_m});
    at(3.999, 1, {50, 5.495, height_m});
    at(9, 1, {50, 5.5, height_m}); // stopped at 4 s
    walk.Run(10, 20, [] {});
}

void FileRefusals(Case& test) {
    const std::string begin = "$node_(0) set X_ 1\n$node_(0) set Y_ 2\n";
    const auto refuses = [&](const std::string& text, const std::vector<std::string>& parts) {
        const std::string path = Write(text);
        test.Refuses([&] { Walk walk(1, {"--mobilityFile=" + path}); }, parts, text);
    };
    const auto move = [&](const std::string& movement) { return begin + "$ns_ at " + movement + "\n"; };
    refuses("", {"movements.tcl", "node 0 has no line '$node_(0) set X_"});
    refuses("$node_(0) set X_ 1\n", {"set Y_"});
    refuses(move("1 \"$node_(1) setdest 0 0 1\""), {"line 3", "$node_(1)", "$node_(0) to $node_(0)"});
    refuses(move("1 \"$node_(-1) setdest 0 0 1\""), {"line 3", "$node_(-1)"});
    refuses(move("1 \"$node_(0x) setdest 0 0 1\""), {"line 3", "is no node"});
    refuses(move("3 \"$node_(0) setdest 0 0 1\"\n$ns_ at 2.5 \"$node_(0) setdest 0 0 1\""),
            {"line 4", "time 2.5 s of node 0 goes back", "from 3 s on"});
    refuses(move("-1 \"$node_(0) setdest 0 0 1\""), {"line 3", "time in s '-1'", "0 to"});
    refuses(move("nan \"$node_(0) setdest 0 0 1\""), {"line 3", "'nan'"});
    refuses(move("1 \"$node_(0) setdest inf 0 1\""), {"line 3", "'inf'", "coordinate"});
    refuses(move("1 \"$node_(0) setdest 150 150 1\""), {"line 3", "(150, 150)", "outside the area"});
    refuses(move("1 \"$node_(0) setdest 0 0 151\""), {"line 3", "speed", "'151'", "0 to 150"});
    refuses(move("1 \"$node_(0) setdest 0 0 -1\""), {"line 3", "'-1'"});
    refuses(move("1 \"$node_(0) setdest 0 0\""), {"line 3", "not understood", "setdest X Y SPEED"});
    refuses(move("1 \"$node_(0) set X_ 5\""), {"line 3", "not understood"});
    refuses(begin + "$node_(0) set X_ 7\n", {"line 3", "X_ already"});
    refuses(begin + "$node_(0) set Z_ 7\n", {"line 3", "Z_", "'7'"});
    refuses(begin + "$node_(0) set V_ 7\n", {"line 3", "'V_'", "X_, Y_ and Z_"});
    refuses("$node_(0) set X_ 500\n$node_(0) set Y_ 2\n", {"line 2", "(500, 2)", "outside"});
    refuses("$node_(0) set X_ 5m\n", {"line 1", "'5m'"});
    test.Refuses([] { Walk walk(1, {"--mobilityFile=nowhere.tcl"}); }, {"nowhere.tcl", "cannot be read"}, "no file");
    const std::string path = Write(begin);
    test.Refuses([&] { Walk walk(1, {"--mobility=grid", "--mobilityFile=" + path}); },
                 {"--mobility=grid", "--mobilityFile"}, "both");
}

void RandomWaypoint(Case& test) {
    Walk walk(20, {"--mobility=waypoints", "--pause=4s", "--speedSpread=0.5"});
    std::size_t standing = 0, looks = 0;
    double fastest = 0, slowest = 100;
    std::set<int> quarters;
    walk.Run(600, 1, [&] {
        for (std::uint32_t ue = 0; ue < 20; ++ue) {
            const Vector p = walk.At(ue);
            test.True(Walk::Inside(p) && p.z == height_m, "inside");
            quarters.insert(2 * (p.x > 0) + (p.y > 0));
            ++looks;
            if (walk.SpeedOf(ue) == 0) {
                ++standing;
            } else {
                fastest = std::max(fastest, walk.SpeedOf(ue));
                slowest = std::min(slowest, walk.SpeedOf(ue));
            }
        }
    });
    test.True(quarters.size() == 4, "everywhere");
    test.True(slowest >= 5 && slowest < 6 && fastest <= 15 && fastest > 14, "speeds between 5 and 15 m/s");
    // Legs of about 200 m at 10 m/s harmonic mean 9.1: 22 s; pauses of 2 s.
    const double part = static_cast<double>(standing) / static_cast<double>(looks);
    test.True(part > 0.04 && part < 0.16, "pauses: " + std::to_string(part));
}

/// On streets, at constant speed; half go straight on where all ways are open.
void ManhattanGrid(Case& test) {
    Walk walk(50, {"--mobility=grid", "--block=50"});
    std::map<std::uint32_t, Vector> heading;
    std::uint64_t crossings = 0, straight = 0, turned = 0;
    walk.Run(300, 5, [&] { // a crossing every 5 s; each UE has its own phase
        for (std::uint32_t ue = 0; ue < 50; ++ue) {
            const Vector p = walk.At(ue), v = walk.nodes[ue]->GetObject<ns3::MobilityModel>()->GetVelocity();
            const auto offStreet = [](double at) { return std::abs(at - 50 * std::round(at / 50)); };
            test.True(std::min(offStreet(p.x), offStreet(p.y)) < 1e-6, "on a street");
            test.True(Walk::Inside(p), "inside");
            test.Near(v.GetLength(), 10, 1e-9, "at its speed");
            const bool free = std::abs(p.x) < 120 && std::abs(p.y) < 120 && !(p.x > 20 && p.y > 20);
            if (const auto before = heading.find(ue); before != heading.end() && free) {
                const double along = (before->second.x * v.x + before->second.y * v.y) / 100;
                ++crossings;
                straight += along > 0.5;
                turned += std::abs(along) < 0.5;
            }
            heading[ue] = v;
        }
    });
    test.True(crossings > 500 && straight + turned == crossings, "nobody turns round in the middle");
    const double part = static_cast<double>(straight) / static_cast<double>(crossings);
    test.True(part > 0.42 && part < 0.58, "half go straight on: " + std::to_string(part));
}

/// A gNB in the middle of a street, and one at a crossing: nobody goes past nearer than the area allows.
void StreetsWithHoles(Case& test) {
    WaySettings settings;
    settings.bounds = {-200, 200, -200, 200};
    settings.inside = [](const Vector& p) {
        const auto far = [&](double x, double y) { return std::hypot(p.x - x, p.y - y) >= 10; };
        return Walk::Inside(p) && far(-50, 130) && far(75, 3) && far(0, -100);
    };
    settings.blockM = 50;
    const auto ways = MakeManhattanGrid(3, settings);
    std::set<std::pair<double, double>> corners;
    for (std::uint32_t ue = 0; ue < 40; ++ue) {
        // Some are drawn beside a hole, where the nearest place of a street is in it.
        Vector here = ways->Begin(
            ue, ue < 5 ? Vector(-41 + 0.1 * ue, 136, height_m) : Vector(9. * ue - 190, 7. * ue - 190, height_m), 10);
        for (int leg = 0; leg < 100; ++leg) {
            const WayLeg next = ways->Next(ue, here);
            const double length = (next.to - here).GetLength();
            test.True((next.to.x == here.x) != (next.to.y == here.y), "goes on, along one street");
            for (double at = 0; at <= length; at += 0.5) {
                test.True(settings.inside(
                              here + Vector((next.to.x - here.x) * at / length, (next.to.y - here.y) * at / length, 0)),
                          "inside");
            }
            here = next.to;
            corners.emplace(here.x, here.y);
        }
    }
    test.True(corners.size() > 60, "nearly everywhere");
}

void Road(Case& test) {
    const std::vector<double> lanes{-5.25, -1.75, 1.75, 5.25};
    Walk walk(20, {"--mobility=road"}, 40, lanes);
    std::set<double> seen;
    walk.Run(60, 0.5, [&] {
        for (std::uint32_t ue = 0; ue < 20; ++ue) {
            const Vector p = walk.At(ue), v = walk.nodes[ue]->GetObject<ns3::MobilityModel>()->GetVelocity();
            test.True(std::abs(p.x) <= 200 + 1e-9 && std::abs(p.y) <= 5.25 + 1e-9, "on the road");
            test.Near(v.GetLength(), 40, 1e-9, "at its speed");
            if (std::abs(v.x) > 1) {
                test.True((p.y < 0) == (v.x > 0), "on the right");
                seen.insert(p.y);
            }
        }
    });
    test.True(seen == std::set<double>(lanes.begin(), lanes.end()), "in all lanes");
}

/// A UE whose velocity is set leaves its way, and bounces at the edge.
void VelocityControl(Case& test) {
    Walk walk(2, {"--mobility=grid"});
    ns3::Simulator::Schedule(ns3::Seconds(3), [&] {
        const std::vector<double> velocities{7, 0, 0, 0, 0, 0};
        test.True(walk.registry.Set(0, std::as_bytes(std::span(velocities))).empty(), "taken");
    });
    std::size_t back = 0;
    walk.Run(120, 1, [&] {
        if (ns3::Simulator::Now().GetSeconds() > 3) {
            test.Near(walk.SpeedOf(0), 7, 1e-9, "goes on");
            test.Near(walk.SpeedOf(1), 0, 1e-9, "stands");
            back += walk.nodes[0]->GetObject<ns3::MobilityModel>()->GetVelocity().x < 0;
        }
        test.True(Walk::Inside(walk.At(0)), "inside");
    });
    test.True(back > 20, "turned round");
}

/// The same seed, the same ways; one UE's way does not depend on how many there are.
void Deterministic(Case& test) {
    for (const std::string kind : {"waypoints", "grid", "road"}) {
        std::vector<Vector> places;
        for (const std::uint32_t numUes : {3u, 3u, 8u}) {
            Walk walk(numUes, {"--mobility=" + kind, "--speedSpread=0.3"});
            walk.Run(100, 200, [] {});
            places.push_back(walk.At(2));
        }
        test.True((places[0] - places[1]).GetLength() == 0 && (places[0] - places[2]).GetLength() == 0, kind);
        ns3::RngSeedManager::SetRun(2);
        {
            Walk walk(3, {"--mobility=" + kind, "--speedSpread=0.3"});
            walk.Run(100, 200, [] {});
            test.True((places[0] - walk.At(2)).GetLength() > 0.1, kind + ": another run, another way");
        }
        ns3::RngSeedManager::SetRun(1);
    }
}

CaseSuite motionTestSuite("edgelam-ue-motion", {{"a file by hand", FileByHand},
                                                {"files that are refused", FileRefusals},
                                                {"random waypoint", RandomWaypoint},
                                                {"Manhattan grid", ManhattanGrid},
                                                {"streets with holes", StreetsWithHoles},
                                                {"road", Road},
                                                {"velocity control", VelocityControl},
                                                {"the same seed, the same ways", Deterministic}});

} // namespace
