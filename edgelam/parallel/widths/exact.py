# SPDX-License-Identifier: GPL-2.0-only
"""The exact solver: the step time is bisected, and a dynamic program over (device, units) decides each one.

With merges of at most T[p] seconds, a device with n units of kind p needs the share air / (T[p] - compute). It has the
larger of the shares that its kinds need, so only few of its pairs of units are of use: for each number of the one kind,
as many of the other as cost no more and fit its memory. The least sum of shares that covers all units follows from one
device to the next; the choice of participants is in it, since a device may have none.

Of one kind of merges, a step time gives T. Of two, their times are a pair with a given weighted sum: intervals of the
first time are excluded by giving both kinds the most that the interval allows, and halved otherwise. Widths that pass
are judged by their best shares, so what is returned is the time of a real plan.

The result is within `tolerance` of the least step time. Work grows with devices * units**2 (one kind) or
devices * (heads + columns) * heads * columns (two kinds) for each of the programs, which `Solution.operations` counts.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from edgelam.errors import ConfigurationError
from edgelam.parallel.widths.problem import Floats, Plan, Problem, Widths
from edgelam.parallel.widths.shares import best_shares, operations

TOLERANCE = 1e-3
_Option = tuple[tuple[int, ...], float]  # units of each kind, and the share they need


@dataclasses.dataclass(frozen=True)
class Solution:
    """A plan, and how much arithmetic it took to find it."""

    plan: Plan
    operations: int
    """Additions, divisions and comparisons, counted where they are made: the same for the same problem on every
    machine."""


def solve(problem: Problem, *, tolerance: float = TOLERANCE, least: int = 0) -> Plan:
    """The plan with the shortest step. See `search`."""
    return search(problem, tolerance=tolerance, least=least).plan


def search(problem: Problem, *, tolerance: float = TOLERANCE, least: int = 0) -> Solution:
    """The plan with the shortest step, and the operations it took.

    Args:
        problem: what is to be divided among whom.
        tolerance: the step of the plan is at most so much longer than the shortest one, as a part of it; 1e-6 to 0.1.
        least: the least units of each kind that every device has; 0: devices may be left out.

    Raises:
        OutOfDeviceMemory: the devices have no room for the units, with both numbers.
        ConfigurationError: there are fewer units of a kind than `least` for each device, or no plan at all.
    """
    if not 1e-6 <= tolerance <= 0.1:
        raise ConfigurationError(f"tolerance is {tolerance!r}; from 1e-6 to 0.1 is legal")
    problem.refuse_if_too_large()
    for kind in problem.kinds:
        if least * len(problem.devices) > kind.units:
            raise ConfigurationError(
                f"{len(problem.devices)} devices with at least {least} {kind.name} each need more than the "
                f"{kind.units} that there are"
            )
    return _Search(problem, tolerance, least).run()


class _Search:
    """One search: tables of the problem, programs run so far, the best plan so far."""

    def __init__(self, problem: Problem, tolerance: float, least: int) -> None:
        self.problem, self.tolerance, self.least = problem, tolerance, least
        self.operations = 0
        self._judged: dict[Widths, Plan] = {}
        count = len(problem.devices)
        self._compute, self._air = [], []
        for p, kind in enumerate(problem.kinds):
            units = np.tile(np.arange(kind.units + 1, dtype=float), (count, 1))
            self._compute.append(problem.compute_s(p, units))
            self._air.append(problem.air_s(p, units))

    def run(self) -> Solution:
        """Bisect the step time; with multicast, for each device that may be the slowest of the participants."""
        if not self.problem.multicast:
            best = self._bisect(frozenset(), None)
        else:
            best = None
            for slowest in sorted(set(self.problem.rate_down_bps)):
                out = frozenset(k for k, rate in enumerate(self.problem.rate_down_bps) if rate < slowest)
                if self.least and out:
                    break
                found = self._bisect(out, slowest, best)
                best = found or best
        if best is None:
            raise self.problem.no_room()
        return Solution(best, self.operations)

    def _bisect(self, out: frozenset[int], slowest: float | None, best: Plan | None = None) -> Plan | None:
        """The best plan without the devices `out`, None if there is none that is better than `best`."""
        common = [kind.server_s + (kind.down_fixed_bytes * 8 / slowest if slowest else 0.0)
                  for kind in self.problem.kinds]  # fmt: skip
        merges = [kind.merges for kind in self.problem.kinds]
        fixed = sum(m * c for m, c in zip(merges, common, strict=True))
        found = None
        if best is None:
            best = found = self._covering((math.inf,) * len(merges), out)
            if best is None:
                return None
        low, high = fixed, best.predicted_s
        while high - low > self.tolerance / 2 * high:
            middle = (low + high) / 2
            plan = self._within(middle - fixed, merges, out)
            if plan is None or plan.predicted_s > middle:
                low = middle
            if plan is not None and plan.predicted_s < high:
                best = found = plan
                high = plan.predicted_s
        return found

    def _within(self, seconds: float, merges: list[int], out: frozenset[int]) -> Plan | None:
        """A plan whose merges take at most these seconds of a step, or close to it; None if there is none."""
        if len(merges) == 1:
            return self._covering((seconds / merges[0],), out)
        spans = [(0.0, seconds / merges[0])]
        nearest: Plan | None = None
        while spans:
            left, right = spans.pop()
            plan = self._covering((right, (seconds - merges[0] * left) / merges[1]), out)
            if plan is None:
                continue
            if plan.predicted_s - seconds <= self._common_of(plan):
                return plan
            if nearest is None or plan.predicted_s < nearest.predicted_s:
                nearest = plan
            if merges[0] * (right - left) > self.tolerance / 4 * seconds:
                middle = (left + right) / 2
                spans += [(left, middle), (middle, right)]
        return nearest

    def _common_of(self, plan: Plan) -> float:
        return sum(
            kind.merges * self.problem.common_s(p, np.array(plan.widths[p]))
            for p, kind in enumerate(self.problem.kinds)
        )

    def _covering(self, times: tuple[float, ...], out: frozenset[int]) -> Plan | None:
        """The best plan with the widths of least total share for merges of at most these seconds; None: too little."""
        widths = self._program(times, out)
        if widths is None:
            return None
        if widths not in self._judged:
            self._judged[widths] = best_shares(self.problem, widths)
            self.operations += operations(self.problem)
        return self._judged[widths]

    def _program(self, times: tuple[float, ...], out: frozenset[int]) -> Widths | None:
        """The widths that need the least total share for merges of at most these seconds.

        table[heads, columns]: the least share with which the devices so far cover at least so many units.
        """
        totals = self.problem.totals
        table = np.full([total + 1 for total in totals], np.inf)
        table[(0,) * len(totals)] = 0.0
        chosen: list[tuple[list[_Option], NDArray[np.int64]]] = []
        for k in range(len(self.problem.devices)):
            options = [] if k in out else self._options(k, times)
            if not self.least or k in out:
                options = [((0,) * len(totals), 0.0), *options]
            new, choice = np.full_like(table, np.inf), np.full(table.shape, -1)
            for number, (units, share) in enumerate(options):
                self.operations += table.size
                candidate = _shifted(table, units) + share
                better = candidate < new
                new[better], choice[better] = candidate[better], number
            table = new
            chosen.append((options, choice))
        if not table[totals] <= self.problem.band * (1 + 1e-12) and not all(map(math.isinf, times)):
            return None
        if not table[totals] < np.inf:
            return None
        left, picked = list(totals), []
        for options, choice in reversed(chosen):
            units = options[int(choice[tuple(left)])][0]
            picked.append(units)
            left = [max(a - b, 0) for a, b in zip(left, units, strict=True)]
        return self._trimmed([list(row) for row in zip(*reversed(picked), strict=True)], times)

    def _options(self, k: int, times: tuple[float, ...]) -> list[_Option]:
        """What device k may have, without what is no better than another: its units and the share they need."""
        needed = []
        for p, seconds in enumerate(times):
            left = seconds - self._compute[p][k]
            with np.errstate(divide="ignore", invalid="ignore"):
                share = np.where(left > 0, self._air[p][k] / left, np.inf)
            if math.isinf(seconds):
                share = np.zeros_like(share)
            share[0] = 0.0
            needed.append(share)
        found: dict[tuple[int, ...], float] = {}
        for p, row in enumerate(needed):
            for n in range(self.least, len(row)):
                if not row[n] <= self.problem.band:
                    break
                units = [n]
                if len(needed) == 2:
                    other = 1 - p
                    most = int(np.searchsorted(needed[other], row[n], side="right")) - 1
                    room = self._room(k, p, n)
                    units.insert(other, min(most, room))
                    if units[other] < self.least:
                        # the other kind costs more than this one: it is found from its side
                        continue
                mine = tuple(units)
                if any(mine) and self.problem.memory_needed(mine) <= self.problem.memory_bytes[k]:
                    found[mine] = max(float(needed[q][m]) for q, m in enumerate(mine))
        return sorted(found.items())

    def _room(self, k: int, p: int, n: int) -> int:
        """Units of the other kind that fit device k beside n of kind p; less than 0: not even these n fit."""
        kind, other = self.problem.kinds[p], self.problem.kinds[1 - p]
        free = self.problem.memory_bytes[k] - self.problem.memory_base_bytes - n * kind.memory_bytes_per_unit
        if free < 0:
            return -1
        return other.units if not other.memory_bytes_per_unit else min(int(free // other.memory_bytes_per_unit),
                                                                       other.units)  # fmt: skip

    def _trimmed(self, widths: list[list[int]], times: tuple[float, ...]) -> Widths:
        """Widths that cover exactly what there is: what is too much is taken from the device that needs longest."""
        for p, row in enumerate(widths):
            while sum(row) > self.problem.totals[p]:
                holders = [k for k, n in enumerate(row) if n > self.least]
                slowest = max(holders, key=lambda k: (self._compute[p][k][row[k]] + self._air[p][k][row[k]], k))
                row[slowest] -= 1
        return tuple(tuple(row) for row in widths)


def _shifted(table: Floats, units: tuple[int, ...]) -> Floats:
    """[state] the value from which so many units lead to each state; a state that is passed over counts as reached."""
    for axis, n in enumerate(units):
        if n:
            index = np.maximum(np.arange(table.shape[axis]) - n, 0)
            table = np.take(table, index, axis=axis)
    return table
