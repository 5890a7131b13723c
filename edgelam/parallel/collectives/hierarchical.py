# SPDX-License-Identifier: GPL-2.0-only
"""Hierarchical: a star within each cluster of ranks, a ring between the clusters' first ranks.

For ranks of which some are near one another (`Group.clusters`): only one tensor of each cluster crosses what lies
between them. The ranks of a cluster give to its first rank, these reduce around a ring, and give the result back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgelam.parallel.collectives import direct, ring
from edgelam.parallel.reduction import Reduction

if TYPE_CHECKING:
    from edgelam.parallel.call import Call


def _places(call: Call, first: int = 0) -> tuple[list[int], list[int]]:
    """This rank's cluster, and one rank of each cluster; rank `first` stands for its own."""
    clusters = [[rank for rank in [first, *cluster] if rank in cluster] for cluster in call.group.clusters]
    clusters = [list(dict.fromkeys(cluster)) for cluster in clusters]
    mine = next(cluster for cluster in clusters if call.rank in cluster)
    return mine, [cluster[0] for cluster in clusters]


async def all_reduce(call: Call, flat: Tensor, reduction: Reduction) -> None:
    """To the first of each cluster, around the ring, back."""
    mine, heads = _places(call)
    partial = Reduction("sum") if reduction.is_linear else reduction
    near = call.among(mine, "near")
    await direct.reduce(near, flat, 0, partial)
    if call.rank == mine[0]:
        await ring.all_reduce(call.among(heads, "far"), flat, partial)
        reduction.finish(flat, call.size)
    await direct.broadcast(near.among(range(near.size), "back"), flat, 0)


async def reduce(call: Call, flat: Tensor, root: int, reduction: Reduction) -> None:
    """To one of each cluster, and from these to the root."""
    mine, heads = _places(call, root)
    partial = Reduction("sum") if reduction.is_linear else reduction
    await direct.reduce(call.among(mine, "near"), flat, 0, partial)
    if call.rank == mine[0]:
        await direct.reduce(call.among(heads, "far"), flat, heads.index(root), partial)
    if call.rank == root:
        reduction.finish(flat, call.size)


async def broadcast(call: Call, flat: Tensor, root: int) -> None:
    """From the root to one of each cluster, and from these to the others."""
    mine, heads = _places(call, root)
    if call.rank == mine[0]:
        await direct.broadcast(call.among(heads, "far"), flat, heads.index(root))
    await direct.broadcast(call.among(mine, "near"), flat, 0)


async def barrier(call: Call) -> None:
    """A byte the same way."""
    await all_reduce(call, torch.zeros(1, dtype=torch.uint8), Reduction("max"))
