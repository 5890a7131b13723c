// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The radio channel over many drops and places against TR 38.901. Here: line of sight, buildings, path loss of whole
/// links, soft states; the rest is in the three files that channel-validation.h names. Numbers and formulas are the
/// report's, written here anew.

#include <array>

#include "ns3/simulator.h"

#include "channel-validation.h"

using namespace edgelam;
using namespace edgelam::test;
using ns3::Vector;

namespace {

constexpr double frequency = 28e9;
const double lg28 = std::log10(28.0);

/// Share of drops in line of sight, four standard errors; probabilities of table 7.4.2-1.
void LineOfSightFrequency(Case& test) {
    const auto exp = [](double x) { return std::exp(x); };
    struct Of {
        const char* deployment;
        double bsHeight, utHeight, distance, probability;
    };
    const Of rows[]{
        {"UMa", 25, 1.5, 60, 18.0 / 60 + exp(-60.0 / 63) * (1 - 18.0 / 60)},
        {"UMa", 25, 1.5, 200, 18.0 / 200 + exp(-200.0 / 63) * (1 - 18.0 / 200)},
        {"UMa", 25, 18, 200, // C' = ((18 - 13) / 10)^1.5
         (18.0 / 200 + exp(-200.0 / 63) * (1 - 18.0 / 200)) * (1 + std::pow(0.5, 1.5) * 1.25 * 8 * exp(-200.0 / 150))},
        {"UMi", 10, 1.5, 50, 18.0 / 50 + exp(-50.0 / 36) * (1 - 18.0 / 50)},
        {"RMa", 35, 1.5, 700, exp(-0.69)},
        {"InH-Mixed", 3, 1, 5, exp(-3.8 / 4.7)},
        {"InH-Mixed", 3, 1, 20, 0.32 * exp(-13.5 / 32.6)},
        {"InH-Open", 3, 1, 60, 0.54 * exp(-11 / 211.7)},
        {"InF-SL", 1.6, 1.5, 40, std::pow(0.8, 4)},
        {"InF-SH", 8, 1.5, 60, std::pow(0.8, 6 * 0.5 / 6.5)}};
    constexpr int drops = 2000;
    for (const auto& row : rows) {
        const auto channel =
            MakeChannel({.deployment = row.deployment, .los = "Probability", .frequency = frequency, .stream = 23});
        const auto bs = MakeEnd({0, 0, row.bsHeight}),
                   ut = MakeEnd({row.distance * 0.6, row.distance * 0.8, row.utHeight});
        const auto link = Link(channel, bs, ut);
        double count = 0, mixed = 0;
        for (int drop = 0; drop < drops; ++drop) {
            channel->Redraw(ut.mobility);
            const double los = link->GetState().los;
            count += los > 0.5;
            mixed += los > 0 && los < 1;
        }
        const std::string name = row.deployment + (" at " + std::to_string(row.distance)) + " m";
        test.Near(count / drops, row.probability, FourSigma(row.probability, drops), name);
        test.True(mixed / drops < 0.15, name + ": mixed states are the exception: " + std::to_string(mixed / drops));
    }
}

/// Share of drops indoors, and what buildings take: the wall after table 7.4.3-2 with its deviation, and 0.5 dB a metre
/// of the shorter of two uniform lengths (mean a third of the longest, variance an eighteenth of its square). Four
/// standard errors.
void Buildings(Case& test) {
    const auto passed = [](double share, double lossDb) { return share * std::pow(10, -lossDb / 10); };
    struct Of {
        const char *deployment, *loss;
        double bsHeight, wallDb, deviationDb, longestM;
    };
    // Glass 2 + 0.2 f, infrared-reflecting glass 23 + 0.3 f, concrete 5 + 4 f dB (table 7.4.3-1), f = 28.
    const double low = 5 - 10 * std::log10(passed(0.3, 7.6) + passed(0.7, 117)),
                 high = 5 - 10 * std::log10(passed(0.7, 31.4) + passed(0.3, 117));
    constexpr int drops = 5000;
    for (const auto& row : {Of{"UMa", "Low", 25, low, 4.4, 25}, Of{"UMi", "High", 10, high, 6.5, 25},
                            Of{"RMa", "Low", 35, low, 4.4, 10}}) {
        const auto channel =
            MakeChannel({.deployment = row.deployment, .frequency = frequency, .stream = 24, .shadowing = false});
        channel->SetAttribute("IndoorFraction", ns3::DoubleValue(0.8));
        channel->SetAttribute("BuildingLoss", ns3::StringValue(row.loss));
        const auto bs = MakeEnd({0, 0, row.bsHeight}), ut = MakeEnd({120, 50, 1.5});
        const auto link = Link(channel, bs, ut);
        std::vector<double> losses;
        double worst = 0;
        for (int drop = 0; drop < drops; ++drop) {
            channel->Redraw(ut.mobility);
            const auto state = link->GetState();
            if (state.indoor > 0.5) {
                losses.push_back(state.penetration_db);
            }
            if (state.indoor == 1) {
                worst = std::max(worst, std::abs(state.gain_db + state.path_loss_db + state.penetration_db));
            }
        }
        const std::string what = row.deployment + std::string(", ");
        const double count = static_cast<double>(losses.size());
        test.Near(count / drops, 0.8, FourSigma(0.8, drops), what + "share indoors");
        const auto [mean, deviation] = Moments(losses);
        const double expected = std::sqrt(row.deviationDb * row.deviationDb + 0.25 * row.longestM * row.longestM / 18);
        test.Near(mean, row.wallDb + 0.5 * row.longestM / 3, 4 * expected / std::sqrt(count), what + "mean loss");
        test.Near(deviation / expected, 1, 4 / std::sqrt(2 * count), what + "its deviation");
        test.Near(worst, 0, 1e-6, what + "gain is path loss and penetration");
    }
}

/// Line of sight of the part outdoors, of users who are indoors: the probability of table 7.4.2-1 at d_2D-out, the
/// distance less the way inside, averaged over that (density 2 (1 - x / 25) / 25). Four standard errors.
void LineOfSightToBuildings(Case& test) {
    const double distance = 80;
    double expected = 0;
    constexpr int parts = 1000, drops = 4000;
    for (int i = 0; i < parts; ++i) {
        const double x = (i + 0.5) / parts, d = distance - 25 * x;
        expected += 2 * (1 - x) / parts * (18 / d + std::exp(-d / 63) * (1 - 18 / d));
    }
    const auto channel = MakeChannel({.deployment = "UMa", .los = "Probability", .frequency = frequency, .stream = 27});
    channel->SetAttribute("IndoorFraction", ns3::DoubleValue(1));
    const auto bs = MakeEnd({0, 0, 25}), ut = MakeEnd({distance * 0.6, distance * 0.8, 1.5});
    const auto link = Link(channel, bs, ut);
    double count = 0;
    for (int drop = 0; drop < drops; ++drop) {
        channel->Redraw(ut.mobility);
        count += link->GetState().los > 0.5;
    }
    test.Near(count / drops, expected, FourSigma(expected, drops), "line of sight to the building");
}

/// Gain of whole links without shadowing against table 7.4.1-1 written out, in one realisation: 28 GHz, and UMa at 2
/// GHz beyond its breakpoint, 4 * 24 m * 0.5 m * 2e9 / 3e8 = 320 m. The report has c = 3e8 m/s.
void PathLoss(Case& test) {
    const double f = 20 * lg28;
    struct Of {
        const char *deployment, *los;
        double gigahertz, distance, bsHeight, utHeight;
        std::function<double(double)> loss; ///< of lg of the distance
    };
    const double h = std::pow(5, 1.72); // mean height of buildings in RMa: 5 m; streets 20 m wide
    const double rma = std::sqrt(1500.0 * 1500 + 33.5 * 33.5);
    const auto rmaLos = [=](double d) {
        return 20 * std::log10(40 * std::numbers::pi * rma * 28 / 3) + std::min(0.03 * h, 10.0) * d -
               std::min(0.044 * h, 14.77) + 0.002 * std::log10(5.0) * rma;
    };
    const Of rows[]{
        {"UMa", "Always", 28, 150, 25, 1.5, [&](double d) { return 28 + 22 * d + f; }},
        {"UMa", "Never", 28, 150, 25, 3, [&](double d) { return 13.54 + 39.08 * d + f - 0.6 * 1.5; }},
        {"UMa", "Always", 2, 1000, 25, 1.5,
         [](double d) { return 28 + 40 * d + 20 * std::log10(2.0) - 9 * std::log10(320.0 * 320 + 23.5 * 23.5); }},
        {"UMi", "Always", 28, 80, 10, 1.5, [&](double d) { return 32.4 + 21 * d + f; }},
        {"UMi", "Never", 28, 80, 10, 1.5, [&](double d) { return 35.3 * d + 22.4 + 21.3 * lg28; }},
        {"RMa", "Always", 28, 1500, 35, 1.5, rmaLos},
        {"RMa", "Never", 28, 1500, 35, 1.5,
         [&](double d) {
             const double lgBs = std::log10(35.0), lgUt = std::log10(11.75 * 1.5);
             return 161.04 - 7.1 * std::log10(20.0) + 7.5 * std::log10(5.0) - (24.37 - 3.7 * 25 / (35.0 * 35)) * lgBs +
                    (43.42 - 3.1 * lgBs) * (d - 3) + f - (3.2 * lgUt * lgUt - 4.97);
         }},
        {"InH-Mixed", "Always", 28, 20, 3, 1, [&](double d) { return 32.4 + 17.3 * d + f; }},
        {"InH-Open", "Never", 28, 20, 3, 1, [](double d) { return 38.3 * d + 17.30 + 24.9 * lg28; }},
        {"InF-SL", "Always", 28, 30, 1.6, 1.5, [](double d) { return 31.84 + 21.5 * d + 19 * lg28; }},
        {"InF-SL", "Never", 28, 30, 1.6, 1.5, [&](double d) { return 33 + 25.5 * d + f; }},
        {"InF-DL", "Never", 28, 30, 1.6, 1.5, [&](double d) { return 18.6 + 35.7 * d + f; }},
        {"InF-SH", "Never", 28, 30, 8, 1.5, [&](double d) { return 32.4 + 23 * d + f; }},
        {"InF-DH", "Never", 28, 30, 8, 1.5, [&](double d) { return 33.63 + 21.9 * d + f; }}};
    for (const auto& row : rows) {
        const auto channel = MakeChannel({.deployment = row.deployment,
                                          .los = row.los,
                                          .frequency = row.gigahertz * 1e9,
                                          .stream = 25,
                                          .shadowing = false});
        const auto bs = MakeEnd({0, 0, row.bsHeight}),
                   ut = MakeEnd({row.distance * 0.8, -row.distance * 0.6, row.utHeight});
        const double d = std::log10(std::hypot(row.distance, row.bsHeight - row.utHeight));
        test.Near(-Link(channel, bs, ut)->GetState().gain_db, row.loss(d), 0.01,
                  std::string(row.deployment) + (row.los[0] == 'A' ? " LOS" : " NLOS"));
    }
}

/// Over a walk, where weight of line of sight or gain change most in a step, a hundredth of that step changes at most a
/// tenth as much: no jump anywhere.
void SoftStates(Case& test) {
    const auto channel = MakeChannel({.deployment = "UMi", .los = "Probability", .frequency = 3.5e9, .stream = 26});
    channel->SetAttribute("IndoorFraction", ns3::DoubleValue(0.4));
    const auto bs = MakeEnd({0, 0, 10}), ut = MakeEnd({20, 15, 1.5});
    const auto link = Link(channel, bs, ut);
    const auto at = [&](double walked) {
        ut.MoveTo({20 + 0.8 * walked, 15 + 0.6 * walked, 1.5});
        const auto s = link->GetState();
        return std::array{s.los, s.indoor, s.gain_db};
    };
    constexpr double step = 0.05;
    constexpr int steps = 12000;
    std::array<double, 3> largest{}, where{}, low{1, 1, 0}, high{0, 0, -1e3};
    auto before = at(0);
    for (int i = 1; i < steps; ++i) {
        const auto now = at(step * i);
        for (std::size_t k = 0; k < 3; ++k) {
            if (std::abs(now[k] - before[k]) > largest[k]) {
                largest[k] = std::abs(now[k] - before[k]);
                where[k] = step * (i - 1);
            }
            low[k] = std::min(low[k], now[k]);
            high[k] = std::max(high[k], now[k]);
        }
        before = now;
    }
    const char* const names[]{"line of sight", "indoors", "gain in dB"};
    for (std::size_t k = 0; k < 3; ++k) {
        double finest = 0, last = at(where[k])[k];
        for (int i = 1; i <= 100; ++i) {
            const double now = at(where[k] + step * i / 100)[k];
            finest = std::max(finest, std::abs(now - last));
            last = now;
        }
        test.True(finest < 0.1 * largest[k],
                  std::string(names[k]) + ": " + std::to_string(finest) + " within " + std::to_string(largest[k]));
    }
    test.True(low[0] == 0 && high[0] == 1 && low[1] == 0 && high[1] == 1, "the walk sees all states");
}

class ChannelValidationTestSuite : public ns3::TestSuite {
  public:
    ChannelValidationTestSuite() : ns3::TestSuite("edgelam-channel-validation", Type::SYSTEM) {
        std::vector<NamedCase> cases{{"frequency of line of sight", LineOfSightFrequency},
                                     {"buildings", Buildings},
                                     {"line of sight to buildings", LineOfSightToBuildings},
                                     {"path loss of whole links", PathLoss},
                                     {"soft states", SoftStates}};
        for (const auto& more : {LargeScaleCases(), FadingCases(), RayCases()}) {
            cases.insert(cases.end(), more.begin(), more.end());
        }
        for (const auto& [name, body] : cases) {
            // Destroy: node numbers, on which random numbers depend, begin anew in every case.
            AddTestCase(new Case(name,
                                 [body](Case& test) {
                                     body(test);
                                     ns3::Simulator::Destroy();
                                 }),
                        Duration::QUICK);
        }
    }
};

ChannelValidationTestSuite channelValidationTestSuite;

} // namespace
