# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of the study, worked out from the tables of its folder: what `report` prints and `plot` draws."""

from __future__ import annotations

import dataclasses

import pandas as pd

from edgelam.runs import Run
from edgelam.runs.claims import Claim, less

from ..ways import ends, means, split
from .settings import ADAPTIVE, FIXED

OF = {"time": "time_s", "energy": "device_j", "bytes": "total_bytes", "arithmetic": "device_flops"}
"""The column that is to be least for an objective."""
UNITS = {"time_s": "s", "device_j": "J", "total_bytes": "MB", "device_flops": "GFLOP"}
SCALES = {"time_s": 1.0, "device_j": 1.0, "total_bytes": 1e-6, "device_flops": 1e-9}


def runs_of(run: Run) -> pd.DataFrame:
    """One row for each simulation that has ended, as `ways.ends` gives it, with mean_blocks on a device."""
    rows = ends(run)
    if rows.empty or "cuts" not in run:
        return pd.DataFrame(columns=["way", "seed"])
    blocks = split(run["cuts"]).groupby(["way", "seed"])["blocks"].mean().rename("mean_blocks").reset_index()
    return rows.merge(blocks, on=["way", "seed"])


def summary(run: Run) -> pd.DataFrame:
    """Means over seeds, a row for each way in the order in which they ran."""
    return means(runs_of(run))


def best_fixed(rows: pd.DataFrame, column: str) -> str | None:
    """Return the fixed cut whose mean over seeds is least in a column; None without one."""
    fixed = rows[rows["way"].str.startswith(FIXED)]
    return None if fixed.empty else str(fixed.groupby("way")[column].mean().idxmin())


def claims(run: Run) -> list[Claim]:
    """Claims: each adaptive way against the fixed cut that is best in what it aims at, paired by seed."""
    rows, found = runs_of(run), []
    for way in dict.fromkeys(rows["way"]):
        objective = str(way).removeprefix(ADAPTIVE)
        if not str(way).startswith(ADAPTIVE) or objective not in OF:
            continue
        for name, column in OF.items():
            best = best_fixed(rows, column)
            if best is None:
                continue
            own, other = (rows[rows["way"] == each].set_index("seed")[column] for each in (way, best))
            text, scale = f"{way} takes less {name} than {best}, the fixed cut that takes least", SCALES[column]
            claim = less(text, own, other, scale=scale, unit=UNITS[column])
            found.append(dataclasses.replace(claim, measured=f"{claim.measured} of {scale * other.mean():.4g}"))
    return found


def prediction(run: Run) -> pd.DataFrame:
    """By way: predicted over simulated seconds of a device in a round, without waiting: median, and 90th percentile of
    the relative error, from the second round on."""
    if "cuts" not in run or "device_rounds" not in run:
        return pd.DataFrame(columns=["way"])
    taken = run["device_rounds"].assign(
        simulated_s=lambda rows: rows["compute_s"] + rows["uplink_s"] + rows["downlink_s"]
    )
    keys = ["method", "round", "device"]
    joined = run["cuts"].merge(taken[[*keys, "simulated_s"]], on=keys)
    joined = split(joined[joined["round"] >= 2])
    joined["error"] = (joined["predicted_s"] - joined["simulated_s"]).abs() / joined["simulated_s"]
    groups = joined.groupby("way", sort=False)["error"]
    return groups.agg(predictions="count", median="median", p90=lambda error: error.quantile(0.9)).reset_index()


def cuts_over_time(run: Run) -> pd.DataFrame:
    """Blocks on each device by round: way, seed, round, device, blocks; of the adaptive ways."""
    if "cuts" not in run:
        return pd.DataFrame(columns=["way", "seed", "round", "device", "blocks"])
    rows = split(run["cuts"])
    return rows[rows["way"].str.startswith(ADAPTIVE)][["way", "seed", "round", "device", "blocks"]]
