# SPDX-License-Identifier: GPL-2.0-only
"""Whether a learning curve has flattened: one rule for all learners."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FLAT = 0.01
"""A curve is flat if the line through its last third falls by less than this share of the delay there: one per cent."""
LEAST = 9
"""A curve of fewer points is not flat."""


def is_flat(curve: Sequence[tuple[float, float]]) -> bool:
    """Return whether a curve has flattened.

    curve: points (updates, or calls that were routed; mean delay, in any unit). The line is that of least squares.
    """
    if len(curve) < LEAST:
        return False
    at, delay = np.array(curve[-(len(curve) // 3) :], dtype=float).T
    slope = np.polyfit(at, delay, 1)[0]
    return bool(-slope * (at[-1] - at[0]) < FLAT * delay.mean())
