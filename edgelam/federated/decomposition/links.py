# SPDX-License-Identifier: GPL-2.0-only
"""What a device has measured of its link: how long a message takes by its size, in each direction.

    seconds = latency + bytes / rate

Both are fitted to the newest messages by least squares, with neither below 0. The newest counts most: each older one
weighs less by a fixed factor, so that the fit follows the channel. Contention with other devices is in it as it was.
"""

from __future__ import annotations

from collections import deque

import numpy as np

KEPT = 24
"""Messages."""
FORGETS = 0.85
"""Weight of a message against that of the next one."""


class LinkFit:
    """One direction of one device."""

    def __init__(self) -> None:
        """Nothing measured yet."""
        self._messages: deque[tuple[float, float]] = deque(maxlen=KEPT)

    def add(self, num_bytes: float, seconds: float) -> None:
        """Note a message."""
        self._messages.append((float(num_bytes), float(seconds)))

    def fit(self) -> tuple[float, float]:
        """Return latency (s) and seconds for each byte; (0, 0): nothing measured.

        Where sizes do not differ, or the best line has a part below 0, one of the two is 0.
        """
        if not self._messages:
            return 0.0, 0.0
        size, seconds = np.array(self._messages).T
        weight = FORGETS ** np.arange(len(size))[::-1]
        mean_x, mean_y = (float(np.average(each, weights=weight)) for each in (size, seconds))
        spread = float(np.average((size - mean_x) ** 2, weights=weight))
        if spread > 1e-12 * mean_x**2:
            slope = float(np.average((size - mean_x) * (seconds - mean_y), weights=weight)) / spread
            latency = mean_y - slope * mean_x
            if slope >= 0.0 and latency >= 0.0:
                return latency, slope
            if slope < 0.0:
                return mean_y, 0.0
        through_zero = float(np.average(size * seconds, weights=weight) / np.average(size**2, weights=weight))
        return 0.0, through_zero
