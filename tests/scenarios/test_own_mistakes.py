# SPDX-License-Identifier: GPL-2.0-only
"""What a scenario's author or user gets wrong, in C++: it is told, and the run goes on where it can."""

from pathlib import Path

import pytest

from edgelam import cosim
from edgelam.errors import ConfigurationError, ControlRefused, ObservableRefused, ScenarioDied

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


def test_what_a_function_throws_refuses_the_request():
    async def main(sim):
        with pytest.raises(ControlRefused, match=r"^control 'broken': too many of them$"):
            await sim.control("broken").set(1)
        with pytest.raises(ObservableRefused, match=r"^no such UE$"):
            await sim.observable("broken").read()
        return await sim.control("move").set((1, [0, 0, 0]))

    assert run(main) == 0


def test_a_node_with_two_names():
    async def main(sim):
        raise AssertionError

    with pytest.raises(ScenarioDied, match="node 'edge7' is exposed as 'edge0' already"):
        run(main, options={"mistake": "expose"})
