# SPDX-License-Identifier: GPL-2.0-only
"""The documentation builds without a warning, and its reference holds what is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_documentation_builds_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", tmp_path / "trees"]
    built = subprocess.run(
        [*command, ROOT / "docs", tmp_path / "html"], capture_output=True, text=True, check=False, timeout=580
    )
    assert built.returncode == 0, built.stderr
    for page, words in (
        ("commands", "edgelam csi record"),
        ("scenarios", "--numUe=4"),
        ("attributes", "ImplementationGap"),
        ("python-cosim", "edgelam.cosim.node"),
        ("experiment-split_fedft", "split FedFT"),
    ):
        assert words in (tmp_path / "html" / "reference" / f"{page}.html").read_text(), page
