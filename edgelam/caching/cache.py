# SPDX-License-Identifier: GPL-2.0-only
"""The cache of a node: which blocks it holds, and which one it gives up for another."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from edgelam.errors import ConfigurationError


class Policy(Protocol):
    """Ranks blocks; the block of the lowest rank is given up first, of equal ones the first by name."""

    def begin(self, blocks: Collection[str]) -> None:
        """Take note of a request for these blocks."""

    def rank(self, block: str, size_bytes: int) -> Any:
        """Return the rank of a block that was just requested; it stays until the block is requested again."""

    def gone(self, block: str, rank: Any) -> None:
        """Take note that a block was given up, and what its rank was."""


class BlockCache:
    """Holds blocks of the last requests, as its policy says."""

    def __init__(self, capacity_bytes: int, policy: Policy) -> None:
        """Make an empty cache. Raises ConfigurationError for a capacity below 0."""
        if not capacity_bytes >= 0:
            raise ConfigurationError(f"a cache has {capacity_bytes!r} bytes; legal are 0 and more")
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self.policy = policy
        self._held: dict[str, tuple[int, Any]] = {}  # block -> bytes, rank
        self._ranked: list[tuple[Any, str]] = []  # a heap; entries whose rank is no longer that of the block are stale

    def __contains__(self, block: object) -> bool:
        """Whether a block is here."""
        return block in self._held

    def look(self, blocks: Mapping[str, int]) -> list[str]:
        """Take note of a request for blocks (name -> bytes); return those that are not here, in order."""
        self.policy.begin(blocks)
        for block, size in blocks.items():
            if block in self._held:
                self._rank(block, size)
        return [block for block in blocks if block not in self._held]

    def admit(self, block: str, size_bytes: int, keep: Collection[str] = ()) -> bool:
        """Take a block that has come, if there is room without giving up blocks of `keep`; return whether it is here.

        keep: blocks of the request for which it has come.
        """
        if block in self._held:
            return True
        spared: list[tuple[Any, str]] = []
        victims: dict[str, None] = {}
        room = self.capacity_bytes - self.used_bytes
        while room < size_bytes and self._ranked:
            rank, victim = heapq.heappop(self._ranked)
            size, now = self._held.get(victim, (0, None))
            if victim not in self._held or now != rank or victim in victims:
                continue  # stale
            if victim in keep:
                spared.append((rank, victim))
                continue
            victims[victim] = None
            room += size
        fits = room >= size_bytes
        for victim in victims:
            if fits:
                size, rank = self._held.pop(victim)
                self.used_bytes -= size
                self.policy.gone(victim, rank)
            else:
                spared.append((self._held[victim][1], victim))
        for entry in spared:
            heapq.heappush(self._ranked, entry)
        if fits:
            self.used_bytes += size_bytes
            self._rank(block, size_bytes)
        return fits

    def request(self, blocks: Mapping[str, int]) -> list[str]:
        """Do `look`, and `admit` what is missing, as if it came at once; return what was missing."""
        missing = self.look(blocks)
        for block in missing:
            self.admit(block, blocks[block], blocks)
        return missing

    def _rank(self, block: str, size_bytes: int) -> None:
        rank = self.policy.rank(block, size_bytes)
        self._held[block] = (size_bytes, rank)
        heapq.heappush(self._ranked, (rank, block))


class FixedCache:
    """Holds what a placement has put there, and nothing else."""

    def __init__(self, blocks: Iterable[str]) -> None:
        """blocks: their names."""
        self._held = frozenset(blocks)

    def __contains__(self, block: object) -> bool:
        """Whether a block is here."""
        return block in self._held

    def look(self, blocks: Mapping[str, int]) -> list[str]:
        """Return the blocks that are not here, in order."""
        return [block for block in blocks if block not in self._held]

    def admit(self, block: str, size_bytes: int, keep: Collection[str] = ()) -> bool:
        """Return whether the block is here."""
        return block in self._held
