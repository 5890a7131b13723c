# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run, worked out from the tables of its folder: what `report` prints and `plot` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from edgelam.runs import Run
from edgelam.runs.scores import Score
from edgelam.runs.statistics import Difference, half_interval, paired_difference

_GROUP = ("method", "devices")
SCORES = (
    Score("step_s", "s", "lower", take="median", where={"extrapolated": False}, group=_GROUP, over=("seed",)),
    Score("loss_nats", "nat", "lower", where={"extrapolated": False}, group=_GROUP, over=("seed",)),
)
PARTS = ("compute", "uplink", "downlink", "merge", "waiting")
OPTIMISED = "tp-optimised"


def step_seconds(run: Run) -> pd.DataFrame:
    """Method, devices, seed, step_s: the median step over the network."""
    if "metrics" not in run or run.metrics.empty:
        return pd.DataFrame(columns=["method", "devices", "seed", "step_s"])
    rows = run.metrics[~run.metrics["extrapolated"]]
    return rows.groupby(["method", "devices", "seed"], sort=False)["step_s"].median().reset_index()


def step_table(run: Run) -> pd.DataFrame:
    """Mean step over seeds by (devices, method), with its 95 % interval, and what it is longer than the optimised one.

    Columns: seeds, step_s, interval, longer_s (mean of method minus tp-optimised at the same seed), longer_interval,
    ratio (geometric mean of the ratios), pairs.
    """
    seconds, found = step_seconds(run), []
    for (devices, method), rows in seconds.groupby(["devices", "method"], sort=False):
        mine = rows.set_index("seed")["step_s"]
        same = seconds[(seconds["devices"] == devices) & (seconds["method"] == OPTIMISED)].set_index("seed")["step_s"]
        difference = paired_difference(mine, same)
        ratios = (mine / same).dropna()
        found.append(
            {
                "devices": devices, "method": method, "seeds": len(mine), "step_s": mine.mean(),
                "interval": half_interval(mine), "longer_s": difference.mean,
                "longer_interval": difference.interval, "pairs": difference.pairs,
                "ratio": float(np.exp(np.log(ratios).mean())) if len(ratios) else float("nan"),
            }
        )  # fmt: skip
    return pd.DataFrame(found)


def verdict(row: Mapping[Any, Any]) -> str:
    """Whether tp-optimised is faster than the method of a row of `step_table`: ``no pair``, ``undecided``, ..."""
    return Difference(row["longer_s"], row["longer_interval"], row["pairs"]).verdict("slower", "faster")


def decisions(run: Run) -> pd.DataFrame:
    """Decisions with the simulated time of their steps, and expected_s: the prediction for how shares are enforced."""
    if "decisions" not in run or run["decisions"].empty:
        return pd.DataFrame(columns=["method", "expected_s", "simulated_s"])
    rows = run["decisions"].dropna(subset=["simulated_s"])
    hard = run.manifest["configuration"]["enforcement"] == "cap"
    return rows.assign(expected_s=rows["predicted_s" if hard else "fluid_s"])


def prediction_errors(run: Run) -> pd.DataFrame:
    """By method: median of |predicted - simulated| / simulated with hard shares and as a fluid, and median seconds of
    deciding and measuring; columns hard, fluid, decisions, deciding_s, measuring_s. The last row is of all."""
    rows = decisions(run)
    if rows.empty:
        return pd.DataFrame(columns=["hard", "fluid", "decisions", "deciding_s", "measuring_s"])
    errors = rows[["method", "deciding_s", "measuring_s"]].assign(
        hard=(rows["predicted_s"] / rows["simulated_s"] - 1).abs(),
        fluid=(rows["fluid_s"] / rows["simulated_s"] - 1).abs(),
    )
    columns = ["hard", "fluid", "deciding_s", "measuring_s"]
    table = errors.groupby("method", sort=False)[columns].median()
    table["decisions"] = errors.groupby("method", sort=False).size()
    every = pd.DataFrame([errors[columns].median()], index=["all"]).assign(decisions=len(errors))
    return pd.concat([table, every])


