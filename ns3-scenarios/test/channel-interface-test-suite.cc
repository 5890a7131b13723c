// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a radio asks of the channel beyond H(f): effective channels, surfaces; and what is refused.

#include <cmath>
#include <limits>

#include "channel-testbed.h"

using namespace edgelam;
using namespace edgelam::test;
using ns3::Vector;

namespace {

constexpr double pi = std::numbers::pi;

void EffectiveChannels(Case& test) {
    const auto channel = MakeChannel({.los = "Probability"});
    const auto bs = MakeEnd({0, 0, 25}, 2, 4, true, false), ut = MakeEnd({120, -60, 1.5}, 1, 2, true);
    const auto link = Link(channel, bs, ut);
    const auto tones = Tones(30, 360e3);
    NamedRandom random(1, {2});
    const auto weights = [&](std::size_t elements, std::size_t ports) {
        std::vector<std::complex<float>> values(elements * ports);
        for (auto& value : values) {
            value = {static_cast<float>(random.Normal()), static_cast<float>(random.Normal())};
        }
        return PortWeights(ports, std::move(values));
    };
    const auto rx = weights(4, 2), tx = weights(16, 3);
    const auto whole = Measure(link, tones);
    std::vector<Complex> expected(2 * 3 * 30);
    for (std::size_t p = 0; p < 2; ++p) {
        for (std::size_t q = 0; q < 3; ++q) {
            for (std::size_t u = 0; u < 4; ++u) {
                for (std::size_t s = 0; s < 16; ++s) {
                    for (std::size_t f = 0; f < 30; ++f) {
                        expected[(p * 3 + q) * 30 + f] += Complex(rx.values()[u * 2 + p]) *
                                                          Complex(whole[(u * 16 + s) * 30 + f]) *
                                                          Complex(tx.values()[s * 3 + q]);
                    }
                }
            }
        }
    }
    const Response byHand(expected.begin(), expected.end());
    const auto* const kept = &link->GetEffectiveChannel(Direction::Downlink, rx, tx, tones);
    test.True(Difference(*kept, byHand) < 1e-10, "ports against the sum over elements");
    const auto up = link->GetEffectiveChannel(Direction::Uplink, tx, rx, tones);
    test.True(std::abs(up[(2 * 2 + 1) * 30 + 7] - byHand[(1 * 3 + 2) * 30 + 7]) < 1e-5 * std::sqrt(Power(byHand)),
              "uplink ports");

    const auto value = link->GetEffectiveChannel(Direction::Downlink, rx, tx, tones);
    ut.MoveTo({120 + 0.009 * channel->GetWavelengthM(), -60, 1.5});
    test.True(link->GetEffectiveChannel(Direction::Downlink, rx, tx, tones) == value,
              "kept within the coherence distance");
    ut.MoveTo({120 + 0.011 * channel->GetWavelengthM(), -60, 1.5});
    test.True(link->GetEffectiveChannel(Direction::Downlink, rx, tx, tones) != value, "new beyond it");
    const auto turned = link->GetEffectiveChannel(Direction::Downlink, rx, tx, tones);
    bs.array->SetAlpha(0.5);
    test.True(link->GetEffectiveChannel(Direction::Downlink, rx, tx, tones) != turned,
              "an array that is turned is noticed");

    // Over a band much wider than 1 / delay spread the mean of |H|^2 is the wideband gain.
    const auto wide = Tones(4001, 250e3);
    const double mean = Power(link->GetEffectiveChannel(Direction::Downlink, rx, tx, wide)) / 4001;
    test.Near(mean / link->GetWidebandGain(Direction::Downlink, rx, tx), 1, 0.1, "wideband gain");
    test.Near(link->GetWidebandGain(Direction::Uplink, tx, rx) / link->GetWidebandGain(Direction::Downlink, rx, tx), 1,
              1e-12, "wideband gain is reciprocal");
}

void SubTerahertz(Case& test) {
    const double frequency = 300e9;
    const auto bs = MakeEnd({0, 0, 3}), ut = MakeEnd({20, 0, 1.5});
    const auto channel =
        MakeChannel({.deployment = "InH-Open", .los = "Always", .frequency = frequency, .shadowing = false});
    const auto state = Link(channel, bs, ut)->GetState();
    const double distance = std::hypot(20, 1.5);
    test.Near(state.path_loss_db, 32.4 + 17.3 * std::log10(distance) + 20 * std::log10(300), 1e-6,
              "table 7.4.1-1, extrapolated");
    test.True(state.absorption_db > 0, "air absorbs above 100 GHz");
    test.Near(state.gain_db, -state.path_loss_db - state.absorption_db, 1e-9, "gain");
    test.True(Power(Measure(Link(channel, bs, ut), Tones(8, 10e6))) > 0, "a channel at 300 GHz");
}

/// One surface of four elements against the sum over elements of its two links, by hand.
void Surface(Case& test) {
    const auto bs = MakeEnd({0, 0, 25}, 1, 2), ut = MakeEnd({100, 0, 1.5}, 1, 2), wall = MakeEnd({80, 30, 6}, 2, 2);
    const auto tones = Tones(5, 2e6);
    const auto plain = MakeChannel(), with = MakeChannel();
    const auto surface = ns3::CreateObject<ReflectingSurface>();
    surface->SetArray(wall.mobility, wall.array);
    with->AddSurface(surface);
    const std::vector<double> phases{0.3, -1.2, 2.5, 7.0};
    surface->SetPhases(phases);
    surface->SetAttribute("Amplitude", ns3::DoubleValue(0.8));
    const auto direct = Measure(Link(plain, bs, ut), tones), whole = Measure(Link(with, bs, ut), tones);
    const auto to = Measure(Link(plain, bs, wall), tones);   // [4, 2, f]
    const auto from = Measure(Link(plain, wall, ut), tones); // [2, 4, f]
    const auto place = [](const End& end) { return end.mobility->GetPosition(); };
    const double longer = ns3::CalculateDistance(place(bs), place(wall)) +
                          ns3::CalculateDistance(place(wall), place(ut)) - ns3::CalculateDistance(place(bs), place(ut));
    Response expected = direct;
    for (std::size_t r = 0; r < 2; ++r) {
        for (std::size_t t = 0; t < 2; ++t) {
            for (std::size_t f = 0; f < 5; ++f) {
                Complex sum = 0;
                for (std::size_t m = 0; m < 4; ++m) {
                    sum += Complex(from[(r * 4 + m) * 5 + f]) * std::polar(0.8, phases[m]) *
                           Complex(to[(m * 2 + t) * 5 + f]);
                }
                sum *= std::polar(1.0, -2 * pi * tones[f] * longer / speed_of_light);
                expected[(r * 2 + t) * 5 + f] += std::complex<float>(sum);
            }
        }
    }
    double added = 0, error = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
        added += std::norm(Complex(whole[i]) - Complex(direct[i]));
        error += std::norm(Complex(whole[i]) - Complex(expected[i]));
    }
    test.True(added > 0, "the surface adds something");
    test.True(error < 1e-4 * added, "what it adds is the sum over its elements");

