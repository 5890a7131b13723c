# SPDX-License-Identifier: GPL-2.0-only
"""Runs beside one another: their settings, their results, and their curves in one chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from edgelam.errors import ConfigurationError
from edgelam.report import simulations
from edgelam.report.charts import chart_tables, drawn, plain_table
from edgelam.report.marks import NOTE, UNSET, score_cells
from edgelam.report.page import write_page
from edgelam.runs import results
from edgelam.runs.configuration import leaves
from edgelam.runs.folders.load import Run, load_run
from edgelam.runs.scores import BEST, Score, merged
from edgelam.text import si_bytes

MOST_RUNS = 200


class Comparison:
    """Several runs: `overview`, `costs` and `differences` are (heads, rows of text)."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read the runs. Raises StorageError, and ConfigurationError for fewer than two runs or the same run twice."""
        if not 2 <= len(paths) <= MOST_RUNS:
            raise ConfigurationError(f"compare takes 2 to {MOST_RUNS} run folders, got {len(paths)}")
        places = [Path(path).resolve() for path in paths]
        for path, place in zip(paths, places, strict=True):
            if places.count(place) > 1:
                raise ConfigurationError(f"compare: {path} is given twice")
        self.runs = [load_run(path) for path in paths]
        self.names = _short_names(self.runs)
        self.scores = merged(results.of_run(run) for run in self.runs)

    @property
    def overview(self) -> tuple[list[str], list[list[str]]]:
        """The results of the runs: each has a row per combination of labels (method, test set), with all scores.

        The best values are marked (marks.py). If it is known which way the main score is better, the last column has
        its difference to the first run. A run without values has one row.
        """
        results_of = [
            (row, name, run) for name, run in zip(self.names, self.runs, strict=True) for row in _rows_of(run)
        ]
        shown = [score for score in self.scores if any(score.name in values for (_, values), _, _ in results_of)]
        labels = list(dict.fromkeys(label for (of, _), _, _ in results_of for label in of))
        told = [({label: of.get(label, "") for label in labels}, values) for (of, values), _, _ in results_of]
        titles, cells = score_cells(shown, told)
        main = [score for score in shown[:1] if score.better is not None]
        first = [row for row, (_, name, _) in zip(told, results_of, strict=True) if name == self.names[0]]
        rows = [
            [name, run.state, *(of[label] or UNSET for label in labels), *scored]
            + [_difference(score, of, values, first) if name != self.names[0] else UNSET for score in main]
            for (of, values), (_, name, run), scored in zip(told, results_of, cells, strict=True)
        ]
        heads = ["run", "state", *labels, *titles, *(f"{score.name}: difference to the first run" for score in main)]
        return heads, rows

    @property
    def note(self) -> str:
        """Return what the mark of a best value means; empty if nothing is marked."""
        return NOTE if any(cell.endswith(BEST) for row in self.overview[1] for cell in row) else ""

    @property
    def costs(self) -> tuple[list[str], list[list[str]]]:
        """Return a row for each simulation of each run: both clocks, and traffic."""
        heads = ["run", "simulation", "simulated", "wall", "transfers", "delivered"]
        rows = [
            [name, *_costs(run, simulation)]
            for name, run in zip(self.names, self.runs, strict=True)
            for simulation in simulations.names_of(run)
        ]
        return heads, rows

    @property
    def differences(self) -> tuple[list[str], list[list[str]]]:
        """Return the settings that are not the same in all runs: a row per run, or per setting if these are more."""
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
        (heads, rows), (settings, differing), (of, costs) = self.overview, self.differences, self.costs
        tables: dict[str, list[pd.DataFrame]] = {}
        for name, run in zip(self.names, self.runs, strict=True):
            for table, content in chart_tables(run).items():
                tables.setdefault(table, []).append(content.assign(run=name)[["run", *content.columns]])
        places = (of.index("simulated"), of.index("wall"))
        clocks = [[[f"{row[0]}: {row[1]}", row[place]] for row in costs if row[place] != UNSET] for place in places]
        data: dict[str, Any] = {
            "title": f"{len(self.runs)} runs compared",
            "state": ", ".join(dict.fromkeys(run.manifest["experiment"] for run in self.runs)),
            "simulated": clocks[0],
            "wall": clocks[1],
            "simulations": [],
            "runs": {"heads": heads, "rows": rows, "note": self.note},
            "costs": {"heads": of, "rows": costs},
            "differences": {"heads": settings, "rows": differing},
            "scores": drawn(self.scores),
            "tables": {table: plain_table(_together(parts)) for table, parts in tables.items()},
            "text": "",
            "figures": [],
            "configuration": None,
        }
        write_page(out, data)


def _together(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all; whole numbers stay whole if a run lacks their column."""
    whole = [part.astype(dict.fromkeys(part.select_dtypes("int64").columns, "Int64")) for part in parts]
    return pd.concat(whole)


def _short_names(runs: list[Run]) -> list[str]:
    """Return the folders' names, with as much of the path before them as is needed to tell the runs apart."""
    parts = [run.path.resolve().parts for run in runs]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(run.path) for run in runs]


def _rows_of(run: Run) -> list[tuple[dict[str, str], dict[str, float]]]:
    """Return labels and values of a run's results; one row without any if it has no results."""
    scores = results.of_run(run)
    table = results.values(run, scores)
    labels = results.labels(table, scores)
    rows = [({name: str(row[name]) for name in labels}, results.known(row, scores)) for row in table.to_dict("records")]
    return rows or [({}, {})]


def _difference(
    score: Score,
    labels: Mapping[str, str],
    values: Mapping[str, float],
    first: Sequence[tuple[Any, Mapping[str, float]]],
) -> str:
    """Return a score minus that of the first run, which has the same labels, or is its only one."""
    there = [(of, known) for of, known in first if score.name in known]
    base = [known[score.name] for of, known in there if len(there) == 1 or of == labels]
    if score.name not in values or len(base) != 1:
        return UNSET
    difference = values[score.name] - base[0]
    return ", ".join(filter(None, [f"{difference:+.4g}" if difference else "", score.verdict(difference)]))


def _costs(run: Run, simulation: str) -> list[str]:
    transfers = simulations.of_simulation(run, "transfers", simulation)
    wall_s = simulations.wall_of(run, simulation)
    return [
        simulation,
        f"{simulations.end_of(run, simulation):.5g} s",
        UNSET if wall_s is None else f"{wall_s:.3g} s",
        str(len(transfers)),
        si_bytes(float(transfers["delivered_bytes"].sum())) if len(transfers) else UNSET,
    ]


def _flat(plain: dict[str, Any]) -> dict[str, str]:
    """Return nested settings as 'lora.rank' -> text, without those that are open (null, or missing)."""
    return {
        ".".join(place): ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for place, value in leaves(plain)
        if value is not None
    }
