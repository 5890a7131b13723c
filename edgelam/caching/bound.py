# SPDX-License-Identifier: GPL-2.0-only
"""What no cache can exceed, even one that knows all requests: the bound PFOO-U of Berger, Beckmann and Harchol-Balter
(Practical Bounds on Optimal Caching with Variable Object Sizes, SIGMETRICS 2018), for bytes.

To hit, a block must be kept from one request to the next: its size for the requests between them. All these
intervals together have no more room than capacity * requests. Dropping the condition that there is room at every
instant, the best is to keep the intervals that give most bytes for the room they take, that is, the shortest ones, the
last in part.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgelam.caching.library import Library


def byte_hit_ratio(library: Library, requests: Sequence[int], capacity_bytes: int) -> float:
    """Return a share of the requested bytes that no cache of this capacity exceeds, 0 to 1.

    requests: numbers of models, at least one. A block's first request is a miss.
    """
    last: dict[str, int] = {}
    intervals: list[tuple[int, int]] = []  # requests, bytes
    total = 0
    for number, model in enumerate(requests):
        for block, size in library.of(model).items():
            total += size
            if block in last and size <= capacity_bytes:
                intervals.append((number - last[block], size))
            last[block] = number
    room, hits = float(capacity_bytes) * len(requests), 0.0
    for length, size in sorted(intervals):
        part = min(1.0, room / (length * size))
        hits += part * size
        room -= part * length * size
        if room <= 0:
            break
    return hits / total
