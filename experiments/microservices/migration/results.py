# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run, worked out from the tables of its folder: what `report` prints and `plot` draws."""

from __future__ import annotations

import numpy as np
import pandas as pd

from edgelam.inference.migration.problem import RESOURCES
from edgelam.runs import Run
from edgelam.runs.claims import Claim, every, less
from edgelam.runs.scores import Score

_OVER = ("seed",)
SCORES = (
    Score("penalty_s", "s", "lower", group=("method",), over=_OVER),
    Score("latency_mean_s", "s", "lower", group=("method",), over=_OVER),
    Score("migration_bytes", "B", "lower", group=("method",), over=_OVER),
)
OURS, FULL = "drift-plus-penalty", "full-knowledge"
FREE = "drift-plus-penalty, free decisions"


def metrics(run: Run) -> pd.DataFrame:
    """Table metrics; no rows if there is none."""
    return run.metrics if "metrics" in run else pd.DataFrame(columns=["method", "policy", "seed", "v", "charged"])


def by_method(run: Run) -> pd.DataFrame:
    """Means of all numbers over seeds, by method."""
    rows = metrics(run)
    numbers = [name for name in rows.columns if pd.api.types.is_numeric_dtype(rows[name]) and name != "seed"]
    return rows.groupby("method", sort=False)[numbers].mean() if len(rows) else pd.DataFrame()


def sweep(run: Run) -> pd.DataFrame:
    """Drift plus penalty by V, charged alike, one row for each V and seed.

    Columns: v, seed, penalty_s, gap_s (to full knowledge at the same seed; NaN without it), bound_s (B / V), use and
    allowance of the budget that is furthest from being kept, queue (sum of Q / T over the budgets).
    """
    rows = metrics(run)
    if rows.empty:
        return pd.DataFrame(columns=["v", "seed", "penalty_s", "gap_s", "bound_s", "use", "allowance", "queue"])
    full = rows[rows["policy"] == FULL].set_index("seed")["penalty_s"]
    ours = rows[(rows["policy"] == OURS) & (rows["method"] != FREE)].sort_values(["v", "seed"])
    uses = ours[[f"use_{name}" for name in RESOURCES]].to_numpy()
    allowed = ours[[f"allowance_{name}" for name in RESOURCES]].to_numpy()
    worst = np.nan_to_num(uses, nan=-np.inf).argmax(axis=1)
    each = np.arange(len(ours))
    return pd.DataFrame(
        {
            "v": ours["v"].to_numpy(), "seed": ours["seed"].to_numpy(), "penalty_s": ours["penalty_s"].to_numpy(),
            "gap_s": ours["penalty_s"].to_numpy() - full.reindex(ours["seed"]).to_numpy(),
            "bound_s": (ours["drift_b"] / ours["v"]).to_numpy(), "use": uses[each, worst],
            "allowance": allowed[each, worst], "queue": np.nansum(allowed, axis=1),
        }
    )  # fmt: skip


def same_answers(run: Run) -> tuple[int, int]:
    """Return how many turns have, under all methods of a seed, the same answer; and how many turns there are.

    A turn is (seed, user, number); one that only some methods came to counts among these.
    """
    if "turns" not in run or run["turns"].empty:
        return 0, 0
    done = run["turns"][run["turns"]["status"] == "complete"]
    answers = done.groupby(["seed", "user", "user_turn"])["answer"].nunique()
    return int((answers == 1).sum()), len(answers)


def claims(run: Run) -> list[Claim]:
    """What was claimed beforehand, and what became of it: differences are paired by seed, with 95 % intervals."""
    rows = metrics(run)
    there = set(rows["method"])
    found = []
    if OURS in there:
        for other, column, text in (
            ("never", "penalty_s", "drift plus penalty has less penalty than sessions that stay"),
            ("threshold-mdp", "penalty_s", "it has less penalty than the threshold policy"),
            ("always", "migration_bytes", "it moves less than always the fastest server"),
            ("nearest", "migration_bytes", "it moves less than sessions that follow to the nearest server"),
        ):
            if other in there:
                found.append(_less(text, column, _of(rows, OURS), _of(rows, other)))
        if FREE in there:
            text = "decisions that are free mean less penalty"
            found.append(_less(text, "penalty_s", _of(rows, FREE), _of(rows, OURS)))
        found += _of_sweep(sweep(run))
        found.append(_kept(rows))
    same, turns = same_answers(run)
    if turns and rows["moves"].sum():
        found.append(every("a session that moves goes on with the same tokens", same, turns, "turns"))
    return found


def _of(rows: pd.DataFrame, method: str) -> pd.DataFrame:
    return rows[rows["method"] == method].set_index("seed")


def _less(text: str, column: str, ours: pd.DataFrame, other: pd.DataFrame) -> Claim:
    """Claim that a number of `ours` is less than that of `other`; both have seeds as index."""
    unit, scale = {"penalty_s": ("ms", 1e3), "migration_bytes": ("MB", 1e-6)}.get(column, ("", 1.0))
    return less(text, ours[column], other[column], scale=scale, unit=unit)


def _of_sweep(table: pd.DataFrame) -> list[Claim]:
    found = []
    known = table.dropna(subset=["gap_s"])
    if len(known):
        inside = int((known["gap_s"] <= known["bound_s"]).sum())
        found.append(every("the penalty is at most B / V above that of full knowledge", inside, len(known), "runs"))
    values = sorted(table["v"].unique())
    if len(values) > 1:
        low, high = (table[table["v"] == v].set_index("seed") for v in (values[0], values[-1]))
        found.append(_less(f"V = {values[-1]:g} has less penalty than V = {values[0]:g}", "penalty_s", high, low))
        found.append(_less(f"V = {values[0]:g} has shorter queues (Q / T) than V = {values[-1]:g}", "queue", low, high))
    return found


def _kept(rows: pd.DataFrame) -> Claim:
    """Whether mean use / budget <= 1 + Q / T for every budget of every run."""
    uses = rows[[f"use_{name}" for name in RESOURCES]].to_numpy()
    allowed = 1 + rows[[f"allowance_{name}" for name in RESOURCES]].to_numpy()
    known = ~np.isnan(uses)
    inside = uses[known] <= allowed[known] + 1e-9
    return every("each budget is met within Q / T", int(inside.sum()), inside.size, "budgets and runs")
