# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the study, and its small tables, from its folder alone."""

from __future__ import annotations

from pathlib import Path

from edgelam.files.storage import write_atomically
from edgelam.runs import claims, figures, load

from . import results
from .settings import EPSILON, ETA, NONE, parse

ATTACKS = {"tokens": "tokens named", "labels": "labels grouped", "auc": "membership (AUC)"}


def plot(path: Path) -> list[Path]:
    """Draw all figures that the tables allow; returns the SVG files (a PNG lies beside each). Small tables as CSV."""
    run, drawn = load(path), []
    rows = results.summary(run)
    small = {"ways": rows, "audits": results.audits(run), "depths": results.depths(run)}
    write_atomically(path / "claims.csv", claims.csv(results.claims(run)))
    for name, table in small.items():
        write_atomically(path / f"{name}.csv", table.to_csv(index=False, float_format="%.5g").encode())
    if rows.empty:
        return []
    kinds = rows["way"].map(lambda way: parse(way)[0])
    noisy = rows[kinds == EPSILON].sort_values("epsilon_rdp") if EPSILON in set(kinds) else rows[:0]
    if len(noisy):
        with figures.figure(path / "accuracy_epsilon", height_in=2.5) as (_, (axes,)):
            style = figures.line_style(0, len(noisy))
            axes.plot(noisy["epsilon_rdp"], noisy["accuracy"], label="noise on Jacobians and heads", **style)
            for own in rows[kinds == NONE]["accuracy"]:
                axes.axhline(own, color="black", linewidth=0.6, label="without protection")
            axes.set_xscale("log")
            axes.set_xlabel("epsilon of a label (RDP)")
            axes.set_ylabel("accuracy, global test set")
            axes.legend(fontsize=6)
        drawn.append(path / "accuracy_epsilon.svg")
    with figures.figure(path / "attacks", height_in=2.9, columns=2) as (figure, panels):
        for axes, kind, column, text in (
            (panels[0], EPSILON, "noise_multiplier", "noise multiplier z of Jacobians"),
            (panels[1], ETA, "length", "mean noise of an embedding: 1 / eta"),
        ):
            part = rows[(kinds == kind) | (kinds == NONE)]
            numbers = part["way"].map(lambda way: parse(way)[1])
            x = part[column] if column in part else 1 / numbers.where(numbers > 0)
            x = x.fillna(0.0)
            for index, (name, label) in enumerate(({"accuracy": "accuracy"} | ATTACKS).items()):
                if name in part and part[name].notna().any():
                    order = x.sort_values().index
                    axes.plot(x[order], part.loc[order, name], label=label, **figures.line_style(index, len(part)))
            axes.set_xlabel(text)
            axes.set_ylim(0.0, 1.02)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4, columnspacing=1.0, fontsize=6)
    drawn.append(path / "attacks.svg")
    deep = results.depths(run)
    if len(deep):
        with figures.figure(path / "depths", height_in=2.3) as (_, (axes,)):
            axes.plot(deep["blocks"], deep["recovered"], **figures.line_style(0, len(deep)))
            axes.set_xlabel("blocks on the device")
            axes.set_ylabel("share of tokens named")
            axes.set_ylim(0.0, 1.02)
        drawn.append(path / "depths.svg")
    return drawn
