# SPDX-License-Identifier: GPL-2.0-only
"""LFU: the block that was requested least often is given up, of equal ones the one requested least recently.

All requests count, also those from before the block was given up ("perfect" LFU): a block that many models share is
counted for each of them.
"""

from __future__ import annotations

import collections
from collections.abc import Collection


class Lfu:
    """Ranks by the number of requests of a block."""

    def __init__(self) -> None:
        """Begin with no requests."""
        self._requests = 0
        self._counts: collections.Counter[str] = collections.Counter()

    def begin(self, blocks: Collection[str]) -> None:
        """Count the request for each of its blocks."""
        self._requests += 1
        self._counts.update(list(blocks))  # a Counter would add up the values of a mapping

    def rank(self, block: str, size_bytes: int) -> tuple[int, int]:
        """Return the block's number of requests, and the number of the last one."""
        return self._counts[block], self._requests

    def gone(self, block: str, rank: tuple[int, int]) -> None:
        """Counts go on."""
