# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the study, and its small tables, from its folder alone."""

from __future__ import annotations

from pathlib import Path

from edgelam.files.storage import write_atomically
from edgelam.runs import claims, figures, load

from . import results


def plot(path: Path) -> list[Path]:
    """Draw all figures that the tables allow; returns the SVG files (a PNG lies beside each). Small tables as CSV."""
    run, drawn = load(path), []
    write_atomically(path / "claims.csv", claims.csv(results.claims(run)))
    for name, rows in (("ways", results.summary(run)), ("prediction", results.prediction(run))):
        write_atomically(path / f"{name}.csv", rows.to_csv(index=False, float_format="%.5g").encode())
    rows = results.summary(run)
    if len(rows):
        with figures.figure(path / "costs", height_in=2.7, columns=2) as (_, panels):
            for axes, (column, label, scale) in zip(
                panels, (("time_s", "simulated time (s)", 1.0), ("total_bytes", "bytes on the air (MB)", 1e-6)),
                strict=True,
            ):  # fmt: skip
                axes.barh(rows["way"], scale * rows[column])
                axes.set_xlabel(label)
                axes.invert_yaxis()
            panels[1].set_yticklabels([])
        drawn.append(path / "costs.svg")
    cuts = results.cuts_over_time(run)
    if len(cuts):
        with figures.figure(path / "cuts", height_in=2.7) as (_, (axes,)):
            means = cuts.groupby(["way", "round"])["blocks"].mean()
            for index, (way, part) in enumerate(means.groupby(level="way", sort=False)):
                own = part.droplevel("way")
                axes.plot(own.index, own, label=str(way), **figures.line_style(index, len(own)))
            axes.set_xlabel("round")
            axes.set_ylabel("blocks on a device, mean")
            axes.legend(fontsize=6)
        drawn.append(path / "cuts.svg")
    return drawn
