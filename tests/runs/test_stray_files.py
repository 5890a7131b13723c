# SPDX-License-Identifier: GPL-2.0-only
"""A folder of experiments may hold anything: each file that is no experiment is told and skipped, the others work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = (Path(__file__).parent / "own_experiments" / "tiny.py").read_text()
CONFIG = "import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass Config:\n    seed: int = 1\n"
STRAY = {
    "helper": ("VALUE = 1\n", "helper is not an experiment: it lacks RECIPES"),
    "empty": ("RECIPES = {}\n", "the RECIPES of experiment empty are {}"),
    "listed": (CONFIG + "RECIPES = [Config]\n", "the RECIPES of experiment listed are"),
    "exits": ("import sys\nsys.exit(3)\n", "cannot be imported: SystemExit: 3"),
    "fails": ("raise KeyError('x')\n", "cannot be imported: KeyError: 'x'"),
    "base": ("class Odd(BaseException): pass\nraise Odd('w')\n", "cannot be imported: Odd: w"),
    "syntax": ("def (\n", "cannot be imported: SyntaxError"),
    "binary": ("\0\1", "cannot be imported: "),
    "missing": ("import nowhere_at_all\n", "cannot be imported: ModuleNotFoundError"),
}  # fmt: skip


def edgelam(folder, *arguments, **settings):
    environment = os.environ | {"EDGELAM_EXPERIMENTS": str(folder), "COLUMNS": "300"}
    return subprocess.run(
        [sys.executable, "-m", "edgelam", *arguments], env=environment, capture_output=True, text=True, check=False,
        timeout=200, **settings,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mine")
    for name, (text, _) in STRAY.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "my-tiny.py").write_text(GOOD)
    (folder / "broken_recipe.py").write_text(GOOD.replace("return Config()", "raise RuntimeError('no')"))
    (folder / "data").mkdir()
    (folder / "notes.txt").write_text("")
    return folder


def test_the_list_tells_of_each_and_goes_on(folder):
    listed = edgelam(folder, "list")
    assert listed.returncode == 0, listed.stderr
    for name, (_, told) in STRAY.items():
        (line,) = (line for line in listed.stdout.splitlines() if line.startswith(f"  {name}  "))
        assert told in line
    for name in ("my-tiny", "split-fedft", "wired-star"):
        assert f"  {name}  " in listed.stdout


@pytest.mark.parametrize("command", [["run"], ["campaign"]])
@pytest.mark.parametrize("name", [*STRAY, "broken-recipe"])
def test_running_one_is_an_error_of_one_line(folder, command, name, capsys, monkeypatch):
    from edgelam.commands import main as cli

    monkeypatch.setenv("EDGELAM_EXPERIMENTS", str(folder))
    assert cli.main([*command, name, *(["--seeds", "2"] if command == ["campaign"] else [])]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert STRAY.get(name, ("", "recipe small of experiment broken-recipe fails: RuntimeError: no"))[1] in told


def test_an_experiment_among_them_runs_and_completes(folder, tmp_path):
    ran = edgelam(folder, "run", "my-tiny", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    completion = edgelam(folder, "completion")
    assert completion.returncode == 0
    assert "my-tiny" in completion.stdout


def test_a_folder_that_is_none_is_told(tmp_path):
    listed = edgelam(tmp_path / "nowhere", "list")
    assert listed.returncode == 0
    assert "which is no folder" in listed.stderr
    assert "  split-fedft  " in listed.stdout


def test_an_unknown_experiment_says_where_own_ones_are_looked_for(tmp_path):
    (tmp_path / "own_one.py").write_text(GOOD)
    environment = {name: value for name, value in os.environ.items() if name != "EDGELAM_EXPERIMENTS"}
    done = subprocess.run(
        [sys.executable, "-m", "edgelam", "run", "own-one"], env=environment, capture_output=True, text=True,
        check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert "EDGELAM_EXPERIMENTS names, which is not set" in done.stderr
    assert "EDGELAM_EXPERIMENTS=. edgelam run own-one" in done.stderr


@pytest.mark.parametrize("command", [["list"], ["ns3-ai", "cflags"], ["doctor"]])
def test_output_that_cannot_be_written_is_told(command):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edgelam", *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "edgelam: cannot write to standard output: No space left on device\n"
