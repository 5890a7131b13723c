# SPDX-License-Identifier: GPL-2.0-only
"""Multicast: one datagram reaches all ranks, so that what all are to have crosses the source's link, or the air, once.

Always by udp; what is lost is repaired by tcp (edgelam/parallel/messages.py). In a network without multicast it is one
copy for each receiver. Ranks take turns, so that no link gets more than one of them sends.

    broadcast    from the root to all at once
    all-gather   from each rank to all at once, in the order of ranks
    all-reduce   the first half of a ring, then the all-gather
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from edgelam.parallel.collectives import ring
from edgelam.parallel.collectives.chunks import chunks

if TYPE_CHECKING:
    from edgelam.parallel.call import Call
    from edgelam.parallel.reduction import Reduction


async def broadcast(call: Call, flat: Tensor, root: int) -> None:
    """From the root to all at once."""
    if call.rank != root:
        await call.receive(root, ("multicast", root), flat)
    elif call.size > 1:
        wire = call.pack(flat, ("multicast", root))
        call.unpack(wire, flat)
        everybody_else = [rank for rank in range(call.size) if rank != root]
        await call.send_wire(everybody_else, ("multicast", root), wire, protocol="udp")


async def all_gather(call: Call, flats: list[Tensor]) -> None:
    """From each to all at once; a rank begins when it has what the rank before it sends."""
    for root, flat in enumerate(flats):
        await broadcast(call, flat, root)


async def all_reduce(call: Call, flat: Tensor, reduction: Reduction) -> None:
    """Reduced around a ring, then from each to all."""
    parts = chunks(flat, call.size)
    await ring.reduce_scatter(call, parts, reduction)
    await all_gather(call, parts)


async def reduce(call: Call, flat: Tensor, root: int, reduction: Reduction) -> None:
    """As around a ring: there is one receiver."""
    await ring.reduce(call, flat, root, reduction)
