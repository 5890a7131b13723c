# SPDX-License-Identifier: GPL-2.0-only
"""The folder a scenario works in, and which files a run is known by: opened by whatever name, in C++ and Python."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgelam.commands import main as cli
from edgelam.cosim import files
from edgelam.errors import EdgelamError
from edgelam.runs import load
from edgelam.runs.campaigns import inputs

HERE = Path(__file__).parent


@pytest.fixture
def user(tmp_path, monkeypatch) -> Path:
    """The folder the user is in; beside it `work`, where a scenario works."""
    (tmp_path / "user" / "data").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "user")
    return tmp_path / "user"


def works(user: Path, program: str, record: Path | None = None) -> str:
    """Run a Python program as a scenario is run; returns what it printed."""
    work = user.parent / "work"
    variables = files.variables(work) | ({files.RECORD: str(record)} if record else {})
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=work,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_is_read_by_a_relative_name_is_found_where_the_user_is(user):
    (user / "places.csv").write_text("theirs")
    (user / "data" / "one.txt").write_text("one")
    program = """
import os, pathlib
print(open("places.csv").read(), open(os.path.abspath("places.csv")).read(), os.path.exists("data/one.txt"),
      os.stat("places.csv").st_size, os.access("places.csv", os.R_OK), os.listdir("data"),
      pathlib.Path("data/one.txt").resolve().read_text(), os.path.exists("nothing"))
"""
    assert works(user, program) == "theirs theirs True 6 True ['one.txt'] one False"


def test_what_is_written_lands_in_the_scenarios_folder_and_is_what_is_read_after(user):
    (user / "flows.xml").write_text("of another run")
    (user / "counted.txt").write_text("5")
    (user / "results").mkdir()
    program = """
import os
open("flows.xml", "w").write("mine")
open("results/deep.txt", "w").write("mine")
os.makedirs("data/new")
with open("counted.txt", "r+") as file:
    number = int(file.read())
    file.seek(0)
    file.write(str(number + 1))
open("log.txt", "a").write("x")
os.replace("log.txt", "data/log.txt")
print(open("flows.xml").read(), number, open("counted.txt").read())
"""
    assert works(user, program) == "mine 5 6"
    work = user.parent / "work"
    there = sorted(str(path.relative_to(work)) for path in work.rglob("*"))
    assert there == ["counted.txt", "data", "data/log.txt", "data/new", "flows.xml", "results", "results/deep.txt"]
    assert ((user / "flows.xml").read_text(), (user / "counted.txt").read_text()) == ("of another run", "5")
    assert sorted(path.name for path in user.rglob("*")) == ["counted.txt", "data", "flows.xml", "results"]


def test_each_simulation_of_a_run_has_a_folder_and_an_empty_one_goes(tmp_path):
    with files.scenarios_write_to(tmp_path):
        first, second = files.working_folder(None), files.working_folder(None)
        (second / "flows.xml").touch()
        for folder in (first, second):
            files.leave_folder(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["scenario-2"]
    assert files.working_folder(None) is None  # a script's own simulation works where the script does
    assert files.variables(None) == {}


def read_by(user: Path, program: str) -> inputs.Inputs:
    record = user.parent / "record"
    record.unlink(missing_ok=True)
    works(user, program, record)
    return inputs.inputs_of(record, 0, [user.parent / "work"])


def test_what_a_run_has_read_is_noted_under_the_users_names(user):
    for name in ("plain", "data/one.txt", "by_c.txt", "unread.txt"):
        (user / name).write_text(name)
    outside = user.parent / "outside.csv"
    outside.write_text("1")
    program = f"""
import ctypes, os, tempfile
open("plain").read(), open("data/one.txt", "rb").read(), open({str(outside)!r}).read()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.fopen(b"by_c.txt", b"r")
try:
    open("override.toml")
except FileNotFoundError:
    pass
