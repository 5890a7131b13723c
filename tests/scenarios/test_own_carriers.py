# SPDX-License-Identifier: GPL-2.0-only
"""A network of two carriers: no interference between them, and handovers from one to the other."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import EdgelamError

SOURCE = Path(__file__).parent / "own-carriers.cc"
OPTIONS = {"bandwidth": 20, "handover": "external", "gnbElement": "isotropic", "ueAntennas": 1, "gnbRows": 1,
           "gnbColumns": 1, "gnbPolarisations": 1, "rsrp": "direction"}  # fmt: skip


def test_each_carrier_has_its_loss_and_its_interference():
    async def main(sim):
        await asyncio.sleep(0.05)
        return [np.array((await sim.observable(name).read()).value)[0] for name in ("rsrp_dbm", "cell_sinr_db")]

    rsrp, sinr = cosim.simulate(main, scenario=SOURCE, options=OPTIONS, seed=1)
    power = 44 - 10 * np.log10(12 * 51)
    for cell, ghz in enumerate((3.5, 3.7, 3.5)):  # TR 38.901 table 7.4.1-1, UMi in line of sight, before the breakpoint
        distance = np.linalg.norm([55 - 120 * cell, 10, 8.5])
        assert rsrp[cell] == pytest.approx(power - 32.4 - 21 * np.log10(distance) - 20 * np.log10(ghz), abs=0.01)
    noise = 10 ** ((-174 + 10 * np.log10(30e3) + 9) / 10)
    milliwatts = 10 ** (rsrp / 10)
    others = np.array([milliwatts[2], 0, milliwatts[0]])  # the second one is alone
    assert sinr == pytest.approx(rsrp - 10 * np.log10(others + noise), abs=1e-6)


def test_handovers_between_carriers_lose_nothing_and_count_each_slot_once():
    async def main(sim):
        ue, cloud = sim.node("ue0"), sim.node("cloud0")
        flows = [
            asyncio.create_task(a.send(b, np.zeros(400_000, np.uint8), protocol="udp", rate_bps=5e6))
            for a, b in ((ue, cloud), (cloud, ue))
        ]
        rows = []

        async def follow():
            async for reading in sim.observable("trace_power").subscribe(0.1):
                rows.append(reading.value)

        following = asyncio.create_task(follow())
        cells = []
        for cell in (1, 0, 1, 0):
            await sim.control("handover").set(np.array([cell], np.int32))
            await asyncio.sleep(0.12)
            cells.append(int((await sim.observable("serving_cell").read()).value[0]))
        records = [await flow for flow in flows]
        rows.append((await sim.observable("trace_power").read()).value)
        joules = np.array((await sim.observable("ue_radio_j").read()).value)[:, 0]
        following.cancel()
        return cells, records, np.concatenate(rows), joules

    cells, records, power, joules = cosim.simulate(main, scenario=SOURCE, options=OPTIONS, seed=1)
    assert cells == [1, 0, 1, 0]
    assert [record.delivered_bytes for record in records] == [400_000] * 2
    own = power[power["ue"] == 0]
    assert (own["slot"][1:] == own["slot"][:-1] + own["slots"][:-1]).all()
    assert [own["down_j"].sum(), own["up_j"].sum()] == pytest.approx(joules, rel=1e-9)


def test_carriers_that_overlap_in_part_are_refused():
    async def main(sim):
        raise AssertionError

    with pytest.raises(EdgelamError, match=r"cell 1 \(3510 MHz.*overlaps cell 0 \(3500 MHz"):
        cosim.simulate(main, scenario=SOURCE, options=OPTIONS | {"apart": 1e7})