    const auto one = PortWeights(1, {1, 0});
    const auto h = [&] {
        return std::abs(
            Link(with, bs, ut)->GetEffectiveChannel(Direction::Downlink, one, one, std::vector<double>{0})[0]);
    };
    const auto alone = std::complex<float>(direct[2]); // tone 0 is the middle one of pair (0, 0)
    std::vector<double> best(4);
    for (std::size_t m = 0; m < 4; ++m) { // aligned with the direct path
        best[m] = std::arg(Complex(alone)) - std::arg(Complex(from[m * 5 + 2]) * Complex(to[(m * 2) * 5 + 2]));
    }
    const double before = h();
    surface->SetPhases(best);
    const double after = h();
    test.True(after > before && after > std::abs(alone), "phases that align the elements raise the gain, at once");
    test.True(Link(with, bs, ut)->GetWidebandGain(Direction::Downlink, one, one) >
                  Link(plain, bs, ut)->GetWidebandGain(Direction::Downlink, one, one),
              "and the wideband gain counts the extra clusters");
    const auto down = Measure(Link(with, bs, ut), tones), up = Measure(Link(with, bs, ut), tones, Direction::Uplink);
    test.True(std::abs(Complex(down[(0 * 2 + 1) * 5 + 3]) - Complex(up[(1 * 2 + 0) * 5 + 3])) <
                  1e-5 * std::abs(Complex(down[(0 * 2 + 1) * 5 + 3])),
              "reciprocal");

    test.Refuses([&] { surface->SetPhases({0, 0, std::nan(""), 0}); }, {"nan", "element 2", "finite"}, "NaN phase");
    test.Refuses([&] { surface->SetPhases({0}); }, {"1 phases", "4 elements"}, "too few phases");
    test.Refuses([&] { surface->SetAttribute("Amplitude", ns3::DoubleValue(1.5)); }, {"1.5", "0 to 1"}, "amplitude");
}

