# SPDX-License-Identifier: GPL-2.0-only
"""Shared by the tests of the air: small recordings, made once."""

from pathlib import Path

import pytest

from edgelam.air import csi

SMALL = ("numUe=3", "gnbRows=2", "gnbColumns=2", "tones=12", "snapshots=5", "ueAntennas=2")
"""Options of scenario csi that make samples of shape (5, 8, 2, 12)."""


@pytest.fixture(scope="session")
def small_options():
    return SMALL


@pytest.fixture(scope="session", params=[".npz", ".parquet", ".arrow"])
def recording(request, tmp_path_factory) -> Path:
    """Eleven small samples of three users without noise, in each format."""
    path = tmp_path_factory.mktemp("recordings") / f"small{request.param}"
    csi.record(csi.RecordSettings(out=path, samples=11, set=SMALL))
    return path


@pytest.fixture(scope="session")
def npz(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "small.npz"
    csi.record(csi.RecordSettings(out=path, samples=11, set=SMALL))
    return path
