# SPDX-License-Identifier: GPL-2.0-only
"""LRU: the block that was requested least recently is given up. All blocks of a request have the same time."""

from __future__ import annotations

from collections.abc import Collection


class Lru:
    """Ranks by the number of the last request."""

    def __init__(self) -> None:
        """Begin with no requests."""
        self._requests = 0

    def begin(self, blocks: Collection[str]) -> None:
        """Count the request."""
        self._requests += 1

    def rank(self, block: str, size_bytes: int) -> int:
        """Return the number of the request."""
        return self._requests

    def gone(self, block: str, rank: int) -> None:
        """Nothing is to be remembered."""
