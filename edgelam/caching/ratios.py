# SPDX-License-Identifier: GPL-2.0-only
"""What a cache has of requests for models, without a network: every block that is missing comes at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from edgelam.caching.library import Library
from edgelam.errors import ConfigurationError


class _Requested(Protocol):
    def request(self, blocks: dict[str, int]) -> list[str]: ...


@dataclasses.dataclass(frozen=True)
class Ratios:
    """Shares of requests, 0 to 1."""

    requests: float
    """Requests whose blocks were all there."""
    blocks: float
    """Blocks that were there, of those requested."""
    bytes: float
    """Bytes that were there, of those requested."""


def zipf(count: int, exponent: float) -> np.ndarray:
    """Return probabilities in proportion to rank ** -exponent, float64 [count]. Raises ConfigurationError."""
    if count < 1 or not 0 <= exponent < np.inf:
        raise ConfigurationError(
            f"Zipf's law of {count!r} models with exponent {exponent!r}; at least 1, and 0 or more"
        )
    weights = np.arange(1, count + 1, dtype=float) ** -exponent
    return weights / weights.sum()


def measured(library: Library, requests: Iterable[int], cache: _Requested, *, warm: int = 0) -> Ratios:
    """Request models (numbers in the library) one after the other; return the cache's ratios after `warm` requests."""
    blocks_of = [library.of(model) for model in range(len(library.models))]
    totals, hits = np.zeros(3), np.zeros(3)
    for number, model in enumerate(requests):
        blocks = blocks_of[model]
        missing = set(cache.request(blocks))
        if number < warm:
            continue
        size = sum(blocks.values())
        totals += (1, len(blocks), size)
        hits += (not missing, len(blocks) - len(missing), size - sum(blocks[block] for block in missing))
    if not totals[0]:
        raise ConfigurationError(f"there are no requests after the first {warm}")
    return Ratios(*(float(ratio) for ratio in hits / totals))
