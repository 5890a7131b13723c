# SPDX-License-Identifier: GPL-2.0-only
"""The result tables of a run of the study deployment on the console, from its folder alone."""

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from edgelam.output.terminal import TextTable
from edgelam.runs import Run, claims, load
from edgelam.runs.statistics import with_interval

from . import results


def report(path: Path, console: Console) -> None:
    """Print learning curves' ends, distances on the model, what ns-3 measured, and claims."""
    run = load(path)
    for make in (_learners, _model, _scores):
        make(run).print(console)
    claims.table(results.claims(run)).print(console)
    for row in results.table(run, "refused", ["method", "seed", "reason"]).itertuples():
        console.print(f"{row.method} (seed {row.seed}) found no plan: {row.reason}", markup=False, soft_wrap=True)
    if "metrics" in run and run.metrics["declared"].any():
        console.print("Services are declared: their work and sizes are given, and their answers mean nothing.")


def _percent(value: Any) -> str:
    return "-" if pd.isna(value) else f"{100 * float(value):.1f} %"


def _learners(run: Run) -> TextTable:
    table = TextTable(
        "Learning: mean distance from the optimum on problems of other draws", "learner", "updates", "first", "last",
        "curve",
    )  # fmt: skip
    curves = results.table(run, "curves", ["method", "updates", "distance"])
    for method, is_flat in results.flat(run).items():
        mine = curves[curves["method"] == method]
        if len(mine):
            table.add_row(
                method, f"{mine['updates'].iloc[-1]:,}", _percent(mine["distance"].iloc[0]),
                _percent(mine["distance"].iloc[-1]), "flat" if is_flat else "still falls",
            )  # fmt: skip
    return table


def _model(run: Run) -> TextTable:
    table = TextTable(
        "On the planner's model: distance from the optimum", "problems", "method", "count", "distance", "optimal",
        "without plan", left=2,
    )  # fmt: skip
    for row in results.model(run).to_dict("records"):
        table.add_row(
            row["set"], row["method"], str(row["problems"]),
            with_interval(100 * row["distance"], 100 * row["interval"]) + " %", _percent(row["optimal"]),
            _percent(row["without_plan"]),
        )  # fmt: skip
    return table


def _scores(run: Run) -> TextTable:
    table = TextTable(
        "By ns-3 (means over seeds)", "method", "decision", "on time", "E2E mean (ms)", "p95", "predicted",
        "until deployed", "operations", "stated gap", left=2,
    )  # fmt: skip
    for row in results.scores(run).reset_index().to_dict("records") if "metrics" in run else ():
        table.add_row(
            row["method"], "charged" if row["charge"] else "free", _percent(row["on_time_ratio"]),
            *(f"{1000 * row[name]:.1f}" for name in ("e2e_mean_s", "e2e_p95_s", "predicted_s", "decided_s")),
            f"{row['operations']:.3g}", _percent(row.get("gap")),
        )  # fmt: skip
    return table
