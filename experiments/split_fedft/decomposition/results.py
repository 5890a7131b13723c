# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of the study, worked out from the tables of its folder: what `report` prints and `plot` draws.

Column `method` of the tables is the way to cut and the seed, as `label` writes them.
"""

from __future__ import annotations

import dataclasses

import pandas as pd

from edgelam.runs import Run
from edgelam.runs.claims import Claim, less
from edgelam.runs.scores import Score

from .settings import ADAPTIVE, FIXED

SCORES = (
    Score("accuracy", better="higher", where={"head": "average", "test_set": "global"}),
    Score("simulated_s", "s", "lower", column="time_s", where={"head": "average", "test_set": "global"}),
)
OF = {"time": "time_s", "energy": "device_j", "bytes": "total_bytes", "arithmetic": "device_flops"}
"""The column that is to be least for an objective."""
UNITS = {"time_s": "s", "device_j": "J", "total_bytes": "MB", "device_flops": "GFLOP"}
SCALES = {"time_s": 1.0, "device_j": 1.0, "total_bytes": 1e-6, "device_flops": 1e-9}


def label(way: str, seed: int) -> str:
    """Name a simulation."""
    return f"{way} #{seed}"


def split(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with columns way and seed instead of method."""
    parts = rows["method"].str.rsplit(" #", n=1, expand=True)
    return rows.drop(columns="method").assign(way=parts[0], seed=parts[1].astype(int))


def runs_of(run: Run) -> pd.DataFrame:
    """One row for each simulation that has ended: way, seed, accuracy, loss_nats, and what it took.

    Columns time_s, up_bytes, down_bytes, total_bytes, device_j, device_flops, server_flops, peak_memory_bytes (the
    largest of a device), mean_blocks.
    """
    if "metrics" not in run or "devices" not in run or run["metrics"].empty or run["devices"].empty:
        return pd.DataFrame(columns=["way", "seed"])
    scores = run["metrics"]
    scores = scores[(scores["head"] == "average") & (scores["test_set"] == "global")].sort_values("step")
    last = scores.groupby("method", sort=False).last()
    last = last.rename(columns={"uplink_bytes": "up_bytes", "downlink_bytes": "down_bytes"})
    last["total_bytes"] = last["up_bytes"] + last["down_bytes"]
    nodes = run["devices"]
    ues, servers = (nodes[(nodes["role"] == "ue") == is_ue] for is_ue in (True, False))
    of_ues = ues.groupby("method").agg(
        device_j=("energy_j", "sum"), device_flops=("flops", "sum"), peak_memory_bytes=("peak_memory_bytes", "max"),
    )  # fmt: skip
    of_servers = servers.groupby("method").agg(server_flops=("flops", "sum"))
    blocks = run["cuts"].groupby("method")["blocks"].mean().rename("mean_blocks")
    columns = ["accuracy", "loss_nats", "time_s", "up_bytes", "down_bytes", "total_bytes"]
    joined = last[columns].join([of_ues, of_servers, blocks], how="inner").reset_index()
    return split(joined)


def summary(run: Run) -> pd.DataFrame:
    """Means over seeds, a row for each way in the order in which they ran."""
    rows = runs_of(run)
    if rows.empty:
        return rows
    return rows.groupby("way", sort=False).mean(numeric_only=True).drop(columns="seed").reset_index()


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
