# SPDX-License-Identifier: GPL-2.0-only
"""One clock and several real processes: order, repeatability, deaths. Real scenario, real kills."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import programs
import psutil
import pytest

from edgelam import cosim
from edgelam.cosim.launch import random_address
from edgelam.errors import (
    ConfigurationError,
    DeadlockError,
    EdgelamError,
    ParticipantDied,
    RunEnded,
)


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    before = set(os.listdir("/dev/shm"))
    yield
    end = time.monotonic() + 20
    while (left := psutil.Process().children(recursive=True)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not left
    assert set(os.listdir("/dev/shm")) <= before


def run_with(main, names, *, options=None, delays=False, address=None, **settings):
    """Participant 0 runs `main` here, the others are processes. Result, and each other's (status, stdout, stderr)."""
    n = len(names) + 1
    children = []

    async def first(sim):
        if not children:
            children.extend(programs.start(name, sim.environment(i + 1)) for i, name in enumerate(names))
        return await main(sim)

    if address is not None:
        shared = {"EDGELAM_ADDRESS": address, "EDGELAM_SEED": str(settings.get("seed", 1))}
        for i in reversed(range(len(names))):
            environment = {**shared, "EDGELAM_PARTICIPANT": str(i + 1), "TEST_DELAY": str(i + 1) if delays else ""}
            children.insert(0, programs.start(names[i], environment))
        if delays:
            time.sleep(0.3)  # the scenario comes last
    error = result = None
    try:
        result = cosim.simulate(
            first,
            "wired-star",
            options={"numUe": max(n, 2), **(options or {})},
            participants=n,
            address=address,
            **settings,
        )
    except Exception as caught:
        error = caught
    outcomes = []
    for child in children:
        out, err = child.communicate(timeout=60)
        outcomes.append((child.returncode, out, err))
    if error is not None:
        error.outcomes = outcomes
        raise error
    return result, outcomes


@contextlib.contextmanager
def busy_machine(processes):
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def logs(n, **settings):
    result, outcomes = run_with(programs.traffic, ["traffic"] * (n - 1), **settings)
    for status, _, err in outcomes:
        assert status == 0, err
    return ["\n".join(result), *(out.strip() for _, out, _ in outcomes)]


@pytest.mark.parametrize("n", [1, 2, 16])
def test_traffic_of_several_participants(n):
    first = logs(n)
    assert all(log for log in first)
    times = [json.loads(line)[0] for log in first for line in log.splitlines()]
    ends = [json.loads(log.splitlines()[-1]) for log in first]
    barriers = {t for log in first for t, _, what, *_ in map(json.loads, log.splitlines()) if what == "barrier"}
    assert len(barriers) == 1  # all leave it at the same time
    assert max(times) == barriers.pop() + (n - 1) * 1_000_000 == ends[-1][0]


def test_same_seed_same_log_on_a_busy_machine_and_in_any_order():
    lossy = {"options": {"loss": 0.01}, "seed": 3}
    quiet = logs(4, **lossy)
    with busy_machine(4):
        busy = logs(4, address=random_address(), delays=True, **lossy)
    assert quiet == busy
    assert quiet != logs(4, **{**lossy, "seed": 4})


def test_early_leaver_is_not_waited_for():
    async def main(sim):
        await asyncio.sleep(2)
        return sim.now_s

    result, outcomes = run_with(main, ["leave_early", "leave_early"])
    assert result == 2.0
    assert [status for status, _, _ in outcomes] == [0, 0]


def test_who_has_left_gets_nothing_any_more():
    async def main(sim):
        await asyncio.sleep(1)
        await sim.barrier("end")

    with pytest.raises(ConfigurationError, match=r"participant 1 \(.*\) has left the run"):
        run_with(main, ["leave_early"])


def test_first_to_leave_waits_for_the_scenario():
    async def main(sim):
        pass

    _, outcomes = run_with(main, ["leave_early"])
    assert outcomes[0][0] == 0, outcomes[0][2]


def test_transfer_and_post_carry_the_values_of_the_moment():
    async def main(sim):
        x = np.arange(100_000, dtype=np.float64)
        await sim.post(0, "self", x)
        x[:] = 0
        return (await sim.collect(0, "self")).sum()

    assert run_with(main, [])[0] == 99_999 * 50_000


