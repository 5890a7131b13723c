# SPDX-License-Identifier: GPL-2.0-only
"""Figures of a run, from its folder alone, with their numbers as CSV beside them."""

from pathlib import Path

from edgelam.files.storage import write_atomically
from edgelam.output import figures
from edgelam.runs import claims, load

from . import results


def plot(path: Path) -> list[Path]:
    """Draw learning curves; write the means and the claims. Returns the SVG files (a PNG lies beside each)."""
    run = load(path)
    found = results.means(run)
    if found.empty:
        return []
    write_atomically(path / "orchestration.csv", found.to_csv(float_format="%.4g").encode())
    write_atomically(path / "claims.csv", claims.csv(results.claims(run)))
    if "curves" not in run:
        return []
    with figures.figure(path / "learning") as (_, (axes,)):
        for i, (method, rows) in enumerate(run["curves"].groupby("method", sort=False)):
            curve = rows.groupby("calls")["cost"].mean()
            axes.plot(curve.index / 1e3, curve.to_numpy(), label=method, **figures.line_style(i, len(curve)))
        axes.set_xlabel("calls routed by the learner (thousands)")
        axes.set_ylabel("delay over deadline, model")
        axes.legend()
    return [path / "learning.svg"]
