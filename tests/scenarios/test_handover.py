# SPDX-License-Identifier: GPL-2.0-only
"""Scenario nr-highway: handovers over the IP network, event A3 recomputed, policies from Python, tiers."""

import asyncio

import numpy as np
import pandas as pd
import pytest
from scenario_runs import start

from edgelam import cosim
from edgelam.errors import ControlRefused
from edgelam.runs import handovers

DRIVE = {"numUe": 1, "numGnb": 3, "spacing": 150, "speed": 60, "los": "Always", "mobility": "straight"}


def drive(body, **options):
    """Run `body(sim)` over a short road on which the UE drives past all gNBs."""
    return cosim.simulate(body, scenario="nr-highway", options={**DRIVE, **options}, seed=3)


async def collect(sim, names, seconds):
    """Everything that these traces say in the next seconds."""
    rows = {name: [] for name in names}

    async def read(name):
        async with sim.observable(name).subscribe(0.5) as readings:
            async for reading in readings:
                rows[name].append(reading.value)

    tasks = [asyncio.create_task(read(name)) for name in names]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    return {name: pd.DataFrame(np.concatenate(values)) for name, values in rows.items()}


def a3_entries(rows, off_db, hysteresis_db, trigger_ms):
    """The (slot, UE, cell) at which event A3 is entered: TS 38.331 5.5.4.4, from unfiltered RSRP, on its own."""
    weight = 1 - (1 - 2 ** (-4 / 4)) ** (40 / 200)
    entries, state = [], {}
    filtered = {}
    for (slot, ue), each in rows.groupby(["slot", "ue"], sort=True):
        serving = int(each["serving"].iloc[0])
        for cell, rsrp in zip(each["cell"], each["rsrp_dbm"], strict=True):
            old = filtered.get((ue, cell))
            filtered[ue, cell] = rsrp if old is None else (1 - weight) * old + weight * rsrp
        if state.get(ue, (None,))[0] != serving:
            state[ue] = (serving, {}, set())
        _, since, triggered = state[ue]
        if serving < 0:
            continue
        now_ms = each["time_ns"].iloc[0] / 1e6
        for cell in each["cell"]:
            if cell == serving:
                continue
            better = filtered[ue, cell] - filtered[ue, serving]
            inside = cell in triggered
            changes = better < off_db - hysteresis_db if inside else better > off_db + hysteresis_db
            if not changes:
                since.pop(cell, None)
            elif now_ms - since.setdefault(cell, now_ms) >= trigger_ms:
                del since[cell]
                if inside:
                    triggered.remove(cell)
                else:
                    triggered.add(cell)
                    entries.append((slot, ue, cell))
    return entries


def test_handovers_of_a_drive_are_those_of_an_independent_event_a3():
    async def main(sim):
        return await collect(sim, ["trace_measurements", "trace_handovers"], 6)

    traces = drive(main, numUe=4, a3Offset=2, a3Hysteresis=1, timeToTrigger="160ms")
    rows, records = traces["trace_measurements"], traces["trace_handovers"]
    expected = a3_entries(rows, 2, 1, 160)
    rows = rows.sort_values(["ue", "cell", "slot"])
    before = rows.groupby(["ue", "cell"])["triggered"].shift(fill_value=0)
    entered = rows[(rows["triggered"] == 1) & (before == 0)]
    assert sorted(zip(entered["slot"], entered["ue"], entered["cell"], strict=True)) == sorted(expected)
    assert set(records["ue"]) == {0, 1, 2, 3}
    assert (records["event"] == 0).all()
    for row in records.itertuples():  # each follows an entry towards its target, within the messages' times
        times = [slot * 0.5e6 for slot, ue, cell in expected if ue == row.ue and cell == row.target]
        assert any(0 < row.started_ns - time < 60e6 for time in times)


