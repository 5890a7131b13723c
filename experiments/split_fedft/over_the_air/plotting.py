# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the study, and its small tables, from its folder alone."""

from __future__ import annotations

from pathlib import Path

from edgelam.files.storage import write_atomically
from edgelam.runs import claims, figures, load

from ..ways import curves, draw_curves
from . import results
from .settings import AIR, MESSAGES


def plot(path: Path) -> list[Path]:
    """Draw accuracy over simulated time, and the time of updates over devices; returns SVG files (a PNG beside each).

    Small tables as CSV.
    """
    run = load(path)
    write_atomically(path / "claims.csv", claims.csv(results.claims(run)))
    rows = results.summary(run)
    write_atomically(path / "ways.csv", rows.to_csv(index=False, float_format="%.5g").encode())
    points = curves(run)
    if points.empty:
        return []
    with figures.figure(path / "updates", height_in=2.5) as (_, (axes,)):
        for index, (kind, label) in enumerate(((MESSAGES, "messages"), (AIR, "over the air"))):
            part = rows[rows["way"].str.startswith(kind)].sort_values("devices")
            axes.plot(part["devices"], 1e3 * part["up_s"], label=label, **figures.line_style(index, len(part)))
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("devices")
        axes.set_ylabel("a round's updates on their way (ms)")
        axes.legend(fontsize=6)
    return [draw_curves(points, path / "accuracy"), path / "updates.svg"]
