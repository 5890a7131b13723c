# SPDX-License-Identifier: GPL-2.0-only
"""A study of ways to learn: for each seed one simulation for each way, with the same data, network and movements.

What the ways are, the settings of a study say (`Study`). Column `method` of the tables is the way and the seed, as
`label` writes them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from edgelam.runs import Run, RunFolder, figures
from edgelam.runs.scores import MANIFEST, Score

if TYPE_CHECKING:
    from edgelam.federated import Setup
    from edgelam.output.progress import Progress

    from .config import Config

SCORES = (
    Score("accuracy", better="higher", where={"head": "average", "test_set": "global"}),
    Score("simulated_s", "s", "lower", column="time_s", where={"head": "average", "test_set": "global"}),
)


class Study(Protocol):
    """The settings of a study of ways."""

    @property
    def ways(self) -> tuple[str, ...]:
        """Their names; empty: no study."""

    @property
    def num_seeds(self) -> int:
        """Every way runs with so many seeds."""

    def under(self, config: Config, way: str) -> Config:
        """Return the configuration of a run in one way, without a study."""


def label(way: str, seed: int) -> str:
    """Name a simulation."""
    return f"{way} #{seed}"


def cases(config: Config, study: Study, folder: RunFolder, progress: Progress) -> Iterator[tuple[str, Config, Setup]]:
    """Give each simulation's name, configuration and setup, and count those that are over."""
    from edgelam.federated import prepare

    folder.record(**{MANIFEST: [score.plain() for score in SCORES]})
    chosen = [(seed, way) for seed in range(config.seed, config.seed + study.num_seeds) for way in study.ways]
    progress.begin("ways", len(chosen), "simulations")
    for done, (seed, way) in enumerate(chosen, 1):
        own = study.under(dataclasses.replace(config, seed=seed), way)
        yield label(way, seed), own, prepare(own.learning, seed)
        progress.step(done)


def run(config: Config, study: Study, folder: RunFolder, progress: Progress) -> None:
    """Run every way with every seed; tables go to `folder` as the run goes on."""
    from .jobs import simulate_method

    for name, own, setup in cases(config, study, folder, progress):
        simulate_method(own, setup, own.methods[0], name, folder=folder)


def split(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with columns way and seed instead of method."""
    parts = rows["method"].str.rsplit(" #", n=1, expand=True)
    return rows.drop(columns="method").assign(way=parts[0], seed=parts[1].astype(int))


def curves(run: Run) -> pd.DataFrame:
    """Evaluations of the average head on all test samples: way, seed, step, time_s, accuracy, loss_nats, bytes."""
    if "metrics" not in run or run["metrics"].empty:
        return pd.DataFrame(columns=["way", "seed", "step", "time_s", "accuracy"])
    rows = run["metrics"]
    rows = rows[(rows["head"] == "average") & (rows["test_set"] == "global")]
    rows = rows.rename(columns={"uplink_bytes": "up_bytes", "downlink_bytes": "down_bytes"})
    return split(rows.assign(total_bytes=rows["up_bytes"] + rows["down_bytes"]))


def draw_curves(points: pd.DataFrame, path: Path) -> Path:
    """Draw the accuracy of each way over simulated time, means over seeds, from `curves`; returns `path`.svg."""
    with figures.figure(path, height_in=2.7) as (_, (axes,)):
        for index, (way, part) in enumerate(points.groupby("way", sort=False)):
            mean = part.groupby("step")[["time_s", "accuracy"]].mean()
            axes.plot(mean["time_s"], mean["accuracy"], label=str(way), **figures.line_style(index, len(mean)))
        axes.set_xlabel("simulated time (s)")
        axes.set_ylabel("accuracy, global test set")
        axes.legend(fontsize=6)
    return path.with_suffix(".svg")


def ends(run: Run) -> pd.DataFrame:
    """One row for each simulation that has ended: way, seed, accuracy, loss_nats, and what it took.

    Columns time_s, up_bytes, down_bytes, total_bytes, device_j, device_flops, server_flops, peak_memory_bytes (the
    largest of a device).
    """
    rows = curves(run)
    if rows.empty or "devices" not in run or run["devices"].empty:
        return pd.DataFrame(columns=["way", "seed"])
    last = rows.sort_values("step", kind="stable").groupby(["way", "seed"], sort=False).last()
    nodes = split(run["devices"])
    ues, servers = (nodes[(nodes["role"] == "ue") == is_ue] for is_ue in (True, False))
    of_ues = ues.groupby(["way", "seed"]).agg(
        device_j=("energy_j", "sum"), device_flops=("flops", "sum"), peak_memory_bytes=("peak_memory_bytes", "max"),
    )  # fmt: skip
    of_servers = servers.groupby(["way", "seed"]).agg(server_flops=("flops", "sum"))
    columns = ["accuracy", "loss_nats", "time_s", "up_bytes", "down_bytes", "total_bytes"]
    joined = last[columns].join([of_ues, of_servers], how="inner").reset_index()
    first = {name: place for place, name in enumerate(dict.fromkeys(rows["way"]))}
    return joined.sort_values(["seed", "way"], key=lambda c: c.map(first) if c.name == "way" else c, ignore_index=True)


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds, a row for each way in the order in which they ran."""
    if rows.empty:
        return rows
    return rows.groupby("way", sort=False).mean(numeric_only=True).drop(columns="seed").reset_index()


def by_seed(rows: pd.DataFrame, way: str, column: str) -> pd.Series:
    """Return a column of one way, with seeds as index."""
    return rows[rows["way"] == way].set_index("seed")[column]


def at_common(rows: pd.DataFrame, column: str = "time_s") -> pd.DataFrame:
    """Return the accuracy of each way where the frugal one has ended, seed by seed: way, seed, accuracy.

    rows: `curves`; column: what is spent. Between two evaluations, the earlier one counts; before the first one, 0.
    """
    found = []
    for seed, part in rows.groupby("seed"):
        end = part.groupby("way")[column].max().min()
        for way, own in part.groupby("way", sort=False):
            reached = own[own[column] <= end + 1e-12].sort_values("step")
            last = reached["accuracy"].iloc[-1] if len(reached) else 0.0
            found.append({"way": way, "seed": seed, "accuracy": last})
    return pd.DataFrame(found, columns=["way", "seed", "accuracy"])
