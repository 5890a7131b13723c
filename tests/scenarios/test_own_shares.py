# SPDX-License-Identifier: GPL-2.0-only
"""A scheduler of the user's own that takes shares and caps from outside, in a scenario of one file."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from scenario_runs import compile_scenario

from edgelam import cosim

GROUPS, GROUP, BAND = 18, 16, 273  # resource block groups, resource blocks of one and of all


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return compile_scenario(Path(__file__).with_name("own-shares.cc"), tmp_path_factory.mktemp("own-shares"))


def most_of_a_slot(program, controls):
    """The most resource blocks that each UE had in a downlink slot, while its bearer was full."""

    async def main(sim):
        for name, value in controls.items():
            await sim.control(name).set(value)
        edge = sim.node("edge0")
        sending = [asyncio.ensure_future(edge.send(sim.node(f"ue{i}"), bytes(20_000_000))) for i in (0, 1)]
        blocks = []
        async with sim.observable("trace_blocks").subscribe(0.02) as readings:
            async for reading in readings:
                blocks.append(reading.value[reading.value["uplink"] == 0])
                if len(blocks) == 5:
                    break
        for each in sending:
            each.cancel()
        found = np.concatenate(blocks)
        fresh = found[found["attempt"] == 1]
        return [int(fresh["prbs"][fresh["ue"] == ue].max()) for ue in (0, 1)]

    return cosim.simulate(main, scenario=program)


def test_shares_and_caps_reach_it(program):
    shares = {"prb_share": np.array([[0.5, 0.25], [0.5, 0.5]])}
    # 9 and 4 groups of 18, where the last group may be the small one.
    first, second = most_of_a_slot(program, shares)
    assert 9 * GROUP - 15 <= first <= 9 * GROUP
    assert 4 * GROUP - 15 <= second <= 4 * GROUP
    caps = {"prb_cap": np.array([[2 * GROUP, BAND], [BAND, BAND]], dtype=np.uint32)}
    assert most_of_a_slot(program, shares | caps)[0] <= 2 * GROUP
