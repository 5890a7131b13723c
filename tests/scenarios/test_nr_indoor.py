# SPDX-License-Identifier: GPL-2.0-only
"""Scenario nr-indoor: refusals, transfers, and UEs that stay in the hall."""

import asyncio

import numpy as np
import pytest
from scenario_runs import report, start

from edgelam import cosim


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--gnbHeight=4"], ["--gnbHeight=4m", "InF-DH", "machines of 6m", "6m to 10m"]),
        (["--factory=InF-SL"], ["--gnbHeight=8m", "InF-SL", "1m to 2m"]),
        (["--hallHeight=7"], ["--gnbHeight=8m", "6m to 7m"]),
        (["--clutterDensity=0.2"], ["density of the clutter 0.2", "0.4 or more", "InF-DH"]),
        (["--hallLength=1000", "--hallWidth=1000"], ["1e+06", "160000 m2"]),
        (["--hallLength=2", "--hallWidth=20"], ["2m x 20m", "no room"]),
        (["--factory=InF"], ["InF-SL, InF-DL, InF-SH, InF-DH, InF-HH"]),
        (["--gnbMount=floor"], ["ceiling, wall"]),
        (["--bandwidth=33"], ["bandwidth 33 MHz", "90 or 100 MHz"]),
    ],
)
def test_impossible_settings_are_refused(arguments, texts):
    done = start("nr-indoor", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("nr-indoor: ")
    assert done.stderr.count("\n") == 1
    for text in texts:
        assert text in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--factory=InF-SL", "--gnbHeight=1.5", "--gnbMount=wall"],
        ["--factory=InF-HH", "--frequency=28e9", "--numerology=3", "--bandwidth=100"],
    ],
)
def test_traffic(arguments):
    result = report("nr-indoor", "--numUe=4", "--bytes=1e5", *arguments)
    assert result["complete"]
    assert [transfer["receiver"] for transfer in result["transfers"][:4]] == ["edge0", "edge1", "cloud0", "gnb0"]


def test_vehicles_bounce_off_the_walls():
    async def main(sim):
        place, velocity = sim.observable("ue_position"), sim.observable("ue_velocity")
        await sim.control("ue_velocity").set(np.array([[3.0, 2.0, 0], [-4.0, 0, 0], [0, 2.5, 0]]))
        seen = []
        for _ in range(60):
            await asyncio.sleep(1)
            seen.append([(await place.read()).value, (await velocity.read()).value])
        return np.array(seen), (await sim.observable("ue_link").read()).value

    options = {"numUe": 3, "hallLength": 40, "hallWidth": 20}
    seen, links = cosim.simulate(main, scenario="nr-indoor", options=options)
    places, velocities = seen[:, 0], seen[:, 1]
    assert (np.abs(places) <= [19, 9, 1.5]).all()  # 1 m from the walls
    # A bounce turns one component round; nothing else changes, and each comes back several times in a minute.
    assert (np.abs(velocities) == [[3, 2, 0], [4, 0, 0], [0, 2.5, 0]]).all()
    assert (np.ptp(places[:, :, :2], axis=0) > [[30, 12], [30, -1], [-1, 12]]).all()
    assert links["distance_2d_m"] == pytest.approx(np.hypot(*places[-1, :, :2].T))
    assert links["distance_3d_m"] == pytest.approx(np.sqrt(links["distance_2d_m"] ** 2 + 6.5**2))
