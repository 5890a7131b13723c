# SPDX-License-Identifier: GPL-2.0-only
"""Coupling gain and geometry of IMT-2020's evaluations, by options of nr-link-budget, beside RP-180524's companies."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edgelam.output.terminal import TextTable
from edgelam.random_streams import Stream, numbered
from edgelam.runs import Run, RunFolder, figures

from .checks import Check, Frame
from .config import Config, Evaluation
from .drops import observe, percentiles, within
from .geometry import QUANTITIES
from .runner import Runner

TABLE = "evaluations"
COMPANIES = Path(__file__).parent / "rp_180524.csv"
SCHEMA = {"evaluation": str, "drop": int, "ue": int, "coupling_gain": float, "geometry": float}

_RURAL = {
    "deployment": "RMa", "frequency": 7e8, "siteDistance": 1732, "gnbHeight": 35, "electricalTilt": 10,
    "indoorFraction": 0.5, "buildingLoss": "low", "indoorDistance": 10, "indoorDistanceLaw": "least-of-two",
    "carFraction": 1,
}  # fmt: skip
_HOTSPOT = {
    "layout": "office", "deployment": "InH-A", "sectors": 1, "siteDistance": 20, "gnbHeight": 3, "gnbPower": 21,
    "gnbElement": "indoor", "gnbRows": 4, "gnbColumns": 4, "gnbPortRows": 4, "gnbPortColumns": 4,
    "gnbVerticalSpacing": 0.5, "electricalTilt": 0, "downtilt": 90, "indoorFraction": 0, "minDistance": 0,
}  # fmt: skip
OPTIONS: dict[Evaluation, dict[str, Any]] = {
    "urllc_4ghz": {},
    "urllc_4ghz_b": {"buildingLoss": "mixed", "highLossFraction": 0.2, "indoorDistanceLaw": "least-of-two"},
    "urllc_700mhz": {"frequency": 7e8},
    "mmtc_500m": {"frequency": 7e8, "indoorFraction": 0.8},
    "mmtc_1732m": {"frequency": 7e8, "indoorFraction": 0.8, "siteDistance": 1732, "electricalTilt": 3},
    "rural_700mhz": _RURAL,
    "rural_4ghz": _RURAL | {"frequency": 4e9},
    "rural_lmlc": _RURAL | {"deployment": "RMa-LMLC", "siteDistance": 6000, "electricalTilt": 6, "indoorFraction": 0.4,
                            "carFraction": 1 / 3},
    "hotspot_12": _HOTSPOT,
    "hotspot_12_b": _HOTSPOT | {"deployment": "InH-Open"},
    "hotspot_36": _HOTSPOT | {"sectors": 3, "downtilt": 20},
    "dense_urban_4ghz": {
        "siteDistance": 200, "gnbPower": 41, "gnbRows": 8, "gnbColumns": 8, "gnbPortRows": 2, "gnbPortColumns": 1,
        "gnbBeamAzimuths": "-56.25,-33.75,-11.25,11.25,33.75,56.25", "gnbBeamZeniths": "112.5,157.5",
        "indoorFraction": 0.8, "leastFloors": 4, "mostFloors": 8, "carFraction": 1,
    },
}  # fmt: skip
"""Options of nr-link-budget over its defaults; channel model A, or B where the name says so."""


def measure(config: Config, folder: RunFolder, runner: Runner) -> None:
    """A few drops of each evaluation."""
    writer = folder.table(TABLE, SCHEMA)
    runner.progress.begin("evaluations", len(config.evaluations) * config.evaluation_drops, "drops")
    jobs = [(name, drop) for name in config.evaluations for drop in range(config.evaluation_drops)]
    for done, (name, drop) in enumerate(jobs):
        options = OPTIONS[name] | {"numUe": config.evaluation_ues, "rsrp": "rays", "runNumber": drop + 1}
        for row in observe(options, config.seed):
            writer.append({"evaluation": name, "drop": drop} | {key: row[key] for key in ("ue", *QUANTITIES)})
        runner.progress.step(done + 1)


def companies() -> Frame:
    """Columns mean, min, max in dB by (evaluation, quantity, percentile)."""
    return pd.read_csv(COMPANIES, comment="#").set_index(["evaluation", "quantity", "percentile"]).sort_index()


def measured(rows: Frame) -> Frame:
    """Percentiles by (evaluation, quantity, percentile): value, and its middle 95 % when resampled, dB."""
    random = numbered(Stream.RESAMPLING, 2)
    known = companies()
    found = {
        name: percentiles(some, known.loc[name].index, random) for name, some in rows.groupby("evaluation", sort=False)
    }
    return pd.concat(found, names=["evaluation"])


def draw(run: Run) -> list[Path]:
    """Draw, for each evaluation, distributions over UEs and what the companies found."""
    rows: Frame = run[TABLE]
    names = list(dict.fromkeys(rows["evaluation"]))
    known = companies()
    for quantity, label in QUANTITIES.items():
        size: dict[str, Any] = {"width_in": figures.PAGE_IN, "height_in": 1.5 * -(-len(names) // 4) + 0.4}
        with figures.figure(run.path / f"evaluations_{quantity}", **size, rows=-(-len(names) // 4), columns=4) as (
            figure,
            panels,
        ):
            for axes, name in zip(panels, names, strict=False):
                theirs = known.loc[name, quantity]
                axes.fill_betweenx(theirs.index, theirs["min"], theirs["max"], color="#B0B0B0", alpha=0.5, lw=0)
                axes.plot(theirs["mean"], theirs.index, "k:", lw=0.9)
                values = np.sort(rows.loc[rows["evaluation"] == name, quantity].to_numpy())
                axes.plot(values, 100 * (np.arange(len(values)) + 0.5) / len(values), color=figures.COLOURS[0], lw=1)
                axes.set(title=name.replace("_", " "), ylim=(0, 100))
            for axes in panels[len(names) :]:
                axes.set_visible(False)
            figure.supxlabel(label, fontsize=7)
    return [run.path / f"evaluations_{quantity}.svg" for quantity in QUANTITIES]


def numbers(run: Run) -> list[TextTable]:
    """The 5th, 50th and 95th percentile of each evaluation beside the companies' mean."""
    rows: Frame = run[TABLE]
    known, found = companies(), measured(rows)
    drops = rows["drop"].nunique()
    table = TextTable(
        f"Evaluations of IMT-2020, {drops} drops, dB: found, its 95 % interval (least and greatest of the companies)",
        "evaluation", "quantity", "5 %", "50 %", "95 %",
    )  # fmt: skip
    for name in dict.fromkeys(rows["evaluation"]):
        for quantity in QUANTITIES:
            cells = []
            for percent in (5, 50, 95):
                row, theirs = found.loc[(name, quantity, percent)], known.loc[(name, quantity, percent)]
                cells.append(f"{row['value']:.1f}, {row['low']:.1f} to {row['high']:.1f} "
                             f"({theirs['min']:.1f} to {theirs['max']:.1f})")  # fmt: skip
            table.add_row(name.replace("_", " "), quantity.replace("_", " "), *cells)
    return [table]


def checks(run: Run) -> list[Check]:
    """Every percentile over all drops is in the envelope of what the companies found, or at most half a dB outside."""
    rows = run[TABLE]
    known, found = companies(), measured(rows)
    return [
        within(
            "evaluations", f"{name} {quantity}".replace("_", " "), found.loc[name, quantity], known.loc[name, quantity],
            some["drop"].nunique(),
        )
        for name, some in rows.groupby("evaluation", sort=False)
        for quantity in QUANTITIES
    ]  # fmt: skip
