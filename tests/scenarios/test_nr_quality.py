# SPDX-License-Identifier: GPL-2.0-only
"""Bearers by code point, guaranteed rates, slices and caps over IP, as options and controls set them."""

import asyncio

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import ControlRefused, EdgelamError

CELL = {"bandwidth": 20, "speed": 0, "minDistance": 40, "maxDistance": 60, "los": "Always"}
SLOTS = {0: 4 / 5, 1: 1 / 5}  # of DDDSU that carry data


def run(main, **options):
    return cosim.simulate(main, scenario="nr-urban-micro", options=CELL | options, seed=5)


async def follow(sim, name, into):
    async with sim.observable(name).subscribe(0.01) as readings:
        async for reading in readings:
            into.append(reading.value)


def test_a_code_point_takes_its_bearer_and_keeps_its_rate_beside_full_buffers():
    async def main(sim):
        edge, ues = sim.node("edge0"), [sim.node(f"ue{i}") for i in range(4)]
        packets = []
        tasks = [asyncio.ensure_future(follow(sim, "trace_packets", packets))]
        tasks += [asyncio.ensure_future(edge.send(ue, bytes(40_000_000), protocol="udp", rate_bps=200e6)) for ue in ues]
        await asyncio.sleep(0.1)
        begin_s = sim.now_s
        record = await edge.send(ues[0], bytes(1_500_000), protocol="udp", rate_bps=20e6, priority=5)
        took_s = sim.now_s - begin_s
        counts = (await sim.observable("bearer_counts").read()).value
        backlog = (await sim.observable("bearer_backlog_bytes").read()).value
        for task in tasks:
            task.cancel()
        return record, took_s, np.concatenate(packets), counts, backlog

    record, took_s, packets, counts, backlog = run(main, numUe=4, bearers="2/40/25Mbps/1Mbps,9")
    assert record.delivered_bytes == 1_500_000
    assert took_s < 0.62  # 0.6 s is its own pace
    own = packets[(packets["group"] == -1) & (packets["uplink"] == 0)]
    assert set(own["ue"]) == {0}
    assert np.percentile(own["time_ns"] - own["arrived_ns"], 98) < 20e6
    assert counts["delivered_packets"][0, 0, 0] >= len(own)
    assert backlog[0, :, 1].min() > 0  # the others wait
    assert counts.shape == (2, 4, 2)


def test_slices_and_caps_are_set_from_outside_and_refused_if_they_are_not_legal():
    async def main(sim):
        cell = (await sim.observable("cell").read()).value
        band = int(cell["prbs"])
        assert (await sim.observable("ue_slice").read()).value.tolist() == [0, 0, -1]
        for name, value, text in [
            ("slice_share", [[1.2], [0.1]], "0 to 1"),
            ("slice_prb_cap", [[band + 1], [1]], f"0 to {band}"),
            ("cell_prb_cap", [band, band + 1], f"0 to {band}"),
        ]:
            with pytest.raises(ControlRefused, match=text):
                await sim.control(name).set(np.array(value, sim.control(name).dtype))
        blocks = []
        edge = sim.node("edge0")
        tasks = [asyncio.ensure_future(follow(sim, "trace_blocks", blocks))]
        for i in range(3):
            sending = edge.send(sim.node(f"ue{i}"), bytes(30_000_000), protocol="udp", rate_bps=300e6)
            tasks.append(asyncio.ensure_future(sending))
        await asyncio.sleep(0.1)
        await sim.control("slice_share").set(np.array([[0.8], [0.5]]))
        first = int((await sim.observable("control_slot").read()).value)
        await asyncio.sleep(0.2)
        await sim.control("cell_prb_cap").set(np.array([20, 20], np.uint32))
        capped = int((await sim.observable("control_slot").read()).value)
        await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        return np.concatenate(blocks), first, capped

    blocks, first, capped = run(main, numUe=3, slices="0-1:0.5")
    down = blocks[blocks["uplink"] == 0]

    def share(rows):
        return rows["prbs"][rows["ue"] < 2].sum() / rows["prbs"].sum()

    assert share(down[down["slot"] < first]) >= 0.5
    middle = down[(down["slot"] >= first) & (down["slot"] < capped)]
    assert share(middle) == pytest.approx(0.8, abs=0.03)
    last = down[down["slot"] >= capped]
    slots = int(last["slot"].max()) + 1 - capped
    assert last["prbs"].sum() <= 20 * (SLOTS[0] * slots + 4) + 4
    assert last["prbs"].sum() > 0.9 * 20 * SLOTS[0] * slots


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"bearers": "11/46,9"}, "5QI 11; legal are 1, 2, 3"),
        ({"bearers": "1/46/900Gbps,9"}, "at most what the cell can carry"),
        ({"bearers": "1/46/1Mbps"}, "one bearer has no DSCPs"),
        ({"slices": "0:0.7,1:0.5"}, "sum of 1.2; legal is at most 1"),
        ({"slices": "0-7:0.7"}, "names UE 7; legal are the UEs of the cell, 0 to 1"),
    ],
)
def test_what_is_not_legal_is_refused(options, text):
    async def main(sim):
        pass

    with pytest.raises(EdgelamError, match=text):
        run(main, numUe=2, **options)
