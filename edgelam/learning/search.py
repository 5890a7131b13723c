# SPDX-License-Identifier: GPL-2.0-only
"""The search for a learning rate: learning is tried for a while with each factor of the configured rate, and the factor
with the least held-out loss is kept.

A factor that diverges is never kept. The caller decides what is learned, with which samples and for how long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from edgelam.errors import Diverged, first_cause


def best_factor(
    what: str,
    factors: Sequence[float],
    attempt: Callable[[float], float],
    tried: Callable[[float, float], object],
    *,
    beyond: int = 0,
) -> float:
    """Return the factor with the least loss; if there are several, the first that was tried.

    Args:
        what: what learns, for the error.
        factors: the factors to try, in this order, at least one.
        attempt: learns with the configured rates times a factor and returns the loss; raises Diverged (alone, or as the
            cause of a group of errors) if it diverges.
        tried: called after each attempt with the factor and the loss, which is NaN if it diverged.
        beyond: while the best factor is the least or the largest of those tried, try one further, by the same ratio as
            between the two at that end, at most so many times; with fewer than two factors, none.

    Raises:
        Diverged: the learning diverges with every factor.
    """
    best, least = factors[0], math.inf
    fault = ""
    left = list(factors)
    known = sorted(set(factors))
    while left:
        factor = left.pop(0)
        try:
            loss = attempt(factor)
        except (Diverged, ExceptionGroup) as error:
            cause = first_cause(error)
            if not isinstance(cause, Diverged):
                raise
            fault, loss = f"; the last: {cause}", math.nan
        tried(factor, loss)
        if loss < least:
            best, least = factor, loss
        if not left and beyond > 0 and len(known) > 1 and least < math.inf and best in (known[0], known[-1]):
            end = known[1] if best == known[0] else known[-2]
            left.append(best * best / end)
            known = sorted([*known, *left])
            beyond -= 1
    if least == math.inf:
        shown = ", ".join(f"{factor:g}" for factor in factors)
        raise Diverged(f"{what} diverges at every factor of the search ({shown}){fault}")
    return best
