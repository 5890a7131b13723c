# SPDX-License-Identifier: GPL-2.0-only
"""A terminal that closes, a reader that goes, a disk that is full: what becomes of a run then."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from edgelam import streams

RUN = [sys.executable, "-m", "edgelam", "run", "tiny", "--no-report"]


def manifest_of(folder: Path) -> dict:
    (file,) = folder.glob("runs/tiny/*/manifest.json")
    return json.loads(file.read_text())


@pytest.fixture
def started(tiny, tmp_path):
    """A run in a terminal of its own, at the place where it waits for a file: (process, the terminal's other end)."""

    def start(ignored: bool) -> tuple[subprocess.Popen[bytes], int]:
        master, slave = os.openpty()

        def in_the_child() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)

        process = subprocess.Popen(
            [*RUN, "--mode", "wait"], cwd=tmp_path, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, preexec_fn=in_the_child,  # noqa: PLW1509  # no threads here
        )  # fmt: skip
        os.close(slave)
        end = time.monotonic() + 100
        while not list(tmp_path.glob("pid-*")):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        return process, master

    return start


def test_a_closed_terminal_is_as_sigterm(started, tmp_path):
    process, master = started(ignored=False)
    os.close(master)
    assert process.wait(60) == 128 + signal.SIGHUP
    manifest = manifest_of(tmp_path)
    assert (manifest["state"], manifest["reason"]) == ("interrupted", "SIGHUP")


def test_without_its_terminal_a_disowned_run_goes_on(started, tmp_path):
    process, master = started(ignored=True)
    os.close(master)
    (tmp_path / "go").touch()
    assert process.wait(60) == 0
    manifest = manifest_of(tmp_path)
    assert (manifest["state"], manifest["reason"]) == ("completed", None)


def test_a_reader_that_goes_ends_nothing(tiny, tmp_path):
    command = " ".join([*RUN, "--rounds", "3", "2>&1 | head -1; echo ${PIPESTATUS[0]}"])
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "0"
    assert len(done.stdout.splitlines()) == 2
    assert manifest_of(tmp_path)["state"] == "completed"


def test_a_full_disk_under_the_output_is_told(tiny, tmp_path):
    with open("/dev/full", "w") as full:
        for command in (RUN, [sys.executable, "-m", "edgelam", "list"]):
            done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
            assert done.returncode == 1
            assert done.stderr.splitlines()[-1] == "edgelam: cannot write to standard output: No space left on device"
            assert "Traceback" not in done.stderr
    assert manifest_of(tmp_path)["state"] == "completed"


def test_closed_before_the_start(tiny, tmp_path):
    done = subprocess.run(["bash", "-c", " ".join([*RUN, ">&- 2>&-"])], cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert manifest_of(tmp_path)["state"] == "completed"


def test_a_stream_lasts(tmp_path):
    reader, writer = os.pipe()
    stream = streams.lasting(os.fdopen(writer, "w", buffering=1))
    os.close(reader)
    assert stream.write("a line\n") == 7
    assert stream.lost.errno == 32
    stream.write("another\n")
    stream.flush()
    assert os.fstat(stream.fileno()).st_rdev == os.stat(os.devnull).st_rdev
    stream.close()
