// SPDX-License-Identifier: GPL-2.0-only
// Where sites and UEs of a network are, and what is around the UEs.
#include <algorithm>
#include <cmath>

#include "channel-testbed.h"
#include "link-budget.h"
#include "site-layout.h"
#include "ue-drop.h"

namespace edgelam::test {

namespace {

using ns3::Vector;

void HexagonsTileThePlane(Case& test) {
    for (const unsigned sectors : {1U, 3U}) {
        const auto layout = SiteLayout::Hexagons(500, 2, sectors, 25);
        test.True(layout.NumSites() == 19 && layout.Cells().size() == 19 * sectors, "19 sites");
        const auto images = layout.Images();
        for (const auto& cell : layout.Cells()) {
            int neighbours = 0;
            for (const auto& other : layout.Cells()) {
                for (const auto& shift : images.Shifts()) {
                    neighbours += std::abs((other.place + shift - cell.place).GetLength() - 500) < 1e-6;
                }
            }
            test.True(neighbours == static_cast<int>(6 * sectors), "six neighbours, with the images");
        }
        // UEs are spread evenly: as many in a circle around their site as it has of the site's area.
        const double area = std::sqrt(3) / 2 * 500 * 500;
        NamedRandom random(5, {sectors});
        int in150 = 0, in240 = 0, count = 30000;
        Vector sum;
        for (int i = 0; i < count; ++i) {
            const auto cell = static_cast<std::uint32_t>(i) % sectors;
            const Vector at = layout.Drop(cell, 10, random), away = at - layout.Cells()[cell].place;
            const double distance = std::hypot(away.x, away.y);
            test.True(distance >= 10, "not too near");
            in150 += distance < 150;
            in240 += distance < 240;
            sum.x += away.x;
            sum.y += away.y;
        }
        const double near = M_PI * 100 / area;
        test.Near(in150 / double(count), (M_PI * 150 * 150 / area - near) / (1 - near), 0.01, "within 150 m");
        // Sectors of three reach beyond half the way to the neighbours, in front; those are parts of a clover leaf.
        const double expected = (M_PI * 240 * 240 / area - near) / (1 - near);
        test.True(sectors == 3 ? in240 / double(count) < expected : std::abs(in240 / double(count) - expected) < 0.01,
                  "within 240 m");
        test.Near(std::hypot(sum.x, sum.y) / count, 0, 5, "on all sides");
        // The areas of all cells together are as large as those of the sites. So they do not overlap if none is missed.
        for (int i = 0; i < 2000; ++i) {
            const Vector at(1000 * (random.Uniform() - 0.5), 1000 * (random.Uniform() - 0.5), 0);
            test.True(layout.Inside(at, 0), "every place is in some area");
        }
    }
    const auto office = SiteLayout::Office(20, 6, 50, 1, 3);
    test.True(office.Cells().size() == 12 && !office.Images().Wraps(), "12 sites in a hall");
    test.Near(office.Cells()[11].place.x, 110, 1e-9, "the last of the second row");
    test.Near(office.Cells()[11].place.y, 35, 1e-9, "its row");
}

/// Every UE is dropped inside; what is outside, or too near, is not.
void AreasHoldWhatIsDropped(Case& test) {
    NamedRandom random(4, {1});
    const std::vector<CellPlace> listed{{{0, 0, 10}, 40, 0}, {{0, 0, 10}, 220, 0}, {{700, -90, 25}, 0, 1}};
    for (const auto& layout : {SiteLayout::Hexagons(500, 1, 3, 25), SiteLayout::FirstHexagons(300, 3, 1, 10),
                               SiteLayout::Office(20, 6, 50, 1, 3), SiteLayout::Listed(listed, 200)}) {
        const auto bounds = layout.Bounds();
        for (int i = 0; i < 2000; ++i) {
            const auto cell = static_cast<std::uint32_t>(i % layout.Cells().size());
            const Vector at = layout.Drop(cell, 5, random);
            test.True(layout.Inside(at, 0), "dropped inside");
            test.True(bounds.IsInside(at), "within the bounds");
        }
        test.True(layout.Inside(layout.Middle(), 3), "the middle");
        const CellPlace& first = layout.Cells()[0];
        const double bearing = first.bearingDeg * M_PI / 180;
        const Vector near = first.place + Vector(2 * std::cos(bearing), 2 * std::sin(bearing), 0);
        test.True(layout.Inside(near, 1.9) && !layout.Inside(near, 2.1), "in front of the antennas");
        test.True(!layout.Inside({bounds.xMax + 1, bounds.yMin, 0}, 0), "outside");
        test.Refuses([&] { layout.Drop(0, 1e4, random); }, {"10000", "legal are up to"}, "no such place");
    }
    const auto few = SiteLayout::FirstHexagons(300, 3, 2, 10);
    test.True(few.NumSites() == 3 && few.Cells().size() == 6 && !few.Images().Wraps(), "three sites have no images");
    test.True(few.SiteBySite() == std::vector<std::uint32_t>{0, 2, 4, 1, 3, 5}, "site by site");
    test.True(SiteLayout::FirstHexagons(300, 7, 1, 10).Images().Wraps(), "seven have");
    test.True(SiteLayout::Listed(listed, 200).SiteBySite() == std::vector<std::uint32_t>{0, 2, 1}, "unequal sites");
}

DroppedUe DrawWith(const std::vector<std::string>& arguments, std::uint64_t ue, std::string* refusal = nullptr) {
    Options options("test", "");
    UeDrop drop;
    drop.AddOptions(options);
    std::vector<const char*> all{"test"};
    for (const auto& argument : arguments) {
        all.push_back(argument.c_str());
    }
    options.Parse(static_cast<int>(all.size()), all.data());
    AttributeValues channel("edgelam::RadioChannel");
    try {
        drop.Apply(channel);
    } catch (const std::invalid_argument& error) {
        if (refusal == nullptr) {
            throw;
        }
        *refusal = error.what();
    }
    NamedRandom random(1, {ue});
    return drop.Draw(random);
}

void WhatIsAroundUes(Case& test) {
    const int count = 4000;
    int indoor = 0, cars = 0, high = 0, floors[9] = {};
    double way = 0, loss = 0;
    for (int i = 0; i < count; ++i) {
        const auto ue = DrawWith({"--indoorFraction=0.8", "--leastFloors=4", "--mostFloors=8", "--buildingLoss=mixed",
                                  "--highLossFraction=0.5", "--carFraction=0.5", "--indoorDistanceLaw=uniform"},
                                 static_cast<std::uint64_t>(i));
        indoor += static_cast<int>(ue.indoor);
        high += static_cast<int>(ue.building);
        ++floors[ue.floor];
        way += ue.way_in_m;
        cars += ue.car_db > 0;
        loss += ue.car_db;
        test.True(ue.z == 1.5 + 3 * (ue.floor - 1) && (ue.indoor == 1 || ue.floor == 1), "heights");
    }
    test.Near(indoor / double(count), 0.8, 0.02, "indoors");
    test.Near(high / double(indoor), 0.5, 0.03, "high loss");
    test.Near(way / indoor, 12.5, 0.5, "way inside");
    test.Near(cars / double(count - indoor), 0.5, 0.05, "in cars");
    test.Near(loss / cars, 9, 0.8, "loss of cars");
    // 4 to 8 floors alike, then one of them: the ground floor has the mean of 1 / N, the eighth 1 / 40.
    const double ground = (1 / 4. + 1 / 5. + 1 / 6. + 1 / 7. + 1 / 8.) / 5;
    test.Near((floors[1] - (count - indoor)) / double(indoor), ground, 0.02, "ground floor");
    test.Near(floors[8] / double(indoor), 1 / 40., 0.01, "eighth floor");
    // No option moves what it does not name.
    const auto a = DrawWith({"--indoorFraction=1"}, 7), b = DrawWith({"--indoorFraction=1", "--buildingLoss=high"}, 7);
    test.True(a.way_in_m == b.way_in_m && a.deviation == b.deviation && b.building == 1, "walls alone");
    const auto place = DrawWith({"--indoor=place", "--indoorFraction=1"}, 7);
    test.True(place.indoor == 0, "the place decides");
    std::string refusal;
    DrawWith({"--indoor=place", "--mostFloors=4"}, 7, &refusal);
    test.True(refusal.find("--indoor=place") != std::string::npos, refusal);
    DrawWith({"--leastFloors=5", "--mostFloors=4"}, 7, &refusal);
    test.True(refusal.find("--leastFloors=5") != std::string::npos, refusal);
}

CaseSuite suite("edgelam-network-layout", {{"hexagons tile the plane", HexagonsTileThePlane},
                                           {"areas", AreasHoldWhatIsDropped},
                                           {"what is around UEs", WhatIsAroundUes}});

} // namespace

} // namespace edgelam::test
