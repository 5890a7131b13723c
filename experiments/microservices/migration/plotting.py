# SPDX-License-Identifier: GPL-2.0-only
"""Figures of a run, from its folder alone, with their numbers as CSV beside them."""

from pathlib import Path

import pandas as pd

from edgelam.files.storage import write_atomically
from edgelam.output import figures
from edgelam.runs import claims, load

from . import results


def plot(path: Path) -> list[Path]:
    """Draw all figures that the tables of this run folder allow; returns the SVG files (a PNG lies beside each)."""
    run = load(path)
    means = results.by_method(run)
    drawn: list[Path] = []
    if means.empty:
        return drawn
    write_atomically(path / "migration-methods.csv", means.to_csv(float_format="%.6g").encode())
    write_atomically(path / "migration-claims.csv", claims.csv(results.claims(run)))
    with figures.figure(path / "migration", height_in=2.8) as (figure, (axes,)):
        for (method, row), colour in zip(means.iterrows(), figures.COLOURS * 4, strict=False):
            moved_mb, penalty_ms = row["migration_bytes"] / 1e6, 1000 * row["penalty_s"]
            axes.plot(moved_mb, penalty_ms, "o", color=colour, label=str(method), markersize=4)
        axes.set_xlabel("bytes of state and weights that moved (MB)")
        axes.set_ylabel("penalty (ms)")
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.0, fontsize=6)
    drawn.append(path / "migration.svg")
    table = results.sweep(run)
    if len(set(table["v"])) > 1:
        write_atomically(path / "migration-sweep.csv", table.to_csv(index=False, float_format="%.6g").encode())
        drawn.append(_sweep(path, table))
    return drawn


def _sweep(path: Path, table: pd.DataFrame) -> Path:
    means = table.groupby("v").mean(numeric_only=True)
    with figures.figure(path / "migration-sweep", columns=2, height_in=2.4) as (_, (left, right)):
        left.plot(means.index, 1000 * means["penalty_s"], "o-", color=figures.COLOURS[0], label="penalty")
        if means["gap_s"].notna().all():
            left.plot(means.index, 1000 * means["gap_s"], "s--", color=figures.COLOURS[1], label="above full knowledge")
        left.set_xscale("log")
        left.set_xlabel("V (1/s)")
        left.set_ylabel("ms")
        left.legend(fontsize=6)
        right.plot(means.index, means["use"], "o-", color=figures.COLOURS[0], label="largest mean use / budget")
        right.plot(means.index, 1 + means["allowance"], "s--", color=figures.COLOURS[1], label="1 + Q / T")
        right.axhline(1.0, color="grey", linewidth=0.6)
        right.set_xscale("log")
        right.set_xlabel("V (1/s)")
        right.legend(fontsize=6)
    return path / "migration-sweep.svg"
