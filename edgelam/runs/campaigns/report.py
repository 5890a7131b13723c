# SPDX-License-Identifier: GPL-2.0-only
"""Prints the results of a campaign, and what failed."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console

from edgelam.output.terminal import TextTable
from edgelam.runs.campaigns.display import reason_of
from edgelam.runs.campaigns.folder import CampaignFolder, Job
from edgelam.runs.configuration.settings import plain_text
from edgelam.runs.many import Runs
from edgelam.runs.scores import BEST
from edgelam.runs.statistics import remark, with_interval


def print_results(
    console: Console, found: Runs, metric: str, settings: Sequence[str], baseline: Mapping[str, Any]
) -> None:
    """Print the mean of a metric with its 95 % interval, and the paired difference to the baseline, by cell and label.

    settings: those of the grid that have several values, even if only one of them has a finished run.
    """
    if not found.metrics:
        console.print("These runs have no metrics to compare: the experiment has no `scores` and no table `metrics`.")
        return
    metric = metric or found.metrics[0]
    compared = bool(baseline) and _has_finished(found, baseline)
    rows = found.compare(metric, baseline if compared else None, settings)
    labels = list(rows.columns[len(settings) : list(rows.columns).index("count")])
    keys = [*settings, *(label for label in labels if len(rows[label].unique()) > 1)]
    score = found.score(metric)
    heads = [*keys, "runs", score.title, *(("difference to the baseline", "") if compared else ())]
    conditions = list(rows[labels[1:]].itertuples(index=False, name=None))
    best = score.best(rows["mean"].tolist(), conditions)
    table = TextTable(
        f"{score.title}: mean +- 95 % over seeds", *heads, left=len(keys), caption="* best" if any(best) else ""
    )
    for row, mark in zip(rows.to_dict("records"), best, strict=True):
        cells = [plain_text(None if pd.isna(row[key]) else row[key]) for key in keys]
        mean = with_interval(row["mean"], row["interval"])
        cells += [str(row["count"]), f"{mean}{BEST}" if mark else mean]
        if compared:
            difference = with_interval(row["difference"], row["difference_interval"], sign="+")
            cells += ["" if row["note"] else difference, remark(row, score)]
        table.add_row(*cells)
    table.print(console)
    pairs = ", ".join(f"{name} = {plain_text(value)}" for name, value in baseline.items())
    if pairs:
        note = "differences are of pairs with the same seed"
        if not compared:
            note = "no finished run of the baseline: no differences"
        console.print(f"baseline: {pairs}; {note}", markup=False, highlight=False, soft_wrap=True)
    if others := [name for name in found.metrics if name != metric]:
        console.print(
            f"other metrics (--metric NAME): {', '.join(others)}", markup=False, highlight=False, soft_wrap=True
        )


def print_failures(console: Console, folder: CampaignFolder, failed: Sequence[Job]) -> None:
    """Print for each failed run: why it failed, where its files are, and the command that reproduces it."""
    for job in failed:
        left = folder.failed / job.name
        for line in (
            f"FAILED {job.label}: {reason_of(left) or 'without a word'}",
            f"  its files: {left}/ (stderr.txt)",
            f"  reproduce: {job.command}",
        ):
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def _has_finished(found: Runs, baseline: Mapping[str, Any]) -> bool:
    """Return whether there is a run with these settings that has results."""
    runs = found.runs[found.runs["run"].isin(found.results["run"])]
    for name, value in baseline.items():
        runs = runs[runs[name].isna() if value is None else runs[name] == value]
    return len(runs) > 0
