# SPDX-License-Identifier: GPL-2.0-only
"""GDSF, Greedy-Dual-Size-Frequency (Cherkasova, HPL-98-69, 1998): rank = age + requests / bytes.

The age is the rank of the block that was given up last, so that blocks which were popular once are given up in time.
The cost of every block is 1, so hits of blocks count, not bytes.
"""

from __future__ import annotations

import collections
from collections.abc import Collection


class Gdsf:
    """Ranks by requests since the block came, size and age."""

    def __init__(self) -> None:
        """Begin with no requests."""
        self._age = 0.0
        self._counts: collections.Counter[str] = collections.Counter()

    def begin(self, blocks: Collection[str]) -> None:
        """Count the request for each of its blocks."""
        self._counts.update(list(blocks))  # a Counter would add up the values of a mapping

    def rank(self, block: str, size_bytes: int) -> float:
        """Return age + requests / bytes."""
        return self._age + self._counts[block] / size_bytes

    def gone(self, block: str, rank: float) -> None:
        """Grow older; a block that comes back begins anew."""
        self._age = max(self._age, rank)
        del self._counts[block]
