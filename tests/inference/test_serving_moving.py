# SPDX-License-Identifier: GPL-2.0-only
"""A user drives past two gNBs while its requests are served: handovers delay answers, and lose and change none."""

import numpy as np
import pytest
from small_services import GRAPHS, inputs, services

from edgelam import cosim
from edgelam.inference import Poisson, Serving, Task, drawn
from edgelam.inference.moments import PARTS

ROAD = {"numUe": 1, "numGnb": 3, "spacing": 150, "speed": 60, "los": "Always", "mobility": "straight", "bandwidth": 20}
PLACES = {"vision": ["edge0"], "audio": ["edge1"], "joint": ["edge1"], "label": ["edge0"], "talk": ["edge1"]}


async def cells_of(sim):
    """The cell that the user has; none without a network."""
    if "serving_cell" not in sim.observables:
        return set()
    return {int(np.array((await sim.observable("serving_cell").read()).value)[0])}


def test_requests_of_a_user_that_is_handed_over_are_all_answered():
    tasks = {"ue0": [Task(name, name, Poisson(6.0), 0.1, lambda rng, name=name: inputs(name, rng)) for name in GRAPHS]}
    asked = drawn(tasks, 3.0, 3)

    async def main(sim):
        serving = Serving(sim, services(), GRAPHS)
        serving.deploy(PLACES)
        cells = await cells_of(sim)
        outcome = await serving.serve(asked)
        return outcome, cells | await cells_of(sim)

    outcome, cells = cosim.simulate(main, scenario="nr-highway", options=ROAD, seed=3)
    assert len(cells) == 2  # at the beginning and at the end
    assert [row.status for row in outcome.requests] == ["complete"] * len(asked)
    for row in outcome.requests:
        assert sum(getattr(row, f"{part}_s") for part in PARTS) == pytest.approx(row.e2e_s, abs=1e-12)
        assert row.uplink_s > 0
    still, _ = cosim.simulate(main, nodes={"ue0": "ue", "edge0": "edge", "edge1": "edge"})
    assert [row.answer for row in still.requests] == [row.answer for row in outcome.requests]
    assert np.std([row.uplink_s for row in outcome.requests]) > 0
