# SPDX-License-Identifier: GPL-2.0-only
"""Dividing a training set among devices: evenly at random, or with Dirichlet-distributed class shares."""

import numpy as np
from numpy.typing import NDArray

from edgelam.errors import ConfigurationError


def split_iid(num_samples: int, num_parts: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return random parts whose sizes differ by at most one: `num_parts` arrays of sample indices (int64)."""
    _check(num_samples, num_parts)
    return [np.sort(part) for part in np.array_split(rng.permutation(num_samples), num_parts)]


def split_dirichlet(
    labels: NDArray[np.int64], num_parts: int, alpha: float, rng: np.random.Generator, *, min_samples: int = 1
) -> list[NDArray[np.int64]]:
    """Return label-skewed parts: shares of each class are drawn from Dirichlet(alpha) (Hsu et al., arXiv 1909.06335).

    labels: [num_samples] int64; alpha > 0 (small: each part sees few classes; large: IID). A part with fewer than
    `min_samples` takes samples from the largest part, so that every device has something to learn from.
    """
    _check(len(labels), num_parts * min_samples)
    if not (alpha > 0.0 and np.isfinite(alpha)):
        raise ConfigurationError(f"Dirichlet alpha is {alpha}; it must be a positive number")
    parts: list[list[int]] = [[] for _ in range(num_parts)]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        shares = rng.dirichlet(np.full(num_parts, alpha))
        # tiny alpha underflows to an all-zero draw: then the class goes to one part, the limit alpha -> 0
        if not np.isfinite(shares).all() or shares.sum() <= 0.0:
            shares = np.eye(num_parts)[rng.integers(num_parts)]
        ends = np.round(np.cumsum(shares / shares.sum()) * len(members)).astype(int)
        for part, chunk in zip(parts, np.split(members, ends[:-1]), strict=True):
            part.extend(chunk.tolist())
    for part in parts:
        while len(part) < min_samples:
            largest = max(parts, key=len)
            part.append(largest.pop())
    return [np.sort(np.array(part, dtype=np.int64)) for part in parts]


def _check(num_samples: int, num_needed: int) -> None:
    if num_needed < 1:
        raise ConfigurationError(f"{num_needed} parts; at least one is needed")
    if num_samples < num_needed:
        raise ConfigurationError(
            f"{num_samples} samples cannot give each device its minimum: {num_needed} are needed in all"
        )
