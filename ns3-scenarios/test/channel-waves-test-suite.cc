// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Spherical waves against the distance from element to element, and bodies that block rays against numbers by hand.

#include <algorithm>
#include <cmath>
#include <memory>

#include "channel-testbed.h"
#include "ray-window.h"

using namespace edgelam;
using namespace edgelam::test;
using ns3::Vector;

namespace {

constexpr double pi = std::numbers::pi;

Vector PlaceOf(const End& end, std::size_t element, double wavelengthM) {
    const auto at = end.array->GetElementLocation(element);
    const auto place = end.mobility->GetPosition();
    return {place.x + wavelengthM * at.x, place.y + wavelengthM * at.y, place.z + wavelengthM * at.z};
}

/// [user element, base-station element] of one drop.
std::vector<Complex> Elements(RayWindow& window, const End& bs, const End& ut) {
    Taps taps;
    window.AddElementTaps(ut.mobility->GetPosition(), bs.mobility->GetPosition(), 1, 0, taps);
    std::vector<Complex> h(ut.array->GetNumElems() * bs.array->GetNumElems());
    for (std::size_t i = 0; i < taps.re.size(); ++i) {
        h[i % h.size()] += Complex(taps.re[i], taps.im[i]);
    }
    return h;
}

/// The direct ray between an array of 1.3 m and an array of four, 2 m away: the phase of each pair is that of its
/// distance. Plane waves are wrong by more than a turn there, and have no second spatial layer.
void DirectRay(Case& test) {
    const double wavelength = 0.01;
    const auto bs = MakeEnd({0, 0, 3}, 4, 260), ut = MakeEnd({2, 0.4, 1}, 1, 4);
    const auto drop = LineOfSight(bs.mobility->GetPosition(), wavelength, 4);
    RayWindow window(drop, *ut.array, *bs.array, ut.mobility->GetPosition(), bs.mobility->GetPosition(), wavelength,
                     Waves::Direct);
    const auto h = Elements(window, bs, ut);
    const auto flat = LineOfSight(bs.mobility->GetPosition(), wavelength);
    RayWindow plane(flat, *ut.array, *bs.array, ut.mobility->GetPosition(), bs.mobility->GetPosition(), wavelength);
    const auto wrong = Elements(plane, bs, ut);
    const std::size_t elements = bs.array->GetNumElems();
    double worst = 0, worstPlane = 0;
    for (std::size_t u = 0; u < 4; ++u) {
        for (std::size_t s = 0; s < elements; ++s) {
            const double metres = ns3::CalculateDistance(PlaceOf(ut, u, wavelength), PlaceOf(bs, s, wavelength));
            const auto exact = std::polar(1.0, -2 * pi * metres / wavelength);
            worst = std::max(worst, std::abs(h[u * elements + s] - exact));
            worstPlane = std::max(worstPlane, std::abs(wrong[u * elements + s] - exact));
        }
    }
    test.True(worst < 2e-4, "spherical: off by " + std::to_string(worst));
    test.True(worstPlane > 1.9, "plane: off by " + std::to_string(worstPlane));
    // The part of the channel of the last antenna that is not along that of the first.
    const auto apart = [&](const std::vector<Complex>& of) {
        Complex product = 0;
        for (std::size_t s = 0; s < elements; ++s) {
            product += std::conj(of[s]) * of[3 * elements + s];
        }
        return 1 - std::norm(product / double(elements));
    };
    test.True(apart(wrong) < 1e-5 && apart(h) > 0.5, "a second layer: " + std::to_string(apart(h)));
    test.Near(window.PortPower(0) * 4, plane.PortPower(0), 1e-6, "power of the copies");
}

/// A ray of a cluster: each element is as far from the place where the wave seems to come from as it is.
void ClusterRay(Case& test) {
    const double wavelength = 0.01;
    const auto bs = MakeEnd({0, 0, 3}, 1, 300), ut = MakeEnd({6, 1, 1}, 1, 1);
    const double length = 9;
    const Vector user = ut.mobility->GetPosition(), arrival(0.6, 0.8, 0), departure(0.48, 0.6, 0.64);
    auto drop = std::make_shared<ClusterDrop>();
    drop->bsPosition = bs.mobility->GetPosition();
    drop->rays.Add(user, arrival, departure, 1, length, 0);
    drop->taps = drop->rays;
    drop->tapBegin = {0, 1};
    drop->tapDelayS = {length / speed_of_light};
    drop->polarisation = {std::vector<std::complex<float>>{1}, {0}, {0}, {1}};
    RayWindow window(drop, *ut.array, *bs.array, user, bs.mobility->GetPosition(), wavelength, Waves::Spherical);
    const auto h = Elements(window, bs, ut);
    const auto metres = [&](std::size_t s) {
        const auto at = bs.array->GetElementLocation(s);
        return Vector(length * departure.x - wavelength * at.x, length * departure.y - wavelength * at.y,
                      length * departure.z - wavelength * at.z)
            .GetLength();
    };
    double off = 0; // from element to element
    for (std::size_t s = 0; s < h.size(); ++s) {
        off = std::max(off, std::abs(h[s] / h[0] - std::polar(1.0, 2 * pi * (metres(0) - metres(s)) / wavelength)));
    }
    test.True(off < 2e-4, "off by " + std::to_string(off));
}

/// Far from small arrays both are the same channel; near a large one they are not.
void NearAndFar(Case& test) {
    const auto difference = [](double metres, std::uint32_t columns) {
        Response both[2];
        for (const bool spherical : {false, true}) {
            const auto channel = MakeChannel({.deployment = "InH-Open", .los = "Always", .frequency = 30e9});
            channel->SetAttribute("Waves", ns3::StringValue(spherical ? "Spherical" : "Plane"));
            const auto bs = MakeEnd({0, 0, 3}, 1, columns), ut = MakeEnd({metres, 1, 1}, 1, 2);
            both[spherical] = Measure(Link(channel, bs, ut), Tones(3));
        }
        return Difference(both[1], both[0]);
    };
    test.True(difference(90, 4) < 1e-4, "far: " + std::to_string(difference(90, 4)));
    test.True(difference(3, 128) > 0.3, "near: " + std::to_string(difference(3, 128)));
    const auto channel = MakeChannel({});
    test.Refuses([&] { channel->SetAttribute("Waves", ns3::StringValue("round")); }, {"'round'", "Plane, Spherical"},
                 "waves");
}

/// One edge by hand, in another order of operations.
double F(double longerM, double wavelengthM) {
    return std::atan(0.5 * pi * std::sqrt(pi * longerM / wavelengthM)) / pi;
}

/// A person in the middle of a way of 10 m at 30 GHz: 9.0 dB; beside the way, over it and behind the receiver.
void ScreensByHand(Case& test) {
    const double wavelength = 0.01;
    const Vector receiver(0, 0, 1.5), transmitter(10, 0, 1.5);
    const auto db = [](double left) { return -20 * std::log10(left); };
    const double middle = DirectBlockage({{5, 0, 1.5}, 0.3, 1.7}, receiver, transmitter, wavelength);
    const double w = F(2 * std::hypot(5, 0.15) - 10, wavelength), h = F(2 * std::hypot(5, 0.85) - 10, wavelength);
    test.Near(middle, 1 - 4 * w * h, 1e-9, "in the middle");
    test.Near(db(middle), 9.012, 0.001, "in the middle, dB");
    // 2 m from the receiver, the way passes 10 cm outside of the left edge.
    const double left = F(std::hypot(2, 0.1) + std::hypot(8, 0.1) - 10, wavelength),
                 right = F(std::hypot(2, 0.4) + std::hypot(8, 0.4) - 10, wavelength);
    const double up = F(std::hypot(2, 0.85) + std::hypot(8, 0.85) - 10, wavelength);
    test.Near(DirectBlockage({{2, 0.25, 1.5}, 0.3, 1.7}, receiver, transmitter, wavelength),
              1 - (right - left) * 2 * up, 1e-9, "beside the way");
    // The way rises to 3 m: at 4 m from the receiver it is 2.1 m high, above a person of 1.7 m.
    const Vector high(10, 0, 3);
    const double over = std::hypot(10, 1.5);
    const double top = F(std::hypot(4, 0.2) + std::hypot(6, 1.3) - over, wavelength),
                 bottom = F(std::hypot(4, -1.5) + std::hypot(6, 3.0) - over, wavelength);
    const double flat = F(std::hypot(4, 0.15) + std::hypot(6, 0.15) - 10, wavelength);
    test.Near(DirectBlockage({{4, 0, 0.85}, 0.3, 1.7}, receiver, high, wavelength), 1 - (bottom - top) * 2 * flat, 1e-9,
              "below the way");
    for (const double x : {-1.0, 10.5}) {
        test.Near(DirectBlockage({{x, 0, 1.5}, 0.3, 1.7}, receiver, transmitter, wavelength), 1, 0, "not between");
    }
    // A wave from far away along x: the edge is longer by sqrt(x^2 + e^2) - x.
    const double wide = F(std::hypot(2, 0.15) - 2, wavelength), tall = F(std::hypot(2, 0.85) - 2, wavelength);
    test.Near(PathBlockage({{2, 0, 1.5}, 0.3, 1.7}, receiver, {1, 0, 0}, wavelength), 1 - 4 * wide * tall, 1e-9,
              "another path");
    test.Near(PathBlockage({{2, 0, 1.5}, 0.3, 1.7}, receiver, {-1, 0, 0}, wavelength), 1, 0, "behind");
    test.Near(PathBlockage({{2, 0, 1.5}, 0.3, 1.7}, receiver, {0, 0, 1}, wavelength), 1, 0, "straight up");
    // A transmitter very far away sends plane waves.
    test.Near(DirectBlockage({{2, 0, 1.5}, 0.3, 1.7}, receiver, {1e7, 0, 1.5}, wavelength),
              PathBlockage({{2, 0, 1.5}, 0.3, 1.7}, receiver, {1, 0, 0}, wavelength), 1e-4, "far away");
}

/// The rays of a link lose what the screens take from each, the response follows at once, and nothing is left of it
/// when they have gone.
void ScreensInAChannel(Case& test) {
    const auto channel = MakeChannel({.deployment = "InH-Open", .los = "Always", .frequency = 30e9});
    const auto bs = MakeEnd({0, 0, 3}, 2, 2), ut = MakeEnd({8, 1, 1}, 1, 1);
    const auto link = Link(channel, bs, ut);
    const auto tones = Tones(5, 20e6);
    const auto free = Measure(link, tones);
    const auto rays = link->GetRays();
    const auto weights = PortWeights::Elements(4), one = PortWeights::Elements(1);
    link->GetEffectiveChannel(Direction::Downlink, one, weights, tones);
    const std::vector<BlockingScreen> screens{{{7.5, 0.9, 0.85}, 0.3, 1.7}, {{6, 2.5, 0.85}, 0.5, 1.7}};
    channel->SetScreens(screens);
    const auto blocked = link->GetRays();
    const double wavelength = channel->GetWavelengthM();
    double worst = 0, least = 1;
    for (std::size_t i = 0; i < rays.size(); ++i) {
        const double zenith = rays[i].zoa_deg * pi / 180, azimuth = rays[i].aoa_deg * pi / 180;
        const Vector arrival(std::sin(zenith) * std::cos(azimuth), std::sin(zenith) * std::sin(azimuth),
                             std::cos(zenith));
        double left = 1;
        for (const auto& screen : screens) {
            left *= i == 0 ? DirectBlockage(screen, {8, 1, 1}, {0, 0, 3}, wavelength)
                           : PathBlockage(screen, {8, 1, 1}, arrival, wavelength);
        }
        worst = std::max(worst, std::abs(blocked[i].gain / rays[i].gain - left * left));
        least = std::min(least, left);
    }
    test.True(rays.size() > 100 && worst < 1e-4, "each ray: off by " + std::to_string(worst));
    test.True(least < 0.3, "some ray is blocked: " + std::to_string(least));
    test.Near(link->GetDirectBlockage(), std::sqrt(blocked[0].gain / rays[0].gain), 1e-6, "the direct path");
    const auto through = link->GetEffectiveChannel(Direction::Downlink, one, weights, tones);
    test.True(Difference(Measure(link, tones), Response(through)) < 1e-9, "what was kept is computed anew");
    test.True(Power(through) < 0.5 * Power(free), "the channel is weaker");
    channel->SetScreens({});
    test.True(Difference(Measure(link, tones), free) < 1e-12, "they have gone");
    test.Refuses([&] { channel->SetScreens({{{0, 0, 0}, 0, 1}}); }, {"width", "0.001"}, "width");
    test.Refuses([&] { channel->SetScreens({{{std::nan(""), 0, 0}, 1, 1}}); }, {"place", "nan"}, "place");
}

CaseSuite suite("edgelam-channel-waves", {{"the direct ray from element to element", DirectRay},
                                          {"a ray of a cluster", ClusterRay},
                                          {"near and far", NearAndFar},
                                          {"screens by hand", ScreensByHand},
                                          {"screens in a channel", ScreensInAChannel}});

} // namespace
