# SPDX-License-Identifier: GPL-2.0-only
"""Scenario nr-subthz-hotspot: refusals, traffic, absorption and blockage by hand, ceilings of SINR."""

import asyncio
import math

import numpy as np
import pytest
from scenario_runs import report, start

from edgelam import cosim
from edgelam.errors import ControlRefused

ROOM = {"numUe": 1, "speed": 0, "blockers": 1, "blockerSpeed": 0, "los": "Always", "numEdge": 1, "maxLayers": 1}


async def value(sim, name):
    return np.array((await sim.observable(name).read()).value)


def room(main, **options):
    return cosim.simulate(main, scenario="nr-subthz-hotspot", options=ROOM | options, seed=2)


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--bandwidth=3000"], ["bandwidth 3000 MHz", "sub-THz has 400, 800, 1600, 2000, 3200, 4000, 6400 or 8000"]),
        (["--numerology=3"], ["numerology 3", "sub-THz has 5 or 6"]),
        (["--frequency=460e9"], ["460e9", "4.5e+11"]),
        (["--pattern=DDDSU"], ["DDDSU", "numerology 6"]),
        (["--waves=round"], ["Plane, Spherical"]),
        (["--blockerWidth=0"], ["blockerWidth", "0.01"]),
        (["--phaseNoise=3"], ["phaseNoise", "-1"]),
    ],
)
def test_impossible_settings_are_refused(arguments, texts):
    done = start("nr-subthz-hotspot", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for text in texts:
        assert text in done.stderr


@pytest.mark.parametrize(
    "arguments", [["--numUe=2"], ["--bandwidth=4000", "--frequency=220e9", "--waves=Spherical", "--numUe=1"]]
)
def test_traffic(arguments):
    assert report("nr-subthz-hotspot", "--bytes=1e5", *arguments)["complete"]


def test_absorption_by_hand():
    """At 140 GHz ITU-R P.676 gives 0.9232 dB/km in standard air, and 30 times as much in the line of water."""

    async def main(sim):
        return (await value(sim, "ue_link"))[0]

    links = {f: room(main, frequency=f) for f in (140e9, 183.31e9)}
    km = links[140e9]["distance_3d_m"] / 1000
    assert links[140e9]["absorption_db"] == pytest.approx(0.9231894 * km, rel=1e-6)
    assert 25 < links[183.31e9]["absorption_db"] / km < 32


def edge(longer, wavelength):
    return math.atan(math.pi / 2 * math.sqrt(math.pi / wavelength * longer)) / math.pi


def test_a_body_on_the_way_by_hand():
    """TR 38.901 7.6.4.2, model B: 0.3 m x 1.7 m, 1 m in front of the UE, which is 1 m high and 2 m below the gNB."""

    async def main(sim):
        ue = (await value(sim, "ue_position"))[0]
        control = sim.control("blocker_position")
        with pytest.raises(ControlRefused, match=r"blocker 0; legal are x from -9.0+ to 9"):
            await control.set([[12.0, 0]])
        with pytest.raises(ControlRefused, match="nan"):
            await control.set([[math.nan, 0]])
        await control.set([[9, -4]])  # in a corner
        free = await value(sim, "ue_channel"), (await value(sim, "direct_blockage_db"))[0]
        gnb = np.array([-10, 0])
        away = (gnb - ue[:2]) / np.linalg.norm(gnb - ue[:2])
        await control.set([ue[:2] + away])
        return ue, free, (await value(sim, "ue_channel"), (await value(sim, "direct_blockage_db"))[0])

    ue, (free, before), (blocked, db) = room(main)
    wavelength = 299792458 / 140e9
    far = np.hypot(ue[0] + 10, ue[1])
    top = [edge(math.hypot(1, 0.15) + math.hypot(far - 1, 0.15) - far, wavelength)] * 2
    length, height = math.hypot(far, 2), 2 / far  # of the ray where it meets the screen
    over = edge(math.hypot(1, 0.7) + math.hypot(far - 1, 2 - 0.7) - length, wavelength)
    under = edge(math.hypot(1, -1) + math.hypot(far - 1, 3) - length, wavelength)
    left = 1 - sum(top) * (over + under if height < 0.7 else under - over)
    assert db == pytest.approx(-20 * math.log10(left), abs=1e-6)
    assert db > 10
    assert before < 1
    assert np.square(np.abs(blocked)).sum() < 0.5 * np.square(np.abs(free)).sum()


def test_phase_noise_is_a_ceiling():
    async def main(sim):
        sending = asyncio.ensure_future(
            sim.node("edge0").send(sim.node("ue0"), bytes(2_000_000), protocol="udp", rate_bps=2e9)
        )
        await asyncio.sleep(4e-3)
        last = (await value(sim, "ue_last_block"))[0, 0]
        sending.cancel()
        return last["sinr_db"]

    without = room(main, blockers=0, phaseNoise=-200, gnbPower=30)
    at_26, at_20 = (room(main, blockers=0, phaseNoise=db, gnbPower=30) for db in (-26, -20))
    assert without > 32
    assert 24 < at_26 < 26
    assert 18.5 < at_20 < 20
