# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run, worked out from the tables of its folder: what `report` prints and `plot` draws."""

from __future__ import annotations

import itertools

import pandas as pd

from edgelam.agents.curve import is_flat
from edgelam.runs import Run
from edgelam.runs.claims import Claim, less
from edgelam.runs.scores import Score

SCORES = (
    Score("on_time_ratio", better="higher", table="scores", group=("method", "shift", "charged"), over=("seed",)),
    Score("e2e_mean_s", "s", "lower", table="scores", group=("method", "shift", "charged"), over=("seed",)),
)
ROBUST, NOMINAL = "robust", "nominal"
NUMBERS = ("on_time_ratio", "e2e_mean_s", "e2e_p95_s", "decision_mean_s")
OF_MODEL = ("model_mean_s", "model_error_p50", "model_error_p95")
"""Columns of scores that runs of earlier versions do not have."""


def means(run: Run) -> pd.DataFrame:
    """Means over seeds by (shift, method, charged)."""
    if "scores" not in run:
        return pd.DataFrame()
    numbers = [name for name in (*NUMBERS, *OF_MODEL) if name in run["scores"]]
    return run["scores"].groupby(["shift", "method", "charged"], sort=False)[numbers].mean()


def by_seed(run: Run, method: str, shift: str, column: str, *, charged: bool = True) -> pd.Series:
    """A number of each seed."""
    rows = run["scores"]
    rows = rows[(rows["method"] == method) & (rows["shift"] == shift) & (rows["charged"] == charged)]
    return rows.set_index("seed")[column].astype(float)


def has_flattened(run: Run, method: str) -> bool:
    """Whether the learning curves of all seeds of a method have flattened (edgelam.agents.curve)."""
    if "curves" not in run:
        return False
    rows = run["curves"]
    curves = [mine for _, mine in rows[rows["method"] == method].groupby("seed")]
    return bool(curves) and all(
        is_flat(list(zip(mine["iteration"], mine["cost"], strict=True))) for mine in curves
    )  # fmt: skip


def claims(run: Run) -> list[Claim]:
    """Whether adversarially trained routing loses less under shifts, and whether learning beats its best rule."""
    if "scores" not in run:
        return []
    found = []
    methods = set(run["scores"]["method"])
    learned = {ROBUST, NOMINAL} <= methods
    flat = {method: has_flattened(run, method) for method in (ROBUST, NOMINAL)}
    for shift in dict.fromkeys(run["scores"]["shift"]):
        for column, title, sign, scale in (
            ("e2e_mean_s", "mean E2E (ms)", 1, 1e3), ("on_time_ratio", "on time (%)", -1, 100),
        ):  # fmt: skip
            if learned and shift != "none" and "none" in set(run["scores"]["shift"]):
                loss = {m: by_seed(run, m, shift, column) - by_seed(run, m, "none", column) for m in (ROBUST, NOMINAL)}
                text = f"{shift}: robust loses less than nominal, {title}"
                found.append(_claim(text, sign * loss[ROBUST], sign * loss[NOMINAL], scale, all(flat.values())))
            for learner, rule in itertools.product((NOMINAL, ROBUST), ("prop-avg", "join-shortest-queue")):
                if {learner, rule} <= methods:
                    mine, theirs = (sign * by_seed(run, m, shift, column) for m in (learner, rule))
                    text = f"{shift}: {learner} is better than {rule}, {title}"
                    found.append(_claim(text, mine, theirs, scale, flat[learner]))
    return found


def _claim(text: str, mine: pd.Series, theirs: pd.Series, scale: float, flat: bool) -> Claim:
    """The claim is that `mine` is less."""
    claim = less(text, mine, theirs, scale=scale)
    if not flat and claim.verdict != "undecided":
        return Claim(text, f"{claim.measured}; a learning curve has not flattened", "undecided")
    return claim
