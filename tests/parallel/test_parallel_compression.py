# SPDX-License-Identifier: GPL-2.0-only
"""Compression of collectives: the same bits on all ranks, the bytes that are promised, errors that are made up for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from parallel_runs import NAMED, run_ranks

from edgelam.errors import ConfigurationError
from edgelam.learning.compressors import CompressionSettings
from edgelam.parallel.compression import Compression

KINDS = ("none", "fp16", "int8", "top-k", "powersgd")


def compressed_all_reduce(size, shape, kind, algorithm, *, rounds=1, dtype=torch.float32, server=None, rank=2):
    """Each rank's results of `rounds` all-reduces, and what the ranks had."""
    own = [torch.randn(shape, generator=torch.Generator().manual_seed(r)).to(dtype) for r in range(size)]

    async def program(group, sim):
        compression = Compression(CompressionSettings(kind, share=0.3, rank=rank), seed=5)
        results = []
        for _ in range(rounds):
            tensor = own[group.rank].clone()
            await group.all_reduce(tensor, "avg", algorithm=algorithm, compression=compression.of("w"))
            results.append(tensor)
        return results

    return run_ranks(program, size, server=server), own


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 9), rows=st.integers(0, 9), kind=st.sampled_from(KINDS),
    algorithm=st.sampled_from(NAMED), server=st.sampled_from([None, "edge0"]),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16]),
)  # fmt: skip
def test_all_ranks_have_the_same_bits(size, rows, kind, algorithm, server, dtype):  # noqa: PLR0917
    results, _ = compressed_all_reduce(size, (rows, 7), kind, algorithm, rounds=2, dtype=dtype, server=server)
    for round_ in range(2):
        assert all(torch.equal(result[round_], results[0][round_]) for result in results)
    assert results[0][0].isfinite().all()


@pytest.mark.parametrize("algorithm", NAMED)
@pytest.mark.parametrize("kind", KINDS)
def test_over_many_rounds_the_errors_are_made_up_for(algorithm, kind):
    rounds = 40
    results, own = compressed_all_reduce(4, (12, 8), kind, algorithm, rounds=rounds, dtype=torch.float64)
    wanted = torch.stack(own).mean(0)
    mean = torch.stack(results[0]).mean(0)
    first = (results[0][0] - wanted).norm() / wanted.norm()
    last = (mean - wanted).norm() / wanted.norm()
    assert last < (1e-3 if kind in ("none", "fp16") else 0.1)
    assert first < {"none": 1e-6, "fp16": 2e-3, "int8": 0.05, "top-k": 1.0, "powersgd": 1.0}[kind]
    assert last <= first + 1e-12


def test_bytes_on_the_wire():
    records = []

    async def program(group, sim):
        sim.on_transfer = records.append
        for kind in ("fp16", "int8"):
            compression = Compression(CompressionSettings(kind)).of(kind)
            await group.all_reduce(torch.ones(4000), algorithm="ring", compression=compression)
        compression = Compression(CompressionSettings("powersgd", rank=2)).of("matrix")
        await group.all_reduce(torch.randn(100, 40), algorithm="ring", compression=compression)

    run_ranks(program, 4)
    sizes = [record.size_bytes for record in records]
    assert len(sizes) == 24 * 4
    assert sum(sizes) == 24 * 1000 * 2 + 24 * (1000 + 4) + 24 * (100 + 40) * 2 * 4 // 4


def test_powersgd_of_a_matrix_of_low_rank_is_the_plain_mean():
    left, right = torch.randn(20, 2, dtype=torch.float64), torch.randn(2, 15, dtype=torch.float64)

    async def program(group, sim):
        compression = Compression(CompressionSettings("powersgd", rank=2)).of("w")
        tensor = (group.rank + 1.0) * left @ right
        await group.all_reduce(tensor, "avg", compression=compression)
        return tensor

    for result in run_ranks(program, 3):
        torch.testing.assert_close(result, 2 * left @ right)


@pytest.mark.parametrize(
    ("tensor", "reduction", "text"),
    [
        (torch.ones(3, dtype=torch.int32), "sum", "legal are floating-point tensors"),
        (torch.ones(3), "max", "legal are sum, avg and premul_sum"),
    ],
)
def test_what_cannot_be_compressed_is_refused(tensor, reduction, text):
    async def program(group, sim):
        await group.all_reduce(tensor, reduction, compression=Compression(CompressionSettings("int8")).of("w"))

    with pytest.raises(ConfigurationError, match=text):
        run_ranks(program, 2)


def test_a_name_stands_for_one_tensor():
    async def program(group, sim):
        compression = Compression(CompressionSettings("int8"))
        await group.all_reduce(torch.ones(10), compression=compression.of("w"))
        await group.all_reduce(torch.ones(20), compression=compression.of("w"))

    with pytest.raises(ConfigurationError, match="give each tensor a name of its own"):
        run_ranks(program, 2)
