# SPDX-License-Identifier: GPL-2.0-only
"""The ns-3 test suites (ns3-scenarios/test), one pytest each."""

import subprocess

import pytest

from edgelam.paths import installed

SUITES = [
    "edgelam-channel",
    "edgelam-channel-interface",
    "edgelam-channel-sites",
    "edgelam-channel-statistics",
    "edgelam-channel-validation",
    "edgelam-channel-waves",
    "edgelam-csi",
    "edgelam-helpers",
    "edgelam-network-layout",
    "edgelam-nr-admission",
    "edgelam-nr-analog-beams",
    "edgelam-nr-bearer",
    "edgelam-nr-cell",
    "edgelam-nr-cell-rates",
    "edgelam-nr-codebook",
    "edgelam-nr-control",
    "edgelam-nr-coverage",
    "edgelam-nr-energy",
    "edgelam-nr-error-model",
    "edgelam-nr-handover",
    "edgelam-nr-link-adaptation",
    "edgelam-nr-memory",
    "edgelam-nr-mobility",
    "edgelam-nr-multi-user",
    "edgelam-nr-multicast",
    "edgelam-nr-network",
    "edgelam-nr-outside",
    "edgelam-nr-phy-link",
    "edgelam-nr-quality",
    "edgelam-nr-scheduler",
    "edgelam-nr-several-cells",
    "edgelam-nr-signalling",
    "edgelam-nr-tables",
    "edgelam-nr-threads",
    "edgelam-nr-type-two",
    "edgelam-nr-uplink-selection",
    "edgelam-nr-user-selection",
    "edgelam-transfer-priority",
    "edgelam-transfer-settings",
    "edgelam-transfers",
    "edgelam-ue-motion",
    "edgelam-wired",
]


def test_every_suite_is_run():
    listing = subprocess.run(
        [installed("bin/tests/edgelam-ns3-test"), "--list"], check=True, capture_output=True, text=True
    )
    assert sorted(line for line in listing.stdout.split() if line.startswith("edgelam-")) == SUITES


@pytest.mark.parametrize("suite", SUITES)
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