def test_array_that_does_not_fit_the_arena():
    async def main(sim):
        await sim.barrier("started")
        await sim.post(1, "x", np.zeros(3 << 20, np.uint8))

    with pytest.raises(EdgelamError, match=r"arena"):
        run_with(main, ["sleep_for_ever"], arena_bytes=2 << 20)


# ---- deadlock and death --------------------------------------------------------------------------------------------


def test_deadlock_of_two_names_both():
    async def main(sim):
        await sim.barrier("started")
        await sim.node("edge0").receive(sim.node("ue0"), tag="embedding")

    with pytest.raises(DeadlockError) as caught:
        run_with(main, ["wait_for_ever"])
    for text in (str(caught.value), caught.value.outcomes[0][2]):
        assert "receive on edge0 from ue0 with tag 'embedding'" in text
        assert "receive on ue1 from anybody with tag 'never' (programs.py" in text
        assert "wait_for_ever" in text


@pytest.mark.parametrize("program", ["die", "die_with_a_forked_child"])
def test_sigkill_of_a_participant_ends_the_run_for_all(program):
    async def main(sim):
        await sim.barrier("started")
        while True:
            await asyncio.sleep(0.01)

    with pytest.raises(ParticipantDied, match="participant 2") as caught:
        run_with(main, ["sleep_for_ever", program])
    assert caught.value.participant == 2
    bystander, dead = caught.value.outcomes
    assert dead[0] == -signal.SIGKILL
    assert bystander[0] == 1
    assert "ParticipantDied" in bystander[2]
    assert "participant 2" in bystander[2]


def test_error_in_a_participant_ends_the_run_for_all():
    async def main(sim):
        await sim.barrier("started")
        await sim.collect(1, "never")  # waits from time 0 on, and hears of the time of the death all the same

    with pytest.raises(ParticipantDied, match=r"participant 1 .* at simulated time 0\.[1-9]") as caught:
        run_with(main, ["fail"])
    assert "ValueError: no shard" in caught.value.outcomes[0][2]


def test_error_in_participant_0_ends_the_run_for_all():
    async def main(sim):
        await sim.barrier("started")
        await asyncio.sleep(0.3)
        raise KeyError("x")

    with pytest.raises(KeyError) as caught:
        run_with(main, ["sleep_for_ever"])
    assert "ParticipantDied: participant 0 ('main', pid" in caught.value.outcomes[0][2]


def test_sigkill_of_the_scenario_reaches_all():
    async def main(sim):
        await sim.barrier("started")
        await asyncio.sleep(0.3)
        os.kill(sim.scenario_pid, signal.SIGKILL)
        await asyncio.sleep(1)

    with pytest.raises(RunEnded, match="killed by SIGKILL") as caught:
        run_with(main, ["sleep_for_ever"])
    assert "ScenarioDied" in caught.value.outcomes[0][2]


def test_same_index_twice_and_wrong_index_are_refused():
    async def once(sim):
        await asyncio.sleep(0.1)
        twin = programs.start("leave_early", sim.environment(1))
        stranger = programs.start("leave_early", {**sim.environment(1), "EDGELAM_PARTICIPANT": "7"})
        return [process.communicate(timeout=60)[1] for process in (twin, stranger)]

    (twin, stranger), outcomes = run_with(once, ["leave_early"])
    assert outcomes[0][0] == 0
    assert "AttachError" in twin
    assert "participant 1" in twin
    assert "AttachError" in stranger
    assert "participant 7" in stranger


def test_attach_needs_to_know_where():
    with pytest.raises(ConfigurationError, match="attach needs the address"):
        cosim.attach(lambda sim: None)


# ---- Ctrl-C --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["compute", "sleep", "wait"])
def test_ctrl_c_ends_the_scenario_too(kind):
    process = programs.start("interrupted_wait" if kind == "wait" else "interrupted", {}, kind)
    scenario = json.loads(process.stdout.readline())["scenario"]
    assert psutil.pid_exists(scenario)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert "KeyboardInterrupt" in err
    assert not psutil.pid_exists(scenario)


def test_sigkill_of_everything_leaves_nothing():
    process = programs.start("interrupted", {}, "sleep")
    scenario = psutil.Process(json.loads(process.stdout.readline())["scenario"])
    process.kill()
    process.communicate(timeout=100)
    psutil.wait_procs([scenario], timeout=10)
    assert not scenario.is_running() or scenario.status() == psutil.STATUS_ZOMBIE
