# SPDX-License-Identifier: GPL-2.0-only
"""Drift plus penalty on the rounds that were recorded over the network, for each V: table `repeated`.

The efficiencies, channels, bytes and energies are those of the simulation; what follows from them is worked out without
packets (edgelam/federated/allocation/recorded.py). Worth is the mean of the second half of the rounds: in the first
ones, before the queues have filled, more than the budget is spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgelam.federated import AllocationRecord
from edgelam.federated.allocation import RoundProblem, recorded
from edgelam.runs import RunFolder

if TYPE_CHECKING:
    from ..config import Config

QUARTERS = (0.25, 0.5, 0.75, 1.0)
"""Of the rounds, at which the queues are written."""
COLUMNS = {
    "seed": int, "v": float, "rounds": int, "recorded_rounds": int, "worth": float, "best_worth": float,
    "cost_use": float, "energy_use": float, "cost_queue_part": float, "energy_queue_part": float,
}  # fmt: skip


def run(config: Config, folder: RunFolder, seed: int, records: Sequence[AllocationRecord]) -> None:
    """Repeat the rounds that drift plus penalty has gone through; write tables `repeated` and `greedy`."""
    budgets, study = config.learning.allocation.budgets, config.allocations
    problems = problems_of(records, config.learning.allocation.deadline_s)
    if not problems:
        return
    needs = recorded.needs_of(problems)
    best = recorded.best_on_average(problems, needs, budgets)
    gaps = recorded.greedy_gaps(problems, needs)
    folder.table("greedy", {"seed": int, "admissions": int, "mean_gap": float, "largest_gap": float}).append(
        {"seed": seed, "admissions": len(gaps), "mean_gap": gaps.mean(), "largest_gap": gaps.max()}
    )
    for v in study.repeat_v:
        found = recorded.repeat(problems, needs, budgets, v=v, rounds=study.repeat_rounds, seed=seed)
        for part in QUARTERS:
            rounds = int(study.repeat_rounds * part)
            uses = found.uses[:rounds].mean(axis=0) / np.asarray(budgets)
            queues = found.queues[rounds - 1] / rounds
            row = {
                "seed": seed, "v": v, "rounds": rounds, "recorded_rounds": len(problems),
                "worth": found.worth[rounds // 2 : rounds].mean(), "best_worth": best, "cost_use": uses[0],
                "energy_use": uses[1], "cost_queue_part": queues[0], "energy_queue_part": queues[1],
            }  # fmt: skip
            folder.table("repeated", COLUMNS).append(row)


def problems_of(records: Sequence[AllocationRecord], deadline_s: float) -> list[RoundProblem]:
    """Return the rounds, of one simulation, in which the efficiency of every device that reported was measured."""
    rounds: dict[int, list[AllocationRecord]] = {}
    for record in records:
        rounds.setdefault(record.round, []).append(record)
    found = []
    for number, own in rounds.items():
        if not all(record.measured for record in own):
            continue
        columns = {name: np.array([getattr(record, name) for record in own]) for name in AllocationRecord.OF_PROBLEM}
        columns["samples"] = columns["samples"].astype(np.int64)
        found.append(
            RoundProblem(
                number, tuple(record.device for record in own), np.array([record.cell for record in own]), own[0].units,
                deadline_s, measured=np.ones(len(own), dtype=bool), **columns,
            )
        )  # fmt: skip
    return found
