# SPDX-License-Identifier: GPL-2.0-only
"""What a scenario's author or user gets wrong, in C++: it is told, and the run goes on where it can."""

import asyncio
import re
from pathlib import Path

import pytest

from edgelam import cosim
from edgelam.cosim import patience
from edgelam.errors import (
    AttachError,
    ConfigurationError,
    ControlRefused,
    ObservableRefused,
    ScenarioDied,
    ScenarioEnded,
)

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
        with pytest.raises(ObservableRefused, match=r"^observable 'broken': no such UE$"):
            await sim.observable("broken").read()
        return await sim.control("move").set((1, [0, 0, 0]))

    assert run(main) == 0


def test_two_dimensions():
    async def main(sim):
        return (await sim.observable("grid").read()).value

    assert run(main).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_node_with_two_names():
    async def main(sim):
        raise AssertionError

    with pytest.raises(ConfigurationError, match="node 'edge7' is exposed as 'edge0' already"):
        run(main, options={"mistake": "expose"})


def test_an_event_that_throws():
    async def main(sim):
        await sim.control("throw").set(0.02)
        await asyncio.sleep(1)

    died = r"died after simulated time 0\.000000000 s \(its last answer\): exit status 1(.|\n)*thrown in an event"
    with pytest.raises(ScenarioDied, match=died):
        run(main)


def test_a_long_build_is_waited_for_and_told(monkeypatch, capfd):
    monkeypatch.setattr(patience, "LONG_S", 0.2)

    async def main(sim):
        return len(sim.nodes)

    assert run(main, options={"mistake": "slow-build"}) == 2
    told = capfd.readouterr().err
    assert re.search(
        r"edgelam: scenario own-mistakes \(pid \d+\) has not finished building its network after 0 s", told
    )
    with pytest.raises(AttachError, match=r"own-mistakes has not finished building its network after 0\.3 s"):
        run(main, options={"mistake": "endless-build"}, attach_timeout_s=0.3)


def test_time_that_stands_still_is_told_once(monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(patience, "SILENCE_S", 0.2)

    async def main(sim):
        for _ in range(2):
            await sim.control("spin").set(0.6)
            await asyncio.sleep(0.001)
        return sim.now_ns

    log = tmp_path / "scenario.log"
    assert run(main, scenario_log=log) == 2_000_000
    told = capfd.readouterr().err
    assert told.count("simulated time has stood still at 0.000000000 s") == told.count("stood still") == 1
    assert re.search(rf"own-mistakes \(pid \d+\) is busy; what it writes goes to {log}\n", told)


def test_a_long_end_is_waited_for_and_told(monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(patience, "LONG_S", 0.5)
    monkeypatch.chdir(tmp_path)

    async def main(sim):
        return "the result"

    assert run(main, options={"mistake": "slow-end"}) == "the result"
    assert (tmp_path / "written-at-the-end.txt").read_text() == "here"
    assert re.search(r"own-mistakes \(pid \d+\) still runs \d+ s after the run is over", capfd.readouterr().err)


@pytest.mark.parametrize(
    ("mistake", "name"), [("run", "Run"), ("run-first", "Run"), ("destroy", "Destroy"), ("stop", "Stop")]
)
def test_the_end_of_a_main_in_build_is_refused(mistake, name):
    async def main(sim):
        raise AssertionError

    with pytest.raises(ConfigurationError, match=rf"Simulator::{name}\(\) was called in the build function"):
        run(main, options={"mistake": mistake})


def test_a_stop_in_an_event_is_named_as_the_reason():
    async def main(sim):
        await asyncio.sleep(3)

    with pytest.raises(
        ScenarioEnded, match=r"^the scenario called Simulator::Stop for t = 2\.0+ s, while participant 0"
    ):
        run(main, options={"mistake": "stop-later"})
    with pytest.raises(ScenarioEnded, match=r"^the scenario ended at its stopTime, t = 1\.0+ s, while participant 0"):
        run(main, options={"mistake": "stop-later", "stopTime": "1s"})


def test_a_simulator_that_the_author_chooses_is_left_alone():
    """It cannot be watched: a Stop in build is named when it ends the run."""

    async def main(sim):
        await asyncio.sleep(3)

    with pytest.raises(ScenarioEnded, match=r"^the scenario called Simulator::Stop for t = 2\.0+ s"):
        run(main, options={"mistake": "own-simulator"})


def test_what_ns3_says_comes_first():
    async def main(sim):
        await sim.control("fatal").set(0.02)
        await asyncio.sleep(1)

    with pytest.raises(ScenarioDied) as caught:
        run(main)
    assert re.search(
        r'^scenario own-mistakes died after .*: msg="a table that is not there", .*line=\d+ \(killed by SIGABRT\)',
        str(caught.value).splitlines()[0],
    )
