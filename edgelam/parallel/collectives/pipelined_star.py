# SPDX-License-Identifier: GPL-2.0-only
"""Pipelined star: as star.py, in segments, so that the first ones come back while the last ones are still sent.

Nearly twice as fast as the star for large tensors where the network carries both directions at the same time. By udp,
whose transfers are paced one by one, a tensor goes whole, as in the star.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from edgelam.parallel.collectives import star

if TYPE_CHECKING:
    from edgelam.parallel.call import Call
    from edgelam.parallel.reduction import Reduction

SEGMENT_BYTES = 1 << 20

barrier = star.barrier


def _segment_bytes(call: Call) -> int | None:
    return None if call.group.protocol == "udp" else SEGMENT_BYTES


async def all_reduce(call: Call, flat: Tensor, reduction: Reduction) -> None:
    """All give, all take."""
    await star.all_reduce(call, flat, reduction, _segment_bytes(call))


async def reduce(call: Call, flat: Tensor, root: int, reduction: Reduction) -> None:
    """All give, the root takes."""
    await star.reduce(call, flat, root, reduction, _segment_bytes(call))


async def broadcast(call: Call, flat: Tensor, root: int) -> None:
    """The root gives, the others take."""
    await star.broadcast(call, flat, root, _segment_bytes(call))


async def all_gather(call: Call, flats: list[Tensor]) -> None:
    """Of each place one rank gives and the others take."""
    await star.all_gather(call, flats, _segment_bytes(call))


async def reduce_scatter(call: Call, flats: list[Tensor], reduction: Reduction) -> None:
    """Of each place all give and one rank takes."""
    await star.reduce_scatter(call, flats, reduction, _segment_bytes(call))
