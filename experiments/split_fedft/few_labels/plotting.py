# SPDX-License-Identifier: GPL-2.0-only
"""The figure of the study, and its small tables, from its folder alone."""

from __future__ import annotations

from pathlib import Path

from edgelam.files.storage import write_atomically
from edgelam.runs import claims, figures, load

from . import results


def plot(path: Path) -> list[Path]:
    """Draw accuracy over labels; returns the SVG files (a PNG lies beside each). Small tables as CSV."""
    run = load(path)
    write_atomically(path / "claims.csv", claims.csv(results.claims(run)))
    rows = results.summary(run)
    write_atomically(path / "labels.csv", rows.to_csv(index=False, float_format="%.5g").encode())
    if rows.empty:
        return []
    with figures.figure(path / "labels", height_in=2.5) as (_, (axes,)):
        for index, (kind, part) in enumerate(rows.groupby("kind", sort=False)):
            own = part.sort_values("labels")
            axes.errorbar(
                own["labels"], own["accuracy"], yerr=own["interval"], label=str(kind),
                **figures.line_style(index, len(own)),
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlabel("labelled samples on each device")
        axes.set_ylabel("accuracy, global test set")
        axes.legend(fontsize=6)
    return [path / "labels.svg"]
