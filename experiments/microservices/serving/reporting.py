# SPDX-License-Identifier: GPL-2.0-only
"""The result tables of a run on the console, from its folder alone."""

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from edgelam.output.terminal import TextTable
from edgelam.runs import Run, claims, load
from edgelam.runs.statistics import with_interval
from edgelam.text import si_bytes

from . import results


def report(path: Path, console: Console) -> None:
    """Print latency, memory, bytes over the WAN, where the time went, and how good the predictions were."""
    run = load(path)
    for make in (_serving, _costs, _parts, _hosts, _compared, _models):
        make(run).print(console)
    claims.table(results.claims(run)).print(console)
    for row in results.refused(run).itertuples():
        console.print(f"{row.method} (seed {row.seed}) found no plan: {row.reason}", markup=False, soft_wrap=True)
    if results.metrics(run).get("declared", pd.Series(dtype=bool)).any():
        console.print("Services are declared: their work and sizes are given, and their answers mean nothing.")


def _ms(value: Any) -> str:
    return "-" if pd.isna(value) else f"{1000 * float(value):.0f}"


def _percent(value: Any) -> str:
    return "-" if pd.isna(value) else f"{100 * float(value):.0f} %"


def _serving(run: Run) -> TextTable:
    table = TextTable(
        "Requests", "method", "requests", "completed", "on time", "goodput (1/s)", "E2E p50 (ms)", "p95", "p99",
        "TTFT p50", "TPOT p50", "quality",
    )  # fmt: skip
    for method, row in results.by_method(run).iterrows():
        table.add_row(
            str(method), f"{row['requests']:.0f}", f"{row['completed']:.0f}", f"{100 * row['on_time_ratio']:.1f} %",
            f"{row['goodput_rps']:.2f}",
            *(_ms(row[name]) for name in ("e2e_p50_s", "e2e_p95_s", "e2e_p99_s", "ttft_p50_s", "tpot_p50_s")),
            "-" if pd.isna(row["quality"]) else f"{row['quality']:.2f}",
        )  # fmt: skip
    return table


def _costs(run: Run) -> TextTable:
    table = TextTable(
        "What it cost", "method", "instances", "memory of weights", "energy of hosts", "cost", "over the WAN",
        "raw data that left the site",
    )  # fmt: skip
    for method, row in results.by_method(run).iterrows():
        table.add_row(
            str(method), f"{row['instances']:.0f}", si_bytes(row["memory_bytes"]), f"{row['energy_j']:.3g} J",
            f"{row['cost']:.0f}", si_bytes(row["wan_bytes"]), si_bytes(row["raw_wan_bytes"]),
        )  # fmt: skip
    return table


def _parts(run: Run) -> TextTable:
    table = TextTable("Where a request's time went (mean, ms)", "method", *results.PARTS)
    for method, row in results.parts(run).iterrows():
        table.add_row(str(method), *(f"{1000 * row[part]:.1f}" for part in results.PARTS))
    return table


def _hosts(run: Run) -> TextTable:
    table = TextTable("Nodes", "method", "node", "busy", "weights", left=2)
    for place, row in results.hosts(run).iterrows():
        assert isinstance(place, tuple)
        table.add_row(*map(str, place), f"{100 * row['busy_share']:.1f} %", si_bytes(row["weight_bytes"]))
    return table


def _compared(run: Run) -> TextTable:
    table = TextTable(
        f"Against {results.FIRST}, paired by seed", "method", "number", "mean", "difference", "verdict", left=2,
        caption="95 % intervals; undecided with fewer than two seeds",
    )  # fmt: skip
    if results.metrics(run).empty:
        return table
    for column, title, scale in (
        ("on_time_ratio", "on time (%)", 100.0), ("e2e_p95_s", "E2E p95 (ms)", 1e3),
        ("memory_bytes", "memory (GB)", 1e-9),
    ):  # fmt: skip
        for row in results.compared(run, column).to_dict("records"):
            if row["method"] != results.FIRST:
                table.add_row(
                    str(row["method"]), title, with_interval(scale * row["mean"], scale * row["interval"]),
                    with_interval(scale * row["difference"], scale * row["difference_interval"], sign="+"),
                    results.verdict(row),
                )  # fmt: skip
    return table


def _models(run: Run) -> TextTable:
    table = TextTable(
        "The planner's model against the network", "method", "predicted mean (ms)", "simulated mean (ms)",
        "error of a request p50", "p95", "error of a transfer p50", "p95",
    )  # fmt: skip
    for method, row in results.by_method(run).iterrows():
        table.add_row(
            str(method), _ms(row["predicted_s"]), _ms(row["e2e_mean_s"]),
            *(_percent(row.get(f"{kind}_error_p{q}")) for kind in ("model", "link") for q in (50, 95)),
        )  # fmt: skip
    return table
