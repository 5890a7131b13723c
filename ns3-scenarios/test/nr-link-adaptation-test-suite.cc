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
    double rates[2];
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
        rates[given] = static_cast<double>(bed.down.bytes[0]);
    }
    test.True(rates[0] < rates[1], "safety costs rate");
}

CaseSuite linkAdaptationTestSuite("edgelam-nr-link-adaptation",
                                  {{"table 3", TableThree}});

} // namespace
