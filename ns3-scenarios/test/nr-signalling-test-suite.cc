// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Messages of RRC when a UE may send no data: caps of 0 and shares of 0 do not hold up handovers.

#include "nr-road-testbed.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;
using ns3::MilliSeconds;

namespace {

/// UE 0 drives from one cell to the other, UE 1 and UE 2 stand in each of them; all want to send more than there is
/// room for. \param attributes of the cells \param close takes from UE 0 what the case is about
void Drives(Case& test, const std::string& what, const Attributes& attributes, bool data,
            const std::function<void(Cell&)>& close) {
    Road road(street);
    road.AddCell({0, 0, 10}, attributes);
    road.AddCell({100, 0, 10}, attributes);
    road.AddUe({20, 15, 1.5}, {30, 0, 0});
    road.AddUe({10, 15, 1.5}, {});
    road.AddUe({95, 15, 1.5}, {});
    road.Start();
    for (std::uint32_t cell = 0; cell < 2; ++cell) {
        close(*road.network->GetCell(cell));
    }
    road.Traffic(ns3::MicroSeconds(250), 12000, 2.5);
    road.Run(2.5);
    test.True(road.handover->GetCounts(0).handovers == 1 && road.network->ServingCell(0) == 1,
              what + ": handed over, " + std::to_string(road.handover->GetCounts(0).handovers));
    test.True(road.handover->GetCounts(0).link_failures == 0, what + ": no failure");
    test.True(road.down[0].empty() != data && road.up[0].empty() != data,
              what + (data ? ": some data" : ": no data, but ") + std::to_string(road.down[0].size()) + " and " +
                  std::to_string(road.up[0].size()));
    // In half of the handover's 2.5 ms steps nothing holds it up: report, command and random access take no longer than
    // in a cell that is empty.
    const HandoverRecord& record = road.handover->GetLast(0);
    test.True(1e-6 * static_cast<double>(record.left_ns - record.started_ns) < 40,
              what + ": the command is not held up");
}

void Caps(Case& test) {
    const std::vector<std::uint32_t> ofUe0{0, 51, 51}, none{0};
    const Attributes external{Set("Scheduler", std::string("external"))};
    Drives(test, "prb_cap 0", external, false, [&](Cell& cell) { cell.SetPrbCaps(ofUe0, ofUe0); });
    Drives(test, "cap of the cell 0", {}, false, [&](Cell& cell) { cell.SetCellCaps(0, 0); });
    const Attributes slice{Set("Slices", std::string("0:0:1"))};
    Drives(test, "cap of the slice 0", slice, false, [&](Cell& cell) { cell.SetSliceCaps(none, none); });
    const Attributes both{Set("Slices", std::string("0:0:1")), Set("Scheduler", std::string("external"))};
    Drives(test, "external, cap of the slice 0", both, false, [&](Cell& cell) { cell.SetSliceCaps(none, none); });
}

void Shares(Case& test) {
    for (const std::string scheduler : {"pf", "rr", "max-rate", "external"}) {
        const Attributes slices{Set("Slices", std::string("0:0:1,1+2:1:1")), Set("Scheduler", scheduler)};
        Drives(test, scheduler + ", share of the slice 0", slices, false, [](Cell&) {});
    }
    const Attributes external{Set("Scheduler", std::string("external"))};
    Drives(test, "prb_share 0", external, false, [&](Cell& cell) {
        const std::vector<double> shares{0, 1, 1}; // one of them in each cell
        cell.SetShares(shares, shares);
    });
}

CaseSuite signallingTestSuite("edgelam-nr-signalling", {{"caps of 0", Caps}, {"shares of 0", Shares}});

} // namespace
