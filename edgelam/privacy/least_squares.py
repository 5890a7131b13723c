# SPDX-License-Identifier: GPL-2.0-only
"""The input of a linear map from some columns of its output, by least squares.

Who knows n of the D columns of a D x D map and its weights recovers an input up to what these columns do not see: for
inputs that have no preferred direction, a share of sqrt(1 - n / D) of their size is left, and nothing with n = D. Who
does not know the weights learns them from D + 1 inputs that he knows.

Shape suffixes: T tokens, R known tokens, D width, N columns seen.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError


def recover(seen_TN: Tensor, weight_ND: Tensor, bias_N: Tensor | None = None) -> Tensor:
    """The shortest inputs [T, D] float64 that fit seen = input weight^T + bias best, column by column seen.

    weight: as in torch.nn.Linear. With noise in what is seen this is the least-squares estimate; a map of N >= D
    independent columns determines the input.
    """
    if seen_TN.dim() != 2 or weight_ND.dim() != 2 or seen_TN.shape[1] != weight_ND.shape[0]:
        raise ConfigurationError(
            f"{tuple(seen_TN.shape)} seen through weights {tuple(weight_ND.shape)}: [T, N] and [N, D] are needed"
        )
    seen = seen_TN.detach().double()
    if bias_N is not None:
        seen = seen - bias_N.detach().double()
    return torch.linalg.lstsq(weight_ND.detach().double(), seen.T, driver="gelsd").solution.T


def learn_map(inputs_RD: Tensor, seen_RN: Tensor) -> tuple[Tensor, Tensor]:
    """Weight [N, D] and bias [N] in float64 of the map that takes known inputs to what was seen of them.

    Raises ConfigurationError for inputs that do not determine it (fewer than D + 1, or dependent ones).
    """
    ones = torch.ones(len(inputs_RD), 1, dtype=torch.float64)
    known = torch.cat([inputs_RD.detach().double(), ones], dim=1)
    unknowns = known.shape[1]
    rank = int(torch.linalg.matrix_rank(known))
    if rank < unknowns:
        raise ConfigurationError(
            f"{len(inputs_RD)} known inputs of rank {rank} do not determine a map from {unknowns - 1} features and a "
            f"bias: {unknowns} independent ones are needed"
        )
    solution = torch.linalg.lstsq(known, seen_RN.detach().double(), driver="gelsd").solution
    return solution[:-1].T.contiguous(), solution[-1]


def relative_error(found: Tensor, true: Tensor) -> float:
    """Root mean square of the error, as a share of that of the true values."""
    true = true.detach().double()
    return float((found.double() - true).square().mean().sqrt() / true.square().mean().sqrt())
