# SPDX-License-Identifier: GPL-2.0-only
"""DDP with compressed gradients over real packets, through an edge server that sums."""

import pytest
from torch_runs import PROGRAMS, over_network


@pytest.mark.parametrize("algorithm", ["ring", "pipelined-star"])
def test_ddp_with_compressed_gradients(algorithm, capfd):
    records = []
    over_network([PROGRAMS / "compressed.py"], ranks=("ue0", "ue1"), algorithm=algorithm, records=records)
    lines = [line for line in capfd.readouterr().out.splitlines() if "RESULT" in line]
    assert len(lines) == 2 * 5
    assert all(line.endswith("True True") for line in lines), lines
