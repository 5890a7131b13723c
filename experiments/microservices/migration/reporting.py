# SPDX-License-Identifier: GPL-2.0-only
"""The result tables of a run on the console, from its folder alone."""

from pathlib import Path

import pandas as pd
from rich.console import Console

from edgelam.inference.migration.problem import RESOURCES
from edgelam.output.terminal import TextTable
from edgelam.runs import Run, claims, load
from edgelam.text import si_bytes

from . import results


def report(path: Path, console: Console) -> None:
    """Print latency, jitter, loss, interruptions, bytes, energy, budgets, the sweep of V, and the claims."""
    run = load(path)
    for make in (_service, _costs, _losses, _budgets, _sweep):
        make(run).print(console)
    claims.table(results.claims(run)).print(console)


def _ms(value: float, digits: int = 1) -> str:
    return "-" if pd.isna(value) else f"{1000 * value:.{digits}f}"


def _service(run: Run) -> TextTable:
    table = TextTable(
        "Turns of sessions (times in ms)", "method", "turns", "penalty", "latency", "p95", "jitter", "lost tokens",
        "interrupted in all", "longest",
    )  # fmt: skip
    for method, row in results.by_method(run).iterrows():
        table.add_row(
            str(method), f"{row['turns']:.0f}", _ms(row["penalty_s"]), _ms(row["latency_mean_s"]),
            _ms(row["latency_p95_s"]), _ms(row["jitter_mean_s"], 2), f"{100 * row['loss']:.2f} %",
            _ms(row["interruption_s"], 0), _ms(row["interruption_longest_s"], 0),
        )  # fmt: skip
    return table


def _costs(run: Run) -> TextTable:
    table = TextTable(
        "What moving cost", "method", "moves", "failed", "handovers", "state", "weights", "energy above idle",
        "decision (ms)", "operations",
    )  # fmt: skip
    for method, row in results.by_method(run).iterrows():
        table.add_row(
            str(method), f"{row['moves']:.1f}", f"{row['failed_moves']:.1f}", f"{row['handovers']:.1f}",
            si_bytes(row["state_bytes"]), si_bytes(row["weight_bytes"]), f"{row['energy_above_idle_j']:.1f} J",
            _ms(row["decided_s"]), f"{row['operations']:.3g}",
        )  # fmt: skip
    return table


def _budgets(run: Run) -> TextTable:
    table = TextTable(
        "Mean use / budget, and 1 + Q / T, which it cannot exceed", "method", *RESOURCES,
        caption="above 1 / at most: the budget was exceeded, by no more than its virtual queue over the time",
    )  # fmt: skip
    for method, row in results.by_method(run).iterrows():
        table.add_row(
            str(method), *(f"{row[f'use_{name}']:.2f} / {1 + row[f'allowance_{name}']:.2f}" for name in RESOURCES)
        )
    return table


def _sweep(run: Run) -> TextTable:
    table = TextTable(
        "Weight of the penalty V (means over seeds)", "V (1/s)", "penalty (ms)", "gap to full knowledge", "B / V",
        "largest use / budget", "its 1 + Q / T", "sum of Q / T",
    )  # fmt: skip
    for v, row in results.sweep(run).groupby("v").mean(numeric_only=True).iterrows():
        table.add_row(
            f"{float(str(v)):g}", _ms(row["penalty_s"]), _ms(row["gap_s"]), _ms(row["bound_s"]), f"{row['use']:.2f}",
            f"{1 + row['allowance']:.2f}", f"{row['queue']:.2f}",
        )  # fmt: skip
    return table


def _losses(run: Run) -> TextTable:
    table = TextTable(
        "Sessions whose server has failed", "method", "seed", "user", "failed", "begins again at", "tokens lost",
        "reason", left=4,
    )  # fmt: skip
    if "losses" in run:
        for row in run["losses"].to_dict("records"):
            table.add_row(
                *(str(row[name]) for name in ("method", "seed", "user", "node")), str(row["target"] or "nowhere"),
                str(row["session_tokens"]), str(row["reason"] or "-"),
            )  # fmt: skip
    return table
