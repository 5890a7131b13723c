# SPDX-License-Identifier: GPL-2.0-only
"""The ns-3 test suites (ns3-scenarios/test), one pytest each."""

import subprocess

import pytest

from edgelam.paths import installed


@pytest.mark.parametrize(
    "suite",
    [
        "edgelam-transfers",
        "edgelam-helpers",
        "edgelam-csi",
        "edgelam-channel",
        "edgelam-channel-interface",
        "edgelam-channel-statistics",
        "edgelam-channel-validation",
    ],
)
def test_suite(suite, tmp_path):
    program = installed("bin/tests/edgelam-ns3-test")
    done = subprocess.run(
        [program, f"--suite={suite}", "--verbose"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"PASS {suite}" in done.stdout
    assert "FAIL" not in done.stdout