@pytest.mark.parametrize("forwarding", [True, False])
def test_transfers_complete_over_handovers(forwarding):
    async def main(sim):
        # Behind the UPF; without forwarding, at a gNB from which packets go on through a tunnel.
        ue, edge = sim.node("ue0"), sim.node("edge3" if forwarding else "edge1")
        data = np.zeros(3_000_000, np.uint8)
        down = asyncio.create_task(edge.send(ue, data, protocol="tcp"))
        up = asyncio.create_task(ue.send(edge, data, protocol="tcp"))
        datagrams = asyncio.create_task(edge.send(ue, data, protocol="udp", rate_bps=5e6))
        records = [await down, await up, await datagrams]
        return records, (await sim.observable("handover_counts").read()).value[0]

    records, counts = drive(main, noForwarding=not forwarding)
    assert counts["handovers"] >= 3
    assert records[0].delivered_bytes == records[1].delivered_bytes == 3_000_000
    if forwarding:
        assert records[2].delivered_bytes == 3_000_000
    else:
        assert 0.8 * 3_000_000 < records[2].delivered_bytes < 3_000_000


def test_a_policy_decides_and_the_nearest_edge_follows():
    async def main(sim):
        control = sim.control("handover")
        seen = []
        for target in (2, 3, 1):
            await control.set(np.array([target], np.int32))
            await asyncio.sleep(0.3)
            values = [(await sim.observable(name).read()).value for name in
                      ("serving_cell", "nearest_edge", "edge_hops", "edge_round_trip_s")]  # fmt: skip
            seen.append([np.array(value)[0].tolist() for value in values])
        refusals = []
        for target in (9, 1, -2):
            with pytest.raises(ControlRefused) as refusal:
                await control.set(np.array([target], np.int32))
            refusals.append(str(refusal.value))
        with pytest.raises(ControlRefused) as refusal:
            await sim.control("a3_offset_db").set(np.full((6, 6), 16.0))
        refusals.append(str(refusal.value))
        with pytest.raises(ControlRefused) as refusal:
            await sim.control("time_to_trigger_ms").set(np.full((6, 6), 90, np.uint32))
        refusals.append(str(refusal.value))
        await sim.control("cell_offset_db").set(np.full((6, 6), -3.0))
        return seen, refusals

    seen, refusals = drive(main, handover="external", speed=1)
    assert [each[0] for each in seen] == [2, 3, 1]
    assert [each[1] for each in seen] == [1, 1, 0]  # two cells a gNB, an edge server at each
    assert seen[0][2] == [4, 2, 4, 3]
    assert seen[0][3] == pytest.approx([8.2e-3, 0.2e-3, 8.2e-3, 4.2e-3])
    expected = [
        ["cell 9", "0 to 5"],
        ["in cell 1 already"],
        ["-2", "0 to 5"],
        ["16", "-15 to 15"],
        ["90", "80, 100"],
    ]
    for text, parts in zip(refusals, expected, strict=True):
        for part in parts:
            assert part in text


def test_a_target_without_room_refuses_and_the_table_says_so():
    async def main(sim):
        serving = np.asarray((await sim.observable("serving_cell").read()).value)
        await sim.control("handover").set(np.where(serving == 2, -1, 2).astype(np.int32))
        await asyncio.sleep(0.6)
        counts = (await sim.observable("handover_counts").read()).value
        return await handovers.read(sim), np.asarray((await sim.observable("serving_cell").read()).value), counts

    room = {"edgelam::nr::Cell::SrPeriod": 1, "edgelam::nr::Cell::SrPrbs": 1}  # for 12 UEs
    rows, serving, counts = drive(main, numUe=14, numGnb=2, handover="external", speed=1, **room)
    refused = [row for row in rows if row["event"] == "preparation failure"]
    assert (serving == 2).sum() == 12
    assert (serving >= 0).all()
    assert len(refused) == counts["preparation_failures"].sum() == 2
    assert all(row["target"] == 2 and row["source"] != 2 and row["left_s"] is None for row in refused)


def test_who_stands_stays():
    async def main(sim):
        await asyncio.sleep(5)
        return (await sim.observable("handover_counts").read()).value

    counts = drive(main, numUe=20, speed=0, los="Probability")
    assert (counts["handovers"] == 0).all()


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--timeToTrigger=90ms"], ["time-to-trigger", "80, 100"]),
        (["--speed=151"], ["--speed=151", "150"]),
        (["--handover=never"], ["a3, external"]),
        (["--joined=4"], ["--joined=4", "legal is 1"]),
    ],
)
def test_bad_options_are_refused(arguments, texts):
    done = start("nr-highway", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for text in texts:
        assert text in done.stderr
