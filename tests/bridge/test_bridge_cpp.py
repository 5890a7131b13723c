# SPDX-License-Identifier: GPL-2.0-only
"""The tests written in C++: rings, arena, hold counts, schema inside one process."""

import subprocess

import pytest

from edgelam.paths import installed


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cpp(seed: int) -> None:
    done = subprocess.run(
        [installed("bin/bridge-test"), str(seed)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok: ") == 7
