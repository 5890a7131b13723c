# SPDX-License-Identifier: GPL-2.0-only
"""Che's approximation of LRU's hit ratios (Che, Tung and Wang, IEEE JSAC 20(7), 2002), for models that share blocks.

Requests are independent of one another, each with the same probabilities. A block is in the cache if a model with it
was among the last T requests, the same T for all blocks, at which the expected size of what is there is the capacity:

    sum over blocks of bytes * (1 - (1 - p_block) ** T) = capacity,  p_block = sum of p of the models with the block

A model is a hit if all its blocks are there. If it has a block of its own, that means that the model itself was among
the last T; otherwise, that the models which were have all its blocks between them (inclusion and exclusion).
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from edgelam.caching.library import Library
from edgelam.caching.ratios import Ratios
from edgelam.errors import ConfigurationError

MOST_SETS = 16


@dataclasses.dataclass(frozen=True)
class Che:
    """What the approximation says."""

    requests: float
    """T: for so many requests, a block stays after its last one."""
    model_hits: np.ndarray
    """Probability that all blocks of a model are there, float64 [M]."""
    block_hits: np.ndarray
    """Probability that a block is there, float64 [B]."""
    ratios: Ratios


def approximate(library: Library, probabilities: np.ndarray, capacity_bytes: int) -> Che:
    """Return hit ratios of LRU. probabilities: of each model, float64 [M]; their sum is 1.

    Raises ConfigurationError for other probabilities, and for a model without a block of its own whose blocks belong to
    more than `MOST_SETS` different sets of models.
    """
    from scipy.optimize import brentq

    if probabilities.shape != (len(library.models),) or not (
        (probabilities >= 0).all() and abs(probabilities.sum() - 1) < 1e-9
    ):
        raise ConfigurationError(f"probabilities of {len(library.models)} models must be 0 or more, and add up to 1")
    of_block = probabilities @ library.needs
    asked = of_block > 0

    def there(t: float) -> np.ndarray:
        found: np.ndarray = -np.expm1(t * np.log1p(-np.minimum(of_block, 1 - 1e-15)))
        return found

    if library.block_bytes[asked].sum() <= capacity_bytes:
        t = float("inf")
        block_hits = asked.astype(float)
    else:
        most = 1.0
        while there(most) @ library.block_bytes < capacity_bytes:
            most *= 2
        t = float(brentq(lambda x: there(x) @ library.block_bytes - capacity_bytes, 0, most))
        block_hits = there(t)
    model_hits = np.array([_all_there(library, probabilities, model, t) for model in range(len(library.models))])
    size = library.needs * library.block_bytes
    count, each = probabilities @ library.needs.sum(axis=1), probabilities @ size.sum(axis=1)
    ratios = Ratios(
        float(probabilities @ model_hits), float(of_block @ block_hits / count),
        float((of_block * block_hits) @ library.block_bytes / each),
    )  # fmt: skip
    return Che(t, model_hits, block_hits, ratios)


def _all_there(library: Library, probabilities: np.ndarray, model: int, t: float) -> float:
    """Return the probability that each block of a model is in one of the models of the last t requests."""
    sets = {frozenset(np.flatnonzero(library.needs[:, j]).tolist()) for j in np.flatnonzero(library.needs[model])}
    least = [mine for mine in sets if not any(other < mine for other in sets)]  # these imply the others
    if len(least) > MOST_SETS:
        raise ConfigurationError(
            f"blocks of model {library.models[model]!r} belong to {len(least)} different sets of models; Che's "
            f"approximation is computed for at most {MOST_SETS}"
        )
    total = 0.0
    for count in range(len(least) + 1):
        for chosen in itertools.combinations(least, count):
            asked = float(probabilities[sorted(frozenset().union(*chosen))].sum())
            none = 1.0 if not chosen or asked == 0 else 0.0 if t == float("inf") else max(0.0, 1 - asked) ** t
            total += (-1) ** count * none
    return min(1.0, max(0.0, total))
