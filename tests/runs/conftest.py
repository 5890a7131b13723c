# SPDX-License-Identifier: GPL-2.0-only
from pathlib import Path

import pytest

OWN_EXPERIMENTS = Path(__file__).parent / "own_experiments"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> type:
    """The Config of the experiment `tiny`, which takes no time; child processes find it too."""
    from edgelam.runs import experiments

    monkeypatch.setenv("EDGELAM_EXPERIMENTS", str(OWN_EXPERIMENTS))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return experiments.find("tiny").config
