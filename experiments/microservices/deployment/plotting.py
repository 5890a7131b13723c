# SPDX-License-Identifier: GPL-2.0-only
"""Figures of a run of the study deployment, from its folder alone, with their numbers as CSV beside them."""

from pathlib import Path

import numpy as np
import pandas as pd

from edgelam.files.storage import write_atomically
from edgelam.output import figures
from edgelam.runs import claims, load

from . import results


def plot(path: Path) -> list[Path]:
    """Draw all figures that the tables of this run folder allow; returns the SVG files (a PNG lies beside each)."""
    run, drawn = load(path), list[Path]()
    curves = results.table(run, "curves", ["method", "updates", "distance"])
    if len(curves):
        _keep(path / "curves.csv", curves)
        with figures.figure(path / "curves", height_in=2.6) as (figure, (axes,)):
            for index, (method, mine) in enumerate(curves.groupby("method", sort=False)):
                style = figures.line_style(index, len(mine))
                axes.plot(mine["updates"] / 1000, 100 * mine["distance"], label=method, **style)
            axes.set_xlabel("updates (thousands)")
            axes.set_ylabel("distance from the optimum (%)")
            axes.set_yscale("log")
            figure.legend(loc="outside upper left", ncols=3, columnspacing=1.0, fontsize=6)
        drawn.append(path / "curves.svg")
    model = results.model(run)
    if len(model):
        _keep(path / "model.csv", model)
        drawn.append(_bars(path / "model", model.pivot_table("distance", "set", "method", sort=False) * 100,
                           "distance from the optimum on the model (%)"))  # fmt: skip
    scores = results.scores(run)
    if len(scores):
        _keep(path / "scores.csv", scores.reset_index())
        charged = scores["e2e_mean_s"].unstack("charge") * 1000  # noqa: PD010  # its index is the one wanted
        charged = charged.loc[scores.index.get_level_values("method").unique()]
        charged.columns = pd.Index(["decision charged" if each else "decision free" for each in charged.columns])
        drawn.append(_bars(path / "scores", charged, "mean end-to-end latency, ns-3 (ms)"))
    if found := results.claims(run):
        write_atomically(path / "claims.csv", claims.csv(found))
    return drawn


def _keep(path: Path, table: pd.DataFrame) -> None:
    write_atomically(path, table.to_csv(index=False, float_format="%.6g").encode())


def _bars(path: Path, numbers: pd.DataFrame, label: str) -> Path:
    """Horizontal bars: a group for each row, a colour for each column."""
    width = 0.8 / len(numbers.columns)
    with figures.figure(path, height_in=0.9 + len(numbers) * (0.12 + 0.08 * len(numbers.columns))) as (figure, (axes,)):
        for i, name in enumerate(numbers.columns):
            places = np.arange(len(numbers)) + (i - (len(numbers.columns) - 1) / 2) * width
            colour = figures.COLOURS[i % len(figures.COLOURS)]
            axes.barh(places, numbers[name], height=width, label=name, color=colour,
                      hatch="//" if i >= len(figures.COLOURS) else None)  # fmt: skip
        axes.set_yticks(np.arange(len(numbers)), numbers.index)
        axes.invert_yaxis()
        axes.set_xlabel(label)
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.0, fontsize=6)
    return path.with_suffix(".svg")
