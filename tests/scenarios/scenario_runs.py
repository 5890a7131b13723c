# SPDX-License-Identifier: GPL-2.0-only
"""Shared by the tests of the scenarios."""

import json
import re
import subprocess
import sys
from pathlib import Path

from edgelam.paths import installed

GUIDE = Path(__file__).parents[2] / "docs" / "writing-a-scenario.md"


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


def compile_scenario(source, folder):
    """Compile a scenario of one file with the g++ command of docs/writing-a-scenario.md. Returns the program's path."""
    (folder / source.name).write_text(source.read_text())
    command = re.search(r"^g\+\+ one-wire.cc .*$", GUIDE.read_text(), re.MULTILINE)[0]
    command = command.replace("edgelam", f"{sys.executable} -m edgelam").replace("one-wire", source.stem)
    done = subprocess.run(["bash", "-ec", command], cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / source.stem
