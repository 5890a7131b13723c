# SPDX-License-Identifier: GPL-2.0-only
"""Coupling gain and geometry of the UMa-URLLC evaluation at 4 GHz, beside the results of 15 companies."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edgelam.output.terminal import TextTable
from edgelam.random_streams import Stream, numbered
from edgelam.runs import Run, RunFolder, figures

from .checks import Check, Frame
from .config import Config
from .drops import observe, percentiles, within
from .runner import Runner

TABLE = "geometry"
COMPANIES = Path(__file__).parent / "uma_urllc_4ghz.csv"
QUANTITIES = {"coupling_gain": "coupling gain (dB)", "geometry": "geometry (dB)"}
SCHEMA = {"drop": int, "ue": int, "serving_cell": int, "indoor": bool, "coupling_gain": float, "geometry": float,
          "sir": float}  # fmt: skip


def measure(config: Config, folder: RunFolder, runner: Runner) -> None:
    """Drop by drop, from the observables of nr-link-budget, whose defaults are this evaluation."""
    writer = folder.table(TABLE, SCHEMA)
    runner.progress.begin("geometry", config.geometry_drops, "drops")
    for drop in range(config.geometry_drops):
        for row in observe({"numUe": config.geometry_ues, "rsrp": "rays", "runNumber": drop + 1}, config.seed):
            writer.append({"drop": drop, **row})
        runner.progress.step(drop + 1)


def companies() -> pd.DataFrame:
    """Columns mean, min, max in dB by (quantity, percentile)."""
    return pd.read_csv(COMPANIES, comment="#").set_index(["quantity", "percentile"])


def measured(rows: Frame) -> Frame:
    """Percentiles by (quantity, percentile): value, and the middle 95 % over resampled drops, dB."""
    return percentiles(rows, companies().index, numbered(Stream.RESAMPLING, 1))


def draw(run: Run) -> list[Path]:
    """Draw distributions over UEs: measured, and the envelope of the companies."""
    rows: Frame = run[TABLE]
    known = companies()
    size: dict[str, Any] = {"width_in": figures.PAGE_IN, "height_in": 2.6}
    with figures.figure(run.path / "geometry", **size, columns=2) as (figure, panels):
        for axes, (quantity, label) in zip(panels, QUANTITIES.items(), strict=True):
            envelope = known.loc[quantity]
            axes.fill_betweenx(envelope.index, envelope["min"], envelope["max"], color="#B0B0B0", alpha=0.5, lw=0,
                               label="15 companies, least to greatest")  # fmt: skip
            axes.plot(envelope["mean"], envelope.index, "k:", lw=0.9, label="their mean")
            values = np.sort(rows[quantity].to_numpy())
            axes.plot(values, 100 * (np.arange(len(values)) + 0.5) / len(values), color=figures.COLOURS[0], lw=1.1,
                      label="nr-link-budget")  # fmt: skip
            axes.set(xlabel=label, ylim=(0, 100), xlim=(envelope["min"].min() - 12, envelope["max"].max() + 12))
        panels[0].set_ylabel("share of UEs (%)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=6)
    return [run.path / "geometry.svg"]


def numbers(run: Run) -> list[TextTable]:
    """Each percentile beside the companies'."""
    rows: Frame = run[TABLE]
    known, found = companies(), measured(rows)
    table = TextTable(
        f"UMa URLLC, 4 GHz: {rows['drop'].nunique()} drops, {len(rows)} UEs, dB",
        "quantity", "percentile", "found", "95 % interval", "companies: mean", "least", "greatest",
    )  # fmt: skip
    for quantity, percent in known.index:
        row, theirs = found.loc[(quantity, percent)], known.loc[(quantity, percent)]
        table.add_row(quantity.replace("_", " "), str(percent), f"{row['value']:.2f}",
                      f"{row['low']:.2f} to {row['high']:.2f}", f"{theirs['mean']:.2f}", f"{theirs['min']:.2f}",
                      f"{theirs['max']:.2f}")  # fmt: skip
    return [table]


def checks(run: Run) -> list[Check]:
    """Every percentile over all drops is in the envelope of what the companies found, or at most half a dB outside."""
    known, found = companies(), measured(run[TABLE])
    drops = run[TABLE]["drop"].nunique()
    return [
        within("geometry", quantity.replace("_", " "), found.loc[quantity], known.loc[quantity], drops)
        for quantity in QUANTITIES
    ]
