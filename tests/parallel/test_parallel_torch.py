# SPDX-License-Identifier: GPL-2.0-only
"""Programs of torch.distributed give over the simulated network what they give under gloo."""

import pytest
from torch_runs import PROGRAMS, RANKS, assert_same, under_gloo, under_ns3

ALONE = ("together", "compressed")  # what runs the others, and what needs the backend ns3
pytestmark = pytest.mark.timeout(1200)  # all programs, twice: minutes on a busy machine
TOGETHER = [path for path in sorted(PROGRAMS.glob("*.py")) if path.stem not in ALONE]


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What all programs print, under gloo and over the network."""
    folder = tmp_path_factory.mktemp("programs")
    return under_gloo(TOGETHER, folder), under_ns3(TOGETHER, folder)


@pytest.mark.parametrize("program", [path.stem for path in TOGETHER])
def test_a_program_computes_the_same_as_under_gloo(printed, program):
    gloo, ns3 = printed
    for rank in range(len(RANKS)):
        assert ns3[rank][program].strip()
        assert_same(gloo[rank][program], ns3[rank][program])
