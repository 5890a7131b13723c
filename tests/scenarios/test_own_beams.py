# SPDX-License-Identifier: GPL-2.0-only
"""A scheduler and a beamformer of the user's own, in a scenario of one file outside edgelam."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from scenario_runs import compile_scenario

from edgelam import cosim
from edgelam.errors import ConfigurationError


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return compile_scenario(Path(__file__).with_name("own-beams.cc"), tmp_path_factory.mktemp("own-beams"))


def downlink(program, options):
    """Downlink blocks of two full bearers."""

    async def main(sim):
        edge = sim.node("edge0")
        sending = [asyncio.ensure_future(edge.send(sim.node(f"ue{i}"), bytes(40_000_000))) for i in (0, 1)]
        blocks = []
        async with sim.observable("trace_blocks").subscribe(0.05) as readings:
            async for reading in readings:
                blocks.append(reading.value[reading.value["uplink"] == 0])
                if len(blocks) == 6:
                    break
        for each in sending:
            each.cancel()
        return np.concatenate(blocks[2:])  # TCP fills the bearers by then

    return cosim.simulate(main, scenario=program, options={"gnbPower": 20, "ueAntennas": 1} | options)


def shared(blocks):
    """Slots in which two UEs have a resource block group together."""
    first, second = (dict(zip(b["slot"].tolist(), b["rbgs"].tolist(), strict=True)) for b in _by_ue(blocks))
    return sum((first[slot] & second[slot]) != 0 for slot in first.keys() & second.keys())


def _by_ue(blocks):
    return blocks[blocks["ue"] == 0], blocks[blocks["ue"] == 1]


@pytest.mark.parametrize("antennas", [1, 4])
def test_two_at_once_carry_more_than_one_at_a_time(program, antennas):
    options = {"ueAntennas": antennas}
    both, alone = downlink(program, options), downlink(program, options | {"scheduler": "pf", "beams": "eigen"})
    assert shared(both) > 100
    assert shared(alone) == 0

    def carried(blocks):
        return [int(b["bits"][b["received"] == 1].sum()) for b in _by_ue(blocks)]

    assert min(carried(both)) > 0
    assert sum(carried(both)) > 1.15 * sum(carried(alone)), (carried(both), carried(alone))


def test_cancelling_is_what_does_it(program):
    """The same pairs over eigenvectors disturb each other, and a UE of one antenna can do nothing against it."""

    def sinr_db(options):
        blocks = downlink(program, options)
        return np.median(blocks["sinr_db"][blocks["attempt"] == 1])

    assert sinr_db({}) > sinr_db({"beams": "eigen"}) + 2


def test_a_name_that_nobody_registered(program):
    async def main(sim):
        pass

    with pytest.raises(ConfigurationError, match=r"own::Nobody.*rr, pf, max-rate, external, own::PairScheduler"):
        cosim.simulate(main, scenario=program, options={"scheduler": "own::Nobody"})
