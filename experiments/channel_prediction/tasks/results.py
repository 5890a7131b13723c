# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of one backbone for two tasks, from the tables of a run folder: printed and drawn."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console

from edgelam.output import figures
from edgelam.output.terminal import TextTable
from edgelam.runs import Run
from edgelam.runs.claims import verdict
from edgelam.runs.statistics import half_interval, paired_difference, with_interval
from edgelam.text import si_bytes

SHARED = "adapters"


def claims(run: Run) -> pd.DataFrame:
    """Return one row for each comparison of the shared backbone with another way, paired by seed."""
    found = []
    for column, sign, words in (("nmse", -1, "predicts better than"), ("rate", 1, "precodes better than")):
        table = sign * run["tasks"].pivot_table(index="seed", columns="method", values=column)
        for other in ("joint", "full", "small"):
            if SHARED in table and other in table:
                difference = paired_difference(table[SHARED], table[other])
                found.append(
                    {"claim": f"{SHARED} {words} {other}", "difference": difference.mean,
                     "interval": difference.interval, "verdict": verdict(difference, more=True)}
                )  # fmt: skip
    return pd.DataFrame(found, columns=["claim", "difference", "interval", "verdict"])


def report(run: Run, console: Console) -> None:
    """Print quality, memory and bytes of each way, and the claims."""
    table = TextTable(
        "Prediction and beamforming on one node", "way", "NMSE", "bit/s/Hz", "of WMMSE", "in memory", "to be sent",
        "trained", caption="95 % intervals over seeds; to be sent: to a node that has the pre-trained backbone",
    )  # fmt: skip
    for method, rows in run["tasks"].groupby("method", sort=False):
        table.add_row(
            str(method), with_interval(rows["nmse"].mean(), half_interval(rows["nmse"])),
            with_interval(rows["rate"].mean(), half_interval(rows["rate"])), f"{rows['of_wmmse'].mean():.1%}",
            si_bytes(rows["held_bytes"].mean()), si_bytes(rows["sent_bytes"].mean()), f"{rows['trained'].iloc[0]:,}",
        )  # fmt: skip
    table.print(console)
    table = TextTable("Claims, paired by seed", "claim", "difference", "")
    for row in claims(run).to_dict("records"):
        table.add_row(row["claim"], with_interval(row["difference"], row["interval"], sign="+"), row["verdict"])
    table.print(console)


def plot(run: Run, path: Path) -> list[Path]:
    """Draw error and rate over memory."""
    means = run["tasks"].groupby("method", sort=False)[["nmse", "of_wmmse", "held_bytes"]].mean()
    with figures.figure(path / "tasks", columns=2, width_in=figures.PAGE_IN, height_in=2.4) as (_, axes):
        for each, column, words in zip(axes, ("nmse", "of_wmmse"), ("NMSE", "sum rate over WMMSE's"), strict=True):
            for number, (method, row) in enumerate(means.iterrows()):
                each.plot(row["held_bytes"] / 1e6, row[column], label=method, **figures.line_style(number, 1))
            each.set_xlabel("memory for both tasks (MB)")
            each.set_ylabel(words)
        axes[0].legend(fontsize=6)
    return [path / "tasks.svg"]
