# SPDX-License-Identifier: GPL-2.0-only
"""`edgelam campaign` from end to end, each run a real process: what is run, what is not, and what is left of a kill."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from edgelam.commands import campaign as command
from edgelam.commands import main as cli
from edgelam.errors import ConfigurationError
from edgelam.files.storage import hidden_name
from edgelam.runs import StorageError, load
from edgelam.runs.campaigns import driver
from edgelam.runs.campaigns.folder import Asked, CampaignFolder, Request


def campaign(capsys, *arguments: str) -> tuple[int, str, str]:
    try:
        status = cli.main(["campaign", "tiny", *arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgelam", "campaign", "tiny", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(what, *processes: subprocess.Popen[str]) -> None:
    for _ in range(1200):
        if what():
            return
        for process in processes:
            assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise AssertionError("it never came")


def run_names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "runs").iterdir()}


@pytest.fixture
def here(tiny, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def test_a_larger_grid_runs_only_what_is_new_and_files_count_with_their_content(here, capsys):
    (here / "added.txt").write_text("100")
    status, out, err = campaign(capsys, "--grid", "scale=1,3", "--file", "added.txt", "--workers", "2")
    assert status == 0, err
    assert "2 of 2 runs finished" in out
    folder = here / "campaigns" / "tiny"
    first = run_names(folder)
    frame = load(folder).frame
    assert frame["score"].diff().iloc[-1] in (4.0, -4.0)  # two rounds at scale 3 and 1, the same noise of the seed
    assert frame["score"].min() > 100  # the file was found from the caller's folder
    assert re.search(r"3\.0 +1 +1\d\d\.\d+ +\+4", out), out  # the table: scale, runs, score, difference
    assert not list((folder / ".work").iterdir())

    status, out, err = campaign(
        capsys, "--grid", "scale=1,3", "--file", "added.txt", "--seeds", "2", "--metric", "sore"
    )
    assert (status, "no metric is called 'sore'; did you mean 'score'?" in err) == (2, True), err
    assert run_names(folder) == first

    status, out, err = campaign(capsys, "--grid", "scale=1,3", "--file", "added.txt", "--seeds", "2", "--dry-run")
    commands = out.splitlines()
    assert (status, len(commands)) == (0, 2)
    assert all("--seed 2" in command for command in commands)
    assert run_names(folder) == first

    (here / "added.txt").write_text("200")
    status, out, err = campaign(capsys, "--grid", "scale=1,3", "--file", "added.txt", "--dry-run")
    assert len(out.splitlines()) == 2  # the file's text is another: other runs


def test_results_are_indexed_while_it_runs(here, capsys, monkeypatch):
    monkeypatch.setattr(driver, "INDEX_S", 0.0)
    monkeypatch.setattr(command, "print_results", lambda *arguments: None)  # which reads them all at the end
    status, _, err = campaign(capsys, "--grid", "scale=1,3")
    assert status == 0, err
    results = pq.read_table(here / "campaigns/tiny/index/results.parquet").to_pandas()
    assert set(results["run"]) == run_names(here / "campaigns" / "tiny")


def test_what_cannot_be_run_is_refused_before_anything_is_made(here, capsys):
    for arguments, message in (
        (["--grid", "rouns=1"], "did you mean 'rounds'"),
        (["--grid", "scale=1,2000"], "scale=2000.0 seed 1: scale is 2000.0; at most 1000"),
        (["--seeds", "0"], "--seeds is 0; it must be at least 1"),
        (["--workers", "-1"], "--workers is -1; it must be at least 0"),
        (["--grid", "scale=1", "--baseline", "scale=2"], "is not in the grid"),
        (["--grid", "scale=1,3", "--scale", "2"], "--scale is given, and --grid scale as well: give one of them"),
        (["--scale=2", "--grid", "scale=1,3"], "--scale is given, and --grid scale as well: give one of them"),
        (["--grid", "low-rank.rank=1,3", "--low_rank.rank", "2"], "--low-rank.rank is given, and --grid"),
        (["--grid", "switch=true,false", "--no-switch"], "--no-switch is given, and --grid switch as well"),
        (["--ray", "nowhere:1", "--seeds", "0"], "--seeds is 0"),
    ):
        status, _, err = campaign(capsys, *arguments)
        assert (status, message in err) == (2, True), err
    assert cli.main(["campaign", "--seeds", "3", "tiny"]) == 2
    assert "write: edgelam campaign EXPERIMENT" in capsys.readouterr().err
    (here / "other").mkdir()
    (here / "other" / "thesis.txt").write_text("mine")
    status, _, err = campaign(capsys, "--out", "other", "--seeds", "2")
    assert (status, "holds something other" in err) == (2, True)
    assert [path.name for path in here.rglob("*")] == ["other", "thesis.txt"]


def test_a_failure_takes_no_other_down_and_its_command_reproduces_it(here, capsys):
    status, out, _ = campaign(capsys, "--grid", "mode=work,fail,crash", "--workers", "3")
    assert status == 1
    assert "1 of 3 runs finished, 2 failed" in out
    assert out.index("FAILED") < out.index("score: mean")
    assert "FAILED mode=fail seed 1: seed 1 fails as it was told" in out
    assert "FAILED mode=crash seed 1: the run was ended by signal 11 (Segmentation fault)" in out
    commands = dict(re.findall(r"FAILED mode=(\w+) .*\n.*\n  reproduce: (.*)", out))
    with_edgelam = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    again = subprocess.run(
        commands["fail"], shell=True, capture_output=True, text=True, cwd="/", env=with_edgelam, check=False
    )
    assert (again.returncode, again.stderr.splitlines()[-1]) == (1, "edgelam: seed 1 fails as it was told")
    (crashed,) = (
        path for path in (here / "campaigns/tiny/failed").iterdir() if "crash" in (path / "config.toml").read_text()
    )
    assert "about to crash" in (crashed / "stderr.txt").read_text()
    assert len(run_names(here / "campaigns/tiny")) == 1
    assert len(load(here / "campaigns/tiny").frame) == 1


@pytest.mark.parametrize("asked", [[], ["--baseline", "mode=fail"]])
def test_a_baseline_whose_runs_failed_is_compared_with_nothing(here, capsys, asked):
    status, out, _ = campaign(capsys, "--grid", "mode=fail,work", "--grid", "scale=1,3", "--workers", "4", *asked)
    assert status == 1
    rows = [line.split() for line in out.splitlines()]
    assert ["mode", "scale", "runs", "score"] in rows
    assert [row[:3] for row in rows if row[:1] == ["work"]] == [["work", "1.0", "1"], ["work", "3.0", "1"]]
    named = "mode = fail" if asked else "mode = fail, scale = 1.0"
    assert f"baseline: {named}; no finished run of the baseline: no differences" in out
    assert "difference to the baseline" not in out


def test_one_surviving_cell_says_which_it_is(here, capsys):
    status, out, _ = campaign(capsys, "--grid", "mode=work,fail,crash", "--workers", "3")
    assert status == 1
    rows = [line.split() for line in out.splitlines()]
    assert [row[:2] for row in rows if row[:1] == ["work"]] == [["work", "1"]]
    assert "baseline: mode = work; differences" in out


def test_a_wrong_metric_ends_a_campaign_with_its_first_run(here, capsys):
    arguments = ("--grid", "scale=1,3,5", "--workers", "1")
    status, _, err = campaign(capsys, *arguments, "--metric", "sore")
    assert (status, "no metric is called 'sore'; did you mean 'score'?" in err) == (2, True), err
    folder = here / "campaigns" / "tiny"
    assert len(run_names(folder)) == 1  # and stays
    assert not list((folder / ".work").iterdir())
    _, _, err = campaign(capsys, *arguments, "--metric", "score", "--dry-run")
    assert "2 of 3 runs are to be done" in err


@pytest.mark.parametrize("file", ["manifest.json", "metrics.parquet"])
def test_a_damaged_run_is_named_and_the_others_go_on(here, capsys, file):
    assert campaign(capsys, "--grid", "scale=1,3", "--workers", "2")[0] == 0
    folder = here / "campaigns" / "tiny"
    damaged = min((folder / "runs").iterdir())
    (damaged / file).write_bytes((damaged / file).read_bytes()[:30])
    shutil.rmtree(folder / "index")
    with pytest.raises(StorageError, match=f"delete {damaged.relative_to(here)} and give the campaign's command again"):
        _ = load(Path("campaigns/tiny")).frame
    status, out, err = campaign(capsys, "--grid", "scale=1,3,5", "--workers", "2", "--metric", "score")
    assert status == 1, err
    assert len(run_names(folder)) == 3
    assert re.search(rf"DAMAGED .*{damaged.name}.*; delete .*{damaged.name} and give the campaign's command again", out)
    assert "(2 of 3 runs finished, 0 failed, 1 damaged)" in out
    shutil.rmtree(damaged)
    status, out, err = campaign(capsys, "--grid", "scale=1,3,5")
    assert (status, "(3 of 3 runs finished, 0 failed)" in out) == (0, True), err


def processes_of(folder: Path) -> list[psutil.Process]:
    return [psutil.Process(int(file.read_text())) for file in folder.glob("pid-*")]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_or_killed_nothing_is_left_and_the_same_command_goes_on(here, capsys, number):
    arguments = ("--mode", "wait", "--seeds", "2", "--workers", "2")
    process = start(here, *arguments)
    try:
        wait_for(lambda: len(list(here.glob("pid-*"))) == 2, process)
        workers = processes_of(here)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    assert "Traceback" not in err
    folder = here / "campaigns" / "tiny"
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "0 of 2 runs are finished; the same command goes on from there" in err
        assert not list((folder / ".work").iterdir())
    assert not run_names(folder)
    (here / "go").touch()
    status, out, err = campaign(capsys, *arguments)
    assert (status, "2 of 2 runs finished" in out) == (0, True), err
    assert not list((folder / ".work").iterdir())
    assert {run.manifest["state"] for run in map(load, (folder / "runs").iterdir())} == {"completed"}


def test_campaigns_that_begin_on_a_folder_at_the_same_moment_all_find_it_theirs(tmp_path):
    """Each makes the folder, its sub-folders and campaign.toml; no state in between is taken for somebody else's."""
    request = Request("edgelam campaign tiny --seeds 2", "2026-01-01T00:00:00+00:00", 1, 2)
    for attempt in range(20):
        folder, together = tmp_path / str(attempt), threading.Barrier(8)

        def begin(folder=folder, together=together) -> Asked:
            together.wait()
            return CampaignFolder(folder).ask("tiny", 1, request)

        with ThreadPoolExecutor(8) as pool:
            asked = [future.result() for future in [pool.submit(begin) for _ in range(8)]]
        assert asked == [Asked("tiny", 1, {"1": request})] * 8


