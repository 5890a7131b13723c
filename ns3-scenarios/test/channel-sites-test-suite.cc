// SPDX-License-Identifier: GPL-2.0-only
// Networks of sites: sectors at one place, images of a site, surroundings of users, deployments of small cells.
#include <algorithm>
#include <cmath>

#include "ns3/angles.h"
#include "ns3/isotropic-antenna-model.h"

#include "channel-testbed.h"
#include "subarray-antenna.h"
#include "wrap-around.h"

namespace edgelam::test {

namespace {

using ns3::Vector;

/// A node with a sector's array: eight elements in a column are one port, tilted electrically.
End MakeSector(const Vector& place, double bearingDeg, std::uint32_t columns = 1) {
    End end = MakeEnd(place);
    end.array = MakeArray({.rows = 8,
                           .columns = columns,
                           .portRows = 1,
                           .verticalSpacing = 0.8,
                           .bearingDeg = bearingDeg,
                           .electricalTiltDeg = 9});
    return end;
}

double Db(double gain) {
    return 10 * std::log10(gain);
}

/// TR 38.901 7.5: sectors of a site share everything but their antennas.
void SectorsOfOneSite(Case& test) {
    const auto channel = MakeChannel({.los = "Probability", .frequency = 4e9});
    const Vector mast(0, 0, 25);
    const auto ue = MakeEnd({180, 90, 1.5}, 1, 1, true);
    std::vector<std::vector<Ray>> rays;
    std::vector<LinkState> states;
    std::uint64_t drops = 0;
    channel->TraceConnectWithoutContext(
        "NewDrop", ns3::Callback<void, std::uint32_t, std::uint32_t, std::uint64_t>(
                       [&drops](std::uint32_t, std::uint32_t, std::uint64_t sofar) { drops = sofar; }));
    std::uint64_t first = 0;
    for (const double bearing : {30.0, 150.0, 270.0}) {
        const auto link = Link(channel, MakeSector(mast, bearing), ue);
        link->GetPortGain(AntennaGain::Rays); // forgets its rays; the next sector finds the drops
        rays.push_back(link->GetRays());
        states.push_back(link->GetState());
        first = first == 0 ? drops : first;
    }
    test.True(drops > 0 && drops == first, "clusters are drawn once for the site");
    for (std::size_t sector = 1; sector < 3; ++sector) {
        test.True(states[sector].gain_db == states[0].gain_db && states[sector].asd_deg == states[0].asd_deg,
                  "large-scale parameters");
        test.True(rays[sector].size() == rays[0].size(), "number of rays");
        bool other = false;
        for (std::size_t i = 0; i < rays[0].size(); ++i) {
            const Ray &a = rays[0][i], &b = rays[sector][i];
            test.True(a.delay_s == b.delay_s && a.aod_deg == b.aod_deg && a.zod_deg == b.zod_deg &&
                          a.aoa_deg == b.aoa_deg && a.zoa_deg == b.zoa_deg,
                      "delays and directions");
            other = other || std::abs(a.gain - b.gain) > 0.1 * a.gain;
        }
        test.True(other, "only the antennas differ");
    }
}

/// With one vertical element at each end, the port gain over rays is the power of all rays, and the straight line has
/// the large-scale gain times that of the antennas.
void PortGains(Case& test) {
    const auto channel = MakeChannel({.los = "Probability", .frequency = 4e9});
    const auto bs = MakeEnd({0, 0, 25}, 1, 1, false, false), ut = MakeEnd({150, 40, 1.5});
    const auto link = Link(channel, bs, ut);
    for (const Vector& place : {Vector(150, 40, 1.5), Vector(22, 3, 1.5), Vector(-400, 250, 1.5), Vector(81, 0, 1.5)}) {
        ut.MoveTo(place);
        double sum = 0;
        for (const Ray& ray : link->GetRays()) {
            sum += ray.gain;
        }
        test.Near(Db(link->GetPortGain(AntennaGain::Rays) / sum), 0, 1e-4, "sum over rays");
        const auto [horizontal, vertical] = bs.array->GetElementFieldPattern(ns3::Angles(place, Vector(0, 0, 25)));
        const double antenna = horizontal * horizontal + vertical * vertical;
        test.Near(Db(link->GetPortGain(AntennaGain::Direction)), link->GetState().gain_db + Db(antenna), 1e-3,
                  "the straight line");
    }
    // Many ports, many antennas: the first port to the mean of the antennas, by the elements' own responses.
    const auto many = MakeSector({0, 0, 25}, 30, 4);
    const auto phone = MakeEnd({150, 40, 1.5}, 1, 2, true);
    const auto wide = Link(channel, many, phone);
    const auto tones = Tones(400, 200e3); // 80 MHz
    double measured = 0, expected = 0;
    for (int drop = 0; drop < 60; ++drop) {
        channel->Redraw(phone.mobility);
        const auto h = Measure(wide, tones); // [rx, tx, tone]
        const std::size_t numTx = wide->NumTx(Direction::Downlink);
        double power = 0;
        for (std::size_t r = 0; r < 4; ++r) {
            for (std::size_t f = 0; f < tones.size(); ++f) {
                power += std::norm(Complex(h[r * numTx * tones.size() + f])) / static_cast<double>(4 * tones.size());
            }
        }
        measured += power / wide->GetLargeScaleGain();
        expected += wide->GetPortGain(AntennaGain::Rays) / wide->GetLargeScaleGain();
    }
    test.Near(Db(measured / expected), 0, 0.5, "first port and mean of the antennas");
}

/// Without a draw, the mean is near the rays': median within 0.5 dB, in every condition.
void MeanGainIsNearThatOfRays(Case& test) {
    struct Row {
        const char *deployment, *los;
        double indoor, height, distance;
    };
    for (const Row& row :
         {Row{"UMa", "Always", 0, 25, 400}, Row{"UMa", "Never", 0, 25, 400}, Row{"UMa", "Never", 1, 25, 400},
          Row{"UMa", "Always", 1, 25, 400}, Row{"UMi", "Always", 0, 10, 150}, Row{"UMi", "Never", 0, 10, 150},
          Row{"RMa", "Never", 0, 35, 1500}}) {
        const auto channel = MakeChannel({.deployment = row.deployment, .los = row.los, .frequency = 4e9});
        channel->SetAttribute("IndoorFraction", ns3::DoubleValue(row.indoor));
        NamedRandom random(3, {1});
        std::vector<double> off;
        const auto bs = MakeSector({0, 0, row.height}, 30);
        for (int i = 0; i < 1000; ++i) {
            const double azimuth = 2 * M_PI * random.Uniform(),
                         distance = row.distance * std::sqrt(random.Uniform()) + 20;
            const auto ut = MakeEnd({distance * std::cos(azimuth), distance * std::sin(azimuth), 1.5}, 1, 1, true);
            channel->Redraw(ut.mobility);
            const auto link = Link(channel, bs, ut);
            off.push_back(Db(link->GetPortGain(AntennaGain::Mean) / link->GetPortGain(AntennaGain::Rays)));
        }
        std::sort(off.begin(), off.end());
        const double median = off[off.size() / 2], low = off[off.size() / 10], high = off[off.size() * 9 / 10];
        std::printf("%s %s indoor %g: median %+.2f, 10 %% %+.2f, 90 %% %+.2f dB\n", row.deployment, row.los, row.indoor,
                    median, low, high);
        test.Near(median, 0, 0.5, std::string(row.deployment) + " " + row.los + ": median");
    }
}

/// A hexagonal cluster tiles the plane: a point and its images are images of each other, and the nearest copy of each
/// site is nearer than half the way between clusters.
void SevenImages(Case& test) {
    for (const unsigned rings : {0U, 1U, 2U, 3U}) {
        const auto wrap = WrapAround::Hexagonal(500, rings, 20);
        const double number = 1 + 3 * rings * (rings + 1), between = 500 * std::sqrt(number);
        test.True(wrap.Shifts().size() == 7, "seven images");
        for (std::size_t i = 1; i < 7; ++i) {
            test.Near(wrap.Shifts()[i].GetLength(), between, 1e-6, "distance of clusters");
        }
    }
    const auto wrap = WrapAround::Hexagonal(500, 2, 20);
    NamedRandom random(1, {2});
    for (int i = 0; i < 500; ++i) {
        const Vector site(1000 * random.Uniform() - 500, 1000 * random.Uniform() - 500, 25);
        const Vector user(2000 * random.Uniform() - 1000, 2000 * random.Uniform() - 1000, 1.5);
        const auto images = wrap.Images(site, user);
        double sum = 0;
        for (const auto& image : images) {
            sum += image.weight;
        }
        test.Near(sum, 1, 1e-12, "weights");
        double nearest = 1e9;
        Vector best;
        for (const auto& shift : wrap.Shifts()) {
            const double distance = std::hypot(user.x - shift.x - site.x, user.y - shift.y - site.y);
            if (distance < nearest) {
                nearest = distance;
                best = shift;
            }
        }
        test.True(images[0].shift.x == best.x && images[0].shift.y == best.y, "the nearest image is the strongest");
    }
    test.True(WrapAround().Images({1, 2, 3}, {4, 5, 6}).size() == 1, "no copies");
    test.Refuses([] { WrapAround({Vector(1, 2, 3)}, 0); }, {"0.000000 m", "0.001"}, "no fade");
    test.Refuses([] { WrapAround({Vector(NAN, 2, 3)}, 1); }, {"nan", "finite"}, "a shift that is no number");
}

/// The link to an image is the link that the user would have there; where images change, gain goes over without a step;
/// and a user is indoors where it really is.
void ChangeOfImage(Case& test) {
    const auto plain = MakeChannel({.los = "Probability"}), wrapped = MakeChannel({.los = "Probability"});
    for (const auto& channel : {plain, wrapped}) {
        channel->SetAttribute("IndoorFraction", ns3::DoubleValue(0.5));
    }
    wrapped->SetWrapAround(WrapAround({Vector(1000, 0, 0), Vector(-1000, 0, 0)}, 20));
    const auto bs = MakeEnd({0, 0, 25}, 2, 2, true), ue = MakeEnd({700, 30, 1.5}, 1, 1, true);
    const auto far = Link(wrapped, bs, ue);
    const auto tones = Tones(8);
    int differ = 0;
    for (double y = 0; y < 400; y += 9) {
        ue.MoveTo({700, y, 1.5});
        const auto state = far->GetState();
        const auto h = Measure(far, tones);
        ue.MoveTo({-300, y, 1.5});
        const auto there = Link(plain, bs, ue);
        const auto expected = there->GetState();
        test.Near(state.distance_2d_m, std::hypot(300.0, y), 1e-9, "distance to the nearest image");
        if (state.indoor != expected.indoor) {
            ++differ; // another building
        } else if (state.indoor == 0) {
            test.Near(state.gain_db, expected.gain_db, 1e-9, "large scale of the image");
            test.True(Difference(h, Measure(there, tones)) < 1e-9, "channel of the image");
        }
    }
    test.True(differ > 0, "the indoor state is that of the true place");
    // Across the border between two images, in steps of 5 cm.
    const auto smooth = MakeChannel();
    smooth->SetWrapAround(wrapped->GetWrapAround());
    const auto across = Link(smooth, bs, ue);
    double before = 0, most = 0;
    for (double x = 480; x < 520; x += 0.05) {
        ue.MoveTo({x, 30, 1.5});
        const double gain = across->GetLargeScaleGain();
        most = before > 0 ? std::max(most, std::abs(Db(gain / before))) : most;
        before = gain;
    }
    test.True(most < 0.5, "largest step of the gain: " + std::to_string(most) + " dB");
    ue.MoveTo({500, 30, 1.5});
    double rays = 0, azimuths[2] = {0, 0};
    for (const Ray& ray : across->GetRays()) {
        rays += ray.gain;
        azimuths[std::cos(ray.aod_deg * M_PI / 180) > 0] += ray.gain;
    }
    test.True(azimuths[0] > 0.05 * rays && azimuths[1] > 0.05 * rays, "both images take part");
    test.Near(Db(across->GetPortGain(AntennaGain::Rays) * 16 / rays), 0, 1.5, "power of both, 16 pairs of elements");
    test.Refuses<std::logic_error>([&] { wrapped->SetWrapAround(WrapAround()); }, {"in use"}, "too late");
}

/// Surroundings that a user has of its own: buildings of each kind, the way inside, and cars.
void OwnSurroundings(Case& test) {
    const auto channel = MakeChannel({.los = "Never", .frequency = 4e9, .shadowing = false});
    const auto bs = MakeEnd({0, 0, 25}), ue = MakeEnd({200, 0, 1.5});
    const auto link = Link(channel, bs, ue);
    const double outdoors = Db(link->GetLargeScaleGain());
    const auto loss = [&](const GivenSurroundings& given) {
        channel->SetSurroundings(ue.mobility, given);
        return outdoors - Db(link->GetLargeScaleGain());
    };
    test.Near(loss({.carDb = 14}), 14, 1e-9, "car");
    test.Near(link->GetState().penetration_db, 14, 1e-9, "reported loss of the car");
    test.Near(loss({.indoor = true, .wayInM = 10, .building = BuildingLoss::Legacy}), 25, 1e-9, "20 dB and the way");
    test.True(link->GetState().indoor == 1, "indoors");
    // Table 7.4.3-2 at 4 GHz, by hand: 0.3 of glass of 2.8 dB and 0.7 of concrete of 21 dB; 0.7 of coated glass
    // of 24.2.
    const double low = 5 - Db(0.3 * std::pow(10, -0.28) + 0.7 * std::pow(10, -2.1));
    const double high = 5 - Db(0.7 * std::pow(10, -2.42) + 0.3 * std::pow(10, -2.1));
    test.Near(loss({.indoor = true, .wayInM = 4}), low + 2, 1e-9, "low loss");
    test.Near(loss({.indoor = true, .building = BuildingLoss::High, .deviation = 2}), high + 13, 1e-9, "high loss");
    test.Near(loss({}), 0, 1e-9, "outdoors again");
    test.Refuses([&] { loss({.carDb = -1}); }, {"-1 dB", "0 to 100"}, "a car that amplifies");
    test.Refuses([&] { loss({.indoor = true, .wayInM = NAN}); }, {"nan", "0 to 1000"}, "no number");
    const auto office = MakeChannel({.deployment = "InH-Open"});
    test.Refuses([&] { office->SetSurroundings(ue.mobility, {.indoor = true}); }, {"InH-Open", "RMa, UMa and UMi"},
                 "a building in a building");
    test.Refuses([] { MakeChannel()->SetAttribute("BuildingLoss", ns3::StringValue("Thick")); },
                 {"Thick", "Low, High, Legacy"}, "unknown walls");
}

/// With KeepLargeScale a user that goes far takes along everything but the phases of its rays, which turn by their
/// Doppler shifts: so over a long way its power is that of its rays.
void KeptLargeScale(Case& test) {
    const auto kept = MakeChannel({.los = "Hard", .frequency = 4e9}),
               moving = MakeChannel({.los = "Hard", .frequency = 4e9});
    kept->SetAttribute("KeepLargeScale", ns3::BooleanValue(true));
    const Vector home(80, 30, 1.5);
    const auto bs = MakeEnd({0, 0, 25}, 2, 1, true), later = MakeEnd({-150, 40, 25}), ue = MakeEnd(home, 1, 1, true);
    ue.mobility->SetVelocity({8, 0, 0});
    const auto link = Link(kept, bs, ue), free = Link(moving, bs, ue);
    const auto tones = Tones(1);
    const auto state = link->GetState();
    const auto rays = link->GetRays();
    const double elsewhere = Link(moving, later, ue)->GetState().gain_db;
    test.True(free->GetState().gain_db == state.gain_db, "the first place");
    for (const double way : {0.0, 0.01, 0.03}) { // within the window of frozen directions
        ue.MoveTo({home.x + way, home.y, home.z});
        test.Near(Difference(Measure(link, tones), Measure(free, tones)), 0, 1e-5, "the channel nearby");
    }
    double power = 0, expected = 0;
    constexpr int places = 4000;
    for (int i = 0; i < places; ++i) {
        ue.MoveTo({home.x + 0.17 * i, home.y, home.z});
        power += Power(Measure(link, tones)) / places;
    }
    for (const auto& ray : rays) {
        expected += ray.gain;
    }
    test.Near(power / expected, 1, 0.1, "power over 680 m");
    const auto far = link->GetState();
    test.True(far.gain_db == state.gain_db && far.los == state.los && far.zsd_deg == state.zsd_deg, "large scale");
    test.True(free->GetState().gain_db != state.gain_db, "which otherwise changes");
    ue.mobility->SetVelocity({8, 0, 0}); // SetPosition stops it
    const auto after = link->GetRays();
    test.True(after.size() == rays.size(), "rays");
    for (std::size_t i = 0; i < rays.size(); ++i) {
        test.True(after[i].zod_deg == rays[i].zod_deg && after[i].aoa_deg == rays[i].aoa_deg &&
                      after[i].doppler_hz == rays[i].doppler_hz && after[i].gain == rays[i].gain,
                  "a ray");
    }
    test.True(Link(kept, later, ue)->GetState().gain_db == elsewhere, "of a site that is looked at later");
    kept->Redraw(ue.mobility);
    test.Near(link->GetState().distance_2d_m, std::hypot(home.x + 0.17 * (places - 1), home.y), 1e-9, "a new drop");
}

/// A small cell of its own deployment below a macro cell, in one channel.
void DeploymentOfASite(Case& test) {
    const auto channel = MakeChannel({.los = "Never", .frequency = 4e9, .shadowing = false});
    const auto macro = MakeEnd({0, 0, 25}), micro = MakeEnd({60, 0, 10}), ue = MakeEnd({130, 40, 1.5});
    channel->SetDeploymentAt(micro.mobility, "UMi");
    const auto loss = [&](const End& bs, Deployment deployment) {
        const Vector a = bs.mobility->GetPosition(), b = ue.mobility->GetPosition();
        const ChannelStatistics statistics(deployment, 4e9);
        test.Near(Link(channel, bs, ue)->GetState().path_loss_db,
                  statistics.PathLossDb(LinkCondition::Nlos, {std::hypot(a.x - b.x, a.y - b.y), a.z, b.z}), 1e-9,
                  NameOf(deployment));
    };
    loss(macro, Deployment::UMa);
    loss(micro, Deployment::UMiStreetCanyon);
    test.Refuses([&] { channel->SetDeploymentAt(micro.mobility, "Urban"); }, {"Urban", "UMi"}, "unknown deployment");
}

/// Ports: elements that are fed together, against the sum over their elements.
void PortsOfSeveralElements(Case& test) {
    // The middle port of a 4 x 6 panel as one of 2 x 3 ports, from the elements of the whole panel.
    const auto element = MakeArray({.rows = 4, .columns = 6, .verticalSpacing = 0.7, .bearingDeg = 40, .tiltDeg = 5});
    const auto ports = MakeArray({.rows = 4,
                                  .columns = 6,
                                  .portRows = 2,
                                  .portColumns = 3,
                                  .verticalSpacing = 0.7,
                                  .bearingDeg = 40,
                                  .tiltDeg = 5,
                                  .electricalTiltDeg = 8});
    test.True(ports->GetNumElems() == 12 && ports->GetNumRows() == 2 && ports->GetNumColumns() == 3, "2 x 2 x 3 ports");
    const auto channel = MakeChannel({.los = "Always"});
    End bs = MakeEnd({0, 0, 25}), fed = bs;
    bs.array = element;
    fed.array = ports;
    const auto ue = MakeEnd({90, 100, 1.5}, 1, 1, true);
    const auto tones = Tones(5);
    const double gain = 2 * std::sin(8 * M_PI / 180) * M_PI * 0.7;
    for (const Vector& place : {Vector(90, 100, 1.5), Vector(150, 20, 1.5), Vector(30, -90, 1.5)}) {
        ue.MoveTo(place);
        const auto all = Measure(Link(channel, bs, ue), tones), few = Measure(Link(channel, fed, ue), tones);
        double power = 0, sum = 0;
        for (std::size_t rx = 0; rx < 2; ++rx) {
            for (std::size_t port = 0; port < 12; ++port) {
                const std::size_t p = port / 6, row = port % 6 / 3, column = port % 3;
                for (std::size_t f = 0; f < tones.size(); ++f) {
                    Complex fromElements = 0;
                    for (std::size_t i = 0; i < 2; ++i) {
                        for (std::size_t j = 0; j < 2; ++j) {
                            const std::size_t at = p * 24 + (2 * row + i) * 6 + 2 * column + j;
                            // Weights of equal size; their phases turn the beam downwards, about its middle.
                            fromElements += Complex(all[(rx * 48 + at) * tones.size() + f]) *
                                            std::polar(0.5, gain * (static_cast<double>(i) - 0.5));
                        }
                    }
                    power += std::norm(fromElements);
                    sum += std::norm(Complex(few[(rx * 12 + port) * tones.size() + f]));
                }
            }
        }
        // Signs of single rays' array factors differ, which moves the fading but not the power of the direct ray.
        test.Near(Db(sum / power), 0, 1.5, "power of ports");
    }
    const auto panels = MakeArray({.rows = 2,
                                   .columns = 2,
                                   .panelRows = 2,
                                   .panelColumns = 2,
                                   .panelVerticalSpacing = 3,
                                   .panelHorizontalSpacing = 4,
                                   .bearingDeg = 90});
    const Vector last = panels->GetElementLocation(15); // faces +y, so columns go towards -x
    test.Near(last.x, -4.5, 1e-9, "column of the last panel");
    test.Near(last.z, 3.5, 1e-9, "row of the last panel");
    test.Near(panels->GetElementLocation(1).x, -0.5, 1e-9, "beside, within a panel");
    test.Refuses([] { MakeArray({.rows = 8, .portRows = 3}); }, {"3 rows", "divisors of 8"},
                 "ports that do not divide");
    test.Refuses([] { MakeArray({.electricalTiltDeg = 3}); }, {"3.0", "one row"}, "a tilt of single elements");
    test.Refuses([] { MakeArray({.rows = 64, .columns = 64}); }, {"8192", "1024"}, "too many ports");
}

/// A beam that is turned down and sideways, against the sum over its elements.
void SteeredBeam(Case& test) {
    constexpr double deg = M_PI / 180, down = 22.5 * deg, aside = 33.75 * deg;
    const auto element = ns3::CreateObject<ns3::IsotropicAntennaModel>();
    const auto beam = ns3::CreateObject<SubarrayAntenna>(element, 4u, 8u, 0.8, 0.5, down, aside);
    const auto along = [](double azimuth, double zenith) { // m dV up + n dH across, TR 38.901 eq. 7.1-4
        return std::pair(std::cos(zenith), std::sin(zenith) * std::sin(azimuth));
    };
    const auto [upOfBeam, acrossOfBeam] = along(aside, M_PI / 2 + down);
    for (const double azimuth : {-80.0, -33.75, 0.0, 20.0, 33.75, 61.0}) {
        for (const double zenith : {60.0, 90.0, 112.5, 131.0}) {
            const auto [up, across] = along(azimuth * deg, zenith * deg);
            Complex sum = 0;
            for (int m = 0; m < 4; ++m) {
                for (int n = 0; n < 8; ++n) {
                    sum += std::polar(1 / std::sqrt(32.0),
                                      2 * M_PI * (0.8 * m * (up - upOfBeam) + 0.5 * n * (across - acrossOfBeam)));
                }
            }
            const double found = std::pow(10, beam->GetGainDb(ns3::Angles(azimuth * deg, zenith * deg)) / 10);
            test.Near(found, std::norm(sum), 1e-9 * 32, "gain");
        }
    }
    test.Near(beam->GetGainDb(ns3::Angles(aside, M_PI / 2 + down)), 10 * std::log10(32), 1e-9, "its peak");
    test.Refuses([] { MakeArray({.rows = 8, .portRows = 2, .steeringDeg = 30}); }, {"30", "one column"},
                 "a single column turned sideways");
}

CaseSuite suite("edgelam-channel-sites", {{"sectors of one site", SectorsOfOneSite},
                                          {"steered beam", SteeredBeam},
                                          {"port gains", PortGains},
                                          {"mean gain", MeanGainIsNearThatOfRays},
                                          {"seven images", SevenImages},
                                          {"change of image", ChangeOfImage},
                                          {"own surroundings", OwnSurroundings},
                                          {"kept large-scale parameters", KeptLargeScale},
                                          {"deployment of a site", DeploymentOfASite},
                                          {"ports of several elements", PortsOfSeveralElements}});

} // namespace

} // namespace edgelam::test
