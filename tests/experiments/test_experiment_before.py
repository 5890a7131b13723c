# SPDX-License-Identifier: GPL-2.0-only
"""An experiment written before there was `Network`: it calls cosim.simulate itself, and all commands know it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgelam.runs import load

FOLDER = Path(__file__).parent / "experiment_before"


def edgelam(place, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "edgelam", *arguments], cwd=place, env=os.environ | {"EDGELAM_EXPERIMENTS": str(FOLDER)},
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of it over different rates."""
    place = tmp_path_factory.mktemp("before")
    found = []
    for rate in ("1Mbps", "50Mbps"):
        command = ["run", "before-fedavg", "--scenario", "wired-star", "--options", f"rate={rate}", "--rounds", "2"]
        done = edgelam(place, *command, "--devices", "2", "--out", rate)
        assert done.returncode == 0, done.stderr
        (run,) = (place / rate / "before-fedavg").iterdir()
        found.append(run)
    return found


def test_it_runs_and_is_compared(runs, tmp_path):
    slow, fast = (load(run) for run in runs)
    assert slow.metrics["time_s"].iloc[-1] > 2 * fast.metrics["time_s"].iloc[-1]
    assert (runs[0] / "report.html").exists()
    compared = edgelam(tmp_path, "compare", *map(str, runs))
    assert compared.returncode == 0, compared.stderr
    assert "rate=1Mbps" in compared.stdout


def test_it_is_replayed_over_what_the_other_ran_over(runs, tmp_path):
    done = edgelam(tmp_path, "replay", str(runs[0]), "--options", "rate=50Mbps", "--out", "again")
    assert done.returncode == 0, done.stderr
    (again,) = (tmp_path / "again" / "before-fedavg").iterdir()
    assert list(load(again).metrics["time_s"]) == list(load(runs[1]).metrics["time_s"])


def test_the_options_of_its_scenario_are_listed(tmp_path):
    listed = edgelam(tmp_path, "run", "before-fedavg", "--scenario", "wired-star", "--options")
    assert listed.returncode == 0
    assert "--rate" in listed.stdout
