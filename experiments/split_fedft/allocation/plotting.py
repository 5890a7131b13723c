# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the study, from its folder alone."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from edgelam.files.storage import write_atomically
from edgelam.runs import Run, claims, figures, load

from . import results
from .settings import OURS


def plot(path: Path) -> list[Path]:
    """Draw all figures that the tables allow; returns the SVG files (a PNG lies beside each). Small tables as CSV."""
    run, drawn = load(path), []
    write_atomically(path / "claims.csv", claims.csv(results.claims(run)))
    small = {
        "rules": results.summary(run),
        "prediction": results.prediction(run),
        "repeated-means": results.repeated(run),
    }
    for name, rows in small.items():
        write_atomically(path / f"{name}.csv", rows.to_csv(index=False, float_format="%.5g").encode())
    curves = results.mean_curves(run)
    if curves:
        with figures.figure(path / "accuracy", height_in=2.9, columns=2) as (figure, panels):
            for axes, (column, label) in zip(
                panels, {"time_s": "simulated time (s)", "energy_j": "sending and computing (J)"}.items(), strict=True
            ):
                _accuracy(axes, run, column)
                axes.set_xlabel(label)
            panels[0].set_ylabel("accuracy, global test set")
            handles, labels = panels[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper left", ncols=4, columnspacing=1.0, fontsize=6)
        drawn.append(path / "accuracy.svg")
    if len(results.errors(run)):
        with figures.figure(path / "prediction", height_in=2.7) as (_, (axes,)):
            _prediction(axes, run)
        drawn.append(path / "prediction.svg")
    if len(results.repeated(run)):
        with figures.figure(path / "budgets", height_in=2.7, columns=2) as (_, panels):
            _budgets(panels[0], panels[1], run)
        drawn.append(path / "budgets.svg")
    return drawn


def _accuracy(axes: Axes, run: Run, column: str) -> None:
    for index, (name, curve) in enumerate(results.mean_curves(run).items()):
        axes.plot(curve[column], curve["accuracy"], label=name, **figures.line_style(index, len(curve)))


def _prediction(axes: Axes, run: Run) -> None:
    rows = run["allocations"]
    rows = rows[(rows["method"] == OURS) & rows["predicted_s"].notna() & rows["simulated_s"].notna()]
    axes.plot(rows["simulated_s"], rows["predicted_s"], linestyle="", marker=".", markersize=2)
    most = rows[["simulated_s", "predicted_s"]].to_numpy().max() if len(rows) else 1.0
    axes.plot([0, most], [0, most], color="black", linewidth=0.6)
    axes.set_xlabel("simulated time of a device in a round (s)")
    axes.set_ylabel("predicted (s)")


def _budgets(left: Axes, right: Axes, run: Run) -> None:
    rows = results.repeated(run)
    for index, (v, part) in enumerate(rows.groupby("v")):
        left.plot(part["rounds"], part["queue_part"], label=f"V = {v:g}", **figures.line_style(index, len(part)))
    left.set_xlabel("rounds T (recorded efficiencies)")
    left.set_ylabel("Q / T")
    left.legend(fontsize=6)
    last = rows[rows["rounds"] == rows["rounds"].max()]
    right.plot(1 / last["v"], last["gap"], marker="o", markersize=3)
    right.set_xlabel("1 / V")
    right.set_ylabel("gap to the best on average")
