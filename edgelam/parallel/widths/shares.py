# SPDX-License-Identifier: GPL-2.0-only
"""The best shares of the band for given widths, and equal ones.

With given widths, the share that a device needs for merges of at most T[p] seconds is the larger of air / (T[p] -
compute) of its kinds, which is convex in T. For one kind, T is bisected until the shares use up the band. For two, the
second one's T is bisected for each of a few values of the first one's, and the search goes on between the neighbours of
the best value.
"""

from __future__ import annotations

import numpy as np

from edgelam.parallel.widths.problem import Floats, Plan, Problem, Widths, check_widths, step_s

POINTS = 17
"""Values of the first kind's time that are looked at together."""
ROUNDS = 11
"""Each makes the interval of the first kind's time (POINTS - 1) / 2 times smaller."""
HALVES = 44
"""Bisections of a time: to 1e-13 of its interval."""


def equal_shares(problem: Problem, widths: Widths) -> Plan:
    """The plan of these widths with the same share for each participant. Raises as `check_widths`."""
    check_widths(problem, widths)
    part = np.array(widths).any(axis=0)
    shares = np.where(part, problem.band / part.sum(), 0.0).tolist()
    return Plan(widths, tuple(shares), step_s(problem, widths, shares))


def best_shares(problem: Problem, widths: Widths) -> Plan:
    """The plan of these widths with the shares that make the step shortest. Raises as `check_widths`."""
    check_widths(problem, widths)
    rows = [np.array(row, dtype=float) for row in widths]
    compute = [problem.compute_s(p, row)[:, None] for p, row in enumerate(rows)]
    air = [problem.air_s(p, row)[:, None] for p, row in enumerate(rows)]

    def needed(*times: Floats) -> Floats:
        """[device, point] the share for merges of these seconds [point]; inf: none is enough."""
        most = np.zeros((len(problem.devices), len(times[0])))
        for seconds, c, w in zip(times, compute, air, strict=True):
            left = seconds - c
            with np.errstate(divide="ignore", invalid="ignore"):
                share = np.where(w > 0, np.where(left > 0, w / left, np.inf), np.where(left >= 0, 0.0, np.inf))
            most = np.maximum(most, share)
        return most

    def least(p: int, *others: Floats) -> Floats:
        """[point] the least seconds of kind p's merges beside these of the kinds before; inf: there are none."""
        low = np.full(len(others[0]) if others else 1, float(compute[p].max()))
        # with all the band for itself in turn each device would be done by then; beside others the band is shared
        high = low + float(air[p].sum()) / problem.band + 1e-12
        if others:
            free = problem.band - _sums(needed(*others, np.full_like(low, np.inf)))
            high = low + float(air[p].sum()) / np.where(free > 0, free, 1.0) + 1e-12
            high = np.where(free > 0, high, np.inf)
        for _ in range(HALVES):
            middle = (low + high) / 2
            fits = _sums(needed(*others, middle)) <= problem.band
            low, high = np.where(fits, low, middle), np.where(fits, middle, high)
        return high

    if len(rows) == 1:
        shares = needed(least(0))
    else:
        merges = [kind.merges for kind in problem.kinds]
        alone = _alone(problem, compute[0], air[0])
        # some plan: the first kind's merges take twice their least, so half of the band is left for the second kind's
        some = np.array([2 * alone - float(compute[0].max())])
        total = float(merges[0] * some[0] + merges[1] * least(1, some)[0])
        low, high = alone, max(total / merges[0], alone)
        for _ in range(ROUNDS):
            first = np.linspace(low, high, POINTS)
            best = int(np.argmin(merges[0] * first + merges[1] * least(1, first)))
            low, high = first[max(best - 1, 0)], first[min(best + 1, POINTS - 1)]
        point = first[best : best + 1]
        shares = needed(point, least(1, point))
    if not shares.sum() > 0:  # nothing crosses the air
        return equal_shares(problem, widths)
    given = shares[:, 0] * (problem.band / shares.sum())  # what rounding has left goes to all
    return Plan(widths, tuple(given.tolist()), step_s(problem, widths, given.tolist()))


def operations(problem: Problem) -> int:
    """Additions, divisions and comparisons of `best_shares`: a share takes four for each kind, device and point."""
    points = HALVES if len(problem.kinds) == 1 else HALVES * POINTS * ROUNDS
    return 4 * len(problem.kinds) * len(problem.devices) * points


def _sums(shares: Floats) -> Floats:
    return np.asarray(shares.sum(axis=0))


def _alone(problem: Problem, compute: Floats, air: Floats) -> float:
    """The least seconds of the first kind's merges if they have the band for themselves."""
    low, high = float(compute.max()), float(compute.max() + air.sum() / problem.band) + 1e-12
    for _ in range(HALVES):
        middle = (low + high) / 2
        left = middle - compute
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(air > 0, np.where(left > 0, air / left, np.inf), 0.0).sum()
        low, high = (low, middle) if share <= problem.band else (middle, high)
    return high
