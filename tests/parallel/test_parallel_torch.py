# SPDX-License-Identifier: GPL-2.0-only
"""Programs of torch.distributed give over the simulated network what they give under gloo."""

import functools

import pytest
from torch_runs import PROGRAMS, RANKS, assert_same, under_gloo, under_ns3

pytestmark = pytest.mark.timeout(1200)  # each batch runs twice: minutes on a busy machine
BATCHES = {
    "of PyTorch's parts": ["around", "collectives", "ddp", "ddp_more", "groups", "libraries", "optimisers", "pipelines",
                           "points", "sharded", "tensors"],
    "as users write them": ["accelerated", "differentiable", "federations", "meeting", "surroundings"],
    "sharded and compiled": ["compiled", "more_sharding", "tutorial_pipelines"],
}  # fmt: skip
"""Programs that run one after another in the same processes."""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """A function: what the programs of a batch print, under gloo and over the network. A batch runs once."""

    @functools.cache
    def of_batch(batch):
        programs = [PROGRAMS / f"{name}.py" for name in BATCHES[batch]]
        folder = tmp_path_factory.mktemp("programs")
        return under_gloo(programs, folder), under_ns3(programs, folder)

    return of_batch


@pytest.mark.parametrize(
    ("batch", "program"), [(batch, program) for batch, programs in BATCHES.items() for program in programs]
)
def test_a_program_computes_the_same_as_under_gloo(printed, batch, program):
    gloo, ns3 = printed(batch)
    for rank in range(len(RANKS)):
        assert ns3[rank][program].strip()
        assert_same(gloo[rank][program], ns3[rank][program])
