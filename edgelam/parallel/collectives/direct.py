# SPDX-License-Identifier: GPL-2.0-only
"""Direct: every tensor goes from where it is to where it is wanted in one message, all at the same time.

For all operations; the only algorithm of gather, scatter and all_to_all, of which no byte is wanted twice. What comes
is reduced in the order of ranks, whatever comes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from edgelam.parallel.call import Call
    from edgelam.parallel.reduction import Reduction


def others(call: Call) -> list[int]:
    """The other ranks, from the next one on, so that not all ranks turn to the same one first."""
    return [(call.rank + distance) % call.size for distance in range(1, call.size)]


async def all_reduce(call: Call, flat: Tensor, reduction: Reduction) -> None:
    """Everybody gets everything, and reduces it."""
    places = [flat if rank == call.rank else torch.empty_like(flat) for rank in range(call.size)]
    await all_gather(call, places)
    reduced = places[0].clone()
    for place in places[1:]:
        reduction.combine(reduced, place)
    reduction.finish(reduced, call.size)
    flat.copy_(reduced)


async def broadcast(call: Call, flat: Tensor, root: int) -> None:
    """The root sends to each."""
    if call.rank != root:
        await call.receive(root, 0, flat)
        return
    wire = call.pack(flat, "own")
    call.unpack(wire, flat)
    for rank in others(call):
        await call.send_wire(rank, 0, wire, sharing=call.size - 1)


async def reduce(call: Call, flat: Tensor, root: int, reduction: Reduction) -> None:
    """Each sends to the root, which reduces."""
    if call.rank != root:
        await call.send(root, 0, flat, sharing=call.size - 1)
        return
    places = [flat if rank == root else torch.empty_like(flat) for rank in range(call.size)]
    await gather(call, places, root)
    reduced = places[0].clone()
    for place in places[1:]:
        reduction.combine(reduced, place)
    reduction.finish(reduced, call.size)
    flat.copy_(reduced)


async def all_gather(call: Call, flats: list[Tensor]) -> None:
    """Each sends to each."""
    mine = flats[call.rank]
    wire = call.pack(mine, "own")
    call.unpack(wire, mine)
    for rank in others(call):
        await call.send_wire(rank, 0, wire, sharing=call.size - 1)
    for rank in others(call):
        await call.receive(rank, 0, flats[rank])


async def reduce_scatter(call: Call, flats: list[Tensor], reduction: Reduction) -> None:
    """Each sends each its place, and reduces its own."""
    mine = flats[call.rank]
    places = [mine if rank == call.rank else torch.empty_like(mine) for rank in range(call.size)]
    await all_to_all(call, places, flats)
    reduced = places[0].clone()
    for place in places[1:]:
        reduction.combine(reduced, place)
    reduction.finish(reduced, call.size)
    mine.copy_(reduced)


async def gather(call: Call, flats: list[Tensor], root: int) -> None:
    """Each sends to the root."""
    if call.rank != root:
        await call.send(root, 0, flats[0], sharing=call.size - 1)
        return
    for rank in others(call):
        await call.receive(rank, 0, flats[rank])


async def scatter(call: Call, flats: list[Tensor], root: int) -> None:
    """The root sends to each."""
    if call.rank != root:
        await call.receive(root, 0, flats[0])
        return
    for rank in others(call):
        await call.send(rank, 0, flats[rank], sharing=call.size - 1)


async def all_to_all(call: Call, outputs: list[Tensor], inputs: list[Tensor]) -> None:
    """Each sends to each what is for it."""
    for rank in others(call):
        await call.send(rank, 0, inputs[rank], sharing=call.size - 1)
    for rank in others(call):
        await call.receive(rank, 0, outputs[rank])


async def barrier(call: Call) -> None:
    """ceil(log2 n) steps, in each of which one byte goes 1, 2, 4, ... ranks on (Hensgen, Finkel and Manber 1988)."""
    token = torch.zeros(1, dtype=torch.uint8)
    distance = 1
    while distance < call.size:
        await call.send((call.rank + distance) % call.size, distance, token)
        await call.receive((call.rank - distance) % call.size, distance, token)
        distance *= 2
