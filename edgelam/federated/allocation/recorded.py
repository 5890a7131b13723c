# SPDX-License-Identifier: GPL-2.0-only
"""Drift plus penalty on recorded rounds, for as many rounds as one likes, and the best that budgets allow on average.

The rounds are those that a simulation recorded: channels, measured efficiencies, bytes and energies. They are drawn
again and again, independently, so that the theory's assumption holds. No packet is simulated: a device takes what was
predicted, with the least band that it needs. Accuracy and time come from simulations, never from here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.federated.allocation import bisection, drift_plus_penalty, greedy, knapsack
from edgelam.federated.allocation.problem import Floats, Ints, RoundProblem
from edgelam.lyapunov import VirtualQueues
from edgelam.random_streams import derive_seed, from_numbers


@dataclass(frozen=True)
class Repeated:
    """What came of one run over recorded rounds."""

    worth: Floats
    """Sum of the weights of the devices that took part, [T]."""
    uses: Floats
    """Cost and energy (J), [T, 2]."""
    queues: Floats
    """After each round, [T, 2]."""


def needs_of(problems: Sequence[RoundProblem]) -> list[Ints]:
    """Return the least units of each device in each round."""
    return [bisection.least_units(problem)[0] for problem in problems]


def repeat(
    problems: Sequence[RoundProblem],
    needs: Sequence[Ints],
    budgets: Sequence[float],
    *,
    v: float,
    rounds: int,
    seed: int,
) -> Repeated:
    """Run drift plus penalty over `rounds` rounds drawn from `problems`. Raises ConfigurationError without any."""
    if not problems:
        raise ConfigurationError("no recorded round has measurements of all devices; legal are runs with some")
    queues = VirtualQueues(budgets, v)
    drawn = from_numbers(derive_seed(seed, "recorded rounds")).integers(len(problems), size=rounds)
    worth, uses, states = np.zeros(rounds), np.zeros((rounds, 2)), np.zeros((rounds, 2))
    for t, number in enumerate(drawn):
        problem = problems[number]
        units, _ = drift_plus_penalty.admission(problem, queues, needs[number])
        takes = units > 0
        worth[t] = problem.weights[takes].sum()
        uses[t] = problem.uses(np.maximum(units, 1) / problem.units)[takes].sum(axis=0)
        queues.update(uses[t])
        states[t] = queues.values
    return Repeated(worth, uses, states)


def best_on_average(problems: Sequence[RoundProblem], needs: Sequence[Ints], budgets: Sequence[float]) -> float:
    """Return what no policy exceeds on average over rounds drawn from `problems`, also one that knows all of them.

    It is the least value of the Lagrangian dual, min over prices p >= 0 of p . budget + mean of the best admission at
    these prices; any prices give a bound.
    """
    limits = np.asarray(budgets, dtype=float)
    bound = [i for i in range(len(limits)) if math.isfinite(limits[i])]

    def dual(prices: Floats) -> float:
        total = float(prices @ limits[bound])
        for problem, least in zip(problems, needs, strict=True):
            uses = problem.uses(np.minimum(least, problem.units) / problem.units)[:, bound]
            worth = np.where(least <= problem.units, problem.weights - uses @ prices, 0.0)
            for members in problem.in_cells():
                chosen, _ = knapsack.admit(least[members], worth[members], problem.units)
                total += float(worth[members][chosen].sum()) / len(problems)
        return total

    prices = np.zeros(len(bound))
    for _ in range(3 if len(bound) > 1 else 1):  # one price after the other: the dual is convex in each
        for i in range(len(bound)):
            largest = 2 * max(float(problem.weights.max()) for problem in problems)
            scale = [problem.uses(np.ones(len(problem.devices)))[:, bound[i]] for problem in problems]
            low, high = 0.0, largest / max(min(float(each[each > 0].min(initial=np.inf)) for each in scale), 1e-12)
            for _ in range(60):
                left, right = low + (high - low) / 3, high - (high - low) / 3
                at = [dual(np.where(np.arange(len(bound)) == i, price, prices)) for price in (left, right)]
                low, high = (low, right) if at[0] <= at[1] else (left, high)
            prices[i] = (low + high) / 2
    return dual(prices)


def greedy_gaps(problems: Sequence[RoundProblem], needs: Sequence[Ints]) -> Floats:
    """Return by how much greedy's value is below the exact one in each cell and round, as a part of it."""
    gaps = []
    for problem, least in zip(problems, needs, strict=True):
        for members in problem.in_cells():
            exact, quick = (
                float(problem.weights[members][admit(least[members], problem.weights[members], problem.units)[0]].sum())
                for admit in (knapsack.admit, greedy.admit)
            )
            if exact > 0:
                gaps.append(1 - quick / exact)
    return np.array(gaps)
