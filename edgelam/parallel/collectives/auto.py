# SPDX-License-Identifier: GPL-2.0-only
"""Auto: the algorithm that is fastest for the size, as measured in this group over this network.

A group measures by doing an operation with zeros, which takes simulated time and crosses the network under the same
tag. The first time that it does an operation, it measures with 256 B and 8 KiB, and the first time that it does so with
a tensor of more than 8 KiB, with 256 KiB. Between these, and beyond the last, the time of an algorithm is taken to be a
straight line. These lines are steeper than what follows, as long as the windows of TCP grow: so for tensors of more
than 512 KiB and 2 MiB, those which may be the fastest are measured with 1 MiB and 4 MiB, too.

With the small sizes, direct and the star come first: they have the fewest messages in a row. Of the others, those are
left out that would need longer for the latency of their messages alone. All ranks agree on the times (of the slowest
rank), so that they choose the same, and the same run chooses the same again.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgelam.parallel.collectives import ALGORITHMS, algorithm_of, direct, tree
from edgelam.parallel.collectives.chunks import chunks
from edgelam.parallel.collectives.pipelined_star import SEGMENT_BYTES
from edgelam.parallel.reduction import Reduction

if TYPE_CHECKING:
    from edgelam.parallel.call import Call

SMALL_BYTES, LARGE_BYTES = (256, 8 << 10), (256 << 10,)
LARGER_BYTES = (1 << 20, 4 << 20)
"""Measured for tensors of more than half as much."""
NEAR = 1.5
"""By those that took at most so many times as long as the fastest with the size before."""
FEW_MESSAGES = ("direct", "star")
SAME_AS_ANOTHER = ("auto", "pipelined-star")
"""Not measured with less: the pipelined star is the star up to 1 MiB."""

Probe = Callable[[Callable[..., Awaitable[None]], "Call", Tensor], Awaitable[None]]
"""Does the operation by a function with zeros."""
Times = dict[int, float]
"""Bytes -> how long an algorithm takes, s; at the least, of one that was left out. In the order of bytes."""


def seconds(times: Times, size_bytes: int) -> float:
    """The time that a tensor of that size is taken to need."""
    sizes = list(times)
    place = min(max(bisect_left(sizes, size_bytes), 1), len(sizes) - 1)
    less, more = sizes[place - 1], sizes[place]
    slope = (times[more] - times[less]) / (more - less)
    return times[less] + slope * (max(size_bytes, sizes[0]) - less)


async def all_reduce(call: Call, flat: Tensor, reduction: Reduction) -> None:
    """By the fastest for its size."""

    async def probe(run: Callable[..., Awaitable[None]], part: Call, zeros: Tensor) -> None:
        await run(part, zeros, Reduction("max"))

    function, part = await _choice(call, probe, [flat])
    await function(part, flat, reduction)


async def broadcast(call: Call, flat: Tensor, root: int) -> None:
    """By the fastest for its size, measured with rank 0 as the root."""

    async def probe(run: Callable[..., Awaitable[None]], part: Call, zeros: Tensor) -> None:
        await run(part, zeros, 0)

    function, part = await _choice(call, probe, [flat])
    await function(part, flat, root)


async def reduce(call: Call, flat: Tensor, root: int, reduction: Reduction) -> None:
    """By the fastest for its size, measured with rank 0 as the root."""

    async def probe(run: Callable[..., Awaitable[None]], part: Call, zeros: Tensor) -> None:
        await run(part, zeros, 0, Reduction("max"))

    function, part = await _choice(call, probe, [flat])
    await function(part, flat, root, reduction)


async def all_gather(call: Call, flats: list[Tensor]) -> None:
    """By the fastest for the size of all of it."""

    async def probe(run: Callable[..., Awaitable[None]], part: Call, zeros: Tensor) -> None:
        await run(part, chunks(zeros, part.size))

    function, part = await _choice(call, probe, flats)
    await function(part, flats)


async def reduce_scatter(call: Call, flats: list[Tensor], reduction: Reduction) -> None:
    """By the fastest for the size of all of it."""

    async def probe(run: Callable[..., Awaitable[None]], part: Call, zeros: Tensor) -> None:
        await run(part, chunks(zeros, part.size), Reduction("max"))

    function, part = await _choice(call, probe, flats)
    await function(part, flats, reduction)


async def _choice(call: Call, probe: Probe, flats: list[Tensor]) -> tuple[Callable[..., Awaitable[None]], Call]:
    """The function of the fastest algorithm, and the part of the collective for it."""
    size_bytes = sum(flat.numel() * flat.element_size() for flat in flats)
    known = call.group.measured.setdefault(call.operation, {})
    if not known:
        known.update(await _with_small_sizes(call, probe))
    if size_bytes > max(SMALL_BYTES) and any(max(times) < max(LARGE_BYTES) for times in known.values()):
        for name, times in (await _measured(call, probe, list(known), LARGE_BYTES)).items():
            known[name].update(times)
    candidates = known
    for larger in LARGER_BYTES:
        if 2 * size_bytes > larger:
            if not any(larger in times for times in known.values()):
                await _measure_nearest(call, probe, known, larger)
            candidates = {name: times for name, times in known.items() if larger in times}
    call.chosen = min(candidates, key=lambda name: seconds(known[name], size_bytes))
    return algorithm_of(call.operation, call.chosen)[1], call.among(range(call.size), "chosen")


async def _measure_nearest(call: Call, probe: Probe, known: dict[str, Times], size_bytes: int) -> None:
    """Add how long that size takes by the algorithms that may be the fastest."""
    if size_bytes > SEGMENT_BYTES and "star" in known:
        known["pipelined-star"] = dict(known["star"])
    before = {name: max(times) for name, times in known.items()}  # the largest size of each
    latest = {name: known[name][size] for name, size in before.items() if size == max(before.values())}
    nearest = [name for name, took_s in latest.items() if took_s <= NEAR * min(latest.values())]
    for name, times in (await _measured(call, probe, nearest, (size_bytes,))).items():
        known[name].update(times)


async def _with_small_sizes(call: Call, probe: Probe) -> dict[str, Times]:
    """The times of those that may be the fastest; of the others what their messages need at least."""
    names = [
        name for name in ALGORITHMS
        if name not in SAME_AS_ANOTHER and algorithm_of(call.operation, name)[0] == name
    ]  # fmt: skip
    first = await _measured(call, probe, ["latency", *(name for name in FEW_MESSAGES if name in names)], SMALL_BYTES)
    latency_s = min(first.pop("latency").values()) / (call.size - 1).bit_length()
    slowest_s = min(max(times.values()) for times in first.values())
    least = {name: latency_s * _in_a_row(call, name) for name in names if name not in first}
    others = await _measured(call, probe, [name for name in least if least[name] < slowest_s], SMALL_BYTES)
    left_out = {name: dict.fromkeys(SMALL_BYTES, least_s) for name, least_s in least.items()}
    return {name: (left_out | first | others)[name] for name in names}


def _in_a_row(call: Call, name: str) -> int:
    """How many messages follow one another at least."""
    one_way = {
        "ring": call.size - 1,
        "multicast": 1 if call.operation == "broadcast" else call.size - 1,
        "hierarchical": 1,
    }.get(name, (call.size - 1).bit_length())  # of trees, and of halving and doubling
    return one_way if call.operation != "all_reduce" else 2 * one_way


async def _measured(call: Call, probe: Probe, names: list[str], sizes: Sequence[int]) -> dict[str, Times]:
    """How long the operation takes by each algorithm, from when the last rank begins until the last one has ended.

    With the small sizes connections are opened before. ``latency``: a barrier, log2 of the ranks messages in a row.
    """
    if not names:
        return {}
    everybody, loop = range(call.size), _loop()
    marks: list[int] = []  # begin and end of each, ns

    async def once(name: str, size_bytes: int, what: str) -> None:
        part = call.among(everybody, (name, size_bytes, what))
        part.compressed = None
        if name == "latency":
            await direct.barrier(part)
        else:
            await probe(algorithm_of(call.operation, name)[1], part, torch.zeros(size_bytes, dtype=torch.uint8))

    for name in names:
        if sizes == SMALL_BYTES:
            await once(name, call.size, "connect")
        for size_bytes in sizes:
            marks.append(loop.now_ns)
            await once(name, size_bytes, "measured")
            marks.append(loop.now_ns)
    agreed, part = torch.tensor(marks), call.among(everybody, ("times", *names, *sizes))
    part.compressed = None
    await tree.all_reduce(part, agreed, Reduction("max"))
    begun, ended = agreed.view(len(names), len(sizes), 2).double().unbind(2)
    took = ((ended - begun) / 1e9).tolist()
    return {name: dict(zip(sizes, times, strict=True)) for name, times in zip(names, took, strict=True)}


def _loop() -> Any:
    return asyncio.get_running_loop()
