# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of the study, worked out from the tables of its folder: what `report` prints and `plot` draws."""

from __future__ import annotations

import pandas as pd

from edgelam.runs import Run
from edgelam.runs.claims import Claim, more
from edgelam.runs.statistics import half_interval

from ..ways import by_seed, curves
from .settings import KINDS, PRETRAINED, parse


def scores(run: Run) -> pd.DataFrame:
    """One row for each way and seed: way, seed, kind, labels, accuracy, loss_nats, at the end."""
    rows = curves(run)
    if rows.empty:
        return pd.DataFrame(columns=["way", "seed", "kind", "labels", "accuracy"])
    last = rows.groupby(["way", "seed"], sort=False).last().reset_index()
    kinds = [parse(way) for way in last["way"]]
    last = last.assign(kind=[kind for kind, _ in kinds], labels=[labels for _, labels in kinds])
    return last[["way", "seed", "kind", "labels", "accuracy", "loss_nats"]]


def summary(run: Run) -> pd.DataFrame:
    """Means over seeds: kind, labels, accuracy, interval (half of 95 %), loss_nats, seeds."""
    rows = scores(run)
    groups = rows.groupby(["labels", "kind"], sort=False)
    found = groups[["accuracy", "loss_nats"]].mean()
    return found.assign(interval=groups["accuracy"].apply(half_interval), seeds=groups.size()).reset_index()


def claims(run: Run) -> list[Claim]:
    """Claims: pre-training against each control with as many labels, paired by seed."""
    rows, found = scores(run), []
    there = set(rows["way"])
    for labels in sorted(set(rows["labels"])):
        ours = f"{PRETRAINED}-{labels}"
        for kind in KINDS[1:]:
            if ours not in there or f"{kind}-{labels}" not in there:
                continue
            text = f"with {labels} labels on each device, the pre-trained model is more accurate than {kind}"
            pair = (by_seed(rows, each, "accuracy") for each in (ours, f"{kind}-{labels}"))
            found.append(more(text, *pair))
    return found
