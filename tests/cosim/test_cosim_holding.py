# SPDX-License-Identifier: GPL-2.0-only
"""A participant that holds the clock: who it is and where its program stands is told, and it ends with the run."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time

import programs
import psutil
import pytest

from edgelam import cosim
from edgelam.cosim import patience
from edgelam.errors import ConfigurationError, ParticipantDied, StalledError

WHO = r"participant 1 \('hold_for_ever', pid \d+\) has held the clock for \d+ s; "
WHERE = (
    WHO
    + r'its Python stack, the latest call last:\n(.|\n)*programs\.py", line \d+, in hold_for_ever\n +mine\.recv\(1\)'
)


def run(children, **settings):
    async def main(sim):
        children.append(programs.start("hold_for_ever", sim.environment(1)))
        await sim.barrier("started")
        await asyncio.sleep(1)

    return cosim.simulate(main, "wired-star", options={"numUe": 2}, participants=2, **settings)


def test_an_error_names_the_participant_and_its_stack():
    children = []
    with pytest.raises(StalledError, match=r"longer than hold_timeout_s = 1 s: " + WHERE):
        run(children, hold_timeout_s=1.0)
    _, errors = children[0].communicate(timeout=60)  # it does not go on waiting in its socket
    assert children[0].returncode == 1
    assert re.search(r"(ParticipantDied|ScenarioDied|RunEnded): ", errors)
    with pytest.raises(ConfigurationError, match="hold_timeout_s = 0 must be positive"):
        run([], hold_timeout_s=0)


def test_without_a_limit_stderr_says_so(monkeypatch, capfd):
    monkeypatch.setattr(patience, "SILENCE_S", 0.5)
    monkeypatch.setattr(patience, "AGAIN_S", 0.5)
    told = []

    async def main(sim):
        child = programs.start("hold_for_ever", sim.environment(1))
        told.append(child)
        await sim.barrier("started")
        assert child.stdout.readline() == "holds\n"
        await asyncio.sleep(1)

    say = patience._say

    def say_and_end(text):
        say(text)
        if "held the clock" in text:
            told[0].kill()

    monkeypatch.setattr(patience, "_say", say_and_end)
    with pytest.raises(ParticipantDied, match="participant 1"):
        cosim.simulate(main, "wired-star", options={"numUe": 2}, participants=2)
    told[0].communicate(timeout=60)
    assert re.search(r"edgelam: simulated time has stood still at 0\.0+ s .*: " + WHERE, capfd.readouterr().err)


PROGRAM = """
import asyncio, os, subprocess, sys
from edgelam import cosim

async def main(sim):
    command = [sys.executable, "-c", CHILD]
    subprocess.Popen(command, env={**os.environ, **sim.environment(1)})
    await sim.barrier("started")
    print("waits", flush=True)
    await asyncio.sleep(1)

CHILD = '''
import socket
from edgelam import cosim

async def main(sim):
    await sim.barrier("started")
    mine, theirs = socket.socketpair()
    mine.recv(1)

cosim.attach(main, name="rank1")
'''
cosim.simulate(main, "wired-star", options={"numUe": 2}, participants=2)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_child_is_left(number):
    """The signal goes to the first process alone, not to all of the terminal."""
    first = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ, start_new_session=True,
    )  # fmt: skip
    assert first.stdout.readline() == "waits\n"
    time.sleep(0.3)
    family = psutil.Process(first.pid).children(recursive=True)
    assert len(family) >= 2  # the scenario and the other participant
    first.send_signal(number)
    first.wait(60)
    _, alive = psutil.wait_procs(family, timeout=60)
    for process in alive:
        process.kill()
    assert not alive
    _, errors = first.communicate()
    if number == signal.SIGINT:
        assert re.search(r"participant 1 \('rank1', pid \d+\) has held the clock", errors)
        assert "mine.recv(1)" in errors or "in main" in errors
