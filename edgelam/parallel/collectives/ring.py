# SPDX-License-Identifier: GPL-2.0-only
"""Ring: each rank sends to the next one and receives from the one before (Patarasuk and Yuan 2009).

With n ranks, a tensor in n chunks and n - 1 steps for each half:

    reduce-scatter   in step s, rank r sends chunk r - s - 1 and reduces what comes, chunk r - s - 2, into its own;
                     in the end chunk r on rank r is the reduction of all
    all-gather       in step s, rank r sends chunk r - s and receives chunk r - s - 1

Chunk c is reduced in the order of ranks c + 1, c + 2, ..., c, whatever comes first. Each rank sends 2 (n - 1) / n of
the tensor, which is the least that is possible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgelam.parallel.collectives import direct
from edgelam.parallel.collectives.chunks import chunks

if TYPE_CHECKING:
    from edgelam.parallel.call import Call
    from edgelam.parallel.reduction import Reduction


async def all_reduce(call: Call, flat: Tensor, reduction: Reduction) -> None:
    """Both halves."""
    parts = chunks(flat, call.size)
    await reduce_scatter(call, parts, reduction)
    await all_gather(call, parts)


async def reduce_scatter(call: Call, flats: list[Tensor], reduction: Reduction) -> None:
    """The first half; of the other ranks' places it leaves partial reductions."""
    n, rank = call.size, call.rank
    following, before = (rank + 1) % n, (rank - 1) % n
    for step in range(n - 1):
        await call.send(following, ("reduce", step), flats[(rank - step - 1) % n])
        mine = flats[(rank - step - 2) % n]
        came = torch.empty_like(mine)
        await call.receive(before, ("reduce", step), came)
        reduction.combine(came, mine)
        mine.copy_(came)
    reduction.finish(flats[rank], n)


async def all_gather(call: Call, flats: list[Tensor]) -> None:
    """The second half."""
    n, rank = call.size, call.rank
    following, before = (rank + 1) % n, (rank - 1) % n
    wire = call.pack(flats[rank], "gather")
    call.unpack(wire, flats[rank])
    for step in range(n - 1):
        await call.send_wire(following, ("gather", step), wire)
        came = flats[(rank - step - 1) % n]
        wire = await call.take(before, ("gather", step), came)
        call.unpack(wire, came, before)


async def broadcast(call: Call, flat: Tensor, root: int) -> None:
    """A chunk from the root to each, then the second half (van de Geijn 1994)."""
    parts = chunks(flat, call.size)
    await direct.scatter(call, parts if call.rank == root else [parts[call.rank]], root)
    await all_gather(call, parts)


async def reduce(call: Call, flat: Tensor, root: int, reduction: Reduction) -> None:
    """The first half, then a chunk from each to the root; on other ranks `flat` is left half done."""
    parts = chunks(flat, call.size)
    await reduce_scatter(call, parts, reduction)
    await direct.gather(call, parts if call.rank == root else [parts[call.rank]], root)