def costs(run: Run) -> pd.DataFrame:
    """By (devices, method): over devices and seeds, greatest peak memory, and joules of all devices for each step."""
    if any(name not in run or run[name].empty for name in ("devices", "metrics")):
        return pd.DataFrame(columns=["peak_memory_bytes", "energy_j"])
    ledger = run["devices"]
    ledger = ledger[ledger["role"] == "ue"].assign(joules=lambda rows: rows["compute_j"] + rows["idle_j"])
    steps = run.metrics[~run.metrics["extrapolated"]].groupby(["devices", "method", "seed"]).size()
    of_run = ledger.groupby(["devices", "method", "seed"], sort=False)
    table = pd.DataFrame({"peak_memory_bytes": of_run["peak_memory_bytes"].max(), "joules": of_run["joules"].sum()})
    table["energy_j"] = table["joules"] / steps.reindex(table.index)
    grouped = table.groupby(["devices", "method"], sort=False)
    return pd.DataFrame(
        {"peak_memory_bytes": grouped["peak_memory_bytes"].max(), "energy_j": grouped["energy_j"].mean()}
    )


def breakdown(run: Run) -> pd.DataFrame:
    """By (devices, method): mean seconds of a device in a step by PARTS, over the devices that send or compute.

    At a time a device computes, else sends, else something is on its way to it, else the server computes (merge), else
    it waits.
    """
    empty = pd.DataFrame(columns=list(PARTS))
    if any(name not in run or run[name].empty for name in ("metrics", "transfers")):
        return empty
    metrics = run.metrics[~run.metrics["extrapolated"]]
    computing = run["compute"] if "compute" in run else pd.DataFrame(columns=["simulation", "node"])
    nodes = run["nodes"].set_index(["simulation", "node"])["role"]
    found = []
    for simulation, transfers in run["transfers"].groupby("simulation", sort=False):
        label = transfers.iloc[0]
        rows = metrics[(metrics[list(_GROUP)] == label[list(_GROUP)]).all(axis=1) & (metrics["seed"] == label["seed"])]
        if rows.empty:
            continue
        begin_s = float((rows["time_s"] - rows["step_s"]).min())
        end_s, count = float(rows["time_s"].max()), len(rows)
        blocks = computing[computing["simulation"] == simulation]
        servers = [node for node, role in nodes.loc[simulation].items() if role != "ue"]
        merging = blocks[blocks["node"].isin(servers)][["start_s", "end_s"]].to_numpy()
        sent = transfers[transfers["last_byte_s"] > begin_s]
        for node, role in nodes.loc[simulation].items():
            own = blocks[blocks["node"] == node][["start_s", "end_s"]].to_numpy()
            up = sent[sent["source"] == node][["queued_s", "last_byte_s"]].to_numpy()
            down = sent[sent["receiver"] == node][["queued_s", "last_byte_s"]].to_numpy()
            if role == "ue" and (len(own) or len(up)):
                seconds = by_priority([own, up, down, merging], begin_s, end_s) / count
                found.append(
                    {"devices": label["devices"], "method": label["method"], **dict(zip(PARTS, seconds, strict=True))}
                )
    if not found:
        return empty
    return pd.DataFrame(found).groupby(["devices", "method"], sort=False)[list(PARTS)].mean()


def by_priority(intervals: Sequence[np.ndarray], begin: float, end: float) -> np.ndarray:
    """How much of [begin, end] each set of intervals [n, 2] covers that none before it does; at last what is left."""
    clipped = [np.clip(np.asarray(each, dtype=float).reshape(-1, 2), begin, end) for each in intervals]
    marks = np.unique(np.concatenate([np.array([begin, end]), *(each.ravel() for each in clipped)]))
    middles, lengths = (marks[:-1] + marks[1:]) / 2, np.diff(marks)
    free, found = np.ones(len(middles), dtype=bool), []
    for each in clipped:
        starts, ends = np.sort(each[:, 0]), np.sort(each[:, 1])
        inside = np.searchsorted(starts, middles, side="right") > np.searchsorted(ends, middles, side="right")
        found.append(float(lengths[free & inside].sum()))
        free &= ~inside
    return np.array([*found, float(lengths[free].sum())])


def refusals(run: Run) -> pd.DataFrame:
    """What does not fit the devices' memory."""
    return run["refused"] if "refused" in run else pd.DataFrame(columns=["method", "devices", "seed", "ran", "reason"])


def faults(run: Run) -> pd.DataFrame:
    """What faults of a device have cost; see tables.py."""
    return run["faults"] if "faults" in run else pd.DataFrame(columns=["fault", "loss_error"])


def attacks(run: Run) -> pd.DataFrame:
    """Attacks on encoded inputs: observer, columns, remedy, noise, residual, identified."""
    names = ["observer", "columns", "remedy", "noise", "residual", "identified"]
    return run["attacks"] if "attacks" in run else pd.DataFrame(columns=names)
