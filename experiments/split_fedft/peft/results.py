# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of the study, worked out from the tables of its folder: what `report` prints and `plot` draws."""

from __future__ import annotations

import pandas as pd

from edgelam.runs import Run
from edgelam.runs.claims import Claim, more
from edgelam.runs.statistics import paired_difference

from ..ways import by_seed, ends, means, split

SPLIT, LORA = "split", "lora"
MODEL = "model"
"""Tag of the first download."""


def downloads(run: Run) -> pd.DataFrame:
    """By way and seed: bytes of the first download of the model by all devices, 0 without one."""
    if "transfers" not in run or run["transfers"].empty:
        return pd.DataFrame(columns=["way", "seed", "download_bytes"])
    rows = split(run["transfers"].assign(method=run["transfers"]["simulation"]))
    rows = rows.assign(download_bytes=rows["size_bytes"].where(rows["tag"] == MODEL, 0))
    return rows.groupby(["way", "seed"], sort=False)["download_bytes"].sum().reset_index()


def own_heads(run: Run) -> pd.DataFrame:
    """By way and seed: accuracy of the devices' own models on their local test sets at the end, mean of devices."""
    rows = run["metrics"]
    rows = split(rows[(rows["head"] != "average") & (rows["test_set"] == "local")])
    last = rows.sort_values("step", kind="stable").groupby(["way", "seed", "head"], sort=False)["accuracy"].last()
    return last.groupby(["way", "seed"], sort=False).mean().rename("own_accuracy").reset_index()


def runs_of(run: Run) -> pd.DataFrame:
    """One row for each simulation, as `ways.ends` gives it, with download_bytes and own_accuracy."""
    rows = ends(run)
    if rows.empty:
        return rows
    rows = rows.merge(downloads(run), on=["way", "seed"], how="left")
    return rows.merge(own_heads(run), on=["way", "seed"], how="left")


def summary(run: Run) -> pd.DataFrame:
    """Means over seeds, a row for each way in the order in which they ran."""
    return means(runs_of(run))


def sizes(run: Run) -> pd.DataFrame:
    """Bytes of one device and step by rank and length of a sample (sizes.py)."""
    return run["sizes"] if "sizes" in run else pd.DataFrame(columns=["rank", "tokens"])


def claims(run: Run) -> list[Claim]:
    """Claims: one line about bytes, and what each way gives up or saves against FedIT, paired by seed."""
    rows, found = runs_of(run), []
    if {SPLIT, LORA} <= set(rows["way"]):
        found.append(_of_bytes(rows))
    for way in dict.fromkeys(rows["way"]):
        if way in (SPLIT, LORA) or LORA not in set(rows["way"]):
            continue
        column = "own_accuracy" if way == "personalised" else "accuracy"
        where = "local test sets, own models" if way == "personalised" else "the global test set"
        ours, theirs = (by_seed(rows, each, column) for each in (way, LORA))
        found.append(more(f"{way} is more accurate than {LORA} on {where}", ours, theirs))
    return found


def _of_bytes(rows: pd.DataFrame) -> Claim:
    """Jacobians against models: up, down, in all, with and without the first download."""
    split_, lora = (rows[rows["way"] == way].set_index("seed") for way in (SPLIT, LORA))
    pairs = {
        "up": (split_["up_bytes"], lora["up_bytes"]),
        "down": (split_["down_bytes"], lora["down_bytes"]),
        "in all": (split_["total_bytes"], lora["total_bytes"]),
        "in all without the first download": (split_["total_bytes"], lora["total_bytes"] - lora["download_bytes"]),
    }
    said, right = [], 0
    for name, (ours, theirs) in pairs.items():
        difference = paired_difference(ours, theirs)
        right += difference.mean < 0
        said.append(f"{name} {ours.mean() / 1e6:.3g} of {theirs.mean() / 1e6:.3g} MB")
    verdict = "holds" if right == len(pairs) else "does not hold"
    return Claim("Jacobians take fewer bytes than models: up, down, in all, without the first download",
                 "; ".join(said), verdict)  # fmt: skip
