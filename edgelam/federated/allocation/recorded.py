# SPDX-License-Identifier: GPL-2.0-only
"""Drift plus penalty on recorded rounds, for as many rounds as one likes, and the best that budgets allow on average.

The rounds are those that a simulation recorded: channels, measured efficiencies, bytes and energies. They are drawn
again and again, independently, so that the theory's assumption holds. No packet is simulated: a device takes what was
predicted, with the least band that it needs. Accuracy and time come from simulations, never from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.federated.allocation import bisection, drift_plus_penalty, greedy, knapsack, prices
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
    given: Floats
    """The part of the queues with which they began, [2]."""


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
    """Run drift plus penalty over `rounds` rounds drawn from `problems`. Raises ConfigurationError without any.

    The queues begin at the prices of the first rounds, as in the cell.
    """
    if not problems:
        raise ConfigurationError("no recorded round has measurements of all devices; legal are runs with some")
    queues = VirtualQueues(budgets, v)
    drawn = from_numbers(derive_seed(seed, "recorded rounds")).integers(len(problems), size=rounds)
    worth, uses, states = np.zeros(rounds), np.zeros((rounds, 2)), np.zeros((rounds, 2))
    first = prices.FirstPrices(queues)
    for t, number in enumerate(drawn):
        problem = problems[number]
        first.seen(problem, needs[number])
        units, _ = drift_plus_penalty.admission(problem, queues, needs[number])
        takes = units > 0
        worth[t] = problem.weights[takes].sum()
        uses[t] = problem.uses(np.maximum(units, 1) / problem.units)[takes].sum(axis=0)
        queues.update(uses[t])
        states[t] = queues.values
    return Repeated(worth, uses, states, queues.given)


def best_on_average(problems: Sequence[RoundProblem], needs: Sequence[Ints], budgets: Sequence[float]) -> float:
    """Return what no policy exceeds on average over rounds drawn from `problems`, also one that knows all of them.

    It is the least value of the Lagrangian dual (prices.py).
    """
    return prices.least_dual(problems, needs, budgets)[1]


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
