# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run of the study paper: its tables, its claim and its figure, from the run folder alone."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
from rich.console import Console

from edgelam.files.storage import write_atomically
from edgelam.output import figures
from edgelam.output.terminal import TextTable
from edgelam.runs import Run, claims, load
from edgelam.runs.scores import Score
from edgelam.runs.statistics import Difference, half_interval, with_interval

_BY, _OVER = ("method", "load"), ("seed",)
SCORES = (
    Score("on_time_ratio", better="higher", group=_BY, over=_OVER),
    Score("e2e_p95_s", "s", "lower", group=_BY, over=_OVER),
)
PUBLISHED = 0.84
"""On-time completion of the paper's own method, in its abstract: more than this."""


def means(run: Run) -> pd.DataFrame:
    """A row for each method and load.

    Columns: method, load, seeds, on_time_ratio, interval (half of the 95 % one), p50, p95 (ms), cost, gap (the largest
    that the exact solver states; NaN: another method), verdict: whether more than `PUBLISHED` is on time.
    """
    found = []
    rows = run.metrics if "metrics" in run else pd.DataFrame(columns=["method", "load"])
    for (method, factor), mine in rows.groupby(["method", "load"], sort=False):
        ratio, interval = mine["on_time_ratio"].mean(), half_interval(mine["on_time_ratio"])
        found.append(
            {
                "method": method, "load": factor, "seeds": len(mine), "on_time_ratio": ratio, "interval": interval,
                "p50_ms": 1000 * mine["e2e_p50_s"].mean(), "p95_ms": 1000 * mine["e2e_p95_s"].mean(),
                "cost": mine["cost"].mean(), "gap": mine["gap"].max() if "gap" in mine else math.nan,
                "verdict": verdict(ratio, interval, len(mine)),
            }
        )  # fmt: skip
    return pd.DataFrame(found)


def over_cells(run: Run) -> pd.DataFrame:
    """By seed: the largest load that no user's uplink exceeds, and the share of users whose input alone is in time."""
    rows = run["cell"] if "cell" in run else pd.DataFrame(columns=["seed", "load", "in_time", "seconds", "bytes"])
    found = rows.assign(rate_mbps=8e-6 * rows["bytes"] / rows["seconds"]).groupby("seed")
    return found.agg(load=("load", "min"), in_time=("in_time", "mean"), slowest_mbps=("rate_mbps", "min"),
                     fastest_mbps=("rate_mbps", "max")).reset_index()  # fmt: skip


def verdict(ratio: float, interval: float, seeds: int) -> str:
    """Say whether more than the published share is on time: by the interval, with at least two seeds."""
    return claims.verdict(Difference(ratio - PUBLISHED, interval, seeds), more=True)


def report(path: Path, console: Console) -> None:
    """Print the result table, and plans that were not found."""
    run = load(path)
    table = TextTable(
        "arXiv 2601.19563, declared services", "method", "load", "seeds", "on time (%)", "E2E p50 (ms)", "p95", "cost",
        "gap (%)", "more than 84 % on time", caption="95 % intervals over seeds; all services are declared",
    )  # fmt: skip
    for row in means(run).to_dict("records"):
        table.add_row(
            row["method"], f"{row['load']:g}", str(row["seeds"]),
            with_interval(100 * row["on_time_ratio"], 100 * row["interval"]), f"{row['p50_ms']:.1f}",
            f"{row['p95_ms']:.1f}", f"{row['cost']:.0f}",
            "-" if math.isnan(row["gap"]) else f"{100 * row['gap']:.1f}", row["verdict"],
        )  # fmt: skip
    table.print(console)
    if "refused" in run:
        for each in run["refused"].to_dict("records"):
            text = f"{each['method']}, load {each['load']:g} (seed {each['seed']}) found no plan: {each['reason']}"
            console.print(text, markup=False, soft_wrap=True)
    cells = TextTable(
        "The same inputs over nr-urban-grid, each user alone (upper bounds)", "seed", "largest load",
        "inputs in time (%)", "uplink (Mb/s)", caption="the uplink bounds the load; a load of 1 is that of the wires",
    )  # fmt: skip
    for row in over_cells(run).to_dict("records"):
        cells.add_row(
            str(row["seed"]), f"{row['load']:.2g}", f"{100 * row['in_time']:.0f}",
            f"{row['slowest_mbps']:.3g} to {row['fastest_mbps']:.3g}",
        )  # fmt: skip
    cells.print(console)
    console.print("Services are declared: their work and sizes are given, and their answers mean nothing.")


def plot(path: Path) -> list[Path]:
    """Draw the share on time over load, with its numbers as CSV beside it."""
    rows = means(load(path))
    if rows.empty:
        return []
    write_atomically(path / "paper.csv", rows.to_csv(index=False, float_format="%.6g").encode())
    write_atomically(path / "cells.csv", over_cells(load(path)).to_csv(index=False, float_format="%.6g").encode())
    with figures.figure(path / "paper") as (figure, (axes,)):
        for index, (method, mine) in enumerate(rows.groupby("method", sort=False)):
            style = figures.line_style(index, len(mine))
            axes.errorbar(mine["load"], 100 * mine["on_time_ratio"], 100 * mine["interval"], label=method, **style)
        axes.axhline(100 * PUBLISHED, color="0.5", linewidth=0.8)
        axes.set_xlabel("load")
        axes.set_ylabel("on time (%), declared services")
        figure.legend(loc="outside upper left", ncols=3)
    return [path / "paper.svg"]
