# SPDX-License-Identifier: GPL-2.0-only
"""The experiment that docs/writing-an-experiment.md shows, from a folder of its own, as that page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgelam.runs import load

PAGE = Path(__file__).parents[2] / "docs" / "writing-an-experiment.md"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder with my-experiments in it."""
    place = tmp_path_factory.mktemp("own")
    (place / "my-experiments").mkdir()
    text = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    (place / "my-experiments" / "linear_fedavg.py").write_text(text)
    return place


def edgelam(place, *arguments):
    environment = os.environ | {"EDGELAM_EXPERIMENTS": str(place / "my-experiments")}
    return subprocess.run(
        [sys.executable, "-m", "edgelam", *arguments], cwd=place, env=environment, capture_output=True, text=True,
        check=False, timeout=200,
    )  # fmt: skip


def test_it_runs_and_is_replayed(place):
    done = edgelam(place, "run", "linear-fedavg", "--scenario", "wired-star", "--rounds", "3", "--out", "here")
    assert done.returncode == 0, done.stderr
    (run,) = (place / "here" / "linear-fedavg").iterdir()
    loss = load(run).metrics["loss"]
    assert list(loss) == sorted(loss, reverse=True)
    assert f"loss {loss.iloc[-1]:.4g}" in done.stdout
    assert (run / "loss.svg").exists()
    assert (run / "report.html").exists()
    replayed = edgelam(place, "replay", str(run), "--scenario", "none", "--out", "again")
    assert replayed.returncode == 0, replayed.stderr
    (again,) = (place / "again" / "linear-fedavg").iterdir()
    assert list(load(again).metrics["loss"]) == list(loss)


def test_its_mistakes_are_the_users(place):
    refused = edgelam(place, "run", "linear-fedavg", "--devices", "0")
    assert refused.returncode == 2
    assert refused.stderr == "edgelam: devices is 0, rounds 5; both must be at least 1\n"


def test_one_that_cannot_be_imported_does_not_hide_the_others(place):
    (place / "my-experiments" / "broken.py").write_text("import nowhere_at_all")
    listed = edgelam(place, "list")
    assert listed.returncode == 0
    assert "broken  experiment broken cannot be imported: ModuleNotFoundError: No module named 'now" in listed.stdout
    assert "split-fedft" in listed.stdout
    ran = edgelam(place, "run", "broken")
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert edgelam(place, "completion").returncode == 0
