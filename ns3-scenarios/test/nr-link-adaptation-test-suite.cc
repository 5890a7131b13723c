// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a UE reports, and what the gNB makes of it.

#include <cmath>

#include "nr-cell-testbed.h"
#include "nr-links.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

const Links::Trace no_trace;

/// The report of a UE with these SINRs in dB, one for each group of resource blocks, the same on two layers.
LinkQuality Report(const Carrier& carrier, const std::vector<double>& groupDb) {
    SinrMap map{2, carrier.offsetsHz.size(), {}};
    for (unsigned layer = 0; layer < 2; ++layer) {
        for (std::size_t i = 0; i < map.numGroups; ++i) {
            map.values.push_back(static_cast<float>(std::pow(10, groupDb[i / carrier.samplesPerGroup] / 10)));
        }
    }
    Links links(carrier, Beamformer::Make("eigen"), no_trace);
    LinkQuality quality;
    links.MeasureGroups(map, true, quality);
    return quality;
}

/// The SINR that a CQI stands for: that of the highest MCS that it allows.
float Read(const Carrier& carrier, unsigned cqi) {
    const double efficiency = CqiAt(carrier.cqiTable, cqi).Efficiency();
    return carrier.thresholdDb[HighestMcs(carrier.mcsTable, efficiency + 1e-6)];
}

unsigned CqiOfFlat(const Carrier& carrier, double sinrDb) {
    const unsigned mcs = carrier.HighestAt(sinrDb);
    return HighestCqi(carrier.cqiTable, McsAt(carrier.mcsTable, mcs).Efficiency() + 1e-6);
}

/// TS 38.214 5.2.2.1: a CQI of the whole band in four bits, and two bits for each sub-band of table 5.2.1.4-2.
void SubbandCqi(Case& test) {
    CellSettings settings; // 273 resource blocks: 18 groups, which are also the sub-bands of 16
    const Carrier wide(settings, 3.5e9);
    test.True(wide.numGroups == 18 && wide.groupsPerSubband == 1, "100 MHz");
    std::vector<double> sinrDb(18, 12.0);
    LinkQuality flat = Report(wide, sinrDb);
    test.True(flat.cqi == CqiOfFlat(wide, 12), "of a flat channel: " + std::to_string(flat.cqi));
    for (const float value : flat.sinrDb) {
        test.Near(value, Read(wide, flat.cqi), 1e-5, "in all groups");
    }
    sinrDb[3] = 30;  // CQI 15: four bits would tell
    sinrDb[4] = -4;  // CQI 1
    sinrDb[5] = 14.; // one better
    const LinkQuality mixed = Report(wide, sinrDb);
    const unsigned middle = CqiOfFlat(wide, 12);
    test.True(mixed.cqi <= middle && mixed.cqi + 2 >= middle, "of the whole band: " + std::to_string(mixed.cqi));
    test.True(CqiOfFlat(wide, 30) > mixed.cqi + 2 && CqiOfFlat(wide, -4) + 2 < mixed.cqi, "far apart");
    test.Near(mixed.sinrDb[3], Read(wide, mixed.cqi + 2), 1e-5, "two or more steps better is read as two");
    test.Near(mixed.sinrDb[4], Read(wide, mixed.cqi - 1), 1e-5, "one or more steps worse is read as one");
    test.Near(mixed.sinrDb[5], Read(wide, std::min(CqiOfFlat(wide, 14), mixed.cqi + 2)), 1e-5, "a little better");

    settings.bandwidthHz = 10e6; // 24 resource blocks: groups of 2, sub-bands of 4
    const Carrier narrow(settings, 3.5e9);
    test.True(narrow.numGroups == 12 && narrow.groupsPerSubband == 2, "10 MHz");
    for (unsigned g = 0; g < 12; ++g) {
        sinrDb[g] = g % 4 == 0 ? 20 : 8;
    }
    const LinkQuality pairs = Report(narrow, sinrDb);
    for (unsigned g = 0; g < 12; g += 2) {
        test.Near(pairs.sinrDb[g], pairs.sinrDb[g + 1], 0, "one CQI for two groups");
        test.Near(pairs.sinrDb[g], pairs.sinrDb[g % 4], 0, "the same for the same");
    }
    test.True(pairs.sinrDb[0] > pairs.sinrDb[2], "sub-bands differ");

    settings.bandwidthHz = 5e6; // 11: fewer than 24 have none
    const Carrier least(settings, 3.5e9);
    const LinkQuality one = Report(least, sinrDb);
    for (const float value : one.sinrDb) {
        test.Near(value, Read(least, one.cqi), 0, "one CQI for the whole band");
    }
}

/// TS 38.214 5.2.2.1: CQI table 3 is for an error rate of 1e-5, the others for 0.1.
void TableThree(Case& test) {
    CellSettings settings;
    for (const unsigned table : {1U, 2U, 3U, 4U}) {
        settings.mcsTable = table;
        settings.blerTarget = 0;
        const Carrier standard(settings, 3.5e9);
        test.Near(standard.settings.blerTarget, table == 3 ? 1e-5 : 0.1, 0, "table " + std::to_string(table));
        settings.blerTarget = 1e-5;
        const Carrier safe(settings, 3.5e9);
        settings.blerTarget = 0.1;
        const Carrier usual(settings, 3.5e9);
        for (std::size_t mcs = 0; mcs < safe.thresholdDb.size(); ++mcs) {
            test.True(safe.thresholdDb[mcs] > usual.thresholdDb[mcs] + 0.2, "MCS " + std::to_string(mcs));
            test.Near(standard.thresholdDb[mcs], (table == 3 ? safe : usual).thresholdDb[mcs], 0, "by default");
        }
    }
    for (const bool given : {false, true}) {
        CellTestbed bed(
            {.deployment = "UMi", .los = "Never", .frequency = 3.5e9},
            {Set("Bandwidth", 20e6), Set("GnbPower", 20.), Set("McsTable", 3u), Set("BlerTarget", given ? 0.1 : 0.0)});
        bed.Add({150, 20, 1.5});
        bed.Fill(false);
        bed.Run(1);
        double first = 0, lost = 0, sum = 0;
        for (const auto& block : bed.blocks) {
            if (block.uplink == 0 && block.attempt == 1 && block.time_ns > 100'000'000) {
                ++first;
                lost += block.received == 0;
                sum += block.bler;
            }
        }
        test.True(first > 1000, "blocks: " + std::to_string(first));
        test.True(given ? sum / first > 0.01 : sum / first < 1e-4 && lost == 0,
                  "error rate of first transmissions: " + std::to_string(sum / first));
    }
}

CaseSuite linkAdaptationTestSuite("edgelam-nr-link-adaptation",
                                  {{"sub-band CQI", SubbandCqi}, {"table 3", TableThree}});

} // namespace
