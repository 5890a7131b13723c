# SPDX-License-Identifier: GPL-2.0-only
"""setup.sh names what a machine lacks in one line, before it does anything."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
TOOLS = ("bash", "dirname", "cut", "mktemp", "sha256sum", "sort", "find", "xargs", "tail", "rm", "touch")


@pytest.fixture
def bare_machine(tmp_path):
    """A copy of the set-up files and a PATH with the basic tools only; returns (folder, bin, run)."""
    folder, tools = tmp_path / "clone", tmp_path / "bin"
    folder.mkdir()
    tools.mkdir()
    for name in ("setup.sh", "pyproject.toml", "constraints.txt"):
        shutil.copy(TOP / name, folder)
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name))

    def run(python="python3"):
        return subprocess.run(
            ["bash", "setup.sh", python], cwd=folder, env={"PATH": str(tools), "HOME": str(tmp_path)},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return folder, tools, run


def fake(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
    path.chmod(0o755)


def test_a_machine_without_anything(bare_machine):
    folder, _, run = bare_machine
    result = run()
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "Python 3.11, 3.12 or 3.13" in result.stderr
    assert "C++ compiler" in result.stderr
    assert not (folder / ".venv").exists()


def test_an_old_compiler_and_missing_headers(bare_machine):
    folder, tools, run = bare_machine
    real = os.path.realpath(sys.executable)
    fake(tools, "g++", "echo 9")
    # the real interpreter, except that its headers are not where it says
    fake(tools, "python3", f'if [[ "$2" == *sysconfig* ]]; then echo /nonexistent; else exec {real} "$@"; fi')
    result = run()
    assert result.returncode == 1
    assert "Python headers" in result.stderr
    assert "g++ 11 or newer (this one is 9)" in result.stderr
    assert not (folder / ".venv").exists()


def test_a_python_that_is_too_old_is_named(bare_machine):
    _, tools, run = bare_machine
    fake(tools, "g++", "echo 12")
    fake(tools, "python3", 'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi')
    result = run()
    assert result.returncode == 1
    assert "python3 is Python 3.9.2" in result.stderr
