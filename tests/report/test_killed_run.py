# SPDX-License-Identifier: GPL-2.0-only
"""What a run that was killed (or goes on) has on the disk, and what is shown of it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from recorded_run import Config, small_run
from test_report_commands import edgelam

from edgelam.runs import RunFolder, load

WRITER = """
import asyncio, sys, time
from pathlib import Path
from recorded_run import Config, computation, transfer
from edgelam import cosim
from edgelam.runs import RunFolder
from edgelam.runs.recording import SimulationRecorder

folder = RunFolder.create("nowhere", Config(), seed=1, out=Path(sys.argv[1]))
print(folder.path, flush=True)
recorder = SimulationRecorder(folder, "first", {"method": "first"})

async def main(sim):
    async with recorder.following(sim, {}):
        print("following", flush=True)
        sys.stdin.readline()
        for accuracy in (0.25, 0.5, 0.75):  # an evaluation: a few rows at once, then none
            row = {"method": "first", "round": 1, "accuracy": accuracy}
            folder.table("metrics", {"method": str, "round": int, "accuracy": float}).append(row)
        for number in range(10**9):
            recorder.on_transfer(transfer(number, "ue0", "edge0", number, number + 1.0))
            recorder.on_compute(computation("edge0", "encode", number, number + 1.0))
            time.sleep(0.001)

cosim.simulate(main, nodes={"ue0": "ue", "edge0": "edge"})
"""


@pytest.fixture
def writer(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "runs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )  # fmt: skip
    yield process
    process.kill()
    process.communicate()


def count(path: Path, table: str) -> int:
    run = load(path)
    return len(run[table]) if table in run else 0


def shown(capsys, path: Path, other: Path, out: Path) -> None:
    assert edgelam(capsys, "report", path, "--out", out / "report.html")[0] == 0
    page = (out / "report.html").read_text().replace(" ", "")
    assert '"name":"edge0","role":"edge"' in page
    assert '"ledger":null' in page  # written when the simulation ends: the page says that there is none
    assert edgelam(capsys, "trace", path, "--out", out / "trace.json")[0] == 0
    names = [event["args"].get("name") for event in json.loads((out / "trace.json").read_text())["traceEvents"]]
    assert "first (simulated time)" in names
    assert "edge0 computing" in names
    status, printed, _ = edgelam(capsys, "compare", path, other, "--out", out / "both.html")
    assert status == 0
    assert any(row[-1] == "0.75" and "first" in row for row in map(str.split, printed.splitlines()) if path.name in row)


def test_after_kill_9_what_was_recorded_before_is_there(capsys, tmp_path, finished, writer, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = Path(writer.stdout.readline().strip())
    assert writer.stdout.readline() == "following\n"
    run = load(path)  # at once, not when further rows come
    assert (run["simulations"]["simulation"].tolist(), run["nodes"]["node"].tolist()) == (["first"], ["ue0", "edge0"])
    writer.stdin.write("\n")
    writer.stdin.flush()
    deadline_s = time.monotonic() + 60
    while not (count(path, "metrics") and count(path, "compute")):
        assert writer.poll() is None
        assert time.monotonic() < deadline_s, "the evaluation never reached the disk"
        time.sleep(0.1)
    assert load(path).state == "running"
    shown(capsys, path, finished, tmp_path)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    run = load(path)
    assert (run.state, run.metrics["accuracy"].tolist()) == ("killed", [0.25, 0.5, 0.75])
    shown(capsys, path, finished, tmp_path)


def test_killed_before_anything_reached_the_disk(capsys, tmp_path):
    """Tables that have been begun and hold nothing: as runs of earlier versions left them."""
    folder = RunFolder.create("nowhere", Config(), seed=1, out=tmp_path / "a")
    for table in ("simulations", "nodes", "metrics", "transfers"):
        folder.table(table, {"simulation": str})
    other = small_run(tmp_path / "b")
    assert edgelam(capsys, "report", folder.path)[0] == 0
    status, _, error = edgelam(capsys, "trace", folder.path)
    assert (status, "has recorded no simulation" in error, "Traceback" in error) == (1, True, False)
    assert edgelam(capsys, "compare", folder.path, other, "--out", tmp_path / "both.html")[0] == 0
    folder.close()
