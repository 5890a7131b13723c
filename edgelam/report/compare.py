# SPDX-License-Identifier: GPL-2.0-only
"""Runs beside one another: what they were told, what came of it, and their curves in one chart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from edgelam.errors import ConfigurationError
from edgelam.report import simulations
from edgelam.report.charts import chart_tables, plain_table
from edgelam.report.page import write_page
from edgelam.runs.configuration import leaves
from edgelam.runs.figures import si_bytes
from edgelam.runs.folders.load import Run, load_run

UNSET = "-"
MOST_RUNS = 200
_LAST = ("accuracy", "loss_nats", "loss", "nmse")  # columns whose last value says how a method ended
_TABLES = ("metrics", "scores", "epochs", "rounds")


class Comparison:
    """Several runs: `overview` and `differences` are (heads, rows of text)."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read the runs. Raises StorageError, and ConfigurationError for fewer than two or the same one twice."""
        if not 2 <= len(paths) <= MOST_RUNS:
            raise ConfigurationError(f"compare takes 2 to {MOST_RUNS} run folders, got {len(paths)}")
        places = [Path(path).resolve() for path in paths]
        for path, place in zip(paths, places, strict=True):
            if places.count(place) > 1:
                raise ConfigurationError(f"compare: {path} is given twice")
        self.runs = [load_run(path) for path in paths]
        self.names = _short_names(self.runs)

    @property
    def overview(self) -> tuple[list[str], list[list[str]]]:
        """A row a simulation of each run: its state, both clocks, traffic, and how its metrics ended."""
        lasts = [_last_metrics(run) for run in self.runs]
        shown = [name for name in _LAST if any(name in last for of_run in lasts for last in of_run.values())]
        heads = ["run", "state", "simulation", "simulated", "wall", "transfers", "delivered", *shown]
        rows = []
        for name, run, last in zip(self.names, self.runs, lasts, strict=True):
            for simulation in simulations.names_of(run) or [""]:
                transfers = simulations.of_simulation(run, "transfers", simulation)
                wall_s = simulations.wall_of(run, simulation) if simulation else run.wall_s
                values = last.get(simulation, {})
                rows.append(
                    [
                        name,
                        run.state,
                        simulation or UNSET,
                        f"{simulations.end_of(run, simulation):.5g} s" if simulation else UNSET,
                        UNSET if wall_s is None else f"{wall_s:.3g} s",
                        str(len(transfers)),
                        si_bytes(float(transfers["delivered_bytes"].sum())) if len(transfers) else UNSET,
                        *(f"{values[column]:.4g}" if column in values else UNSET for column in shown),
                    ]
                )
        return heads, rows

    @property
    def differences(self) -> tuple[list[str], list[list[str]]]:
        """The settings that are not the same in all runs: a row a run, or a row a setting where those are more."""
        flat = [{"experiment": run.manifest["experiment"], **_flat(run.manifest["configuration"])} for run in self.runs]
        settings = dict.fromkeys(name for each in flat for name in each)
        rows = [[name, *(each.get(name, UNSET) for each in flat)] for name in settings]
        rows = [row for row in rows if len(set(row[1:])) > 1]
        if len(rows) > len(self.runs):
            return ["setting", *self.names], rows
        heads = [row[0] for row in rows]
        values = [[name, *(row[place] for row in rows)] for place, name in enumerate(self.names, start=1)]
        return ["run", *heads], values if rows else []

    def write(self, out: Path) -> None:
        """Write the page. Raises StorageError."""
        (heads, rows), (settings, differing) = self.overview, self.differences
        tables: dict[str, list[pd.DataFrame]] = {}
        for name, run in zip(self.names, self.runs, strict=True):
            for table, content in chart_tables(run).items():
                tables.setdefault(table, []).append(content.assign(run=name)[["run", *content.columns]])
        places = (heads.index("simulated"), heads.index("wall"))
        clocks = [[[f"{row[0]}: {row[2]}", row[place]] for row in rows if row[place] != UNSET] for place in places]
        data: dict[str, Any] = {
            "title": f"{len(self.runs)} runs compared",
            "state": ", ".join(dict.fromkeys(run.manifest["experiment"] for run in self.runs)),
            "simulated": clocks[0],
            "wall": clocks[1],
            "simulations": [],
            "runs": {"heads": heads, "rows": rows},
            "differences": {"heads": settings, "rows": differing},
            "tables": {table: plain_table(_together(parts)) for table, parts in tables.items()},
            "text": "",
            "figures": [],
            "configuration": None,
        }
        write_page(out, data)


def _together(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all; whole numbers stay so where a run lacks their column."""
    whole = [part.astype(dict.fromkeys(part.select_dtypes("int64").columns, "Int64")) for part in parts]
    return pd.concat(whole)


def _short_names(runs: list[Run]) -> list[str]:
    """The folder's name, with as much of the path before it as tells the runs apart."""
    parts = [run.path.resolve().parts for run in runs]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(run.path) for run in runs]


def _last_metrics(run: Run) -> dict[str, dict[str, float]]:
    """Simulation -> its last metrics, from the first table that has any; rows belong to it by the labels they share."""
    rows = next((run[name] for name in _TABLES if name in run and any(column in run[name] for column in _LAST)), None)
    if rows is None or not simulations.names_of(run):
        return {}
    if "head" in rows and (rows["head"] == "average").any():  # the model of all, on everybody's data
        rows = rows[(rows["head"] == "average") & (rows["test_set"] == "global")]
    told = run["simulations"].drop_duplicates("simulation")
    shared = [str(name) for name in told if name in rows and name not in ("scenario", "options")]
    columns = [column for column in _LAST if column in rows]
    found = {}
    for _, simulation in told.iterrows() if shared else ():
        own = rows[rows[shared].eq(simulation[shared]).all(axis=1)][columns].ffill()
        last = own.iloc[-1].dropna() if len(own) else pd.Series(dtype=float)
        found[str(simulation["simulation"])] = {str(column): float(value) for column, value in last.items()}
    return found


def _flat(plain: dict[str, Any]) -> dict[str, str]:
    """Nested settings as 'lora.rank' -> text; without those that are left open, be it by null or by not being there."""
    return {
        ".".join(place): ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for place, value in leaves(plain)
        if value is not None
    }
