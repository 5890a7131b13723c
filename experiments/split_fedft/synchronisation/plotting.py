# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the study, and its small tables, from its folder alone."""

from __future__ import annotations

from pathlib import Path

from edgelam.files.storage import write_atomically
from edgelam.runs import claims, figures, load

from ..ways import curves
from . import results


def plot(path: Path) -> list[Path]:
    """Draw accuracy over simulated time; returns the SVG files (a PNG lies beside each). Small tables as CSV."""
    run = load(path)
    write_atomically(path / "claims.csv", claims.csv(results.claims(run)))
    rows = results.summary(run)
    write_atomically(path / "ways.csv", rows.to_csv(index=False, float_format="%.5g").encode())
    points = curves(run)
    if points.empty:
        return []
    with figures.figure(path / "accuracy", height_in=2.7) as (_, (axes,)):
        for index, (way, part) in enumerate(points.groupby("way", sort=False)):
            mean = part.groupby("step")[["time_s", "accuracy"]].mean()
            style = figures.line_style(index, len(mean))
            axes.plot(mean["time_s"], mean["accuracy"], label=str(way), **style)
        axes.set_xlabel("simulated time (s)")
        axes.set_ylabel("accuracy, global test set")
        axes.legend(fontsize=6)
    return [path / "accuracy.svg"]
