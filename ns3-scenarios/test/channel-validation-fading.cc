// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Fading within a drop, over many drops: autocorrelation in time and frequency, Clarke's model.

#include <boost/math/special_functions/bessel.hpp>

#include "channel-validation.h"

namespace edgelam::test {

namespace {

using ns3::Vector;

constexpr double pi = std::numbers::pi;

/// The array's elements so far apart that each pair sees the rays with phases of its own: many samples of one drop.
void Spread(const End& end, double wavelengths) {
    end.array->SetAttribute("AntennaHorizontalSpacing", ns3::DoubleValue(wavelengths));
    end.array->SetAttribute("AntennaVerticalSpacing", ns3::DoubleValue(wavelengths));
}

/// Sum of one lag's deviations over drops: their mean and its standard error.
struct Deviation {
    Complex sum = 0;
    double squares = 0;
    void Add(Complex value) {
        sum += value;
        squares += std::norm(value);
    }
    double Mean(double count) const { return std::abs(sum) / count; }
    double Error(double count) const { return std::sqrt(squares - std::norm(sum) / count) / count; }
};

/// Measured autocorrelations against the naive sum over each drop's own rays. What is allowed is 1 % of the power; four
/// standard errors of the measurement are less than that, so the statement has that confidence.
void Autocorrelation(Case& test, const Settings& settings, const Vector& place, double bsHeight, double spacingHz) {
    const std::string what = settings.deployment + (settings.los == "Always" ? " LOS" : " NLOS");
    const auto channel = MakeChannel(settings);
    const auto bs = MakeEnd({0, 0, bsHeight}, 4, 4), ut = MakeEnd(place, 4, 4);
    // In line of sight closer, for the direct ray's angle must not turn noticeably for the array within the lags.
    Spread(bs, settings.los == "Always" ? 6.7 : 23.7);
    Spread(ut, settings.los == "Always" ? 5.3 : 19.3);
    const auto link = Link(channel, bs, ut);
    const auto tones = Tones(12, spacingHz);
    const std::size_t numTones = tones.size(), numPairs = 256, numLags = 7, numShifts = 8;
    const double wavelength = channel->GetWavelengthM(), speed = 7, lag = wavelength / 4 / speed; // s
    const Vector velocity(speed * std::cos(2.1), speed * std::sin(2.1), 0);
    const int drops = 300;
    std::vector<Deviation> overTime(numLags), overFrequency(numShifts);
    Deviation power;
    double half = 0; // of the drops, those whose autocorrelation fell below one half: they are beyond coherence
    for (int drop = 0; drop < drops; ++drop) {
        channel->Redraw(ut.mobility);
        ut.MoveTo(place);
        ut.mobility->SetVelocity(velocity);
        const auto rays = link->GetRays();
        double gain = 0;
        for (const auto& ray : rays) {
            gain += ray.gain;
        }
        const auto first = Measure(link, tones);
        const double expected = link->GetLargeScaleGain() * numPairs;
        power.Add(Power(first) / static_cast<double>(numTones) / expected - 1);
        double least = 1;
        for (std::size_t i = 0; i < numLags; ++i) {
            const double tau = lag * static_cast<double>(i);
            ut.MoveTo({place.x + velocity.x * tau, place.y + velocity.y * tau, place.z});
            const auto h = Measure(link, tones);
            Complex measured = 0, naive = 0;
            for (std::size_t j = 0; j < h.size(); ++j) {
                measured += Complex(h[j]) * std::conj(Complex(first[j]));
            }
            for (const auto& ray : rays) {
                naive += ray.gain / gain * std::polar(1.0, 2 * pi * ray.doppler_hz * tau);
            }
            least = std::min(least, std::abs(naive));
            overTime[i].Add(measured / gain / static_cast<double>(numTones) - naive);
        }
        half += least < 0.5 ? 1.0 / drops : 0;
        for (std::size_t shift = 0; shift < numShifts; ++shift) {
            Complex measured = 0, naive = 0;
            for (std::size_t pair = 0; pair < numPairs; ++pair) {
                const auto* h = &first[pair * numTones];
                for (std::size_t f = shift; f < numTones; ++f) {
                    measured += Complex(h[f]) * std::conj(Complex(h[f - shift]));
                }
            }
            for (const auto& ray : rays) {
                naive +=
                    ray.gain / gain * std::polar(1.0, -2 * pi * spacingHz * static_cast<double>(shift) * ray.delay_s);
            }
            overFrequency[shift].Add(measured / gain / static_cast<double>(numTones - shift) - naive);
        }
    }
    for (std::size_t i = 0; i < numLags; ++i) {
        const auto name = what + ", lag of " + std::to_string(i) + "/4 wavelengths";
        test.True(4 * overTime[i].Error(drops) < 0.01, name + ": error " + std::to_string(overTime[i].Error(drops)));
        test.Near(overTime[i].Mean(drops), 0, 0.01, name);
    }
    for (std::size_t shift = 0; shift < numShifts; ++shift) {
        const auto name = what + ", " + std::to_string(spacingHz * static_cast<double>(shift)) + " Hz apart";
        test.True(4 * overFrequency[shift].Error(drops) < 0.01,
                  name + ": error " + std::to_string(overFrequency[shift].Error(drops)));
        test.Near(overFrequency[shift].Mean(drops), 0, 0.01, name);
    }
    test.True(4 * power.Error(drops) < 0.01, what + ": error of the power " + std::to_string(power.Error(drops)));
    test.Near(power.Mean(drops), 0, 0.01, what + ": mean power over drops is the large-scale gain");
    if (settings.los == "Never") {
        test.True(half > 0.5, what + ": the lags reach beyond coherence in " + std::to_string(half) + " of the drops");
    }
}

void Autocorrelations(Case& test) {
    for (const char* los : {"Never", "Always"}) {
        for (const char* angles : {"Frozen", "Drifting"}) {
            const bool frozen = std::string(angles) == "Frozen";
            const auto settings = [&](const char* deployment) {
                return Settings{.deployment = deployment,
                                .los = los,
                                .angles = angles,
                                .frequency = 28e9,
                                .stream = 11,
                                .shadowing = false};
            };
            if (frozen) {
                Autocorrelation(test, settings("UMa"), {150.5, 60, 1.5}, 25, 1e6); // in the fade between NLOS cells
                Autocorrelation(test, settings("InH-Open"), {24, 13, 1}, 3, 1e7);
            } else {
                Autocorrelation(test, settings("UMi"), {70, -33, 1.5}, 10, 8e6);
                Autocorrelation(test, settings("InF-SL"), {33, 18, 1.5}, 1.6, 5e6);
            }
        }
    }
}

/// Clarke's model: the autocorrelation in time is J0(2 pi f_d tau); the envelope is Rayleigh (Kolmogorov-Smirnov,
/// 0.1 %).
void Clarke(Case& test) {
    const Vector start(85, 20, 1.5); // far from the middle of a cell, near the base station
    const auto channel = MakeChannel({.deployment = "Clarke", .stream = 12});
    const auto bs = MakeEnd({0, 0, 25}), ut = MakeEnd(start, 1, 64);
    Spread(ut, 9.37);
    const auto link = Link(channel, bs, ut);
    const double wavelength = channel->GetWavelengthM();
    const int count = 4000;
    const std::size_t numLags = 33;
    std::vector<Deviation> deviations(numLags);
    std::vector<double> powers;
    for (int drop = 0; drop < count; ++drop) {
        channel->Redraw(ut.mobility);
        ut.MoveTo(start);
        const auto first = Measure(link, {0});
        const double gain = link->GetLargeScaleGain() * 64;
        powers.push_back(std::norm(Complex(first[5])) / gain * 64);
        for (std::size_t k = 0; k < numLags; ++k) {
            const double way = static_cast<double>(k) / 16; // wavelengths
            ut.MoveTo(
                {start.x + way * wavelength * std::cos(0.4), start.y + way * wavelength * std::sin(0.4), start.z});
            const auto h = Measure(link, {0});
            Complex measured = 0;
            for (std::size_t u = 0; u < h.size(); ++u) {
                measured += Complex(h[u]) * std::conj(Complex(first[u]));
            }
            deviations[k].Add(measured / gain - boost::math::cyl_bessel_j(0, 2 * pi * way));
        }
    }
    for (std::size_t k = 0; k < numLags; ++k) {
        const auto name = "lag of " + std::to_string(k) + "/16 wavelengths";
        test.True(4 * deviations[k].Error(count) < 0.0101,
                  name + ": error " + std::to_string(deviations[k].Error(count)));
        test.Near(deviations[k].Mean(count), 0, 0.01, name);
    }
    const double ratio = KolmogorovRatio(powers, [](double power) { return 1 - std::exp(-power); });
    test.True(ratio < 1, "Rayleigh envelope: " + std::to_string(ratio) + " of the limit");
}

/// Rate at which the envelope crosses a level, sqrt(2 pi) f_d rho exp(-rho^2), along one way through many drops. The
/// band, 10 %, is about four standard deviations of the number of crossings.
void LevelCrossings(Case& test) {
    const auto channel = MakeChannel({.deployment = "Clarke", .stream = 13});
    const auto bs = MakeEnd({0, 0, 25}), ut = MakeEnd({30, 40, 1.5});
    const auto link = Link(channel, bs, ut);
    const double wavelength = channel->GetWavelengthM(), step = wavelength / 32;
    const int steps = 3000 * 32;
    for (const double level : {0.4, 1.0}) {
        int crossings = 0;
        double before = 0;
        for (int i = 0; i < steps; ++i) {
            ut.MoveTo({30 + 0.8 * step * i, 40 + 0.6 * step * i, 1.5});
            const double now = std::abs(Complex(Measure(link, {0})[0])) / std::sqrt(link->GetLargeScaleGain());
            crossings += i > 0 && before >= level && now < level;
            before = now;
        }
        const double expected = std::sqrt(2 * pi) * level * std::exp(-level * level) * steps / 32;
        test.Near(crossings / expected, 1, 0.10, "crossings of " + std::to_string(level) + " times the rms value");
    }
}

} // namespace

std::vector<NamedCase> FadingCases() {
    return {{"autocorrelation against the ray sum; mean power", Autocorrelations},
            {"Clarke: autocorrelation and envelope", Clarke},
            {"Clarke: level crossings", LevelCrossings}};
}

} // namespace edgelam::test
