# SPDX-License-Identifier: GPL-2.0-only
"""Binomial tree: ceil(log2 n) steps of whole tensors, for small ones (Thakur, Rabenseifner and Gropp 2005).

Ranks are counted from the root: rank r is the place p = (r - root) mod n. The parent of place p is p without its
lowest bit that is set; its children are p + 1, p + 2, p + 4, ... below that bit. A reduction comes up, the nearest
first, so that it is over the places in their order. A broadcast goes from the root down, to the largest subtree first:
one child after another, or all at the same time where the tensor is so small that latency counts for more than rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from edgelam.parallel.call import Call
    from edgelam.parallel.reduction import Reduction

AT_ONCE_BYTES = 64 << 10


async def all_reduce(call: Call, flat: Tensor, reduction: Reduction) -> None:
    """Up to rank 0, and down again."""
    await reduce(call, flat, 0, reduction)
    await broadcast(call, flat, 0)


async def reduce(call: Call, flat: Tensor, root: int, reduction: Reduction) -> None:
    """Up to `root`; on other ranks `flat` is left as the reduction of their subtree."""
    n = call.size
    place = (call.rank - root) % n
    came = torch.empty_like(flat)
    bit = 1
    while bit < n and not place & bit:
        if place + bit < n:
            await call.receive((place + bit + root) % n, "up", came)
            reduction.combine(flat, came)
        bit <<= 1
    if place:
        await call.send((place - bit + root) % n, "up", flat)
    else:
        reduction.finish(flat, n)


async def broadcast(call: Call, flat: Tensor, root: int) -> None:
    """Down from `root`."""
    n = call.size
    place = (call.rank - root) % n
    bit = 1
    while bit < n and not place & bit:
        bit <<= 1
    if place:
        parent = (place - bit + root) % n
        wire = await call.take(parent, "down", flat)
        call.unpack(wire, flat, parent)
    else:
        wire = call.pack(flat, "down")
        call.unpack(wire, flat)
    one_by_one = call.group.protocol == "udp" or flat.numel() * flat.element_size() > AT_ONCE_BYTES
    while bit > 1:
        bit >>= 1
        if place + bit < n:
            child = (place + bit + root) % n
            await (call.deliver if one_by_one and bit > 1 else call.send_wire)(child, "down", wire)


async def barrier(call: Call) -> None:
    """One byte up and down."""
    token = torch.zeros(1, dtype=torch.uint8)
    n, bit = call.size, 1
    while bit < n and not call.rank & bit:
        if call.rank + bit < n:
            await call.receive(call.rank + bit, "up", token)
        bit <<= 1
    if call.rank:
        await call.send(call.rank - bit, "up", token)
    await broadcast(call, token, 0)
