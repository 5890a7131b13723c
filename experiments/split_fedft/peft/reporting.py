# SPDX-License-Identifier: GPL-2.0-only
"""The result tables of the study on the console, from its folder alone."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Console

from edgelam.output.terminal import TextTable
from edgelam.runs import claims, load

from . import results


def report(path: Path, console: Console) -> None:
    """Print what each way took and learnt, the bytes by rank and length, and which claims hold."""
    run = load(path)
    table = TextTable(
        "Ways to fine-tune, means over seeds", "way", "accuracy", "own models", "simulated", "up", "down",
        "of it the model", "energy", "arithmetic", "peak memory",
    )  # fmt: skip
    table.caption = (
        "own models: accuracy on local test sets; energy and arithmetic of all devices; the largest peak memory of "
        "one; personalised: accuracy is the mean of the devices' own models"
    )
    for row in results.summary(run).to_dict("records"):
        table.add_row(
            str(row["way"]), f"{row['accuracy']:.3f}", f"{row['own_accuracy']:.3f}", f"{row['time_s']:.2f} s",
            f"{row['up_bytes'] / 1e6:.3g} MB", f"{row['down_bytes'] / 1e6:.3g} MB",
            f"{row['download_bytes'] / 1e6:.3g} MB", f"{row['device_j']:.3g} J",
            f"{row['device_flops'] / 1e9:.3g} GFLOP", f"{row['peak_memory_bytes'] / 1e6:.3g} MB",
        )  # fmt: skip
    table.print(console)
    sizes = TextTable(
        "Bytes of one device and one step", "rank", "tokens", "split up", "split down", "un-split up and down",
        "steps until un-split is ahead", "even up at",
    )  # fmt: skip
    sizes.caption = (
        "steps: up and down together, with the download of the model; even up at: tokens of a sample from which on "
        "split sends more up"
    )
    for row in results.sizes(run).to_dict("records"):
        steps = row["even_steps"]
        sizes.add_row(
            str(row["rank"]), str(row["tokens"]), f"{row['split_up'] / 1e3:.3g} kB",
            f"{row['split_down'] / 1e3:.3g} kB", f"{row['unsplit_up'] / 1e3:.3g} kB",
            "never" if math.isinf(steps) else f"{steps:.0f}", f"{row['even_tokens_up']:.1f} tokens",
        )  # fmt: skip
    sizes.print(console)
    claims.table(results.claims(run)).print(console)
