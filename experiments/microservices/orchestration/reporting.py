# SPDX-License-Identifier: GPL-2.0-only
"""The result tables of a run on the console, from its folder alone."""

from pathlib import Path

from rich.console import Console

from edgelam.output.terminal import TextTable
from edgelam.runs import Run, claims, load

from . import results


def report(path: Path, console: Console) -> None:
    """Print latencies by shift and method, and the claims."""
    run = load(path)
    table = TextTable("Requests, means over seeds", "shift", "method", "decisions", "on time", "E2E mean (ms)", "p95",
                      "decision", left=3)  # fmt: skip
    for place, row in results.means(run).iterrows():
        assert isinstance(place, tuple)
        shift, method, charged = place
        table.add_row(
            str(shift), str(method), "charged" if charged else "free", f"{100 * row['on_time_ratio']:.1f} %",
            *(f"{1000 * row[name]:.0f}" for name in ("e2e_mean_s", "e2e_p95_s")),
            f"{1000 * row['decision_mean_s']:.1f}",
        )  # fmt: skip
    table.print(console)
    _model(run).print(console)
    claims.table(results.claims(run)).print(console)
    console.print("Services are declared: their work and sizes are given, and their answers mean nothing.")


def _model(run: Run) -> TextTable:
    table = TextTable(
        "The queueing model against the network, decisions apart", "shift", "method", "decisions", "model (ms)",
        "taken (ms)", "error p50", "p95", left=3, caption="the same requests on the same routes; means over seeds",
    )  # fmt: skip
    found = results.means(run)
    if not set(results.OF_MODEL) <= set(found):
        return table
    for place, row in found.iterrows():
        assert isinstance(place, tuple)
        shift, method, charged = place
        table.add_row(
            str(shift), str(method), "charged" if charged else "free", f"{1000 * row['model_mean_s']:.0f}",
            f"{1000 * (row['e2e_mean_s'] - row['decision_mean_s']):.0f}",
            *(f"{100 * row[name]:.0f} %" for name in ("model_error_p50", "model_error_p95")),
        )  # fmt: skip
    return table
