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
    """Print what each way to wait took and learnt, and which claims hold."""
    run = load(path)
    table = TextTable(
        "Ways to wait, means over seeds", "way", "accuracy", "loss", "simulated", "up", "down", "energy", "staleness",
        "left out",
    )  # fmt: skip
    table.caption = "energy of all devices, without radio; staleness: mean versions by which an update is behind"
    for row in results.summary(run).to_dict("records"):
        stale = row.get("staleness")
        table.add_row(
            str(row["way"]), f"{row['accuracy']:.3f}", f"{row['loss_nats']:.3f}", f"{row['time_s']:.2f} s",
            f"{row['up_bytes'] / 1e6:.3g} MB", f"{row['down_bytes'] / 1e6:.3g} MB", f"{row['device_j']:.3g} J",
            "-" if stale is None or pd.isna(stale) else f"{stale:.2f}", f"{100 * row['left_out']:.0f} %",
        )  # fmt: skip
    table.print(console)
    claims.table(results.claims(run)).print(console)
