# SPDX-License-Identifier: GPL-2.0-only
"""The options of all devices together, so that a round, which waits for the slowest one, is shortest.

Devices share a cell: what one sends slows the others. Sending is taken as processor sharing: whoever has something to
send has an equal part of a rate, and begins when it has computed. So a phone that computes for long finds the cell
empty. The rate is that with which the bytes of the round that was measured take the mean time that was measured; how
much slower or faster than that a device was, it will be again. What comes down is small, and changes in proportion to
its bytes and those of the others:

    seconds_k(o) = own_k(o_k) + sending_k(o) + t_k^down sum_j min(d'_j, d'_k) / sum_j min(d_j, d_k)

own: computing, the server's, and latencies; t^down: measured with the bytes d. (If all begin at once, device k has got
its d_k after sum_j min(d_j, d_k) / rate.) All combinations are tried where there are few; otherwise one device after
another changes its option as long as that helps, from every start in which all have the same option.

Approximations: all devices count as in one cell with equal rates, and the messages of a round in one direction as one.
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
    starts_s: float = 0.0
    """When it begins to send, after the beginning of the round."""


@dataclass(frozen=True)
class Contended:
    """What a device has measured in a round: bytes that it sent and got, and the seconds that they took."""

    up_bytes: float
    up_s: float
    down_bytes: float
    down_s: float
    starts_s: float = 0.0


def shared(sizes: Sequence[float], own: int) -> float:
    """Return sum_j min(b_j, b_own)."""
    return sum(min(size, sizes[own]) for size in sizes)


def sending(starts: Sequence[float], sizes: Sequence[float], rate: float) -> list[float]:
    """Return how long each device sends: `sizes` bytes from `starts` on, at equal parts of a rate."""
    left, ends = list(sizes), list(starts)
    waiting = sorted((k for k in range(len(sizes)) if sizes[k] > 0.0), key=lambda k: starts[k])
    active: list[int] = []
    now = 0.0
    while waiting or active:
        if not active:
            now = max(now, starts[waiting[0]])
        while waiting and starts[waiting[0]] <= now:
            active.append(waiting.pop(0))
        each = rate / len(active)
        first = min(active, key=lambda k: left[k])
        step = left[first] / each
        if waiting and starts[waiting[0]] < now + step:
            step, first = starts[waiting[0]] - now, -1
        for k in active:
            left[k] -= each * step
        now += step
        if first >= 0:
            left[first] = 0.0
        for k in [k for k in active if left[k] <= 0.0]:
            ends[k] = now
            active.remove(k)
    return [end - start for start, end in zip(starts, ends, strict=True)]


class Cell:
    """The rate that devices share in uplink, and how each did beside the others, from a round that was measured."""

    def __init__(self, measured: Sequence[Contended]) -> None:
        """Without anything measured, sending takes no time."""
        self.measured = measured
        starts, sizes = [each.starts_s for each in measured], [each.up_bytes for each in measured]
        took = sum(each.up_s for each in measured)
        self.rate = math.inf
        self._factors = [0.0] * len(measured)
        if took <= 0.0:
            return
        low, high = 1e-3 * max(sizes) / took, 1e3 * sum(sizes) * len(sizes) / took
        for _ in range(60):  # the time falls with the rate
            middle = math.sqrt(low * high)
            low, high = (middle, high) if sum(sending(starts, sizes, middle)) > took else (low, middle)
        self.rate = high
        modelled = sending(starts, sizes, self.rate)
        self._factors = [each.up_s / m if m > 0.0 else 1.0 for each, m in zip(measured, modelled, strict=True)]

    def up(self, plan: Sequence[Candidate]) -> list[float]:
        """Return how long each device sends with this plan."""
        if math.isinf(self.rate):
            return [0.0] * len(plan)
        took = sending([each.starts_s for each in plan], [each.up_bytes for each in plan], self.rate)
        return [factor * each for factor, each in zip(self._factors, took, strict=True)]


def seconds(plan: Sequence[Candidate], cell: Cell) -> list[float]:
    """Return the predicted seconds of each device in a round with this plan."""
    found = []
    now, then = ([each.down_bytes for each in part] for part in (plan, cell.measured))
    for k, (chosen, up_s) in enumerate(zip(plan, cell.up(plan), strict=True)):
        before = shared(then, k)
        down_s = cell.measured[k].down_s * shared(now, k) / before if before > 0.0 else 0.0
        found.append(chosen.own_s + up_s + down_s)
    return found


def score(plan: Sequence[Candidate], cell: Cell, rounds_left: int) -> tuple[float, float]:
    """Return what is least for the best plan: seconds until the end, then the sum of the devices' own seconds."""
    each = seconds(plan, cell)
    return rounds_left * max(each) + max(chosen.before_s for chosen in plan), sum(each)


def choose_together(
    options: Sequence[Sequence[Candidate]], cell: Cell, present: Sequence[int] | None, *,
    rounds_left: int, hysteresis: float,
) -> list[int]:  # fmt: skip
    """Return which option each device gets, by its number. present: those in use, if all are known.

    Another plan is taken only if it is faster than the present one by the share `hysteresis`.
    """

    def of(plan: Sequence[int]) -> tuple[float, float]:
        return score([own[k] for own, k in zip(options, plan, strict=True)], cell, rounds_left)

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
