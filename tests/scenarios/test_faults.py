# SPDX-License-Identifier: GPL-2.0-only
"""The scenario process when participants die, deadlock, or go wrong."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time

import pytest

from edgelam import cosim
from edgelam.errors import EdgelamError
from edgelam.paths import installed

PARTICIPANT = """
import asyncio, sys
from edgelam import cosim

async def main(sim):
    if sys.argv[3] == "transfer":
        print("running", flush=True)
        await sim.node("ue0").send(sim.node("edge0"), bytes(100_000_000))
    else:
        print("running", flush=True)
        await asyncio.get_running_loop().create_future()

cosim.attach(main, participant=int(sys.argv[2]), address=sys.argv[1])
"""


def start_scenario(address, participants=1):
    command = [installed("bin/scenarios/wired-star"), f"--edgelam-address={address}"]
    command += [f"--edgelam-participants={participants}", "--rate=1Gbps"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def start_participant(address, index, what):
    command = [sys.executable, "-c", PARTICIPANT, address, str(index), what]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def new_address():
    return f"@edgelam-{os.getuid()}-{secrets.token_hex(8)}"


def test_a_killed_participant_ends_the_scenario():
    address = new_address()
    scenario = start_scenario(address)
    participant = start_participant(address, 0, "transfer")
    try:
        assert participant.stdout.readline() == "running\n"
        time.sleep(0.3)  # well inside the transfer
        assert scenario.poll() is None
        participant.send_signal(signal.SIGKILL)
        _, errors = scenario.communicate(timeout=100)
        assert scenario.returncode == 3
        assert "participant 0" in errors
    finally:
        for process in (participant, scenario):
            process.kill()
            process.wait()


def test_deadlock_names_who_waits_and_exits_with_4():
    address = new_address()
    scenario = start_scenario(address, participants=2)
    participants = [start_participant(address, index, "wait") for index in (0, 1)]
    try:
        _, errors = scenario.communicate(timeout=60)
        texts = [participant.communicate(timeout=60)[1] for participant in participants]
        assert scenario.returncode == 4
        for text in (errors, *texts):
            assert "deadlock" in text.lower()
            assert "participant 0" in text
            assert "participant 1" in text
    finally:
        for process in (*participants, scenario):
            process.kill()
            process.wait()


def test_the_scenario_ends_well_with_its_last_participant():
    address = new_address()
    scenario = start_scenario(address)

    async def main(sim):
        await asyncio.sleep(1)
        return sim.now_s

    try:
        assert cosim.attach(main, participant=0, address=address) == 1
        assert scenario.wait(timeout=100) == 0
    finally:
        scenario.kill()
        scenario.communicate()


def test_an_impossible_option_is_named():
    async def main(sim):
        return None

    with pytest.raises(EdgelamError) as caught:
        cosim.simulate(main, scenario="wired-star", options={"numUe": 0})
    assert "--numUe=0" in str(caught.value)
    assert "1 to 10000" in str(caught.value)