class EmptyArray : public ns3::UniformPlanarArray {
  public:
    std::size_t GetNumElems() const override { return 0; }
};

void Refusals(Case& test) {
    const auto real = [](const std::string& name, double value) {
        return [name, value] { ns3::CreateObject<RadioChannel>()->SetAttribute(name, ns3::DoubleValue(value)); };
    };
    const auto text = [](const std::string& name, const std::string& value) {
        return [name, value] { ns3::CreateObject<RadioChannel>()->SetAttribute(name, ns3::StringValue(value)); };
    };
    test.Refuses(real("Frequency", 0.4e9), {"4e+08 Hz", "5e+08 to 4.5e+11 Hz"}, "frequency");
    test.Refuses(real("Frequency", -1), {"-1 Hz", "5e+08 to 4.5e+11 Hz"}, "negative frequency");
    test.True(!ns3::CreateObject<RadioChannel>()->SetAttributeFailSafe("IndoorFraction", ns3::DoubleValue(-0.1)),
              "indoor fraction");
    test.Refuses(real("WindowLength", 0), {"WindowLength 0", "0.001 to 10 m"}, "window");
    test.Refuses(real("CoherenceDistance", 1), {"0 to 0.5 wavelengths"}, "coherence");
    test.Refuses(text("Deployment", "Uma"), {"Uma", "UMa", "InF-HH"}, "deployment");
    test.Refuses(text("LosState", "yes"), {"yes", "Probability, Hard, Always, Never"}, "line of sight");
    test.Refuses(text("Angles", "fast"), {"fast", "Frozen, Drifting"}, "angles");

    const auto bs = MakeEnd({0, 0, 25}), same = MakeEnd({0, 0, 25}), lost = MakeEnd({std::nan(""), 0, 1});
    const auto channel = MakeChannel();
    test.Refuses([&] { Link(channel, bs, same); }, {"(0.000000, 0.000000, 25.000000)", "1 mm"},
                 "two nodes at one point");
    test.Refuses([&] { Link(channel, bs, lost); }, {"nan", "finite"}, "no place");
    test.Refuses([&] { Link(channel, bs, bs); }, {"itself"}, "a link to itself");
    const auto ut = MakeEnd({100, 0, 1.5});
    const auto link = Link(channel, bs, ut);
    ut.MoveTo({0, 0, 25});
    test.Refuses([&] { link->GetState(); }, {"both at"}, "two nodes that meet");
    ut.MoveTo({100, 0, 1.5});
    auto empty = MakeEnd({50, 0, 1.5});
    empty.array = ns3::CreateObject<EmptyArray>();
    test.Refuses([&] { Link(channel, bs, empty); }, {"0 elements", "1 or more"}, "an array without elements");
    test.Refuses([&] { PortWeights(0, {}); }, {"0 ports"}, "no ports");
    test.Refuses([&] { PortWeights(1, {std::numeric_limits<float>::quiet_NaN()}); }, {"nan", "finite"}, "NaN weights");
    const PortWeights two(1, {1, 1}), one(1, {1});
    test.Refuses([&] { link->GetWidebandGain(Direction::Downlink, one, two); }, {"2 elements", "has 1"},
                 "weights of another array");
    Response small(3);
    test.Refuses([&] { link->GetFrequencyResponse(Direction::Downlink, Tones(4), small); }, {"3 values", "1 x 1 x 4"},
                 "output");
    test.Refuses<std::logic_error>([&] { channel->SetAttribute("Frequency", ns3::DoubleValue(1e9)); },
                                   {"Frequency", "in use"}, "too late");
    auto indoors = ns3::CreateObject<RadioChannel>();
    indoors->SetAttribute("Deployment", ns3::StringValue("InF-SL"));
    indoors->SetAttribute("IndoorFraction", ns3::DoubleValue(0.5));
    test.Refuses([&] { Link(indoors, bs, ut); }, {"IndoorFraction 0.5", "InF-SL"}, "buildings in a hall");
}

CaseSuite channelInterfaceTestSuite("edgelam-channel-interface", {{"effective channels", EffectiveChannels},
                                                                  {"sub-terahertz", SubTerahertz},
                                                                  {"reflecting surface", Surface},
                                                                  {"refusals", Refusals}});

} // namespace
