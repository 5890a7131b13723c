# SPDX-License-Identifier: GPL-2.0-only
"""Every algorithm against the plain reduction, at every size of group; results are the same bits on all ranks."""

import asyncio

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from parallel_runs import NAMED, run_ranks

from edgelam.errors import ConfigurationError, DeadlockError
from edgelam.parallel.collectives.auto import seconds
from edgelam.parallel.reduction import Reduction

EXACT = {"sum": torch.float64, "avg": torch.float64, "product": torch.int64, "min": torch.float16, "max": torch.int8,
         "band": torch.uint8, "bor": torch.int32, "bxor": torch.int64, "premul_sum": torch.float64}  # fmt: skip

DTYPES = [getattr(torch, name) for name in ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16",
                                            "int32", "int64", "bool", "complex64", "complex128")]  # fmt: skip


def tensors(size, shape, dtype, seed):
    """Small whole numbers, of which sums and products are exact in any order."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(-3, 4, shape, generator=generator).to(dtype) for _ in range(size)]


def plain(name, values):
    """The reduction, written anew."""
    stacked = torch.stack(values)
    if name in ("sum", "avg", "premul_sum"):
        total = stacked.sum(0, dtype=stacked.dtype)
        return {"sum": total, "avg": total / len(values), "premul_sum": total * 0.5}[name]
    if name == "product":
        return stacked.prod(0, dtype=stacked.dtype)
    if name in ("min", "max"):
        return stacked.amin(0) if name == "min" else stacked.amax(0)
    out = values[0].clone()
    for value in values[1:]:
        out = out & value if name == "band" else out | value if name == "bor" else out ^ value
    return out


def same_bits(one, other):
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(
        one.contiguous().reshape(-1).view(torch.uint8), other.contiguous().reshape(-1).view(torch.uint8)
    )  # fmt: skip


sizes = st.integers(1, 9)
algorithms = st.sampled_from(NAMED)
servers = st.sampled_from([None, "edge0"])
lengths = st.one_of(st.integers(0, 12), st.integers(13, 60))
common = settings(max_examples=60, deadline=None)


@common
@given(
    server=servers,
    size=sizes,
    algorithm=algorithms,
    name=st.sampled_from(sorted(EXACT)),
    length=lengths,
    seed=st.integers(0, 99),
)
def test_all_reduce_and_reduce(server, size, algorithm, name, length, seed):  # noqa: PLR0917
    own = tensors(size, (length,), EXACT[name], seed)
    reduction = Reduction(name, 0.5) if name == "premul_sum" else name
    root = seed % size

    async def program(group, sim):
        everywhere, at_root = own[group.rank].clone(), own[group.rank].clone()
        await group.all_reduce(everywhere, reduction, algorithm=algorithm)
        await group.reduce(at_root, root, reduction, algorithm=algorithm)
        return everywhere, at_root

    wanted = plain(name, own)
    for rank, (everywhere, at_root) in enumerate(run_ranks(program, size, server=server)):
        assert same_bits(everywhere, wanted)
        assert same_bits(at_root, wanted if rank == root else own[rank])


@common
@given(
    server=servers,
    size=sizes,
    algorithm=algorithms,
    length=lengths,
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_ranks_agree_bit_for_bit_where_the_order_matters(server, size, algorithm, length, dtype):
    generator = torch.Generator().manual_seed(length)
    own = [torch.randn(length, generator=generator).to(dtype) for _ in range(size)]

    async def program(group, sim):
        tensor = own[group.rank].clone()
        await group.all_reduce(tensor, "avg", algorithm=algorithm)
        return tensor

    results = run_ranks(program, size, server=server)
    assert all(same_bits(result, results[0]) for result in results)
    torch.testing.assert_close(results[0].double(), torch.stack(own).double().mean(0), atol=0.05, rtol=0.05)


@common
@given(
    server=servers,
    size=sizes,
    algorithm=algorithms,
    lengths=st.lists(st.integers(0, 9), min_size=9, max_size=9),
    root=st.integers(0, 8),
)
def test_what_moves_without_being_reduced(server, size, algorithm, lengths, root):
    root %= size
    own = [torch.arange(n) + 100 * rank for rank, n in enumerate(lengths[:size])]

    async def program(group, sim):
        rank = group.rank
        everywhere = own[root].clone() if rank == root else torch.zeros_like(own[root])
        await group.broadcast(everywhere, root, algorithm=algorithm)
        all_of_them = [torch.zeros_like(each) for each in own]
        await group.all_gather(all_of_them, own[rank], algorithm=algorithm)
        at_root = [torch.zeros_like(each) for each in own] if rank == root else None
        await group.gather(at_root, own[rank], root, algorithm=algorithm)
        mine = torch.zeros_like(own[rank])
        await group.scatter(mine, own if rank == root else None, root, algorithm=algorithm)
        sent = [torch.full((lengths[rank] + to,), 10 * rank + to) for to in range(size)]
        came = [torch.zeros(lengths[source] + rank, dtype=torch.int64) for source in range(size)]
        await group.all_to_all(came, sent, algorithm=algorithm)
        await group.barrier(algorithm=algorithm)
        return everywhere, all_of_them, at_root, mine, came

    for rank, (everywhere, all_of_them, at_root, mine, came) in enumerate(run_ranks(program, size, server=server)):
        assert torch.equal(everywhere, own[root])
        assert all(map(torch.equal, all_of_them, own))
        assert at_root is None if rank != root else all(map(torch.equal, at_root, own))
        assert torch.equal(mine, own[rank])
        assert [each.tolist() for each in came] == [[10 * s + rank] * (lengths[s] + rank) for s in range(size)]


@common
@given(
    server=servers,
    size=sizes,
    algorithm=algorithms,
    name=st.sampled_from(sorted(EXACT)),
    lengths=st.lists(st.integers(0, 9), min_size=9, max_size=9),
)
def test_reduce_scatter(server, size, algorithm, name, lengths):
    own = [tensors(size, (n,), EXACT[name], n) for n in lengths[:size]]  # [place][rank]
    reduction = Reduction(name, 0.5) if name == "premul_sum" else name

    async def program(group, sim):
        inputs = [place[group.rank].clone() for place in own]
        output = torch.zeros_like(inputs[group.rank])
        await group.reduce_scatter(output, inputs, reduction, algorithm=algorithm)
        assert all(same_bits(each, place[group.rank]) for each, place in zip(inputs, own, strict=True))
        return output

    for rank, output in enumerate(run_ranks(program, size, server=server)):
        assert same_bits(output, plain(name, own[rank]))


@pytest.mark.parametrize("algorithm", NAMED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(algorithm, dtype):
    own = tensors(3, (7,), dtype, 1)

    async def program(group, sim):
        tensor = own[group.rank].clone()
        await group.all_reduce(tensor, algorithm=algorithm)
        return tensor

    for result in run_ranks(program, 3):
        assert same_bits(result, own[0] + own[1] + own[2])


def test_views_and_parameters_are_written_in_place():
    async def program(group, sim):
        base = torch.full((4, 6), float(group.rank + 1))
        await group.all_reduce(base.t()[1:4])  # neither contiguous nor the whole
        weight = torch.nn.Parameter(torch.full((3, 3), float(group.rank)))
        await group.broadcast(weight, 2)
        conjugate = torch.tensor([1 + 2j]).conj()
        await group.all_reduce(conjugate)
        return base, weight, conjugate

    for rank, (base, weight, conjugate) in enumerate(run_ranks(program, 3)):
        wanted = torch.full((4, 6), float(rank + 1))
        wanted[:, 1:4] = 6
        assert torch.equal(base, wanted)
        assert torch.equal(weight, torch.full((3, 3), 2.0))
        assert conjugate.tolist() == [3 - 6j]


def test_collectives_of_a_group_go_in_order_and_messages_beside_them():
    async def program(group, sim):
        tensor, other = torch.ones(5), torch.full((4,), float(group.rank))
        ups = [asyncio.create_task(group.all_reduce(tensor, algorithm=name)) for name in ("ring", "tree", "direct")]
        following, before = (group.rank + 1) % 3, (group.rank - 1) % 3
        came = [torch.zeros(4), torch.zeros(4)]
        sends = [asyncio.create_task(group.send(following, other + i / 2)) for i in range(2)]
        await group.receive(None, came[0])
        assert await group.receive(before, came[1]) == before
        await asyncio.gather(*ups, *sends)
        return tensor.tolist(), [c.tolist() for c in came]

    for rank, (tensor, came) in enumerate(run_ranks(program, 3)):
        assert tensor == [27.0] * 5
        assert came == [[float((rank - 1) % 3)] * 4, [(rank - 1) % 3 + 0.5] * 4]


def test_every_rank_tells_of_its_collectives():
    records = []

    async def program(group, sim):
        await group.all_reduce(torch.ones(1000), algorithm="tree")
        await group.barrier()

    run_ranks(program, 2, scenario="wired-star", name="dp", on_collective=records.append)
    assert {(r.number, r.operation, r.algorithm, r.rank, r.size_bytes) for r in records} == {
        (0, "all_reduce", "tree", 0, 4000), (0, "all_reduce", "tree", 1, 4000),
        (1, "barrier", "direct", 0, 0), (1, "barrier", "direct", 1, 0),
    }  # fmt: skip
    assert all(r.group == "dp" and r.end_s >= r.start_s >= 0 for r in records)
    assert all(r.end_s > r.start_s for r in records if r.operation == "all_reduce")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda g: g.all_reduce(torch.ones(2), "mean"), "unknown reduction 'mean'"),
        (lambda g: g.all_reduce(torch.ones(2), "bxor"), "integers and booleans"),
        (lambda g: g.all_reduce(torch.ones(2, dtype=torch.int32), "avg"), "floating-point and complex"),
        (lambda g: g.all_reduce(torch.ones(2), algorithm="star-ring"), "unknown algorithm 'star-ring'"),
        (lambda g: g.broadcast(torch.ones(2), 2), "root 2"),
        (lambda g: g.all_gather([torch.ones(2)], torch.ones(2)), "give one for each rank"),
        (lambda g: g.all_gather([torch.ones(3), torch.ones(3)], torch.ones(2)), "same number of values"),
        (lambda g: g.send(g.rank, torch.ones(2)), "apart from itself"),
        (lambda g: g.all_reduce(torch.ones(2 + g.rank)), "shapes and dtypes must agree"),
    ],
)  # fmt: skip
def test_mistakes_are_explained(call, text):
    async def program(group, sim):
        await call(group)

    with pytest.raises(ConfigurationError, match=text):
        run_ranks(program, 2)


def test_different_operations_on_two_ranks_are_named():
    async def program(group, sim):
        await (group.all_reduce(torch.ones(4)) if group.rank else group.barrier())

    with pytest.raises(DeadlockError, match=r"(?s)'barrier'.*'all_reduce'"):
        run_ranks(program, 2)


def test_auto_takes_the_fastest_for_each_size_on_all_ranks():
    records, measured = [], []

    async def program(group, sim):
        times = {}
        for length in (50, 500_000):
            for name in ("auto", "ring", "tree", "star", "direct"):
                tensor = torch.full((length,), 1.0)
                await group.all_reduce(tensor, algorithm=name)
                await group.barrier()
                start_s = sim.now_s
                await group.all_reduce(tensor, algorithm=name)
                times[length, name] = start_s, sim.now_s
                assert tensor.eq(16.0).all()
        measured.append(group.measured["all_reduce"])
        return times

    results = run_ranks(
        program, 4, scenario="wired-star", options={"rate": "20Mbps"}, server="edge0", on_collective=records.append
    )
    assert all(found == measured[0] for found in measured)
    assert all(sorted(times.values()) == list(times.values()) for times in measured[0].values())
    assert sum(1 << 20 in times for times in measured[0].values()) > 1
    chosen = {}
    for record in records:
        if record.size_bytes:
            chosen.setdefault((record.number, record.size_bytes), set()).add(record.algorithm)
    assert all(len(names) == 1 for names in chosen.values())
    times = {
        key: max(result[key][1] for result in results) - max(result[key][0] for result in results) for key in results[0]
    }
    for length in (50, 500_000):
        fastest = min(times[length, name] for name in ("ring", "tree", "star", "direct"))
        assert times[length, "auto"] <= 1.05 * fastest
    assert times[50, "ring"] > 2 * times[50, "auto"]
    assert times[500_000, "direct"] > 1.5 * times[500_000, "auto"]


def test_auto_measures_little_for_a_tiny_tensor():
    async def program(group, sim):
        started_s = sim.now_s
        await group.all_reduce(torch.ones(4))
        first_s, started_s = sim.now_s - started_s, sim.now_s
        await group.all_reduce(torch.ones(4))
        return first_s, sim.now_s - started_s

    results = run_ranks(program, 4, scenario="wired-star", server="edge0", algorithm="auto")
    assert max(first_s for first_s, _ in results) < 25 * max(second_s for _, second_s in results)


def test_lines_between_measured_times():
    times = {256: 0.01, 8192: 0.02, 262_144: 0.1}
    assert seconds(times, 1) == seconds(times, 256) == 0.01
    assert seconds(times, (256 + 8192) // 2) == pytest.approx(0.015)
    assert seconds(times, 8192) == pytest.approx(0.02)
    assert seconds(times, 2 * 262_144 - 8192) == pytest.approx(0.18)
    assert seconds({256: 0.01, 8192: 0.02}, 16128) == pytest.approx(0.03)
