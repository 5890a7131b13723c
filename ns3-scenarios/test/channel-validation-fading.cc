// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The channel within a drop, over many drops: autocorrelation in time and frequency, Clarke's model, spreads of delays
/// and angles against what was drawn and against ns-3's own ThreeGppChannelModel.

#include <boost/math/special_functions/bessel.hpp>

#include "ns3/channel-condition-model.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/three-gpp-channel-model.h"

#include "channel-validation.h"

namespace edgelam::test {

namespace {

using ns3::Vector;

constexpr double pi = std::numbers::pi;
constexpr double deg = pi / 180;

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

/// Spreads of a set of rays: rms delay in s, circular azimuth spreads (TR 38.901 annex A.1) and mean zeniths in
/// degrees.
struct Spreads {
    double delay, aoa, aod, zoa, zod;
};

Spreads SpreadsOf(const std::vector<Ray>& rays) {
    double power = 0, delay = 0, delay2 = 0, zoa = 0, zod = 0;
    Complex aoa = 0, aod = 0;
    for (const auto& ray : rays) {
        power += ray.gain;
        delay += ray.gain * ray.delay_s;
        delay2 += ray.gain * ray.delay_s * ray.delay_s;
        zoa += ray.gain * ray.zoa_deg;
        zod += ray.gain * ray.zod_deg;
        aoa += std::polar(ray.gain, ray.aoa_deg * deg);
        aod += std::polar(ray.gain, ray.aod_deg * deg);
    }
    const auto circular = [&](Complex sum) { return std::sqrt(-2 * std::log(std::abs(sum) / power)) / deg; };
    return {std::sqrt(std::max(0.0, delay2 / power - std::pow(delay / power, 2))), circular(aoa), circular(aod),
            zoa / power, zod / power};
}

/// The rays of ns-3's channel model.
class Wheel : public ns3::ThreeGppChannelModel {
  public:
    void Configure(const std::string& scenario, double frequency) {
        SetAttribute("Scenario", ns3::StringValue(scenario));
        SetAttribute("Frequency", ns3::DoubleValue(frequency));
        AssignStreams(1000);
    }
    /// With the large-scale parameters of \p drawn. (The spread of rays in zenith of departure, 3/8 of the median ZSD,
    /// comes out as 3/8 of the drawn one: no matter, for only the mean of those zeniths is compared.)
    std::vector<Ray> Draw(const End& bs, const End& ut, LinkCondition condition, const LinkState& drawn) const {
        auto state = ns3::CreateObject<ns3::ChannelCondition>();
        state->SetLosCondition(condition == LinkCondition::Los ? ns3::ChannelCondition::LOS
                                                               : ns3::ChannelCondition::NLOS);
        state->SetO2iCondition(condition == LinkCondition::O2i ? ns3::ChannelCondition::O2I
                                                               : ns3::ChannelCondition::O2O);
        const auto table = ns3::Create<ParamsTable>(*GetThreeGppTable(bs.mobility, ut.mobility, state));
        table->m_uLgDS = std::log10(drawn.delay_spread_s);
        table->m_uLgASA = std::log10(drawn.asa_deg);
        table->m_uLgASD = std::log10(drawn.asd_deg);
        table->m_uLgZSA = std::log10(drawn.zsa_deg);
        table->m_uLgZSD = std::log10(drawn.zsd_deg);
        table->m_uK = drawn.k_factor_db;
        table->m_sigLgDS = table->m_sigLgASA = table->m_sigLgASD = table->m_sigLgZSA = table->m_sigLgZSD = 0;
        table->m_sigK = 0;
        const auto p = GenerateChannelParameters(state, table, bs.mobility, ut.mobility);
        const double k = condition == LinkCondition::Los ? std::pow(10, p->m_K_factor / 10) : 0;
        std::vector<Ray> rays;
        double total = 0;
        for (std::size_t n = 0; n < p->m_reducedClusterNumber; ++n) {
            total += p->m_clusterPower[n];
        }
        for (std::size_t n = 0; n < p->m_reducedClusterNumber; ++n) {
            for (std::size_t m = 0; m < 20; ++m) {
                // Table 7.5-5: of the two strongest clusters, rays 9-12, 17, 18 come later, and 13-16 later still.
                const bool strong = n == p->m_cluster1st || n == p->m_cluster2nd;
                const int part = (m >= 8 && m < 12) || m == 16 || m == 17 ? 1 : m >= 12 && m < 16 ? 2 : 0;
                rays.push_back({p->m_delay[n] + strong * 1.28 * part * table->m_cDS,
                                p->m_clusterPower[n] / total / 20 / (k + 1), 0, p->m_rayAodRadian[n][m] / deg,
                                p->m_rayZodRadian[n][m] / deg, p->m_rayAoaRadian[n][m] / deg,
                                p->m_rayZoaRadian[n][m] / deg, static_cast<std::uint32_t>(n)});
            }
        }
        if (condition == LinkCondition::Los) {
            const ns3::Angles out(ut.mobility->GetPosition(), bs.mobility->GetPosition());
            const ns3::Angles in(bs.mobility->GetPosition(), ut.mobility->GetPosition());
            rays.push_back({0, k / (k + 1), 0, out.GetAzimuth() / deg, out.GetInclination() / deg,
                            in.GetAzimuth() / deg, in.GetInclination() / deg, 255});
        }
        return rays;
    }
};

struct Realised {
    std::vector<double> delay, aoa, aod, zoa, zod;
    void Add(const Spreads& spreads, const LinkState& drawn) {
        delay.push_back(std::log10(spreads.delay / drawn.delay_spread_s));
        aoa.push_back(std::log10(spreads.aoa / drawn.asa_deg));
        aod.push_back(std::log10(spreads.aod / drawn.asd_deg));
        zoa.push_back(spreads.zoa);
        zod.push_back(spreads.zod);
    }
};

/// What the rays' spreads turn out to be, relative to what was drawn, against what ns-3's ThreeGppChannelModel makes of
/// the same large-scale parameters (two samples, Kolmogorov-Smirnov at 0.1 %).
///
/// Without line of sight, the drawn spreads are met in the mean: delays within 12 %, azimuths of arrival within 35 %
/// (those of the rays within a cluster come on top). In line of sight they are not, in neither model: the report's
/// cubic fits, eq. 7.5-3, 7.5-10 and 7.5-15, leave UMa's azimuths of arrival at 40 % of what was drawn.
void RealisedSpreads(Case& test) {
    struct Row {
        const char *deployment, *scenario;
        LinkCondition condition;
        double cellM, bsHeight;
        int x, y;
    };
    const Row rows[]{{"UMa", "UMa", LinkCondition::Nlos, 50, 25, 3, 2},
                     {"UMa", "UMa", LinkCondition::Los, 40, 25, 3, -3},
                     {"UMa", "UMa", LinkCondition::O2i, 15, 25, 3, 4},
                     {"UMi", "UMi-StreetCanyon", LinkCondition::Nlos, 15, 10, -5, 2},
                     {"UMi", "UMi-StreetCanyon", LinkCondition::Los, 12, 10, 4, 3},
                     {"InH-Open", "InH-OfficeOpen", LinkCondition::Nlos, 10, 3, 2, 1}};
    for (const auto& row : rows) {
        const bool los = row.condition == LinkCondition::Los, indoors = row.condition == LinkCondition::O2i;
        const auto channel = MakeChannel({.deployment = row.deployment,
                                          .los = los ? "Always" : "Never",
                                          .frequency = 28e9,
                                          .stream = 14,
                                          .shadowing = false});
        if (indoors) {
            channel->SetAttribute("IndoorFraction", ns3::DoubleValue(1));
        }
        const auto bs = MakeEnd({0, 0, row.bsHeight}),
                   ut = MakeEnd({(row.x + 0.5) * row.cellM, (row.y + 0.5) * row.cellM, 1.5});
        const auto link = Link(channel, bs, ut);
        const auto wheel = ns3::CreateObject<Wheel>();
        wheel->Configure(row.scenario, 28e9);
        Realised ours, theirs;
        double worstK = 0;
        const int drops = 1200;
        for (int i = 0; i < drops; ++i) {
            channel->Redraw(ut.mobility);
            const auto rays = link->GetRays();
            const auto state = link->GetState();
            ours.Add(SpreadsOf(rays), state);
            theirs.Add(SpreadsOf(wheel->Draw(bs, ut, row.condition, state)), state);
            if (los) { // the direct ray is the first
                double rest = 0;
                for (std::size_t r = 1; r < rays.size(); ++r) {
                    rest += rays[r].gain;
                }
                worstK = std::max(worstK, std::abs(10 * std::log10(rays[0].gain / rest) - state.k_factor_db));
            }
        }
        const std::string what = std::string(row.deployment) + (los ? " LOS, " : indoors ? " O2I, " : " NLOS, ");
        const auto compare = [&](const std::vector<double>& a, const std::vector<double>& b, const char* name) {
            const double ratio = KolmogorovRatio(a, b);
            const auto [meanA, stdA] = Moments(a);
            const auto [meanB, stdB] = Moments(b);
            const auto text = what + name + ": " + std::to_string(ratio) + " of the limit; mean and deviation " +
                              std::to_string(meanA) + ", " + std::to_string(stdA) + "; ns-3's " +
                              std::to_string(meanB) + ", " + std::to_string(stdB);
            test.True(ratio < 1, text);
        };
        compare(ours.delay, theirs.delay, "lg of rms delay spread over the drawn one");
        compare(ours.aoa, theirs.aoa, "lg of azimuth spread of arrival over the drawn one");
        compare(ours.aod, theirs.aod, "lg of azimuth spread of departure over the drawn one");
        compare(ours.zoa, theirs.zoa, "mean zenith of arrival");
        compare(ours.zod, theirs.zod, "mean zenith of departure");
        if (!los) {
            test.Near(Moments(ours.delay).first, 0, std::log10(1.12), what + "rms delay spread over the drawn one");
            test.Near(Moments(ours.aoa).first, 0, std::log10(1.35), what + "azimuth spread over the drawn one");
        }
        test.Near(worstK, 0, 1e-3, what + "power of the direct ray over the rest is the K-factor, dB");
    }
}

} // namespace

std::vector<NamedCase> FadingCases() {
    return {{"autocorrelation against the ray sum; mean power", Autocorrelations},
            {"Clarke: autocorrelation and envelope", Clarke},
            {"Clarke: level crossings", LevelCrossings},
            {"spreads of the rays", RealisedSpreads}};
}

} // namespace edgelam::test
