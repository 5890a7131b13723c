# SPDX-License-Identifier: GPL-2.0-only
"""The result tables of the study on the console, from its folder alone."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from edgelam.output.terminal import TextTable
from edgelam.runs import claims, load

from . import results


def report(path: Path, console: Console) -> None:
    """Print what each way to cut took and learnt, how good predictions were, and which claims hold."""
    run = load(path)
    table = TextTable(
        "Ways to cut, means over seeds", "way", "blocks", "accuracy", "simulated", "up", "down", "energy", "arithmetic",
        "peak memory",
    )  # fmt: skip
    table.caption = "energy and arithmetic of all devices; the largest peak memory of a device"
    for row in results.summary(run).to_dict("records"):
        table.add_row(
            str(row["way"]), f"{row['mean_blocks']:.2f}", f"{row['accuracy']:.3f}", f"{row['time_s']:.2f} s",
            f"{row['up_bytes'] / 1e6:.3g} MB", f"{row['down_bytes'] / 1e6:.3g} MB", f"{row['device_j']:.3g} J",
            f"{row['device_flops'] / 1e9:.3g} GFLOP", f"{row['peak_memory_bytes'] / 1e6:.3g} MB",
        )  # fmt: skip
    table.print(console)
    errors = TextTable("Predicted device times, relative errors", "way", "predictions", "median", "90th percentile")
    for row in results.prediction(run).to_dict("records"):
        errors.add_row(
            str(row["way"]), str(row["predictions"]), f"{100 * row['median']:.1f} %", f"{100 * row['p90']:.1f} %"
        )
    errors.print(console)
    claims.table(results.claims(run)).print(console)
