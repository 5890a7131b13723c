# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of the study, worked out from the tables of its folder: what `report` prints and `plot` draws."""

from __future__ import annotations

import pandas as pd

from edgelam.runs import Run
from edgelam.runs.claims import Claim, less, more

from ..ways import at_common, by_seed, curves, ends, means, split

SYNCHRONOUS = "synchronous"


def waiting(run: Run) -> pd.DataFrame:
    """By way and seed: staleness (mean of updates), left_out (share of a round's devices that were late)."""
    found = []
    if "staleness" in run and not run["staleness"].empty:
        rows = split(run["staleness"])
        found.append(rows.groupby(["way", "seed"])["staleness"].mean())
    if "rounds" in run and not run["rounds"].empty:
        rows = split(run["rounds"])
        rows = rows.assign(left_out=rows["num_dropped"] / rows["num_devices"])
        found.append(rows.groupby(["way", "seed"])["left_out"].mean())
    return pd.concat(found, axis=1).reset_index() if found else pd.DataFrame(columns=["way", "seed"])


def summary(run: Run) -> pd.DataFrame:
    """Means over seeds, a row for each way in the order in which they ran."""
    rows = ends(run)
    return rows if rows.empty else means(rows.merge(waiting(run), on=["way", "seed"], how="left"))


def claims(run: Run) -> list[Claim]:
    """Claims: each way against rounds that wait for all, paired by seed."""
    rows, common, found = ends(run), at_common(curves(run)), []
    for way in dict.fromkeys(rows["way"]):
        if way == SYNCHRONOUS or SYNCHRONOUS not in set(rows["way"]):
            continue
        found.append(
            less(
                f"{way} takes less simulated time than {SYNCHRONOUS} for as many updates",
                by_seed(rows, way, "time_s"), by_seed(rows, SYNCHRONOUS, "time_s"), unit="s",
            )
        )  # fmt: skip
        ours, theirs = (by_seed(common, each, "accuracy") for each in (way, SYNCHRONOUS))
        found.append(more(f"at equal time, {way} is more accurate than {SYNCHRONOUS}", ours, theirs))
    return found
