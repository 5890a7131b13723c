# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run from the table of its folder: printed, and drawn over the load."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console

from edgelam.files.storage import write_atomically
from edgelam.inference.offloading import fdedge, lad_ts
from edgelam.output import figures
from edgelam.output.terminal import TextTable
from edgelam.runs import Run, Score, load
from edgelam.runs.statistics import half_interval, paired_difference, with_interval

SCORES = (Score("delay_s", "s", "lower", table="delays", group=("environment", "rule"), over=("episode",),
                across="load"),)  # fmt: skip
AGAINST = "capacity-proportional"
"""It knows capacities and nothing else: what is better than it has decided something."""
PUBLISHED = {"lad-ts": lad_ts.PUBLISHED, "fdedge": fdedge.PUBLISHED}


def delays(run: Run) -> pd.DataFrame:
    """Return one row for each environment, load and rule.

    Columns: mean, interval (half of the 95 % one), difference to `AGAINST` (paired by episode), difference_interval,
    verdict. A learner whose curve still falls is not called slower.
    """
    found, falling = [], _falling(run)
    for (environment, share), rows in run["delays"].groupby(["environment", "share"], sort=False):
        base = rows[rows["rule"] == AGAINST].set_index("episode")["delay_s"]
        for rule, mine in rows.groupby("rule", sort=False):
            values = mine.set_index("episode")["delay_s"]
            difference = paired_difference(values, base)
            verdict = difference.verdict("slower", "faster")
            if verdict == "slower" and (environment, share, rule) in falling:
                verdict = "undecided: its curve still falls"
            found.append(
                {
                    "environment": environment, "share": share, "load": mine["load"].iloc[0], "rule": rule,
                    "mean": values.mean(), "interval": half_interval(values), "difference": difference.mean,
                    "difference_interval": difference.interval, "verdict": verdict,
                }
            )  # fmt: skip
    return pd.DataFrame(found)


def _falling(run: Run) -> set[tuple[str, float, str]]:
    """Learners whose curve has not flattened: (environment, share, rule)."""
    if "learners" not in run:
        return set()
    rows = run["learners"]
    rows = rows[~rows["flat"].astype(bool)]
    return set(zip(rows["environment"], rows["share"], rows["rule"], strict=True))


def report(path: Path, console: Console) -> None:
    """Print a table for each environment and load, with what was published for the whole load."""
    for (environment, share), rows in delays(load(path)).groupby(["environment", "share"], sort=False):
        table = TextTable(
            f"{environment}: {rows['load'].iloc[0]:.2f} times the capacity", "rule", "mean delay (s)",
            f"against {AGAINST} (s)", "", caption="95 % intervals over episodes, paired",
        )  # fmt: skip
        for row in rows.sort_values("mean").to_dict("records"):
            table.add_row(
                row["rule"], with_interval(row["mean"], row["interval"]),
                with_interval(row["difference"], row["difference_interval"], sign="+"),
                "" if row["rule"] == AGAINST else row["verdict"],
            )  # fmt: skip
        if share == 1:
            for method, (least, most) in PUBLISHED[str(environment)].items():
                table.add_row(
                    f"published: {method}", f"{least:g}" if least == most else f"{least:g} to {most:g}", "", ""
                )
        table.print(console)


def plot(path: Path) -> list[Path]:
    """Draw the mean delay over the load, and learning curves; returns the SVG files (a PNG lies beside each)."""
    run = load(path)
    found = delays(run)
    write_atomically(path / "offloading.csv", found.to_csv(index=False, float_format="%.4g").encode())
    panels = list(found.groupby("environment", sort=False))
    rules = list(dict.fromkeys(found["rule"]))
    with figures.figure(path / "offloading", width_in=figures.PAGE_IN, height_in=3.2, columns=len(panels)) as (
        figure,
        axes,
    ):
        for panel, (environment, rows) in zip(axes, panels, strict=True):
            for rule, mine in rows.groupby("rule", sort=False):
                ordered = mine.sort_values("load")
                panel.plot(
                    ordered["load"], ordered["mean"], label=rule, **figures.line_style(rules.index(rule), len(ordered))
                )
            panel.axvline(1, color="#7F7F7F", linewidth=0.6)
            panel.set_yscale("log")
            panel.set_title(str(environment))
            panel.set_xlabel("work that comes, relative to all capacities")
            panel.set_ylabel("mean delay (s)")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, fontsize=6)
    return [path / "offloading.svg", *_curves(path, run)]


def _curves(path: Path, run: Run) -> list[Path]:
    """Draw learning curves, a panel for each environment and load, with their numbers as CSV beside them."""
    if "curves" not in run:
        return []
    write_atomically(path / "curves.csv", run["curves"].to_csv(index=False, float_format="%.4g").encode())
    panels = list(run["curves"].groupby(["environment", "share"], sort=False))
    rules = list(dict.fromkeys(run["curves"]["rule"]))
    with figures.figure(path / "curves", width_in=figures.PAGE_IN, height_in=3.0, columns=len(panels)) as (
        figure,
        axes,
    ):
        for panel, ((environment, share), rows) in zip(axes, panels, strict=True):
            for rule, mine in rows.groupby("rule", sort=False):
                panel.plot(mine["updates"] / 1000, mine["delay_s"], label=rule,
                           **figures.line_style(rules.index(rule), len(mine)))  # fmt: skip
            panel.set_yscale("log")
            panel.set_title(f"{environment}, {share:g} of the tasks")
            panel.set_xlabel("updates (thousands)")
            panel.set_ylabel("mean delay of the first tasks (s)")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=4, fontsize=6)
    return [path / "curves.svg"]
