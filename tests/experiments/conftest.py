# SPDX-License-Identifier: GPL-2.0-only
from pathlib import Path

import pytest
from edgelam.experiments.split_fedft.config import Config
from invented_run import fill

from edgelam.runs import RunFolder


@pytest.fixture
def finished_run(tmp_path: Path) -> Path:
    with RunFolder.create("split-fedft", Config(), seed=1, out=tmp_path) as folder:
        fill(folder)
    return folder.path
