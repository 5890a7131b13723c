# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the study, and its small tables, from its folder alone."""

from __future__ import annotations

from pathlib import Path

from edgelam.files.storage import write_atomically
from edgelam.runs import claims, load

from ..ways import curves, draw_curves
from . import results


def plot(path: Path) -> list[Path]:
    """Draw accuracy over simulated time; returns the SVG files (a PNG lies beside each). Small tables as CSV."""
    run = load(path)
    write_atomically(path / "claims.csv", claims.csv(results.claims(run)))
    rows = results.summary(run)
    write_atomically(path / "ways.csv", rows.to_csv(index=False, float_format="%.5g").encode())
    points = curves(run)
    return [] if points.empty else [draw_curves(points, path / "accuracy")]
