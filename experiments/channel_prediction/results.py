# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run, worked out from the tables of its folder: what `report` prints and `plot` draws."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pandas as pd

from edgelam.runs import Run
from edgelam.runs.claims import Claim, more
from edgelam.runs.scores import Score
from edgelam.runs.statistics import groups, half_interval

from .config import FIXED

ROW = ["method", "servers"]
_GROUP = (*ROW, "test_set")
_OVER = ("seed", "server")  # means over the seeds, and with local training over the servers, each with its own model
SCORES = (
    Score("nmse", better="lower", table="scores", group=_GROUP, over=_OVER, across="epoch"),
    Score("spectral_efficiency", "bit/s/Hz", "higher", table="scores", group=_GROUP, over=_OVER, across="epoch"),
    Score("nmse across", better="lower", table="across", column="nmse",
          group=("method", "training", "configuration"), over=("seed",)),
    Score("goodput", "Mb/s", "higher", table="loop", column="goodput_mbps",
          group=("method", "speed_kmh", "period", "delay"), over=("seed",)),
)  # fmt: skip


def final_scores(run: Run) -> pd.DataFrame:
    """The last test of each method: rows (method, servers, test_set, seed), columns nmse, spectral_efficiency.

    Local training: mean over all servers, each with a model of its own.
    """
    columns = [*ROW, "test_set", "seed", "nmse", "spectral_efficiency"]
    if "scores" not in run or run["scores"].empty:
        return pd.DataFrame(columns=columns)
    scores = run["scores"]
    keys = [*ROW, "test_set", "seed", "server"]
    last = scores[scores["epoch"] == scores.groupby(keys)["epoch"].transform("max")]
    return last.groupby([*ROW, "test_set", "seed"], sort=False)[columns[-2:]].mean().reset_index()


def main_test(run: Run) -> str:
    """The test set that methods are compared on: samples from everywhere, or the site that nobody has seen."""
    names = list(run["scores"]["test_set"].unique()) if "scores" in run and not run["scores"].empty else []
    return "unseen site" if "unseen site" in names else names[0] if names else ""


def table(run: Run, test_set: str) -> pd.DataFrame:
    """Mean and half the 95 % interval over seeds of NMSE, and mean spectral efficiency, by (method, servers)."""
    scores = final_scores(run)
    groups = scores[scores["test_set"] == test_set].groupby(ROW, sort=False)
    summary = groups.agg(
        nmse=("nmse", "mean"), interval=("nmse", half_interval), efficiency=("spectral_efficiency", "mean"),
        seeds=("nmse", "size"),
    )  # fmt: skip
    return summary


def curves(run: Run) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """(method, servers) and rows (epoch, time_s, total_bytes, loss) of what was trained: mean over servers, seeds.

    Times and bytes are those of the seeds that crossed a network, if any did.
    """
    if "epochs" not in run or run["epochs"].empty:
        return
    for key, part in groups(run["epochs"], ROW):
        sent = in_network(run, part).groupby("epoch")[["time_s", "up_bytes", "down_bytes"]].mean()
        total = sent["up_bytes"] + sent["down_bytes"]
        rows = pd.DataFrame(
            {"time_s": sent["time_s"], "total_bytes": total, "loss": part.groupby("epoch")["loss"].mean()}
        )
        yield key, rows.reset_index()


def in_network(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of seeds that crossed a network; all if none did."""
    return rows[rows["seed"].isin(run["costs"]["seed"])] if "costs" in run else rows


def model_of(method: str) -> str:
    """The model that a method trains: 'lam-random' for 'lam-random-pooled'; the method itself if nothing is trained."""
    return method if method in FIXED else method.rpartition("-")[0]


def label(method: str, servers: int) -> str:
    """'federated LAM, 5 servers' for ('lam-federated', 5)."""
    if not servers:
        return method
    model, place = model_of(method), method.rpartition("-")[2]
    names = {
        "lam": "LAM", "lam-random": "LAM (random weights)", "lam-full": "LAM (all weights)",
        "cnn-equal": "CNN (as many parameters)",
    }  # fmt: skip
    name = names.get(model, model.upper() if len(model) < 5 else model)
    return f"{name}, local data" if place == "local" else f"{place} {name}, {servers} servers"


def claims(run: Run) -> list[Claim]:
    """The claims of the case study that this run has figures for: NMSE of what is to be worse, minus the better."""
    scores = final_scores(run)
    scores = scores[scores["test_set"] == main_test(run)]
    nmse = {key: part.set_index("seed")["nmse"] for key, part in groups(scores, ROW)}
    counts = sorted(servers for method, servers in nmse if method == "lam-federated")
    local = max((servers for method, servers in nmse if method.endswith("-local")), default=0)
    found: list[Claim] = []

    def compare(text: str, better: tuple[str, int], worse: tuple[str, int]) -> None:
        if better in nmse and worse in nmse:
            found.append(more(text, nmse[worse], nmse[better]))

    if counts:
        best = ("lam-federated", counts[-1])
        for model in ("lam", "gru", "rnn"):
            compare(f"{label(*best)} below {label(f'{model}-local', local)}", best, (f"{model}-local", local))
        for model in ("gru", "rnn"):
            compare(f"{label(*best)} below federated {model.upper()}", best, (f"{model}-federated", counts[-1]))
        compare(f"{label(*best)} below pooled GRU", best, ("gru-pooled", counts[-1]))
        compare(f"{label(*best)} below the same at random weights", best, ("lam-random-federated", counts[-1]))
        compare(f"{label(*best)} below the same with all weights trained", best, ("lam-full-federated", counts[-1]))
        for few, many in pairwise(counts):
            compare(f"federated LAM: {many} servers below {few}", ("lam-federated", many), ("lam-federated", few))
    for servers in sorted(servers for method, servers in nmse if method == "lam-pooled"):
        pooled = ("lam-pooled", servers)
        for other in ("lam-random-pooled", "cnn-equal-pooled", "cnn-pooled", "gru-pooled"):
            compare(f"{label(*pooled)}, below {label(other, servers)}", pooled, (other, servers))
        for rule in FIXED:
            compare(f"{label(*pooled)}, below {rule}", pooled, (rule, 0))
    order = [("lam-local", local), ("gru-local", local), ("rnn-local", local), ("hold-last", 0)]
    present = [key for key in order if key in nmse]
    for better, worse in pairwise(present):
        compare(f"{label(*better)} below {label(*worse)}", better, worse)
    return found
