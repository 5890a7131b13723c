# SPDX-License-Identifier: GPL-2.0-only
"""Which tokens were encoded: every token of the vocabulary is encoded as the device does it, and the nearest counts.

It needs the model's weights, which whoever takes part in a training has, and one column of what is encoded: tokens are
few and embeddings are real numbers, so no two tokens agree in one. Under Gaussian noise the nearest token is the most
likely one, and more columns are needed.

Shape suffixes: T tokens seen, V vocabulary, N columns seen.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError

CHUNK = 256
"""Tokens compared with the vocabulary at once."""
FEW = 17
"""Columns below which distances are found value by value."""


def nearest(seen_TN: Tensor, candidates_VN: Tensor) -> Tensor:
    """For each token seen the candidate at the smallest Euclidean distance: [T] int64, the lowest where several are."""
    if seen_TN.dim() != 2 or candidates_VN.dim() != 2 or seen_TN.shape[1] != candidates_VN.shape[1]:
        raise ConfigurationError(
            f"{tuple(seen_TN.shape)} seen against candidates {tuple(candidates_VN.shape)}: [T, N] and [V, N] are needed"
        )
    candidates = candidates_VN.detach().double()
    # by a matrix product distances are faster and good to 1e-8, which is not enough to tell tokens apart by one column
    how = "donot_use_mm_for_euclid_dist" if candidates.shape[1] < FEW else "use_mm_for_euclid_dist"
    found = [
        torch.cdist(part, candidates, compute_mode=how).argmin(dim=1) for part in seen_TN.detach().double().split(CHUNK)
    ]
    return torch.cat(found) if found else torch.empty(0, dtype=torch.int64)


def identify(seen_TN: Tensor, positions_T: Tensor, encode: Callable[[int], Tensor]) -> Tensor:
    """The tokens behind what was seen: [T] int64.

    positions: of each token in its sequence, which an observer of whole sequences knows. encode(position): all V tokens
    encoded at that position, [V, N].
    """
    found = torch.empty(len(seen_TN), dtype=torch.int64)
    for position in positions_T.unique().tolist():
        here = positions_T == position
        found[here] = nearest(seen_TN[here], encode(int(position)))
    return found


def share_identified(found_T: Tensor, true_T: Tensor) -> float:
    """Share of the tokens that were found, from 0 to 1."""
    if not len(true_T):
        raise ConfigurationError("no tokens: no share of them can be identified")
    return float((found_T == true_T).double().mean())
