# SPDX-License-Identifier: GPL-2.0-only
"""The options of all devices together, so that a round, which waits for the slowest one, is shortest.

Devices share a cell: what one sends slows the others. If all begin at once and share a rate c equally, device k has
sent its b_k bytes after

    t_k = sum_j min(b_j, b_k) / c

(each other device is in the way until the shorter of the two is through). c is not needed: the device has measured t_k
in a round whose bytes b are known, so with other bytes b' its time changes by the ratio of the two sums.

    seconds_k(o) = own_k(o_k) + t_k^up sum_j min(b'_j, b'_k) / sum_j min(b_j, b_k) + the same down

own: computing, the server's, and latencies. All combinations are tried where there are few; otherwise one device after
another changes its option as long as that helps, from every start in which all have the same option.

Approximations: all devices count as in one cell with equal rates, beginning at once, and the messages of a round in one
direction as one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MOST_TRIED = 4096
"""Combinations up to which all of them are tried."""


@dataclass(frozen=True)
class Candidate:
    """One option of one device."""

    own_s: float
    up_bytes: float
    down_bytes: float
    before_s: float = 0.0


@dataclass(frozen=True)
class Contended:
    """What a device has measured in a round: bytes that it sent and got, and the seconds that they took."""

    up_bytes: float
    up_s: float
    down_bytes: float
    down_s: float


def shared(sizes: Sequence[float], own: int) -> float:
    """Return sum_j min(b_j, b_own)."""
    return sum(min(size, sizes[own]) for size in sizes)


def seconds(plan: Sequence[Candidate], measured: Sequence[Contended]) -> list[float]:
    """Return the predicted seconds of each device in a round with this plan."""
    found = []
    ups, downs = ([getattr(each, name) for each in plan] for name in ("up_bytes", "down_bytes"))
    then_up, then_down = ([getattr(each, name) for each in measured] for name in ("up_bytes", "down_bytes"))
    for k, (chosen, told) in enumerate(zip(plan, measured, strict=True)):
        total = chosen.own_s
        for now, then, took in ((ups, then_up, told.up_s), (downs, then_down, told.down_s)):
            before = shared(then, k)
            total += took * shared(now, k) / before if before > 0.0 else 0.0
        found.append(total)
    return found


def score(plan: Sequence[Candidate], measured: Sequence[Contended], rounds_left: int) -> tuple[float, float]:
    """Return what is least for the best plan: seconds until the end, then the sum of the devices' own seconds."""
    each = seconds(plan, measured)
    return rounds_left * max(each) + max(chosen.before_s for chosen in plan), sum(each)


def choose_together(
    options: Sequence[Sequence[Candidate]], measured: Sequence[Contended], present: Sequence[int] | None, *,
    rounds_left: int, hysteresis: float,
) -> list[int]:  # fmt: skip
    """Return which option each device gets, by its number. present: those in use, if all are known.

    Another plan is taken only if it is faster than the present one by the share `hysteresis`.
    """

    def of(plan: Sequence[int]) -> tuple[float, float]:
        return score([own[k] for own, k in zip(options, plan, strict=True)], measured, rounds_left)

    few = math.prod(len(own) for own in options) <= MOST_TRIED
    best = min(_plans(options), key=of) if few else _descent(options, of)
    if present is not None and of(best)[0] * (1 + hysteresis) >= of(present)[0]:
        return list(present)
    return list(best)


def evaluations(counts: Sequence[int]) -> int:
    """Return how many plans are looked at for devices with so many options each; about, if not all of them are."""
    combinations = math.prod(counts)
    return combinations if combinations <= MOST_TRIED else 2 * max(counts) * sum(counts)


def _plans(options: Sequence[Sequence[Candidate]]) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(len(own)) for own in options)))


def _descent(
    options: Sequence[Sequence[Candidate]], of: Callable[[Sequence[int]], tuple[float, float]]
) -> tuple[int, ...]:  # fmt: skip
    """Return the best plan that no change of a single device makes better, over all starts with the same option."""
    found = []
    for start in range(max(len(own) for own in options)):
        plan = [min(start, len(own) - 1) for own in options]
        better = True
        while better:
            better = False
            for k, own in enumerate(options):
                for each in range(len(own)):
                    other = [*plan[:k], each, *plan[k + 1 :]]
                    if of(other) < of(plan):
                        plan, better = other, True
        found.append(tuple(plan))
    return min(found, key=of)
