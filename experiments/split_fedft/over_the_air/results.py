# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of the study, worked out from the tables of its folder: what `report` prints and `plot` draws."""

from __future__ import annotations

import pandas as pd

from edgelam.runs import Run
from edgelam.runs.claims import Claim, less, more

from ..ways import at_common, by_seed, curves, ends, means, split
from .settings import AIR, MESSAGES, parse


def uplinks(run: Run) -> pd.DataFrame:
    """By way and seed, means over rounds: up_s, and of ways over the air relative_error and silent.

    up_s: how long the updates of a round were on their way up, s: from the first slot until the gNB has the last one;
    in messages, from the first that was sent until the last had arrived. relative_error: sum of squares of the error of
    the received mean, over that of the mean of the updates. silent: share of devices and resource blocks.
    """
    found = []
    if "air" in run and not run["air"].empty:
        rows = split(run["air"])
        rows = rows.assign(up_s=rows["end_s"] - rows["start_s"], relative_error=rows["error"] / rows["signal"])
        found.append(rows.groupby(["way", "seed"])[["up_s", "relative_error", "silent"]].mean().reset_index())
    if "transfers" in run and not run["transfers"].empty:
        rows = split(run["transfers"].assign(method=run["transfers"]["simulation"]))
        devices = run["devices"].query("role == 'ue'")["node"]
        up = (rows["tag"] == "adapter") & rows["source"].isin(devices)
        rows = rows[up & rows["way"].str.startswith(MESSAGES)]
        rows = rows.sort_values("queued_s", kind="stable")
        number = rows.groupby(["way", "seed", "source"]).cumcount().rename("round")
        times = rows.groupby(["way", "seed", number]).agg(begin=("queued_s", "min"), end=("last_byte_s", "max"))
        took = (times["end"] - times["begin"]).rename("up_s")
        found.append(took.groupby(["way", "seed"]).mean().reset_index())
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["way", "seed", "up_s"])


def runs_of(run: Run) -> pd.DataFrame:
    """One row for each simulation, as `ways.ends` gives it, with its devices and what `uplinks` knows."""
    rows = ends(run)
    rows = rows.assign(devices=[parse(way)[1] for way in rows["way"]])
    return rows.merge(uplinks(run), on=["way", "seed"], how="left")


def summary(run: Run) -> pd.DataFrame:
    """Means over seeds, a row for each way in the order in which they ran."""
    return means(runs_of(run))


def claims(run: Run) -> list[Claim]:
    """Claims: sums over the air against messages of as many devices, paired by seed; what more devices change."""
    rows, points, found = runs_of(run), curves(run), []
    have = set(rows["way"])
    counts = sorted({parse(way)[1] for way in have})
    for count in counts:
        air, messages = f"{AIR}-{count}", f"{MESSAGES}-{count}"
        if not {air, messages} <= have:
            continue

        def pair(column: str, rows: pd.DataFrame = rows, both: tuple[str, str] = (air, messages)) -> list[pd.Series]:
            return [by_seed(rows, way, column) for way in both]

        common = at_common(points[points["way"].isin([air, messages])])
        found += [
            less(f"{air}: updates are on their way a shorter time than in {messages}", *pair("up_s"), unit="s"),
            less(f"{air} takes less simulated time than {messages} for as many rounds", *pair("time_s"), unit="s"),
            less(f"{air} is less accurate than {messages} after as many rounds", *pair("accuracy")),
            more(f"at equal time, {air} is more accurate than {messages}", *pair("accuracy", common)),
        ]
    for kind in (MESSAGES, AIR):
        few, many = (f"{kind}-{count}" for count in (min(counts, default=0), max(counts, default=0)))
        if few != many and {few, many} <= have:
            ours, theirs = by_seed(rows, many, "up_s"), by_seed(rows, few, "up_s")
            found.append(more(f"{many}: updates are on their way longer than in {few}", ours, theirs, unit="s"))
    return found
