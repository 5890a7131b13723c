# SPDX-License-Identifier: GPL-2.0-only
"""Auto: the algorithm that is fastest for the size, as measured in this group over this network.

The first time that a group does an operation by auto, it measures all algorithms of the operation, each with two sizes,
by doing it with zeros: this takes simulated time and crosses the network, under the same tag. The time of an algorithm
is taken to be a straight line through its two points, and that of the smaller size below it. All ranks agree on the
times (of the slowest rank), so that they choose the same, and the same run chooses the same again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgelam.parallel.collectives import ALGORITHMS, algorithm_of, direct, tree
from edgelam.parallel.collectives.chunks import chunks
from edgelam.parallel.reduction import Reduction

if TYPE_CHECKING:
    from edgelam.parallel.call import Call

SMALL_BYTES, LARGE_BYTES = 1 << 10, 256 << 10


@dataclass(frozen=True)
class Measured:
    """An algorithm's times, s."""

    algorithm: str
    small_s: float
    large_s: float

    def seconds(self, size_bytes: int) -> float:
        """The time that a tensor of that size is taken to need."""
        beyond = max(0, size_bytes - SMALL_BYTES) / (LARGE_BYTES - SMALL_BYTES)
        return self.small_s + (self.large_s - self.small_s) * beyond


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


async def _choice(
    call: Call, probe: Callable[..., Awaitable[None]], flats: list[Tensor]
) -> tuple[Callable[..., Awaitable[None]], Call]:
    """The function of the fastest algorithm, and the part of the collective for it."""
    measured = call.group.measured
    if call.operation not in measured:
        measured[call.operation] = [
            await _measure(call, name, probe)
            for name in ALGORITHMS
            if algorithm_of(call.operation, name)[0] == name != "auto"
        ]
    size_bytes = sum(flat.numel() * flat.element_size() for flat in flats)
    call.chosen = min(measured[call.operation], key=lambda each: each.seconds(size_bytes)).algorithm
    return algorithm_of(call.operation, call.chosen)[1], call.among(range(call.size), "chosen")


async def _measure(call: Call, name: str, probe: Callable[..., Awaitable[None]]) -> Measured:
    """Do it with each size; once more before, so that connections are there."""
    function = algorithm_of(call.operation, name)[1]
    loop: Any = asyncio.get_running_loop()
    took: list[float] = []
    for number, size_bytes in enumerate((call.size, SMALL_BYTES, LARGE_BYTES)):
        part = call.among(range(call.size), (name, number))
        part.compressed = None
        await direct.barrier(part.among(range(call.size), "together"))
        times = torch.tensor([loop.now_ns, 0])
        await probe(function, part.among(range(call.size), "probe"), torch.zeros(size_bytes, dtype=torch.uint8))
        times[1] = loop.now_ns
        await tree.all_reduce(part.among(range(call.size), "times"), times, Reduction("max"))
        took.append(float(times[1] - times[0]) / 1e9)
    return Measured(name, took[1], took[2])
