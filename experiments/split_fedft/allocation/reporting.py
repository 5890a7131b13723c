# SPDX-License-Identifier: GPL-2.0-only
"""The result tables of the study on the console, from its folder alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console

from edgelam.output.terminal import TextTable
from edgelam.runs import claims, load

from . import results


def report(path: Path, console: Console) -> None:
    """Print what was learnt under each rule at what price, how good predictions were, and which claims hold."""
    run = load(path)
    table = TextTable(
        "Rules of allocation, means over seeds", "rule", "accuracy", "simulated", "a round", "deciding", "devices",
        "cost a round", "energy a round",
    )  # fmt: skip
    for row in results.summary(run).to_dict("records"):
        table.add_row(
            str(row["method"]), _number(row["accuracy"], ".3f"), _number(row["time_s"], ".2f", " s"),
            _number(1e3 * row["round_s"], ".1f", " ms"), _number(1e3 * row["deciding_s"], ".1f", " ms"),
            _number(row["devices"], ".2f"), _number(row["cost"], ".2f"), _number(row["round_j"], ".3f", " J"),
        )  # fmt: skip
    table.print(console)
    errors = TextTable("Predicted device times, relative errors", "rule", "predictions", "median", "90th percentile")
    for row in results.prediction(run).to_dict("records"):
        errors.add_row(str(row["method"]), str(row["predictions"]), _number(100 * row["median"], ".1f", " %"),
                       _number(100 * row["p90"], ".1f", " %"))  # fmt: skip
    errors.print(console)
    gaps = results.table(run, "greedy")
    if len(gaps):
        mean, most, count = 100 * gaps["mean_gap"].mean(), 100 * gaps["largest_gap"].max(), gaps["admissions"].sum()
        text = f"Greedy admission by worth for each unit of band is {mean:.2f} % below the exact one on average, "
        console.print(f"{text}{most:.1f} % at most, in {count} admissions.", soft_wrap=True)
    claims.table(results.claims(run)).print(console)


def _number(value: float, form: str, unit: str = "") -> str:
    return "-" if pd.isna(value) else f"{value:{form}}{unit}"
