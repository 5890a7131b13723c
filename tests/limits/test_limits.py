# SPDX-License-Identifier: GPL-2.0-only
"""Whatever a run may not have, or cannot write: it ends soon, in one line that says what; never by waiting for ever.

A short form of a sweep; each test first shows that its fault takes effect. Limits bind no root, so root gives itself up
for them.
"""

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
USER = 61234  # nobody else's, so that its processes are counted from none
RUN = [sys.executable, "-m", "edgelam", "run", "light", "--no-report"]
PATIENCE_S = 120  # a run takes some seconds on an idle machine; for ever is what must not be
MIB = 1 << 20


@pytest.fixture
def place(tmp_path_factory):
    """A folder that everybody may write to, below folders that everybody may enter."""
    folder = Path("/tmp") / f"edgelam-test-limits-{os.getpid()}-{tmp_path_factory.mktemp('limits').name}"
    folder.mkdir()
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def unprivileged() -> list[str]:
    if os.geteuid() != 0:
        return []
    if (setpriv := shutil.which("setpriv")) is None:
        pytest.skip("root needs setpriv to give itself up")
    words = [setpriv, "--reuid", str(USER), "--regid", str(USER), "--clear-groups"]
    if subprocess.run([*words, sys.executable, "-c", "import edgelam"], check=False).returncode != 0:
        pytest.skip("another user cannot run this Python, or root cannot become one here")
    return words


def run(place, *, limit=None, user=(), **environment):
    """One run; (exit status, what it wrote to stderr, its manifest's text or "")."""
    out = place / "runs"
    shutil.rmtree(out, ignore_errors=True)
    done = subprocess.run(
        [*user, *RUN, "--out", str(out)],
        cwd=place,
        env=os.environ | {"EDGELAM_EXPERIMENTS": str(HERE / "experiments"), "OMP_NUM_THREADS": "1",
                          "OPENBLAS_NUM_THREADS": "1", "HOME": str(place)} | environment,
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        preexec_fn=None if limit is None else lambda: resource.setrlimit(limit[0], (limit[1], limit[1])),
    )  # fmt: skip
    manifests = list(out.glob("light/*/manifest.json"))
    return done.returncode, done.stderr, manifests[0].read_text() if manifests else ""


def sweep(place, which, values, **settings):
    """The outcomes by value; each of them ends, and says why where it fails."""
    outcomes = {}
    for value in values:
        status, errors, manifest = run(place, limit=(which, value), **settings)
        outcomes[value] = status
        assert status in (0, 1, 2), (value, status, errors)
        if status == 0:
            assert '"state": "completed"' in manifest, value
        else:
            assert "Traceback" not in errors, (value, errors)
            assert any(line.startswith("edgelam: ") for line in errors.splitlines()), (value, errors)
            assert '"state": "running"' not in manifest, value
    assert 0 in outcomes.values(), outcomes
    assert set(outcomes.values()) != {0}, f"the limit had no effect: {outcomes}"
    return outcomes


def test_open_files(place):
    sweep(place, resource.RLIMIT_NOFILE, [9, 13, 64])


def test_address_space(place):
    needed = next(mib for mib in range(500, 4000, 250) if run(place, limit=(resource.RLIMIT_AS, mib * MIB))[0] == 0)
    sweep(place, resource.RLIMIT_AS, [(needed - less) * MIB for less in (150, 70, 0)])


def test_an_error_that_python_cannot_name_for_want_of_memory():
    """CPython then may raise "SystemError: error return without exception set"; elsewhere that is a bug."""
    code = """
import resource
from edgelam import limits
error = SystemError("error return without exception set")
assert limits.cause(error) is None
resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
assert limits.cause(error) is None
kept = []
try:
    while True:
        kept.append(bytearray(8 << 20))
except MemoryError:
    kept.clear()
print(limits.cause(error))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "out of memory (SystemError: error return without exception set): this process may have 400 MiB"
    )


def test_processes(place):
    sweep(place, resource.RLIMIT_NPROC, [1, 3, 64], user=unprivileged())


@pytest.fixture(scope="module")
def fault(tmp_path_factory):
    library = tmp_path_factory.mktemp("fault") / "fault.so"
    subprocess.run(["g++", "-x", "c", "-shared", "-fPIC", "-O1", HERE / "fault.c", "-o", library, "-ldl"], check=True)
    return library


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "mkdir", "open"])
def test_storage(place, fault, call):
    """A disk that is full for good from the first call on, and one that fails once in the middle of a run."""
    told, failed = place / "told", 0
    for at, number, stays in ((1, errno.ENOSPC, True), (5, errno.EIO, False)):
        told.unlink(missing_ok=True)
        settings = {"FAULT_FOLDER": str(place / "runs"), "FAULT_CALL": call, "FAULT_AT": str(at),
                    "FAULT_ERRNO": str(int(number)), "FAULT_TOLD": str(told), "LD_PRELOAD": str(fault)}  # fmt: skip
        status, errors, manifest = run(place, **settings | ({"FAULT_STAYS": "1"} if stays else {}))
        assert "Traceback" not in errors, (at, errors)
        if told.exists():  # the fault took effect
            failed += 1
            assert status == 1, (at, errors)
            assert os.strerror(number) in errors, (at, errors)
            assert '"state": "completed"' not in manifest
    assert failed, f"no {call} was made to fail"
