# SPDX-License-Identifier: GPL-2.0-only
"""Belady's rule (IBM Systems Journal 5(2), 1966): the block whose next request is farthest away is given up.

It knows all requests, so it is no policy to use but one to compare with. It has the most hits if all blocks have one
size, each request has one block, and every block that comes is kept first; otherwise there may be better choices, and
edgelam.caching.bound says how much better at most.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Collection, Sequence


class Belady:
    """Ranks by the next request, the farthest lowest."""

    def __init__(self, requests: Sequence[Collection[str]]) -> None:
        """requests: the blocks of each request, in order; the cache must get exactly these."""
        self._now = -1
        self._future: dict[str, collections.deque[int]] = {}
        for number, blocks in enumerate(requests):
            for block in blocks:
                self._future.setdefault(block, collections.deque()).append(number)

    def begin(self, blocks: Collection[str]) -> None:
        """Go on by one request."""
        self._now += 1

    def rank(self, block: str, size_bytes: int) -> float:
        """Return minus the number of the next request for the block."""
        future = self._future[block]
        while future and future[0] <= self._now:
            future.popleft()
        return -float(future[0]) if future else -math.inf

    def gone(self, block: str, rank: float) -> None:
        """Nothing is to be remembered."""
