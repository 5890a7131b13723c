# SPDX-License-Identifier: GPL-2.0-only
"""A scenario that nobody has joined does not outlive whoever started it, however early that one ended."""

import os
import subprocess

import pytest

from edgelam.cosim.launch import ADDRESS_VARIABLE, STARTER_VARIABLE, random_address
from edgelam.paths import installed


def start(starter):
    variables = {ADDRESS_VARIABLE: random_address(), STARTER_VARIABLE: str(starter)}
    return subprocess.Popen(
        [installed("bin/scenarios/wired-star")], env=os.environ | variables, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_a_scenario_ends_if_its_starter_ended_before_it_began():
    gone = subprocess.Popen(["true"])
    gone.wait()
    scenario = start(gone.pid)
    try:
        said, _ = scenario.communicate(timeout=40)
    finally:
        scenario.kill()
    assert scenario.returncode != 0
    assert "the process that started this scenario has gone, and nobody has attached" in said


def test_a_scenario_waits_while_its_starter_lives_and_ends_with_it():
    living = subprocess.Popen(["sleep", "600"])
    scenario = start(living.pid)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            scenario.wait(timeout=3)
        living.kill()
        living.wait()
        said, _ = scenario.communicate(timeout=40)
    finally:
        living.kill()
        scenario.kill()
    assert scenario.returncode != 0
    assert "has gone" in said
