# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the study, and its small tables, from its folder alone."""

from __future__ import annotations

from pathlib import Path

from edgelam.files.storage import write_atomically
from edgelam.runs import claims, figures, load

from ..ways import curves
from . import results


def plot(path: Path) -> list[Path]:
    """Draw all figures that the tables allow; returns the SVG files (a PNG lies beside each). Small tables as CSV."""
    run, drawn = load(path), []
    write_atomically(path / "claims.csv", claims.csv(results.claims(run)))
    for name, rows in (("ways", results.summary(run)), ("sizes", results.sizes(run))):
        write_atomically(path / f"{name}.csv", rows.to_csv(index=False, float_format="%.5g").encode())
    points = curves(run)
    if len(points):
        with figures.figure(path / "accuracy", height_in=2.9, columns=2) as (figure, panels):
            for axes, (column, text, unit) in zip(
                panels, (("time_s", "simulated time (s)", 1.0), ("total_bytes", "bytes sent (MB)", 1e6)), strict=True
            ):
                for index, (way, part) in enumerate(points.groupby("way", sort=False)):
                    mean = part.groupby("step")[[column, "accuracy"]].mean()
                    style = figures.line_style(index, len(mean))
                    axes.plot(mean[column] / unit, mean["accuracy"], label=str(way), **style)
                axes.set_xscale("log")
                axes.set_xlabel(text)
            panels[0].set_ylabel("accuracy, global test set")
            handles, labels = panels[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper left", ncols=4, columnspacing=1.0, fontsize=6)
        drawn.append(path / "accuracy.svg")
    rows = results.sizes(run)
    if len(rows):
        with figures.figure(path / "sizes", height_in=2.7) as (_, (axes,)):
            for index, (rank, part) in enumerate(rows.groupby("rank")):
                style = figures.line_style(index, len(part))
                axes.plot(part["tokens"], part["split_up"] / part["unsplit_up"], label=f"rank {rank}", **style)
            axes.axhline(1.0, color="black", linewidth=0.6)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel("tokens of a sample")
            axes.set_ylabel("bytes up: split over un-split")
            axes.legend(fontsize=6)
        drawn.append(path / "sizes.svg")
    return drawn
