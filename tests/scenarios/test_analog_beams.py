# SPDX-License-Identifier: GPL-2.0-only
"""Analog beams from Python: what is told of them, who chooses them, UEs that turn."""

import asyncio

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import ControlRefused, EdgelamError

HALL = {
    "numUe": 2,
    "speed": 0,
    "los": "Always",
    "frequency": "28e9",
    "numerology": 3,
    "bandwidth": 100,
    "beams": "analog",
}
EVENTS = {"sweep": 0, "report": 1, "refine": 2, "receive": 3, "changed": 4}


async def read(sim, name):
    return np.array((await sim.observable(name).read()).value)


def simulate(main, **options):
    return cosim.simulate(main, scenario="nr-indoor", options={**HALL, **options}, seed=2)


def test_what_is_told_agrees_with_the_trace():
    async def main(sim):
        records = []
        subscription = aiter(sim.observable("trace_beams").subscribe(0.01))

        async def follow():
            async for reading in subscription:
                records.append(reading.value)

        following = asyncio.ensure_future(follow())
        await asyncio.gather(*(sim.node("edge0").send(sim.node(f"ue{i}"), bytes(4_000_000)) for i in range(2)))
        beams = await read(sim, "serving_beam"), await read(sim, "ue_beam"), await read(sim, "beam_rsrp_dbm")
        records.append((await sim.observable("trace_beams").read()).value)
        following.cancel()
        return np.concatenate(records), *beams, await read(sim, "beam_frequency")

    records, serving, own, rsrp, frequency = simulate(main)
    assert rsrp.shape == (2, 16)  # 4 x 4 elements
    assert frequency.shape == (16 * 5, 2)
    grid = (np.arange(4) + 0.5) / 4 - 0.5
    assert frequency[:16] == pytest.approx(np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(16, 2))
    for ue in range(2):
        mine = records[records["ue"] == ue]
        changed = mine[mine["event"] == EVENTS["changed"]]
        assert (changed["beam"][-1], changed["ue_beam"][-1]) == (serving[ue], own[ue])
        assert changed["beam"][0] < 16 <= serving[ue]  # a beam of the sweep, then a narrow one
        parent = (serving[ue] - 16) // 4
        assert rsrp[ue, parent] >= rsrp[ue].max() - 3
        assert mine[mine["event"] == EVENTS["refine"]]["rsrp_dbm"].max() > rsrp[ue].max() - 1
        reports = mine[mine["event"] == EVENTS["report"]]["rsrp_dbm"]
        assert (reports == np.round(reports)).all()
        assert (reports >= -140).all()
        assert (reports <= -44).all()


def test_measurements_have_noise_that_the_seed_decides():
    async def main(sim):
        sending = asyncio.ensure_future(sim.node("edge0").send(sim.node("ue0"), bytes(50_000_000)))
        await asyncio.sleep(0.05)
        rsrp = [await read(sim, "beam_rsrp_dbm")]
        await asyncio.sleep(0.1)
        rsrp.append(await read(sim, "beam_rsrp_dbm"))
        sending.cancel()
        return np.stack(rsrp)[:, 0]  # of a UE that stands still

    early, late = simulate(main)
    assert (early != late).all()
    assert late.max() == pytest.approx(early.max(), abs=1)  # well above the noise
    assert late == pytest.approx(early, abs=10)
    assert (simulate(main) == (early, late)).all()


def test_a_program_chooses_the_beams():
    async def main(sim):
        rsrp = await read(sim, "beam_rsrp_dbm")
        best, worst = rsrp.argmax(1), rsrp.argmin(1)
        for text, value in [("-2", [-2, 0]), ("80", [0, 80])]:
            with pytest.raises(ControlRefused, match=f"{text}.*0 to 15 of the sweep.*79"):
                await sim.control("beam").set(np.array(value, np.int32))

        async def rate(beams):
            await sim.control("beam").set(np.asarray(beams, np.int32))
            await asyncio.sleep(0.05)
            record = await sim.node("edge0").send(sim.node("ue0"), bytes(500_000), deadline_s=3)
            return record.goodput_bps, await read(sim, "serving_beam")

        good, serving = await rate(best)
        assert (serving == best).all()
        other = np.where(rsrp[0] > rsrp[0].max() - 10)[0]
        weak = other[rsrp[0, other].argmin()]
        bad, serving = await rate([weak, worst[1]])
        assert serving[0] == weak
        free, serving = await rate([-1, -1])
        assert serving[0] >= 16
        return good, bad, free

    good, bad, free = simulate(main)
    assert bad < good
    assert free > 0.9 * good


def test_ues_with_panels_turn():
    async def main(sim):
        panels = []
        for degrees in (0, 120, 240, 0):
            await sim.control("ue_bearing").set(np.full(2, float(degrees)))
            await sim.node("edge0").send(sim.node("ue0"), bytes(20_000_000))
            panels.append(int((await read(sim, "ue_beam"))[0]) // 2)
        with pytest.raises(ControlRefused, match="ue_bearing: nan"):
            await sim.control("ue_bearing").set(np.array([0, np.nan]))
        return panels

    panels = simulate(main, uePanels=3, gnbMount="wall", numUe=2)
    assert panels[0] == panels[3]
    assert [(panels[0] - i) % 3 for i in range(3)] == panels[:3]  # the one that faces the gNB


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"beams": "eigen", "uePanels": 2}, ["--uePanels=2", "--beams=analog"]),
        ({"edgelam::nr::Cell::SsbRows": 5}, ["5 x 4", "4 x 4"]),
        ({"maxLayers": 4}, ["--maxLayers=4", "1 to 2"]),
    ],
)
def test_what_does_not_go_together(options, texts):
    async def main(sim):
        raise AssertionError

    with pytest.raises(EdgelamError) as refusal:
        simulate(main, **options)
    for text in texts:
        assert text in str(refusal.value)


def test_cells_of_a_network_have_beams_of_their_own():
    async def main(sim):
        for ue in range(4):
            await sim.node("edge0").send(sim.node(f"ue{ue}"), bytes(200_000))
        return await read(sim, "serving_beam"), await read(sim, "beam_rsrp_dbm"), await read(sim, "serving_cell")

    options = {"numUe": 4, "frequency": "28e9", "numerology": 3, "bandwidth": 100, "beams": "analog"}
    serving, rsrp, cells = cosim.simulate(main, scenario="nr-office", options=options, seed=1)
    assert len(set(cells)) > 1
    assert (serving >= rsrp.shape[1]).all()  # narrow beams
    assert np.isfinite(rsrp).all()
    with pytest.raises(EdgelamError, match=r"UePanels 3.*network"):
        cosim.simulate(main, scenario="nr-office", options={**options, "uePanels": 3})
