# SPDX-License-Identifier: GPL-2.0-only
"""The search for a learning rate: each factor of the configured rate learns for a while, and the one with the
least held-out loss is kept.

A factor that diverges is worth nothing. What is learned, on which samples and for how long is the caller's business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from edgelam.errors import Diverged, first_cause


def best_factor(
    what: str, factors: Sequence[float], attempt: Callable[[float], float], tried: Callable[[float, float], object]
) -> float:
    """The factor of the least loss; of several, the first tried.

    Args:
        what: what learns, for the error.
        factors: what is tried, in this order, at least one.
        attempt: learns at the configured rates times a factor and returns its loss; raises Diverged (alone, or as the
            cause of a group of errors) where it diverges.
        tried: called after each attempt with the factor and the loss, NaN where it diverged.

    Raises:
        Diverged: the learning diverges at every factor.
    """
    best, least = factors[0], math.inf
    fault = ""
    for factor in factors:
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
    if least == math.inf:
        shown = ", ".join(f"{factor:g}" for factor in factors)
        raise Diverged(f"{what} diverges at every factor of the search ({shown}){fault}")
    return best
