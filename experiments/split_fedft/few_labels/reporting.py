# SPDX-License-Identifier: GPL-2.0-only
"""The result tables of the study on the console, from its folder alone."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Console

from edgelam.output.terminal import TextTable
from edgelam.runs import claims, load
from edgelam.runs.statistics import with_interval

from . import results


def report(path: Path, console: Console) -> None:
    """Print accuracies by labels and kind, and which claims hold."""
    run = load(path)
    table = TextTable("Accuracy on the global test set", "labels on each device", "model", "accuracy", "loss", "seeds",
                      left=2)  # fmt: skip
    for row in results.summary(run).to_dict("records"):
        table.add_row(
            str(row["labels"]), str(row["kind"]), with_interval(row["accuracy"], row["interval"]),
            "-" if math.isnan(row["loss_nats"]) else f"{row['loss_nats']:.3f}", str(row["seeds"]),
        )  # fmt: skip
    table.print(console)
    claims.table(results.claims(run)).print(console)
