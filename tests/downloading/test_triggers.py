# SPDX-License-Identifier: GPL-2.0-only
"""What begins a download: a time, an application, an area, a cell."""

import asyncio

import pytest

from edgelam import cosim
from edgelam.downloading import Application, Area, At, Cell, first
from edgelam.errors import ConfigurationError


def test_the_first_of_several_begins_and_the_others_are_forgotten():
    async def main(sim):
        application = Application("translator")
        waiting = asyncio.create_task(first(sim, "ue0", [At(0.5), application]))
        await asyncio.sleep(0.2)
        application.start()
        early = await waiting, sim.now_s
        return early, await first(sim, "ue0", [application, At(0.5)]), await first(sim, "ue0", [At(0.1)]), sim.now_s

    early, again, past, now_s = cosim.simulate(main, scenario="wired-star", options={"numUe": 1}, seed=1)
    assert early == ("application translator", pytest.approx(0.2))
    assert again == "application translator"
    assert past == "time 0.1 s"
    assert now_s == pytest.approx(0.2)


def test_entering_an_area_begins_when_the_user_is_inside(tmp_path):
    file = tmp_path / "ways"
    file.write_text('$node_(0) set X_ 100\n$node_(0) set Y_ 0\n$ns_ at 0.0 "$node_(0) setdest 40 0 60"\n')

    async def main(sim):
        said = await first(sim, "ue0", [Area(40, 0, 30)])
        position = (await sim.observable("ue_position").read()).value[0]
        return said, sim.now_s, float(position[0])

    options = {"numUe": 1, "mobilityFile": str(file), "bandwidth": 5}
    said, at_s, x_m = cosim.simulate(main, scenario="nr-urban-micro", options=options, seed=1)
    assert said == "area of 30 m around (40, 0)"
    assert at_s == pytest.approx(0.5, abs=0.06)
    assert x_m <= 70


def test_entering_a_cell_begins_at_the_handover():
    options = {"numUe": 1, "numGnb": 2, "speed": 40, "spacing": 200, "bandwidth": 10}

    async def main(sim):
        cells = []
        here = int((await sim.observable("serving_cell").read()).value[0])
        every = tuple(cell for cell in range(8) if cell != here)
        async with asyncio.timeout(20):
            cells.append(await first(sim, "ue0", [Cell(every)]))
        now = int((await sim.observable("serving_cell").read()).value[0])
        return here, now, cells, sim.now_s, await first(sim, "ue0", [Cell((now,))])

    here, now, said, at_s, again = cosim.simulate(main, scenario="nr-highway", options=options, seed=1)
    assert here != now
    assert said == [f"cell {now}"]
    assert at_s > 0
    assert again == f"cell {now}"


def test_what_is_not_legal_is_refused():
    async def main(sim):
        with pytest.raises(ConfigurationError, match="no trigger"):
            await first(sim, "ue0", [])
        with pytest.raises(ConfigurationError, match="'ue7' is no UE"):
            await first(sim, "ue7", [Area(0, 0, 1)])
        with pytest.raises(ConfigurationError, match="no observable 'ue_position', by which a place is known"):
            await first(sim, "ue0", [Area(0, 0, 1)])

    cosim.simulate(main, scenario="wired-star", options={"numUe": 1}, seed=1)
    for make, text in (
        (lambda: At(-1), "at_s is -1"),
        (lambda: Area(0, 0, 0), "radius above 0"),
        (lambda: Cell(()), "at least one"),
        (lambda: Cell((-1,)), "from 0"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            make()