open("own.txt", "w").write("mine"), open("own.txt").read()  # no input
tempfile.TemporaryFile().write(b"x")
os.system("cat by_c.txt > " + tempfile.mkdtemp() + "/copy")
"""
    found = read_by(user, program)
    assert set(found) == {"plain", "data/one.txt", str(outside), "by_c.txt", "override.toml"}
    assert found["override.toml"] is None
    assert inputs.unchanged(found)
    assert inputs.short_name(found) == inputs.short_name({**found, "also looked for": None})
    assert inputs.short_name(found) != inputs.short_name({**found, "override.toml": "1" * 64})
    for name in found:
        before = Path(name).read_bytes() if Path(name).exists() else None
        Path(name).write_text("another content")
        assert not inputs.unchanged(found), name
        Path(name).unlink()
        assert inputs.unchanged(found) == (before is None), name
        if before is not None:
            Path(name).write_bytes(before)
    assert inputs.unchanged(found)


def test_a_python_module_counts_by_its_source_however_it_is_imported(user):
    (user / "mine").mkdir()
    (user / "mine" / "late.py").write_text("value = 1\n")
    program = "import sys, importlib; sys.path.append('mine'); print(importlib.import_module('la' + 'te').value)"
    for _ in range(2):  # compiled, then from its compiled form
        assert set(read_by(user, program.replace("'mine'", repr(str(user / "mine"))))) == {"mine/late.py"}


def test_a_file_that_changes_under_a_run_ends_it(user):
    (user / "places.csv").write_text("1")
    program = f"""
import subprocess
open("places.csv").read()
subprocess.run(["/bin/sh", "-c", "echo 2 > {user}/places.csv"], env={{}})  # somebody else
"""
    with pytest.raises(EdgelamError, match=r"places\.csv changed while the run was reading it"):
        read_by(user, program)


def edgelam(capsys, *arguments: str) -> tuple[int, str, str]:
    status = cli.main([*arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def scenario(user, tiny) -> str:
    """A scenario that reads numbers by four kinds of names and writes by relative ones; they add up to 1111."""
    shutil.copy(HERE / "reads-and-writes.cc", user)
    (user / "listed").mkdir()
    (user / "results").mkdir()
    for name, value in {"by-itself.txt": 1, "by-default.txt": 10, "named": 100, "listed/one.txt": 1000}.items():
        (user / name).write_text(str(value))
    (user / "changed.txt").write_text("theirs")
    return "./reads-and-writes.cc"


WRITTEN = ["changed.txt", "results/deep/sum.txt", "results/sum.txt", "wire-0-1.pcap", "wire-1-1.pcap"]


def written(run: Path, folder: str = "scenario") -> list[str]:
    place = run / folder
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


def test_runs_of_a_campaign_do_not_meet_and_follow_every_file_the_scenario_opens(user, scenario, capsys):
    arguments = ["campaign", "coupled", "--scenario", scenario, "--options", "more=named",
                 "--grid", "size=2000,1000", "--workers", "2", "--out", "c"]  # fmt: skip
    status, out, err = edgelam(capsys, *arguments)
    assert status == 0, out + err
    found = load("c")
    assert found.frame[["size", "read"]].to_numpy().tolist() == [[2000, 1111], [1000, 1111]]  # the order of the grid
    assert [written(run) for run in found.paths] == [WRITTEN, WRITTEN]
    sizes = [(run / "scenario" / "wire-0-1.pcap").stat().st_size for run in found.paths]
    assert sizes[0] > sizes[1] > 1000
    assert (user / "changed.txt").read_text() == "theirs"
    assert not list((user / "results").iterdir())
    read = json.loads((found.paths[0] / "manifest.json").read_text())["campaign"]["inputs"]
    assert set(read) == {"by-itself.txt", "by-default.txt", "named", "listed/one.txt", "reads-and-writes.cc"}

    for changed in ("by-itself.txt", "by-default.txt", "named", "listed/one.txt"):
        assert "0 of 2 runs are to be done" in edgelam(capsys, *arguments, "--dry-run")[2]
        before = (user / changed).read_text()
        (user / changed).write_text("7")
        assert "2 of 2 runs are to be done" in edgelam(capsys, *arguments, "--dry-run")[2], changed
        (user / changed).write_text(before)

    (user / "by-itself.txt").write_text("2")
    status, out, err = edgelam(capsys, *arguments)
    assert (status, "1112" in out, "1111" in out) == (0, True, False), out + err
    both = load("c")
    assert both.varying() == ["size", "inputs"]  # not averaged
    assert sorted(both.compare()["mean"]) == [1111, 1111, 1112, 1112]
    assert both.runs["inputs"].nunique() == 2  # whichever of the runs has compiled the scenario


def test_a_run_keeps_what_its_scenarios_write_apart(user, scenario, capsys):
    status, _, err = edgelam(
        capsys, "run", "coupled", "--scenario", scenario, "--simulations", "2", "--no-report", "--out", "r"
    )
    assert status == 0, err
    (run,) = (user / "r" / "coupled").iterdir()
    assert load(run).metrics["read"].tolist() == [1011, 1011]
    assert written(run) == written(run, "scenario-2") == WRITTEN
    assert not list(user.glob("*.pcap"))
