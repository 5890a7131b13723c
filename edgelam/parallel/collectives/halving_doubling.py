# SPDX-License-Identifier: GPL-2.0-only
"""Recursive halving and doubling: log2 n steps for each half, at the ring's bytes (Rabenseifner 2004).

With n = 2^k ranks and a tensor in n chunks:

    halving    in each step a rank has a range of chunks, and its partner n/2, n/4, ..., 1 places away has the same;
               each sends the half that is the other's and reduces what comes into its own; in the end chunk r is on
               rank r
    doubling   the same steps backwards, in which partners exchange what they have

Of another number of ranks, those beyond the largest power of two first give their tensors to a partner, and get the
result from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgelam.parallel.collectives.chunks import chunks

if TYPE_CHECKING:
    from edgelam.parallel.call import Call
    from edgelam.parallel.messages import Wire
    from edgelam.parallel.reduction import Reduction


async def all_reduce(call: Call, flat: Tensor, reduction: Reduction) -> None:
    """Halving, then doubling."""
    power = 1 << (call.size.bit_length() - 1)
    parts = chunks(flat, power)
    partner = call.rank ^ power
    if call.rank >= power:
        await call.send(partner, "give", flat)
        await _receive(call, partner, "result", parts)
        return
    if partner < call.size:
        came = torch.empty_like(flat)
        await call.receive(partner, "give", came)
        reduction.combine(flat, came)
    await _halve(call, parts, reduction)
    reduction.finish(parts[call.rank], call.size)
    wires = await _double(call, parts)
    if partner < call.size:
        await _send(call, partner, "result", wires)


async def _halve(call: Call, parts: list[Tensor], reduction: Reduction) -> None:
    mine, distance = parts, len(parts) // 2
    while distance:
        halves = mine[:distance], mine[distance:]
        mine, theirs = halves if not call.rank & distance else halves[::-1]
        partner = call.rank ^ distance
        await call.send(partner, ("halve", distance), torch.cat(theirs))
        came = torch.empty_like(torch.cat(mine))
        await call.receive(partner, ("halve", distance), came)
        for part, other in zip(mine, came.split([part.numel() for part in mine]), strict=True):
            reduction.combine(part, other)
        distance //= 2


async def _double(call: Call, parts: list[Tensor]) -> list[Wire]:
    """What was packed of each chunk."""
    wires: list[Wire] = [None] * len(parts)
    wires[call.rank] = call.pack(parts[call.rank], "double")
    call.unpack(wires[call.rank], parts[call.rank])
    distance = 1
    while distance < len(parts):
        partner, first = call.rank ^ distance, call.rank & -distance
        await _send(call, partner, ("double", distance), wires[first : first + distance])
        first ^= distance
        came = await _receive(call, partner, ("double", distance), parts[first : first + distance])
        wires[first : first + distance] = came
        distance *= 2
    return wires


async def _send(call: Call, to: int, step: object, wires: list[Wire]) -> None:
    """Several packed chunks in one message."""
    await call.send_wire(to, step, [wire for wire in wires if wire is not None] or None)


async def _receive(call: Call, source: int, step: object, into: list[Tensor]) -> list[Wire]:
    """The same at the other end; what came for each."""
    came = iter(await call.take(source, step, torch.cat(into)) or ())
    wires = [next(came) if part.numel() else None for part in into]
    for wire, part in zip(wires, into, strict=True):
        call.unpack(wire, part, source)
    return wires
