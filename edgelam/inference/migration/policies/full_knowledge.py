# SPDX-License-Identifier: GPL-2.0-only
"""Full knowledge: the best sequence of placements for slots that are all known beforehand.

Prices of the budgets turn the constrained problem into a shortest path over placements, which dynamic programming
solves. The prices follow the excess (subgradient steps that get smaller); of all paths on the way, the one of least
penalty that keeps to the budgets is taken, or, if none does, the one that exceeds them least. The value of the priced
problem bounds the penalty of every sequence that keeps to the budgets from below (weak duality), and says how good the
path is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.migration.one_shot import Choice, cost_operations
from edgelam.inference.migration.problem import Budgets, SlotProblem
from edgelam.inference.migration.queues import VirtualQueues

MOST_PLACEMENTS = 1300
"""Most placements of all sessions (nodes to the power of users)."""


@dataclasses.dataclass(frozen=True)
class Path:
    """A sequence of placements. T stands for slots."""

    places: np.ndarray
    """int [T, U]."""
    penalty: float
    """Its mean over slots, s."""
    use: np.ndarray
    """Mean of use / budget, [K]."""
    bound: float
    """No sequence that keeps to the budgets has a smaller mean penalty, s."""
    operations: int


class FullKnowledge:
    """Follows a path."""

    def __init__(self, path: Path) -> None:
        """path: see `best_path`."""
        self._path, self._slot = path, 0

    def decide(self, problem: SlotProblem, queues: VirtualQueues) -> Choice:
        """Return the path's next placement; a session that may not be there stays."""
        wanted = self._path.places[min(self._slot, len(self._path.places) - 1)]
        self._slot += 1
        may = [problem.may(u, int(n)) for u, n in enumerate(wanted)]
        return Choice(np.where(may, wanted, problem.at), self._path.operations // len(self._path.places))


def best_path(slots: Sequence[SlotProblem], budgets: Budgets, *, rounds: int = 60) -> Path:
    """Return the best path that these rounds of prices find.

    slots: the problem of each slot. Only the first one's `at` and `up` count, and `allowed` of none.

    Raises ConfigurationError without a slot, and if there are too many placements.
    """
    if not slots:
        raise ConfigurationError("full knowledge of no slot: at least one is needed")
    first = slots[0]
    if len(first.nodes) ** len(first.users) > MOST_PLACEMENTS:
        raise ConfigurationError(
            f"{len(first.users)} sessions on {len(first.nodes)} nodes are more than {MOST_PLACEMENTS} placements: full "
            "knowledge tries all of them in each slot; fewer users or nodes are needed"
        )
    tables = [_Table(problem, budgets) for problem in slots]
    bounded = np.isfinite(budgets.values)
    prices = np.zeros(len(budgets.values))
    best: Path | None = None
    bound = -np.inf
    for round_ in range(1, rounds + 1):
        chosen = _shortest(tables, prices)
        places = [tables[0].placements[i] for i in chosen]
        penalty, use = _mean(slots, budgets, places)
        bound = max(bound, penalty + float(prices @ (use - 1)))
        path = Path(np.array(places), penalty, use, 0.0, 0)
        if best is None or _rank(path, bounded) < _rank(best, bounded):
            best = path
        excess = np.where(bounded, use - 1, 0.0)
        if not (excess > 0).any() and not prices.any():
            break
        scale = max(penalty, 1e-9) / np.sqrt(round_)
        prices = np.maximum(prices + scale * excess, 0)
    assert best is not None
    work = round_ * len(slots) * len(tables[0].placements) ** 2 * 4
    work += len(slots) * len(tables[0].placements) * cost_operations(first)
    return dataclasses.replace(best, bound=bound, operations=work)


def _rank(path: Path, bounded: np.ndarray) -> tuple[float, float]:
    excess = float(np.maximum(path.use[bounded] - 1, 0).sum())
    return (excess if excess > 1e-9 else 0.0), path.penalty


class _Table:
    """Penalty and uses of all pairs (placement before, placement) of a slot. P stands for placements."""

    def __init__(self, problem: SlotProblem, budgets: Budgets) -> None:
        num_u, num_n = len(problem.users), len(problem.nodes)
        grid = np.meshgrid(*[np.arange(num_n)] * num_u, indexing="ij")
        self.placements = np.stack([axis.ravel() for axis in grid], axis=1)  # [P, U]
        x, u = self.placements, np.arange(num_u)
        held = (x[:, :, None] == np.arange(num_n)).any(axis=1)  # [P, N]
        self.begin = int(np.flatnonzero((x == problem.at).all(axis=1))[0])
        self.stay = problem.latency_s[u, x].mean(axis=1)  # [P]
        moved = x[:, None, :] != x[None, :, :]  # [P before, P, U]
        self.pause = (moved * problem.pause_s[u, x][None]).mean(axis=2)
        size = budgets.values
        self.static = np.stack([
            np.zeros(len(x)),
            (problem.weight_bytes * held.sum(axis=1) + problem.state_bytes.sum()) / size[1],
            problem.serving_w[u, x].sum(axis=1) / size[2],
            self.stay / size[3], problem.jitter_s[u, x].mean(axis=1) / size[4],
            problem.loss[u, x].mean(axis=1) / size[5],
        ], axis=1)  # [P, K]  # fmt: skip
        new = held[None, :, :] & ~held[:, None, :]
        self._first_new = held & ~problem.up
        per_slot = 8 / problem.slot_s / size[0]
        self.bytes = per_slot * (moved @ problem.state_bytes + problem.file_bytes * new.sum(axis=2))  # [P, P]
        self.watts = (new @ problem.loading_w) / size[2]
        self.first_watts = (self._first_new @ problem.loading_w) / size[2]
        self.first_bytes = per_slot * (
            moved[self.begin] @ problem.state_bytes + problem.file_bytes * self._first_new.sum(axis=1)
        )

    def steps(self, prices: np.ndarray, *, first: bool) -> np.ndarray:
        """Return the priced cost of each pair, [P before, P]; of the first slot, from where all begin, [1, P]."""
        fixed = self.stay + self.static @ prices
        if first:
            return np.asarray(
                (fixed + self.pause[self.begin] + prices[0] * self.first_bytes + prices[2] * self.first_watts)[None]
            )
        return np.asarray(fixed[None] + self.pause + prices[0] * self.bytes + prices[2] * self.watts)


def _shortest(tables: Sequence[_Table], prices: np.ndarray) -> list[int]:
    least = tables[0].steps(prices, first=True)[0]
    came: list[np.ndarray] = []
    for table in tables[1:]:
        total = least[:, None] + table.steps(prices, first=False)
        came.append(total.argmin(axis=0))
        least = total.min(axis=0)
    path = [int(least.argmin())]
    for step in reversed(came):
        path.append(int(step[path[-1]]))
    return path[::-1]


def _mean(slots: Sequence[SlotProblem], budgets: Budgets, places: Sequence[np.ndarray]) -> tuple[float, np.ndarray]:
    """Return the mean penalty, and the mean of use / budget, of a path."""
    at, up = slots[0].at, slots[0].up
    penalty, use = 0.0, np.zeros(len(budgets.values))
    for problem, x in zip(slots, places, strict=True):
        now = dataclasses.replace(problem, at=at, up=up)
        penalty += now.penalty(x) / len(slots)
        use += now.uses(x) / budgets.values / len(slots)
        at, up = x, np.isin(np.arange(len(problem.nodes)), x)
    return penalty, use
