# SPDX-License-Identifier: GPL-2.0-only
"""Threshold: a session moves to the nearest server when it is too far away (S. Wang et al., arXiv 1506.05261).

The distance of a user to its session is a Markov chain whose states are the delays of links that were seen. Staying
costs the latency of the present distance, moving costs the interruption and the latency of the least distance; costs of
later slots are discounted. In the paper's model, the best policy moves at and beyond some distance. The chain is learnt
from what was seen of all users, and of all thresholds the one with the least cost is taken, which is a system of
linear equations for each.
"""

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.migration.one_shot import Choice
from edgelam.inference.migration.problem import SlotProblem
from edgelam.inference.migration.queues import VirtualQueues


class ThresholdMdp:
    """See the module."""

    def __init__(self, discount: float = 0.9) -> None:
        """discount: of the cost of the next slot, 0 to 1 without these."""
        if not 0 < discount < 1:
            raise ConfigurationError(f"discount is {discount!r}; it must be between 0 and 1")
        self.discount = discount
        self._moves: dict[tuple[float, float], int] = {}
        self._latency: dict[float, list[float]] = {}
        self._before: np.ndarray | None = None  # round trips of the slot before to all nodes, [U, N]

    def decide(self, problem: SlotProblem, queues: VirtualQueues) -> Choice:
        """Return the nearest node for each session that is at or beyond the threshold."""
        self._learn(problem)
        x, operations = problem.at.copy(), 0
        for u in range(len(x)):
            pause_s = float(problem.pause_s[u, problem.nearest[u]])
            threshold_s, work = self.threshold(pause_s)
            operations += work
            if problem.round_trip_s[u, x[u]] >= threshold_s and problem.may(u, int(problem.nearest[u])):
                x[u] = problem.nearest[u]
        return Choice(x, operations)

    def threshold(self, pause_s: float) -> tuple[float, int]:
        """Return the round trip from which on it is best to move (infinite: never), and the operations of finding it.

        pause_s: the interruption by a move.
        """
        states = sorted(self._latency)
        size = len(states)
        number = {state: i for i, state in enumerate(states)}
        chain = np.eye(size)  # as if each distance had been seen to stay once
        for (a, b), count in self._moves.items():
            chain[number[a], number[b]] += count
        chain /= chain.sum(axis=1, keepdims=True)
        latency_s = np.array([np.mean(self._latency[state]) for state in states])
        best, least = np.inf, np.inf
        for first in range(1, size + 1):  # at the least distance there is nothing to gain
            moves = np.arange(size) >= first
            now = np.where(moves, pause_s + latency_s[0], latency_s)
            then = np.where(moves[:, None], chain[0], chain)
            cost = np.linalg.solve(np.eye(size) - self.discount * then, now).mean()
            if cost < least - 1e-12:
                best, least = (states[first] if first < size else np.inf), cost
        return best, size * (2 * size**3 // 3 + 4 * size**2)

    def _learn(self, problem: SlotProblem) -> None:
        """Count how the distances to each node have changed, and what latency they mean."""
        distance = np.round(problem.round_trip_s, 6)
        for state, seconds in zip(distance.ravel().tolist(), problem.latency_s.ravel().tolist(), strict=True):
            self._latency.setdefault(state, []).append(seconds)
        if self._before is not None:
            for pair in zip(self._before.ravel().tolist(), distance.ravel().tolist(), strict=True):
                self._moves[pair] = self._moves.get(pair, 0) + 1
        self._before = distance
