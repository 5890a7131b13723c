# SPDX-License-Identifier: GPL-2.0-only
"""All-reduce of matrices of low rank: PowerSGD as its authors state it (Vogels et al. 2019, arXiv 1905.13727).

With the matrix M [n, m] of each rank plus what that rank still owes, and Q [m, r] of the last time:

    P = all-reduce(M Q), made orthonormal;    Q = all-reduce(M' P);    result P Q'

Both factors are sums over ranks, so that any algorithm reduces them, and the result is the same bits on all ranks.
Each rank owes M - P Q' / n, of its own M. A tensor of more axes is [n, the rest]; one of fewer, or that the factors
would not make smaller, is reduced as it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgelam.learning.compressors.power_sgd import PowerSGD
from edgelam.learning.divergence import refuse_divergence
from edgelam.parallel.reduction import Reduction
from edgelam.random_streams import derive_seed, torch_generator

if TYPE_CHECKING:
    from edgelam.parallel.call import Call


def low_rank(function: Callable[..., Awaitable[None]], call: Call, shape: torch.Size) -> Callable[..., Awaitable[None]]:
    """What carries out an all-reduce with the compressor powersgd: by its factors where these are smaller."""
    compressed = call.compressed
    assert compressed is not None
    compressor, state, name = compressed.compression.compressor, compressed.compression.state, compressed.name
    assert isinstance(compressor, PowerSGD)
    whole = range(call.size)

    async def plainly(flat: Tensor, reduction: Reduction) -> None:
        plain_call = call.among(whole, "whole")
        plain_call.compressed = None
        await function(plain_call, flat, reduction)

    async def by_factors(flat: Tensor, reduction: Reduction) -> None:
        refuse_divergence(flat, f"the tensor {name} to compress", "Smaller learning rates may help")
        wide = torch.float64 if flat.dtype == torch.float64 else torch.float32
        matrix = flat.to(wide).reshape(shape[0], -1)
        if (owed := state.residuals.get(name)) is not None:
            matrix = matrix + owed
        q = state.bases.get(name)
        if q is None:
            generator = torch_generator(derive_seed(compressor.seed, f"PowerSGD of {name}"))
            q = torch.randn(matrix.shape[1], compressor.rank, generator=generator).to(wide)
        p = matrix @ q
        await _reduce(function, call, "p", p)
        p, _ = torch.linalg.qr(p)
        start, q = q, matrix.T @ p
        await _reduce(function, call, "q", q)
        state.bases[name] = q if bool((q != 0).any(dim=0).all()) else start
        total = p @ q.T
        state.residuals[name] = matrix - total / call.size
        flat.copy_(total.reshape(-1))
        reduction.finish(flat, call.size)

    return by_factors if compressor.factorises(tuple(shape)) else plainly


async def _reduce(function: Callable[..., Awaitable[Any]], call: Call, part: str, factor: Tensor) -> None:
    """The sum of a factor over all ranks, in place."""
    factor_call = call.among(range(call.size), part)
    factor_call.compressed = None
    flat = factor.contiguous().reshape(-1)
    await function(factor_call, flat, Reduction("sum"))
    factor.copy_(flat.reshape(factor.shape))