def test_a_folder_of_a_campaign_that_was_killed_at_its_first_step_is_taken_and_a_foreign_one_is_not(tmp_path):
    request = Request("edgelam campaign tiny --seeds 2", "2026-01-01T00:00:00+00:00", 1, 2)
    (tmp_path / "mine" / "runs").mkdir(parents=True)
    hidden_name(tmp_path / "mine").write_text("half of campaign.toml")
    assert CampaignFolder(tmp_path / "mine").ask("tiny", 1, request).experiment == "tiny"
    (tmp_path / "foreign" / "runs" / "thesis").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="foreign: the folder holds something other than a campaign"):
        CampaignFolder(tmp_path / "foreign").ask("tiny", 1, request)
    assert [path.name for path in (tmp_path / "foreign").rglob("*")] == ["runs", "thesis"]


def test_two_campaigns_on_one_folder_share_the_work(here):
    arguments = ("--mode", "wait", "--seeds", "2", "--workers", "1")
    both = [start(here, *arguments) for _ in range(2)]
    try:
        wait_for(lambda: len(list(here.glob("pid-*"))) == 2, *both)  # each has one of the two
        (here / "go").touch()
        outputs = [process.communicate(timeout=120) for process in both]
    finally:
        for process in both:
            process.kill()
    for process, (out, err) in zip(both, outputs, strict=True):
        assert process.returncode == 0, err
        assert "2 of 2 runs finished, 0 failed" in out
        assert err.count(": done in") == 1, err
    assert len(run_names(here / "campaigns/tiny")) == 2


def test_an_orphan_holds_its_claim(tiny, tmp_path):
    """A campaign that was killed while its run lives on for a moment: nobody starts that run a second time."""
    folder = CampaignFolder(tmp_path)
    for part in (folder.work, folder.runs):
        part.mkdir()
    from edgelam.runs.campaigns.folder import Job

    job = Job("cell seed 1", tiny(), "f" * 64, "v", "edgelam run tiny")
    claim = folder.claim(job)
    assert claim is not None
    assert folder.claim(job) is None
    orphan = subprocess.Popen(["sleep", "60"], pass_fds=(claim.lock,))
    os.close(claim.lock)
    assert CampaignFolder(tmp_path).claim(job) is None
    orphan.kill()
    orphan.wait()
    (claim.scratch / "half.txt").write_text("written")
    again = CampaignFolder(tmp_path).claim(job)
    assert again is not None
    assert not list(again.scratch.iterdir())
    folder.sweep()
    assert again.scratch.is_dir()  # somebody works on it
    os.close(again.lock)
    folder.sweep()
    assert not list(folder.work.iterdir())
