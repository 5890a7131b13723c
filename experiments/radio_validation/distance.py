# SPDX-License-Identifier: GPL-2.0-only
"""Throughput of one UE against its distance from the gNB, with and without line of sight, in a street and in a hall."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edgelam.output.terminal import TextTable
from edgelam.runs import Run, RunFolder, figures

from .checks import Check, Frame
from .config import Config
from .runner import Runner

TABLE = "distance"
PLACES: dict[str, dict[str, Any]] = {
    "UMi": {"height": 10, "gnbPower": 44},
    "InF-DH": {"height": 8, "gnbPower": 24},
}
LOS = {"Always": "line of sight", "Never": "no line of sight"}
DIRECTIONS = ("down", "up")
SCHEMA = {
    "deployment": str, "los": str, "distance_m": float, "drop": int, "down_bps": float, "up_bps": float,
    "down_sinr_db": float, "up_sinr_db": float,
}  # fmt: skip


def measure(config: Config, folder: RunFolder, runner: Runner) -> None:
    """100 MHz at 3.5 GHz, DDDSU, a gNB of 64 elements, a UE of 4 that walks; full buffers both ways."""
    distances = {"UMi": config.street_distances, "InF-DH": config.hall_distances}
    cases = [(place, los, metres) for place in PLACES for los in LOS for metres in distances[place]]
    jobs: list[dict[str, Any]] = [
        {
            "deployment": place, "los": los, "distance": metres, "drops": config.drops, "seed": config.seed,
            "seconds": config.drop_seconds, **PLACES[place],
        }
        for place, los, metres in cases
    ]  # fmt: skip
    writer = folder.table(TABLE, SCHEMA)
    for (place, los, metres), lines in zip(cases, runner.run("distance", jobs), strict=True):
        for line in lines:
            writer.append({"deployment": place, "los": los, "distance_m": metres, **line})


def summary(run: Run) -> Frame:
    """Mbit/s by (deployment, los, distance_m), columns (direction, mean/error/p5/p50/p95); error: of the mean."""
    places = ["deployment", "los", "distance_m"]
    found = {}
    for direction in DIRECTIONS:
        grouped = run[TABLE].groupby(places, sort=False)[f"{direction}_bps"]
        found[direction] = pd.DataFrame(
            {"mean": grouped.mean(), "error": grouped.sem()}
            | {f"p{percent}": grouped.quantile(percent / 100) for percent in (5, 50, 95)}
        )
    return pd.concat(found, axis=1) / 1e6


def draw(run: Run) -> list[Path]:
    """A panel for each deployment and direction: means as lines, medians as small dots, 5th to 95th percentile."""
    found = summary(run)
    size = {"width_in": figures.PAGE_IN, "height_in": 4.0}
    with figures.figure(run.path / "distance", **size, rows=2, columns=2) as (figure, panels):
        for axes, (direction, place) in zip(panels, itertools.product(DIRECTIONS, PLACES), strict=True):
            for index, (los, label) in enumerate(LOS.items()):
                curve = found.loc[place, los][direction]
                style = figures.line_style(index, len(curve))
                axes.plot(curve.index, curve["mean"], label=f"{label}, mean", **style)
                axes.plot(curve.index, curve["p50"], "_", color=style["color"], ms=6, label=f"{label}, median")
                axes.fill_between(curve.index, curve["p5"], curve["p95"], color=style["color"], alpha=0.15, lw=0,
                                  label=f"{label}, 5th to 95th percentile")  # fmt: skip
            axes.set_xscale("log")
            ticks = [metres for metres in (5, 10, 20, 50, 100, 200, 500, 1000)
                     if curve.index.min() <= metres <= curve.index.max()]  # fmt: skip
            axes.set_xticks(ticks, [str(tick) for tick in ticks])
            axes.minorticks_off()
            axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
            axes.set_title(f"{place}, {direction}link", loc="left")
        for axes in panels[2:]:
            axes.set_xlabel("distance on the ground (m)")
        for axes in panels[::2]:
            axes.set_ylabel("throughput (Mbit/s)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=6)
    return [run.path / "distance.svg"]


def numbers(run: Run) -> list[TextTable]:
    """Mean and percentiles, downlink; mean uplink."""
    table = TextTable("Throughput against distance, Mbit/s", "place", "down, mean", "5 %", "50 %", "95 %", "up, mean")
    for (place, los, metres), row in summary(run).iterrows():
        cells = [f"{row['down', name]:.0f}" for name in ("mean", "p5", "p50", "p95")]
        table.add_row(f"{place}, {LOS[los]}, {metres:g} m", *cells, f"{row['up', 'mean']:.1f}")
    return [table]


def checks(run: Run) -> list[Check]:
    """The mean falls: no step up by more than two standard errors or, where it is at the peak rate, 1 %.

    Not so up in the hall: the UE has power enough everywhere, and what the array's pattern takes close below it is not
    in the path loss that power control makes up for.
    """
    found = summary(run)
    rises: list[float] = []
    held: list[float] = []
    ratios: list[float] = []
    for direction, place, los in itertools.product(DIRECTIONS, PLACES, LOS):
        curve = found.loc[place, los][direction]
        if (direction, place) == ("up", "InF-DH"):
            held.append(float(curve["mean"].min() / curve["mean"].max()))
            continue
        noise = np.maximum(2 * np.hypot(curve["error"], curve["error"].shift()), 0.01 * curve["mean"])
        rises.append(float((curve["mean"].diff() / noise).max()))
        if direction == "down":
            ratios.append(float(curve["mean"].iloc[-1] / curve["mean"].iloc[0]))
    hidden_of_clear = found.loc["UMi", "Never"].iloc[-1] / found.loc["UMi", "Always"].iloc[-1]
    below = [float(hidden_of_clear[direction, "mean"]) for direction in DIRECTIONS]
    return [
        Check("distance", "the mean falls at every step, but up in the hall",
              f"{max(rises):+.2f} of what noise may do", max(rises) < 1),
        Check("distance", "up in the hall power control holds the rate", f"{min(held):.2f} of the best mean at least",
              min(held) > 0.95),
        Check("distance", "down, the farthest mean is below the nearest", f"{max(ratios):.2f} of it at most",
              max(ratios) < 1),
        Check("distance", "far away in the street line of sight is better", f"{max(below):.2f} of it at most",
              max(below) < 0.9),
    ]  # fmt: skip
