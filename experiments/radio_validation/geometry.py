# SPDX-License-Identifier: GPL-2.0-only
"""Coupling gain and geometry of the UMa-URLLC evaluation at 4 GHz, beside the results of 15 companies."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edgelam import cosim
from edgelam.output.terminal import TextTable
from edgelam.random_streams import Stream, numbered
from edgelam.runs import Run, RunFolder, figures

from .checks import Check, Frame
from .config import Config
from .runner import Runner

TABLE = "geometry"
COMPANIES = Path(__file__).parent / "uma_urllc_4ghz.csv"
BEYOND_DB = 0.5  # how far outside of what companies found a percentile may be
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


def observe(options: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """One drop of the scenario with these options: what it shows of each UE and its serving cell."""

    async def main(sim: cosim.Simulation) -> dict[str, np.ndarray]:
        names = ("coupling_gain", "serving_cell", "geometry", "sir", "ue_drop")
        return {name: (await sim.observable(name).read()).value for name in names}

    found = cosim.simulate(main, scenario="nr-link-budget", options=options, seed=seed)
    return [
        {
            "ue": ue,
            "serving_cell": int(cell),
            "indoor": bool(found["ue_drop"]["indoor"][ue]),
            "coupling_gain": float(found["coupling_gain"][ue, cell]),
            "geometry": float(found["geometry"][ue]),
            "sir": float(found["sir"][ue]),
        }
        for ue, cell in enumerate(found["serving_cell"])
    ]


def companies() -> pd.DataFrame:
    """Columns mean, min, max in dB by (quantity, percentile)."""
    return pd.read_csv(COMPANIES, comment="#").set_index(["quantity", "percentile"])


def percentiles(rows: Frame) -> Frame:
    """Measured percentiles by (quantity, percentile): value, and the middle 95 % over resampled drops, dB."""
    known = companies()
    random = numbered(Stream.RESAMPLING, 1)
    drops = [of_drop for _, of_drop in rows.groupby("drop")]
    chosen = [random.integers(len(drops), size=len(drops)) for _ in range(200)]
    found = {}
    for quantity, percent in known.index:
        values = [of_drop[quantity].to_numpy() for of_drop in drops]
        again = [np.percentile(np.concatenate([values[i] for i in choice]), percent) for choice in chosen]
        low, high = np.percentile(again, [2.5, 97.5])
        found[quantity, percent] = {
            "value": float(np.percentile(np.concatenate(values), percent)), "low": float(low), "high": float(high)
        }  # fmt: skip
    return pd.DataFrame.from_dict(found, orient="index").rename_axis(["quantity", "percentile"])


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
    known, found = companies(), percentiles(rows)
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
    """Every percentile is within half a decibel of what the companies found, or its interval says that it may be."""
    known, found = companies(), percentiles(run[TABLE])
    results = []
    for quantity in QUANTITIES:
        both = found.loc[quantity].join(known.loc[quantity])
        beyond = pd.concat([both["value"] - both["max"], both["min"] - both["value"]], axis=1).max(axis=1)
        surely = pd.concat([both["low"] - both["max"], both["min"] - both["high"]], axis=1).max(axis=1)
        at = beyond.idxmax()
        results.append(
            Check("geometry", f"{quantity.replace('_', ' ')}: 5 to 95 % within {BEYOND_DB} dB of the envelope",
                  f"{beyond[at]:+.2f} dB beyond it at most ({at} %), {surely[at]:+.2f} at the near end of the interval",
                  float(surely.max()) <= BEYOND_DB)
        )  # fmt: skip
    return results
