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
    """A working folder with my-experiments in it, in which the page's experiment is written, and its twin."""
    place = tmp_path_factory.mktemp("own")
    (place / "my-experiments").mkdir()
    for words in (["linear-fedavg"], ["linear_fedasync.py", "--template", "fedasync"]):
        written = edgelam(place / "my-experiments", "experiment", "new", *words)
        assert written.returncode == 0, written.stderr
        assert f"export EDGELAM_EXPERIMENTS={place / 'my-experiments'}" in written.stdout
    return place


def test_what_is_written_is_what_the_page_shows(place):
    text = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    assert (place / "my-experiments" / "linear_fedavg.py").read_text() == text


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [("linear-fedavg", 2, "is there already"), ("split-fedft", 2, "edgelam has an experiment of this name"),
     ("2nd", 2, "a letter, then letters, digits"), ("no/folder/mine", 1, "cannot write")],
)  # fmt: skip
def test_a_name_that_cannot_be_taken_is_refused(place, name, status, told):
    before = sorted((place / "my-experiments").iterdir())
    refused = edgelam(place / "my-experiments", "experiment", "new", name)
    assert refused.returncode == status
    assert told in refused.stderr
    assert sorted((place / "my-experiments").iterdir()) == before


def test_without_a_network(place):
    """No transfer takes time; its options have nowhere to go."""
    done = edgelam(place, "run", "linear-fedavg", "--scenario", "none", "--rounds", "2", "--out", "none")
    assert done.returncode == 0, done.stderr
    refused = edgelam(place, "run", "linear-fedavg", "--scenario", "none", "--options", "rate=1Mbps")
    assert refused.returncode == 2
    assert refused.stderr == "edgelam: --options: scenario none has no options, but got rate\n"
    assert not (place / "runs").exists()


def test_the_asynchronous_one_learns(place):
    done = edgelam(place, "run", "linear-fedasync", "--scenario", "wired-star", "--updates", "12", "--out", "here")
    assert done.returncode == 0, done.stderr
    (run,) = (place / "here" / "linear-fedasync").iterdir()
    metrics = load(run).metrics
    assert list(metrics["step"]) == list(range(1, 13))
    assert metrics["loss"].iloc[-1] < 0.7 * metrics["loss"].iloc[0]
    assert metrics["staleness"].max() > 0  # while one device trains, another's update is mixed in
    replayed = edgelam(place, "replay", str(run), "--scenario", "none", "--out", "again")
    assert replayed.returncode == 2
    assert "cannot be replayed" in replayed.stderr


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
    assert re.search(rf"^ method +loss .*\n.*\n fedavg +{loss.iloc[-1]:.4g} ", done.stdout, re.MULTILINE)
    assert (run / "loss.svg").exists()
    assert (run / "report.html").exists()
    replayed = edgelam(place, "replay", str(run), "--scenario", "none", "--out", "again")
    assert replayed.returncode == 0, replayed.stderr
    (again,) = (place / "again" / "linear-fedavg").iterdir()
    assert list(load(again).metrics["loss"]) == list(loss)


def test_its_mistakes_are_the_users(place):
    refused = edgelam(place, "run", "linear-fedavg", "--num-devices", "0")
    assert refused.returncode == 2
    assert refused.stderr == "edgelam: needs 0 nodes of role 'ue'; legal is a whole number from 1\n"


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
