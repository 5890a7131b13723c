# SPDX-License-Identifier: GPL-2.0-only
"""Figures of a run, from its folder alone: training loss, error on test sets, error against speed."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from edgelam.runs import Run, figures, load
from edgelam.runs.statistics import groups

from . import results
from .across import results as across_results
from .config import FIXED
from .in_loop import results as loop_results
from .tasks import results as tasks_results

AXES = {
    "epoch": "epochs",
    "time_s": "simulated time (s)",
    "total_bytes": "bytes sent, up and down (MB)",
}


def plot(path: Path) -> list[Path]:
    """Draw all figures the tables of this run folder allow; returns the SVG files (a PNG lies beside each)."""
    run = load(path)
    if "loop" in run:
        return loop_results.plot(run, path)
    if "tasks" in run:
        return tasks_results.plot(run, path)
    if "across" in run:
        return across_results.plot(run, path)
    drawn = []
    curves = dict(results.curves(run))
    styles = _styles({key: len(rows) for key, rows in curves.items()})
    for column, text in AXES.items():
        shown = [(key, rows) for key, rows in curves.items() if len(rows) > 1 and rows[column].max() > 0]
        if not shown:
            continue
        name = f"loss_{column.removesuffix('_s').removeprefix('total_')}"
        with figures.figure(path / name, height_in=2.9) as (figure, (axes,)):
            for key, rows in shown:
                unit = 1e6 if column == "total_bytes" else 1.0
                axes.plot(rows[column] / unit, rows["loss"], label=results.label(*key), **styles[key])
            axes.set_xlabel(text)
            axes.set_ylabel("training loss (NMSE)")
            axes.set_yscale("log")
            figure.legend(loc="outside upper left", ncols=2, columnspacing=1.0, fontsize=6)
        drawn.append(path / f"{name}.svg")
    if test := results.main_test(run):
        rows = results.table(run, test)
        with figures.figure(path / "nmse", height_in=0.9 + 0.17 * len(rows)) as (_, (axes,)):
            _bars(axes, rows)
            axes.set_xlabel(f"NMSE, test set '{test}'")
        drawn.append(path / "nmse.svg")
    if drawn_speeds := _speeds(run, path):
        drawn.append(drawn_speeds)
    return drawn


def _styles(points: dict[tuple[Any, ...], int]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return a line style for each (method, servers): colour shows the model, dash and marker show the rest."""
    models = list(dict.fromkeys(results.model_of(method) for method, _ in points))
    models.sort(key=lambda model: model in FIXED)  # last: not in every figure, and colours stay the same in all
    trained: dict[str, int] = dict.fromkeys(models, 0)
    styles = {}
    for key, count in points.items():
        model = results.model_of(key[0])
        index = models.index(model)
        styles[key] = figures.line_style(trained[model] + index // len(figures.COLOURS), count)
        styles[key]["color"] = figures.COLOURS[index % len(figures.COLOURS)]
        trained[model] += 1
    return styles


def _bars(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw a bar for each method with its 95 % interval."""
    keys = [key for key, _ in groups(rows.reset_index(), results.ROW)]
    styles = _styles(dict.fromkeys(keys, 1))
    for index, (_, row) in enumerate(rows.iterrows()):
        error = None if row["seeds"] < 2 else row["interval"]
        colour = styles[keys[index]]["color"]
        axes.barh(index, row["nmse"], xerr=error, height=0.65, color=colour, error_kw={"linewidth": 0.7})
        right = row["nmse"] + (error or 0.0)
        axes.annotate(
            f"{row['nmse']:.3f}", (right, index), xytext=(3, 0), textcoords="offset points", va="center", fontsize=6
        )
    axes.set_yticks(range(len(rows)), [results.label(*key) for key in keys])
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlim(left=0.0)
    axes.grid(visible=False, axis="y")


def _speeds(run: Run, path: Path) -> Path | None:
    """Draw the error over speed, if there are at least two speeds."""
    scores = results.final_scores(run)
    scores = scores[scores["test_set"].str.endswith(" km/h")] if len(scores) else scores
    if not len(scores) or scores["test_set"].nunique() < 2:
        return None
    scores = scores.assign(speed=scores["test_set"].str.removesuffix(" km/h").astype(float))
    parts = list(groups(scores, results.ROW))
    styles = _styles({key: part["speed"].nunique() for key, part in parts})
    with figures.figure(path / "nmse_speed", height_in=2.9) as (figure, (axes,)):
        for key, part in parts:
            means = part.groupby("speed")["nmse"].mean()
            axes.plot(means.index, means, label=results.label(*key), **styles[key])
        axes.set_xlabel("speed (km/h)")
        axes.set_ylabel("NMSE")
        axes.set_yscale("log")
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.0, fontsize=6)
    return path / "nmse_speed.svg"
