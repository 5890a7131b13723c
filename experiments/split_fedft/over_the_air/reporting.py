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
    """Print what each way up took and learnt, and which claims hold."""
    run = load(path)
    table = TextTable(
        "Ways up, means over seeds", "way", "accuracy", "loss", "simulated", "a round's updates", "up in messages",
        "error", "silent",
    )  # fmt: skip
    table.caption = "error: squared, of the mean over the air, over the squared mean of updates; silent: by truncation"
    for row in results.summary(run).to_dict("records"):
        error, silent = row.get("relative_error"), row.get("silent")
        table.add_row(
            str(row["way"]), f"{row['accuracy']:.3f}", f"{row['loss_nats']:.3f}", f"{row['time_s']:.2f} s",
            f"{1e3 * row['up_s']:.2f} ms", f"{row['up_bytes'] / 1e6:.3g} MB",
            "-" if error is None or pd.isna(error) else f"{error:.2g}",
            "-" if silent is None or pd.isna(silent) else f"{100 * silent:.1f} %",
        )  # fmt: skip
    table.print(console)
    claims.table(results.claims(run)).print(console)
