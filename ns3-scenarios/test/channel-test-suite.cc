// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What must hold of the radio channel exactly: against sums worked out slowly, symmetries, continuity, refusals.

#include <algorithm>
#include <cmath>
#include <limits>

#include "ns3/rng-seed-manager.h"

#include "channel-testbed.h"

using namespace edgelam;
using namespace edgelam::test;
using ns3::Vector;

namespace {

constexpr double pi = std::numbers::pi;

/// The direct ray alone, slowly: eq. 7.5-29 with both arrays' phases, in double.
void LineOfSightByHand(Case& test) {
    const double frequency = 3.5e9, wavelength = speed_of_light / frequency;
    const auto channel =
        MakeChannel({.deployment = "RMa", .los = "Always", .frequency = frequency, .shadowing = false});
    const auto bs = MakeEnd({0, 0, 35}, 2, 3), ut = MakeEnd({300, 120, 1.5}, 1, 2);
    const auto link = Link(channel, bs, ut);
    // Of many drops, the mean of H is the direct ray: its phase is no random one.
    const auto tones = Tones(3, 1e6);
    std::vector<Complex> mean(2 * 6 * 3);
    const int drops = 4000;
    double k = 0;
    for (int i = 0; i < drops; ++i) {
        channel->Redraw(ut.mobility);
        const auto h = Measure(link, tones);
        const double gain = std::sqrt(link->GetLargeScaleGain());
        for (std::size_t j = 0; j < h.size(); ++j) {
            mean[j] += Complex(h[j]) / gain / static_cast<double>(drops);
        }
        const double linear = std::pow(10, link->GetState().k_factor_db / 10);
        k += std::sqrt(linear / (linear + 1)) / drops;
    }
    const Vector way = ut.mobility->GetPosition() - bs.mobility->GetPosition();
    const double length = way.GetLength();
    const Vector out(way.x / length, way.y / length, way.z / length);
    double worst = 0;
    for (std::size_t u = 0; u < 2; ++u) {
        for (std::size_t s = 0; s < 6; ++s) {
            const auto at = bs.array->GetElementLocation(s), ar = ut.array->GetElementLocation(u);
            const double turns = -length / wavelength + (out.x * at.x + out.y * at.y + out.z * at.z) -
                                 (out.x * ar.x + out.y * ar.y + out.z * ar.z);
            for (std::size_t f = 0; f < 3; ++f) { // time zero is the arrival: no phase over frequency
                worst = std::max(worst, std::abs(mean[(u * 6 + s) * 3 + f] - k * std::polar(1.0, 2 * pi * turns)));
            }
        }
    }
    // The rest is the mean of 4,000 random phases: 5 standard deviations of 1 / sqrt(4000).
    test.True(worst < 0.08, "the mean over drops is the direct ray: off by " + std::to_string(worst));
}

/// Every ray on its own, in double, with the positions of the elements: what the fast loops must give.
Response RayByRay(ChannelEnvironment& environment, const RadioChannel& channel, const End& bs, const End& ut,
                  double gain, const std::vector<double>& tones) {
    const Vector user = ut.mobility->GetPosition(), base = bs.mobility->GetPosition();
    const double direct = ns3::CalculateDistance(user, base), wavelength = channel.GetWavelengthM();
    const std::size_t numUt = ut.array->GetNumElems(), numBs = bs.array->GetNumElems();
    std::vector<Complex> h(numUt * numBs * tones.size());
    for (const auto& cell : environment.Cells(LinkCondition::Nlos, user)) {
        const auto drop = environment.Drop(LinkCondition::Nlos, cell.place, ChannelEnvironment::FloorOf(user));
        const auto image = [&](const Images& images, std::size_t i) {
            return Vector(images.x[i], images.y[i], images.z[i]);
        };
        for (std::size_t tap = 0; tap < drop->numTaps(); ++tap) {
            const double delay =
                drop->tapDelayS[tap] - direct / speed_of_light +
                (ns3::CalculateDistance(user, image(drop->taps, tap)) - drop->taps.length0M[tap]) / speed_of_light;
            for (std::size_t ray = drop->tapBegin[tap]; ray < drop->tapBegin[tap + 1]; ++ray) {
                const Vector way = image(drop->rays, ray) - user;
                const double length = way.GetLength();
                const Vector a(way.x / length, way.y / length, way.z / length);
                const auto q = [&](std::size_t i) { return drop->rays.q[i][ray]; };
                const Vector b(-(q(0) * a.x + q(3) * a.y + q(6) * a.z), -(q(1) * a.x + q(4) * a.y + q(7) * a.z),
                               -(q(2) * a.x + q(5) * a.y + q(8) * a.z));
                const double walked = (length - drop->rays.length0M[ray]) / wavelength;
                for (std::size_t u = 0; u < numUt; ++u) {
                    const auto [utPhi, utTheta] =
                        ut.array->GetElementFieldPattern(ns3::Angles(a), ut.array->GetElemPol(u));
                    const auto ar = ut.array->GetElementLocation(u);
                    for (std::size_t s = 0; s < numBs; ++s) {
                        const auto [bsPhi, bsTheta] =
                            bs.array->GetElementFieldPattern(ns3::Angles(b), bs.array->GetElemPol(s));
                        const auto at = bs.array->GetElementLocation(s);
                        const auto m = [&](std::size_t i) { return Complex(drop->polarisation[i][ray]); };
                        const Complex polarised =
                            utTheta * (m(0) * bsTheta + m(1) * bsPhi) + utPhi * (m(2) * bsTheta + m(3) * bsPhi);
                        const double turns = a.x * ar.x + a.y * ar.y + a.z * ar.z + b.x * at.x + b.y * at.y +
                                             b.z * at.z - walked + drop->rays.turns0[ray];
                        for (std::size_t f = 0; f < tones.size(); ++f) {
                            h[(u * numBs + s) * tones.size() + f] +=
                                cell.weight * std::sqrt(gain) * polarised *
                                std::polar(1.0, 2 * pi * (turns - tones[f] * delay));
                        }
                    }
                }
            }
        }
    }
    return {h.begin(), h.end()};
}

/// Field patterns and phases against what ns-3's arrays say of each direction, turned, tilted and slanted arrays too.
void ResponsesOfArrays(Case& test) {
    const auto random = ns3::CreateObject<ns3::UniformRandomVariable>();
    random->SetStream(3);
    for (const bool isotropic : {true, false}) {
        for (const bool slantFirst : {true, false}) { // ns-3 keeps what it is told in this order
            auto array = MakeEnd({}, 3, 2, false, isotropic).array;
            array->SetAttribute("BearingAngle", ns3::DoubleValue(1.3));
            array->SetAttribute("DowntiltAngle", ns3::DoubleValue(0.3));
            if (slantFirst) {
                array->SetAttribute("PolSlantAngle", ns3::DoubleValue(0.7));
            }
            array->SetAttribute("IsDualPolarized", ns3::BooleanValue(true));
            array->SetAttribute("PolSlantAngle", ns3::DoubleValue(0.7));
            constexpr std::size_t count = 303; // all at once, as many as fill no whole vector
            std::vector<double> x(count), y(count), z(count);
            for (std::size_t i = 0; i < count; ++i) {
                z[i] = i < 2 ? 1 - 2.0 * double(i) : random->GetValue(-1, 1); // straight up and down, too
                const double azimuth = i < 2 ? 0 : random->GetValue(-pi, pi), flat = std::sqrt(1 - z[i] * z[i]);
                x[i] = flat * std::cos(azimuth);
                y[i] = flat * std::sin(azimuth);
            }
            const auto fast = Respond(*array, x.data(), y.data(), z.data(), count);
            double worst = 0;
            for (std::size_t i = 0; i < count; ++i) {
                const Vector direction(x[i], y[i], z[i]);
                for (std::uint8_t p = 0; p < 2; ++p) {
                    const auto [phi, theta] = array->GetElementFieldPattern(ns3::Angles(direction), p);
                    worst =
                        std::max({worst, std::abs(fast.theta[2 * i + p] - theta), std::abs(fast.phi[2 * i + p] - phi)});
                }
                for (std::size_t place = 0; place < 6; ++place) {
                    const auto at = array->GetElementLocation(place);
                    const auto phase = std::polar(1.0, 2 * pi * (x[i] * at.x + y[i] * at.y + z[i] * at.z));
                    const Complex got(fast.phaseRe[6 * i + place], fast.phaseIm[6 * i + place]);
                    worst = std::max(worst, std::abs(got - phase));
                }
            }
            test.True(worst < 2e-6, std::string(isotropic ? "isotropic" : "directive") +
                                        (slantFirst ? ", slant first" : ", slant last") + ": off by " +
                                        std::to_string(worst));
        }
    }
}

/// Two polarisations are at +45 and -45 degrees, one is vertical (TR 38.901 7.3).
void SlantsOfArrays(Case& test) {
    const auto pattern = [](bool dual, std::uint8_t polarisation) {
        const auto array = MakePlanarArray(2, 2, dual, ElementPattern::Isotropic, 0);
        const auto [phi, theta] = array->GetElementFieldPattern(ns3::Angles(0.4, pi / 2), polarisation);
        return Complex(theta, phi);
    };
    test.True(std::abs(pattern(true, 0) - std::polar(1.0, pi / 4)) < 1e-12, "+45 degrees");
    test.True(std::abs(pattern(true, 1) - std::polar(1.0, -pi / 4)) < 1e-12, "-45 degrees");
    test.True(std::abs(pattern(false, 0) - 1.0) < 1e-12, "vertical");
}

/// Both modes of angles against the slow sum, along a way across a border between cells, and along one that leaves the
/// finer squares near the base station.
void FastAgainstSlow(Case& test) {
    for (const auto& [drifting, start] : {std::pair{true, Vector(190, 80, 1.5)}, std::pair{false, Vector(190, 80, 1.5)},
                                          std::pair{true, Vector(9, 4, 1.5)}, std::pair{false, Vector(9, 4, 1.5)}}) {
        const auto channel = MakeChannel({.angles = drifting ? "Drifting" : "Frozen"});
        const auto bs = MakeEnd({0, 0, 25}, 2, 3, true, false), ut = MakeEnd(start, 1, 2, true);
        const auto link = Link(channel, bs, ut);
        const auto tones = Tones(19);
        double worst = 0;
        // The environment is a function of the seed: make a second one with the same.
        const auto twin = ns3::CreateObject<ns3::UniformRandomVariable>();
        twin->SetStream(7);
        const std::uint64_t high = twin->GetInteger(0, 0xffffffffu - 1);
        ChannelEnvironment environment(channel->GetStatistics(), channel->GetWavelengthM(),
                                       high << 32 | twin->GetInteger(0, 0xffffffffu - 1), 0, {0, 0, 25});
        for (int step = 0; step < 12; ++step) {
            ut.MoveTo({start.x + 1.7 * step, start.y + 0.3 * step, 1.5});
            const auto h = Measure(link, tones);
            const auto slow = RayByRay(environment, *channel, bs, ut, link->GetLargeScaleGain(), tones);
            worst = std::max(worst, Difference(h, slow));
        }
        // Frozen: every step is beyond a window, so each is its own anchor.
        test.True(worst < 1e-10, std::string(drifting ? "drifting" : "frozen") +
                                     " against ray by ray: relative error " + std::to_string(std::sqrt(worst)));
    }
}

/// Near the base station, clusters are seen from near the user, in whatever part of its cell it is: over many drops,
/// rays leave towards the user on average, where the middle of its cell is elsewhere.
void NearTheBaseStation(Case& test) {
    const auto channel = MakeChannel({.deployment = "InH-Open", .los = "Never", .frequency = 3.5e9});
    const auto bs = MakeEnd({0, 0, 3}), ut = MakeEnd({20, 0, 1.5});
    const auto link = Link(channel, bs, ut);
    for (const Vector& place : {Vector(3, 1, 1.5), Vector(2, 7, 1.5), Vector(12, 1.5, 1.5), Vector(-1, 18, 1.5),
                                Vector(21, -19, 1.5)}) { // cells are 10 m long
        ut.MoveTo(place);
        Complex sum = 0;
        for (int drop = 0; drop < 400; ++drop) {
            channel->Redraw(ut.mobility);
            double total = 0;
            Complex mean = 0;
            for (const Ray& ray : link->GetRays()) {
                total += ray.gain;
                mean += ray.gain * std::polar(1.0, ray.aod_deg * pi / 180 - std::atan2(place.y, place.x));
            }
            sum += mean / total;
        }
        const double off = std::arg(sum) * 180 / pi;
        test.Near(off, 0, 7,
                  "departure beside the user at " + std::to_string(place.x) + ", " + std::to_string(place.y));
    }
    ChannelEnvironment environment(channel->GetStatistics(), channel->GetWavelengthM(), 5, 0, {0, 0, 3});
    for (double x = 0.1; x < 50; x += 0.37) {
        const Vector user(x, 0.3 * x, 1.5);
        const double distance = ns3::CalculateDistance(user, {0, 0, 3});
        double power = 0;
        bool coarse = false, fine = false;
        for (const auto& cell : environment.Cells(LinkCondition::Nlos, user)) {
            power += cell.weight * cell.weight;
            (cell.place.level > 0 ? fine : coarse) = true;
        }
        test.Near(power, 1, 1e-9, "power of the drops");
        test.True(coarse == (distance > 30 * 15 / 16.0) && fine == (distance < 30), "finer within 30 m");
    }
}

/// Frozen windows stay near the exact channel over the whole of a window.
void FrozenStaysNear(Case& test) {
    const auto frozen = MakeChannel(), exact = MakeChannel({.angles = "Drifting"});
    const auto bs = MakeEnd({0, 0, 25}, 4, 4, true), ut = MakeEnd({175, 25, 1.5}, 1, 2, true);
    const auto a = Link(frozen, bs, ut), b = Link(exact, bs, ut);
    const auto tones = Tones(12);
    double worst = 0;
    for (int step = 0; step < 400; ++step) {
        ut.MoveTo({175 + 0.004 * step, 25, 1.5});
        worst = std::max(worst, Difference(Measure(a, tones), Measure(b, tones)));
    }
    test.True(worst < 1e-3, "frozen windows of 0.5 m at 2.4 GHz: error power " + std::to_string(worst));
}

/// Steps are proportional to the way: halving a step halves the change, at window ends, in cells' borders, where the
/// state of line of sight changes, and wherever the heading does.
void NoJumps(Case& test) {
    for (const bool drifting : {false, true}) {
        for (const double los : {0.0, 1.0, 0.5}) {
            const auto channel = MakeChannel({.deployment = "UMi",
                                              .los = los == 0.5 ? "Probability"
                                                     : los > 0  ? "Always"
                                                                : "Never",
                                              .angles = drifting ? "Drifting" : "Frozen",
                                              .frequency = 3.5e9});
            const auto bs = MakeEnd({0, 0, 10}), ut = MakeEnd({40, 30, 1.5});
            const auto link = Link(channel, bs, ut);
            const auto tones = Tones(4, 1e6);
            const double wavelength = channel->GetWavelengthM();
            const auto way = [&](double walked) { // a sharp corner every 7 m
                Vector at(40, 30, 1.5);
                for (double left = walked, heading = 0.4; left > 0; left -= 7, heading = -0.5 - heading) {
                    at.x += std::min(left, 7.0) * std::cos(heading);
                    at.y += std::min(left, 7.0) * std::sin(heading);
                }
                return at;
            };
            ut.MoveTo(way(0));
            auto before = Measure(link, tones);
            double mean = 0, worst = 0, worstPower = 0;
            const double step = 2e-4;
            std::size_t count = 0;
            for (double walked = step; walked < 20; ++count) {
                ut.MoveTo(way(walked));
                const auto h = Measure(link, tones);
                const double gain = link->GetLargeScaleGain();
                const double change = std::sqrt(Difference(h, before) * Power(before) / (gain * 4));
                worst = std::max(worst, change);
                mean += change;
                worstPower = std::max(worstPower, std::abs(Power(h) - Power(before)) / (gain * 4));
                before = h;
                // Mostly long strides (not compared), then a stretch of fine steps.
                walked += step;
                if (count % 40 == 39) {
                    walked += 0.0937;
                    ut.MoveTo(way(walked));
                    before = Measure(link, tones);
                }
            }
            // One wave turns by 2 pi step / wavelength; the sum of many can exceed that by their peaks.
            const double turn = 2 * pi * step / wavelength;
            test.True(worst < 5 * turn,
                      "largest step " + std::to_string(worst) + ", one wave's " + std::to_string(turn));
            test.True(worstPower < 20 * turn, "largest step of power " + std::to_string(worstPower));
            test.True(mean / static_cast<double>(count) > 0.1 * turn, "the channel changes");
        }
    }
}

/// The same place is the same channel, whichever way led there and whoever asked first.
void FunctionOfPlace(Case& test) {
    const auto bs = MakeEnd({0, 0, 25}, 2, 2), ut = MakeEnd({175, 25, 1.5}), other = MakeEnd({60, 200, 1.5});
    const auto tones = Tones(8);
    const auto a = MakeChannel({.los = "Probability", .angles = "Drifting"});
    const auto first = Measure(Link(a, bs, ut), tones);
    const auto elsewhere = Measure(Link(a, bs, other), tones);
    for (int i = 0; i < 50; ++i) {
        ut.MoveTo({175 + 10.0 * i, 25 - 3.0 * i, 1.5});
        Measure(Link(a, bs, ut), tones);
    }
    ut.MoveTo({175, 25, 1.5});
    test.True(Measure(Link(a, bs, ut), tones) == first, "back at the same place: the same channel");

    const auto b = MakeChannel({.los = "Probability", .angles = "Drifting"});
    test.True(Measure(Link(b, bs, other), tones) == elsewhere && Measure(Link(b, bs, ut), tones) == first,
              "same seed, other order: the same channel");
    const auto c = MakeChannel({.los = "Probability", .angles = "Drifting", .stream = 8});
    test.True(Difference(Measure(Link(c, bs, ut), tones), first) > 0.1, "other stream: another channel");
    ns3::RngSeedManager::SetRun(ns3::RngSeedManager::GetRun() + 1);
    const auto d = MakeChannel({.los = "Probability", .angles = "Drifting"});
    test.True(Difference(Measure(Link(d, bs, ut), tones), first) > 0.1, "other run: another channel");
    ns3::RngSeedManager::SetRun(ns3::RngSeedManager::GetRun() - 1);

    // A second user a few centimetres away sees nearly the same, one 100 m away does not.
    const auto neighbour = MakeEnd({175.005, 25, 1.5});
    test.True(Difference(Measure(Link(a, bs, neighbour), tones), first) < 0.2, "neighbours share their surroundings");
    a->Redraw(neighbour.mobility);
    test.True(Difference(Measure(Link(a, bs, neighbour), tones), first) > 0.1, "after Redraw they do not");
    test.True(Measure(Link(a, bs, ut), tones) == first, "Redraw of one leaves the others");
}

void Reciprocity(Case& test) {
    const auto channel = MakeChannel({.los = "Probability"});
    const auto bs = MakeEnd({0, 0, 25}, 2, 4, true, false), ut = MakeEnd({120, -60, 1.5}, 1, 2, true);
    const auto tones = Tones(24);
    const auto link = Link(channel, bs, ut);
    test.True(Link(channel, ut, bs) == link, "one link, whichever end comes first");
    test.True(link->From(*bs.mobility) == Direction::Downlink && link->From(*ut.mobility) == Direction::Uplink,
              "the higher one is the base station");
    const auto down = Measure(link, tones, Direction::Downlink), up = Measure(link, tones, Direction::Uplink);
    bool same = true;
    for (std::size_t u = 0; u < 4; ++u) {
        for (std::size_t s = 0; s < 16; ++s) {
            for (std::size_t f = 0; f < 24; ++f) {
                same = same && down[(u * 16 + s) * 24 + f] == up[(s * 4 + u) * 24 + f];
            }
        }
    }
    test.True(same, "uplink is the transpose of downlink, bit by bit");
}

/// Unitary weights keep the energy; isotropic elements get what the link's gain says, on average.
void EnergyOverArrays(Case& test) {
    const auto bs = MakeEnd({0, 0, 25}, 2, 4), ut = MakeEnd({150, 60, 1.5}, 1, 3);
    const auto channel = MakeChannel({.los = "Always"});
    const auto link = Link(channel, bs, ut);
    const auto tones = Tones(16);
    const auto dft = [](std::size_t n) {
        std::vector<std::complex<float>> values(n * n);
        for (std::size_t i = 0; i < n * n; ++i) {
            values[i] = std::complex<float>(
                std::polar(1 / std::sqrt(double(n)), 2 * pi * double((i / n) * (i % n)) / double(n)));
        }
        return PortWeights(n, std::move(values));
    };
    const auto whole = Measure(link, tones);
    const auto beams = link->GetEffectiveChannel(Direction::Downlink, dft(3), dft(8), tones);
    test.Near(Power(beams) / Power(whole), 1, 1e-5, "energy in a complete set of beams");

    double sum = 0, rays = 0;
    const int drops = 3000;
    for (int i = 0; i < drops; ++i) {
        channel->Redraw(ut.mobility);
        const double gain = link->GetLargeScaleGain() * 24;
        sum += Power(Measure(link, tones)) / 16 / gain / drops;
        for (const auto& ray : link->GetRays()) {
            rays += ray.gain / gain / drops;
        }
    }
    // Vertical elements that are isotropic in power: co-polar power 1, nothing is lost to the other polarisation.
    test.Near(rays, 1, 1e-3, "powers of the rays add up to the gain");
    test.Near(sum, 1, 0.03, "mean power over drops, antennas and tones");
}

/// Doppler shifts of the list of rays are what the phase does; a moving base station counts like a moving user.
void DopplerOfBothEnds(Case& test) {
    const auto channel = MakeChannel({.deployment = "Clarke", .angles = "Drifting"});
    const auto bs = MakeEnd({0, 0, 25}), ut = MakeEnd({150, 50, 1.5}); // in the middle of a cell
    const auto link = Link(channel, bs, ut);
    const Vector velocity(12, -5, 0);
    ut.mobility->SetVelocity(velocity);
    double largest = 0;
    for (const auto& ray : link->GetRays()) {
        largest = std::max(largest, std::abs(ray.doppler_hz));
    }
    test.Near(largest * channel->GetWavelengthM(), 13, 0.01, "speed of the user in wavelengths a second");

    ut.mobility->SetVelocity({0, 0, 0});
    const Vector way = ut.mobility->GetPosition() - bs.mobility->GetPosition();
    const double shift = (way.x * 12 - way.y * 5) / way.GetLength() / channel->GetWavelengthM();
    const double dt = 5e-4;
    const auto before = Measure(link, {0});
    bs.MoveTo({velocity.x * dt, velocity.y * dt, 25});
    const Complex turn = Complex(Measure(link, {0})[0]) / Complex(before[0]);
    // All rays leave the base station towards the user: one Doppler shift for all.
    test.Near(std::arg(turn) / (2 * pi * dt), shift, 0.01 * std::abs(shift), "phase, base station moving");
    bs.mobility->SetVelocity(velocity); // SetPosition stopped it
    test.Near(link->GetRays()[5].doppler_hz, shift, 1e-3 * std::abs(shift), "the same in the list of rays");
}

CaseSuite channelTestSuite("edgelam-channel", {{"the direct ray by hand", LineOfSightByHand},
                                               {"responses of arrays", ResponsesOfArrays},
                                               {"slants of arrays", SlantsOfArrays},
                                               {"fast loops against ray by ray", FastAgainstSlow},
                                               {"near the base station", NearTheBaseStation},
                                               {"frozen windows stay near the exact channel", FrozenStaysNear},
                                               {"no jumps", NoJumps},
                                               {"a function of place and seed", FunctionOfPlace},
                                               {"reciprocity", Reciprocity},
                                               {"energy over arrays", EnergyOverArrays},
                                               {"Doppler of both ends", DopplerOfBothEnds}});

} // namespace
