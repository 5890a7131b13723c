# SPDX-License-Identifier: GPL-2.0-only
"""Scenario nr-office: everybody is served by a near cell, walkers are handed over, bad options are refused."""

import asyncio

import numpy as np
import pytest
from scenario_runs import start

from edgelam import cosim


def test_walkers_are_handed_over_and_their_transfers_come_whole():
    async def body(sim):
        async def statuses(number):
            ue, edge, found = sim.node(f"ue{number}"), sim.node("edge0"), []
            for k in range(20):
                found.append((await ue.send(edge, np.full(1000, k, np.int32), tag=f"{number}.{k}")).status)
                await asyncio.sleep(0.8)
            return found

        done = await asyncio.gather(*(statuses(number) for number in range(4)))
        counts = np.asarray((await sim.observable("handover_counts").read()).value)
        return done, counts, np.asarray((await sim.observable("rsrp_dbm").read()).value)

    done, counts, rsrp = cosim.simulate(body, scenario="nr-office", options={"numUe": 4, "speed": 2}, seed=1)
    assert {status for each in done for status in each} == {"complete"}
    assert rsrp.shape == (4, 6)
    assert sum(int(each[0]) for each in counts) >= 4


def test_the_nearest_cell_of_one_who_stands_below_it_is_the_strongest():
    async def body(sim):
        places = np.asarray((await sim.observable("ue_position").read()).value)
        return places, np.asarray((await sim.observable("serving_cell").read()).value)

    options = {"numUe": 30, "speed": 0, "perRow": 2, "los": "Always"}
    places, cells = cosim.simulate(body, scenario="nr-office", options=options, seed=1)
    gnbs = np.array([[10, 15], [30, 15], [10, 35], [30, 35]])
    distances = np.linalg.norm(places[:, None, :2] - gnbs, axis=-1)
    assert places[:, :2].min() >= 1
    assert (places[:, :2].max(axis=0) <= [39, 49]).all()
    near = distances.min(axis=1) < 5
    assert near.sum() >= 3
    assert (cells[near] == distances[near].argmin(axis=1)).all()


@pytest.mark.parametrize(
    ("argument", "text"),
    [("--perRow=0", "1 to 20"), ("--hallWidth=1", "10 to 500"), ("--gnbHeight=1", "2 to 20"), ("--office=UMa", "InH")],
)
def test_bad_options_are_refused(argument, text):
    done = start("nr-office", argument)
    assert done.returncode == 2
    assert argument in done.stderr
    assert text in done.stderr
