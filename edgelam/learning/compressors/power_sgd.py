# SPDX-License-Identifier: GPL-2.0-only
"""PowerSGD (Vogels et al. 2019, arXiv 1905.13727): two factors of rank r, by one step of subspace iteration.

With an update W [n, m] (plus the remaining error) and the right factor Q [m, r] of the last update:

    P = orthonormal(W Q),    Q <- W' P,    decoded: P Q'

A tensor with more axes is taken as [n, the rest]. A tensor with fewer axes, or one that the factors would not make
smaller, is sent as it is. The first Q is drawn from the seed and the tensor's name. Each sender has its own factors,
which the server decodes one by one: there is no all-reduce, and so one QR orthonormalises in one place.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from edgelam.learning.compressors.compressor import Compressor, Payload, State, pack, plain, unpack
from edgelam.random_streams import derive_seed, torch_generator


class PowerSGD(Compressor):
    """Factors of rank r, with warm start and error feedback."""

    name = "powersgd"

    def __init__(self, rank: int, *, seed: int) -> None:
        """rank: at least 1; seed: of the first right factors."""
        self.rank, self.seed = rank, seed

    def compress(self, name: str, values: Tensor, state: State) -> Payload:
        """Return p [n, r] and q [m, r]; or values."""
        encoding = plain(values.dtype)
        if not self.factorises(values.shape):
            return {"values": pack(values, encoding)}
        matrix = values.flatten(1)
        start = state.bases.get(name)
        if start is None:
            generator = torch_generator(derive_seed(self.seed, f"PowerSGD of {name}"))
            start = torch.randn(matrix.shape[1], self.rank, generator=generator).to(matrix)
        p, q = factors(matrix, start)
        # a right factor with an empty column would never find that direction again
        state.bases[name] = q if bool((q != 0).any(dim=0).all()) else start
        return {"p": pack(p, encoding), "q": pack(q, encoding)}

    def decompress(self, payload: Payload, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return P Q'."""
        if "values" in payload:
            return unpack(payload["values"], shape, dtype, plain(dtype))
        p = unpack(payload["p"], (shape[0], self.rank), dtype, plain(dtype))
        q = unpack(payload["q"], (math.prod(shape[1:]), self.rank), dtype, plain(dtype))
        return (p @ q.T).reshape(shape)

    def factorises(self, shape: tuple[int, ...]) -> bool:
        """Return whether the two factors of a tensor of this shape have fewer bytes than the tensor."""
        if len(shape) < 2:
            return False
        n, m = shape[0], math.prod(shape[1:])
        return self.rank * (n + m) < n * m


def factors(matrix: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Return P [n, r] with orthonormal columns, and Q [m, r]: P Q' is the matrix [n, m] projected on the space of
    columns that `start` [m, r] finds; r is at most n. If r is the rank of the matrix, P Q' is the whole matrix."""
    p, _ = torch.linalg.qr(matrix @ start)
    return p, matrix.T @ p
