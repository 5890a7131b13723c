# SPDX-License-Identifier: GPL-2.0-only
"""What a scenario's author or user gets wrong, in C++: it is told, and the run goes on where it can."""

from pathlib import Path

import pytest

from edgelam import cosim
from edgelam.errors import ConfigurationError

SOURCE = Path(__file__).parent / "own-mistakes.cc"


def run(main, **settings):
    return cosim.simulate(main, scenario=SOURCE, **settings)


def test_a_control_of_a_struct():
    async def main(sim):
        move, found = sim.control("move"), []
        for value in ((1, [50, 0, 1.5]), {"ue": 2, "to": [60, 0, 1.5]}):
            await move.set(value)
            found.append((await sim.observable("last_move").read()).value)
        await move.set(found[0])
        found.append((await sim.observable("last_move").read()).value)
        with pytest.raises(ConfigurationError, match="control 'move': 1 is not a struct"):
            await move.set(1)
        return [(int(each["ue"]), each["to"].tolist()) for each in found]

    assert run(main) == [(1, [50, 0, 1.5]), (2, [60, 0, 1.5]), (1, [50, 0, 1.5])]
