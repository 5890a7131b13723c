# SPDX-License-Identifier: GPL-2.0-only
"""split-fedft from end to end over ns-3, small: same seed same bytes, and what is left when it is cut short."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from edgelam.commands import main as cli
from edgelam.runs import load

SMALL = (
    "run", "split-fedft", "--scenario", "wired-star", "--task", "digits", "--num-devices", "3", "--batch-size", "4",
    "--evaluations", "2", "--test-samples", "40", "--threads", "1",
)  # fmt: skip


def run_small(out: Path, *more: str) -> Path:
    assert cli.main([*SMALL, "--out", str(out), *more]) == 0
    (path,) = (out / "split-fedft").iterdir()
    return path


def test_the_same_seed_gives_the_same_tables_byte_for_byte_and_another_does_not(tmp_path, capsys):
    first = run_small(tmp_path / "a", "--rounds", "3")
    second = run_small(tmp_path / "b", "--rounds", "3")
    other = run_small(tmp_path / "c", "--rounds", "3", "--seed", "2", "--controls")
    tables = {path.name for path in first.glob("*.parquet")}
    assert tables >= {"metrics.parquet", "transfers.parquet", "rounds.parquet", "devices.parquet", "wall.parquet"}
    for name in tables - {"wall.parquet"}:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert (first / "transfers.parquet").read_bytes() != (other / "transfers.parquet").read_bytes()

    run = load(first)
    assert run.state == "completed"
    assert run.manifest["configuration"]["learning"]["rounds"] == 3
    methods = set(run.metrics["method"])
    assert {"split FedFT", "split FedFT, random weights", "majority class"} <= methods
    assert any("linear" in method for method in methods)
    crossed = run.transfers[run.transfers["method"] == "split FedFT"]
    assert (crossed["status"] == "complete").all()
    assert (crossed["last_byte_s"] > crossed["queued_s"]).all()  # every byte took its time through ns-3
    assert set(crossed["direction"]) == {"uplink", "downlink"}
    for figure in ("accuracy_time", "accuracy_bytes", "round_breakdown"):
        assert (first / f"{figure}.svg").exists()
        assert (first / f"{figure}.png").exists()
    printed = capsys.readouterr().out
    assert f"run folder: {first}" in printed
    for word in ("accuracy", "loss", "simulated", "up", "down", "compute", "uplink", "downlink", "waiting"):
        assert word in printed


def test_a_run_can_be_repeated_from_its_own_configuration_file(tmp_path):
    first = run_small(tmp_path / "a", "--rounds", "2", "--controls", "--lora.rank", "2")
    config = str(first / "config.toml")
    assert cli.main(["run", "split-fedft", "--config", config, "--out", str(tmp_path / "b")]) == 0
    (second,) = (tmp_path / "b" / "split-fedft").iterdir()
    assert (first / "transfers.parquet").read_bytes() == (second / "transfers.parquet").read_bytes()
    assert (first / "config.toml").read_bytes() == (second / "config.toml").read_bytes()


@pytest.fixture
def long_run(tmp_path):
    """A run of many rounds in a process of its own, after its first rounds: (process, run folder, its children)."""
    command = [sys.executable, "-m", "edgelam", *SMALL, "--rounds", "5000", "--controls", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        path = None
        for _ in range(600):
            assert process.poll() is None, process.stderr.read()
            found = list((tmp_path / "split-fedft").glob("*/device_rounds.parts/*.parquet"))
            if found:
                path = found[0].parent.parent
                break
            time.sleep(0.1)
        assert path is not None
        children = psutil.Process(process.pid).children(recursive=True)
        assert any("wired-star" in child.name() for child in children)
        yield process, path, children
    finally:
        process.kill()
        process.wait()


def gone(children: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(children, timeout=60)
    return not alive


@pytest.mark.parametrize(
    ("number", "status", "reason"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_signal_ends_the_run_cleanly(long_run, number, status, reason):
    process, path, children = long_run
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert "Traceback" not in err
    assert gone(children)
    run = load(path)
    assert (run.state, run.manifest["reason"]) == ("interrupted", reason)
    assert len(run["rounds"]) > 0
    assert not list(path.glob("*.parts"))


def test_sigkill_leaves_readable_tables_and_no_child(long_run):
    process, path, children = long_run
    process.kill()
    process.wait()
    assert gone(children)
    run = load(path)
    assert run.state == "killed"
    assert run["rounds"]["round"].tolist() == list(range(len(run["rounds"])))
    environment = os.environ | {"COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "edgelam", "plot", str(path)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "killed" in done.stderr
    assert (path / "round_breakdown.svg").exists()


def test_a_dead_scenario_is_one_clear_error(long_run):
    process, path, children = long_run
    scenario = next(child for child in children if "wired-star" in child.name())
    scenario.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert "edgelam: " in err
    run = load(path)
    assert run.state == "failed"
    assert run.manifest["reason"] in err
