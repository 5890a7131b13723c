# SPDX-License-Identifier: GPL-2.0-only
"""Shared by the tests of the scenarios."""

import json
import subprocess

from edgelam.paths import installed


def start(scenario, *arguments):
    """Run a scenario alone to its end."""
    command = [installed(f"bin/scenarios/{scenario}"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=200)


def report(scenario, *arguments):
    """The result of the built-in test traffic, without what depends on the machine."""
    done = start(scenario, "--format=json", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    del result["wall_s"], result["cpu_s"]
    return result
