# SPDX-License-Identifier: GPL-2.0-only
"""The large-scale calibration of TR 38.901 7.8.1, by options of nr-link-budget, beside the medians of R1-165974."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edgelam.output.terminal import TextTable
from edgelam.random_streams import Stream, numbered
from edgelam.runs import Run, RunFolder, figures

from .checks import Check, Frame
from .config import Config
from .drops import observe, percentiles
from .runner import Runner

TABLE = "large_scale"
COMPANIES = Path(__file__).parent / "r1_165974.csv"
FREQUENCIES_GHZ = (6, 30, 70)
NEAR_DB = 1.5  # a percentile from the companies' median, beside its interval
QUANTITIES = {"coupling_gain": "coupling gain (dB)", "sir": "geometry without noise (dB)"}
SCHEMA = {"deployment": str, "ghz": int, "drop": int, "ue": int, "coupling_gain": float, "sir": float}

# A column of ten elements is one vertical port, seen in the direction of the straight line; nothing fades.
_COMMON = {
    "ueNoiseFigure": 9, "rsrp": "direction", "gnbRows": 10, "gnbColumns": 1, "gnbPolarisations": 1, "gnbPortRows": 1,
    "gnbVerticalSpacing": 0.5, "ueAntennas": 1,
}  # fmt: skip
_STREETS = _COMMON | {
    "electricalTilt": 12, "indoorFraction": 0.8, "leastFloors": 4, "mostFloors": 8, "buildingLoss": "mixed",
    "indoorDistanceLaw": "least-of-two",
}  # fmt: skip
DEPLOYMENTS: dict[str, dict[str, Any]] = {
    "uma": _STREETS | {"deployment": "UMa", "siteDistance": 500, "gnbHeight": 25, "gnbPower": 49, "minDistance": 35},
    "umi": _STREETS | {"deployment": "UMi", "siteDistance": 200, "gnbHeight": 10, "gnbPower": 44},
    "inh": _COMMON | {"deployment": "InH-Open", "layout": "office", "siteDistance": 20, "gnbHeight": 3, "gnbPower": 24,
                      "electricalTilt": 20, "indoorFraction": 0, "ueHeight": 1, "minDistance": 0},
}  # fmt: skip
"""Options of nr-link-budget at 6 GHz, without frequency and bandwidth."""


def options(deployment: str, ghz: int) -> dict[str, Any]:
    """The options of one evaluation: above 6 GHz with 100 MHz instead of 20, and outdoors with 35 dBm."""
    chosen = DEPLOYMENTS[deployment] | {"frequency": ghz * 1e9, "bandwidth": 20 if ghz == 6 else 100}
    return chosen | ({"gnbPower": 35} if ghz > 6 and deployment != "inh" else {})


def measure(config: Config, folder: RunFolder, runner: Runner) -> None:
    """A few drops of each deployment at each frequency."""
    writer = folder.table(TABLE, SCHEMA)
    jobs = [(name, ghz) for name in DEPLOYMENTS for ghz in FREQUENCIES_GHZ]
    runner.progress.begin("large_scale", len(jobs) * config.large_scale_drops, "drops")
    for done, (name, ghz) in enumerate(jobs):
        for drop in range(config.large_scale_drops):
            chosen = options(name, ghz) | {"numUe": config.large_scale_ues, "runNumber": drop + 1}
            for row in observe(chosen, config.seed):
                kept = {key: row[key] for key in ("ue", *QUANTITIES)}
                writer.append({"deployment": name, "ghz": ghz, "drop": drop} | kept)
            runner.progress.step(done * config.large_scale_drops + drop + 1)


def companies() -> Frame:
    """Column median in dB by (deployment, ghz, quantity, percentile)."""
    return pd.read_csv(COMPANIES, comment="#").set_index(["deployment", "ghz", "quantity", "percentile"]).sort_index()


def measured(rows: Frame) -> Frame:
    """Percentiles by (deployment, ghz, quantity, percentile): value, and its middle 95 % when resampled, dB."""
    random, known = numbered(Stream.RESAMPLING, 3), companies()
    found = {
        key: percentiles(some, known.loc[key].index, random)
        for key, some in rows.groupby(["deployment", "ghz"], sort=False)
    }
    return pd.concat(found, names=["deployment", "ghz"])


def draw(run: Run) -> list[Path]:
    """Draw distributions over UEs, a panel for each deployment and quantity, beside the medians."""
    rows: Frame = run[TABLE]
    known = companies()
    size: dict[str, Any] = {"width_in": figures.PAGE_IN, "height_in": 3.6}
    with figures.figure(run.path / "large_scale", **size, rows=2, columns=3) as (figure, panels):
        pairs = [(quantity, name) for quantity in QUANTITIES for name in DEPLOYMENTS]
        for axes, (quantity, name) in zip(panels, pairs, strict=True):
            for colour, ghz in zip(figures.COLOURS, FREQUENCIES_GHZ, strict=False):
                some = rows[(rows["deployment"] == name) & (rows["ghz"] == ghz)]
                values = np.sort(some[quantity].to_numpy())
                axes.plot(values, 100 * (np.arange(len(values)) + 0.5) / len(values), color=colour, lw=1,
                          label=f"{ghz} GHz")  # fmt: skip
                theirs = known.loc[name, ghz, quantity]
                axes.plot(theirs["median"], theirs.index, "+", color=colour, ms=4)
            axes.set(title=name, xlabel=QUANTITIES[quantity], ylim=(0, 100))
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=6)
    return [run.path / "large_scale.svg"]


def numbers(run: Run) -> list[TextTable]:
    """The 5th, 50th and 95th percentile of each, its interval, and the companies' median."""
    rows: Frame = run[TABLE]
    known, found = companies(), measured(rows)
    table = TextTable(
        f"TR 38.901 7.8.1, {rows['drop'].nunique()} drops, dB: found, its 95 % interval (median of the companies)",
        "deployment", "GHz", "quantity", "5 %", "50 %", "95 %",
    )  # fmt: skip
    for name, ghz in rows[["deployment", "ghz"]].drop_duplicates().itertuples(index=False):
        for quantity in QUANTITIES:
            cells = []
            for percent in (5, 50, 95):
                row, theirs = found.loc[name, ghz, quantity, percent], known.loc[name, ghz, quantity, percent]
                cells.append(f"{row['value']:.1f}, {row['low']:.1f} to {row['high']:.1f} ({theirs['median']:.1f})")
            table.add_row(name, str(ghz), quantity.replace("_", " "), *cells)
    return [table]


def checks(run: Run) -> list[Check]:
    """No percentile's interval is farther from the companies' median than NEAR_DB."""
    known, found = companies(), measured(run[TABLE])
    both = found.join(known)
    apart = pd.concat([both["low"] - both["median"], both["median"] - both["high"]], axis=1).max(axis=1)
    results = []
    for name in dict.fromkeys(run[TABLE]["deployment"]):
        for quantity in QUANTITIES:
            some = apart.loc[name].xs(quantity, level="quantity")
            ghz, percent = some.idxmax()
            results.append(
                Check("large_scale", f"{name} {quantity.replace('_', ' ')}: 5 to 95 % near the companies' median",
                      f"the farthest interval begins {some.max():+.2f} dB from it, at {ghz} GHz and {percent} %",
                      float(some.max()) <= NEAR_DB)
            )  # fmt: skip
    return results
