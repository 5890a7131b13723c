# SPDX-License-Identifier: GPL-2.0-only
"""The programs of a run's simulations, as the table ``program`` of its folder, which `edgelam.replay.replay` plays.

An experiment only gives ``program=programs.record(folder, label)`` to `cosim.simulate`. Rows that it appends to its
tables are examined: times in them that come from the simulation (`sim.now_s`, and what is added to it or subtracted
from it, see traced.py) and rows about transfers and computations are recorded, too, so that a replay can put in its own
values.

manifest.json has a list ``simulations``: label, settings, number of operations, and the reasons if a simulation cannot
be replayed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgelam import scenarios
from edgelam.files.storage import write_atomically
from edgelam.replay.recorder import COLUMNS, Operation, ProgramRecorder
from edgelam.replay.traced import Traced
from edgelam.runs.folders import tables
from edgelam.runs.folders.folder import RunFolder

TABLE = "program"
ROW = "row"  # the kind of operation that says where a table's row came from


def record(folder: RunFolder, label: str, scenario: str | None = None) -> ProgramRecorder:
    """Return a recorder for one more simulation of the run.

    label: its name in the manifest and in progress; scenario: its network, by default the run's setting of that name. A
    user's scenario file is copied into the run folder.
    """
    simulations: list[dict[str, Any]] = folder.manifest.setdefault("simulations", [])
    number = len(simulations)
    facts: dict[str, Any] = {"label": label, "ended": False}
    simulations.append(facts)
    table = folder.table(TABLE, COLUMNS)
    _keep_scenario(folder, scenario or (folder.manifest.get("configuration") or {}).get("scenario"))

    def write(operations: list[Operation]) -> None:
        columns = zip(*operations, strict=True)
        table.extend({"simulation": [number] * len(operations)} | dict(zip(Operation._fields, columns, strict=True)))

    def ended(recorder: ProgramRecorder) -> None:
        facts.update(ended=True, operations=recorder.operations, not_replayable=recorder.reasons)
        facts.update(recorder.settings)
        folder.write_manifest()

    recorder = ProgramRecorder(write, on_end=ended, simulation=number)

    def appended(name: str, row: int, values: Mapping[str, Any]) -> None:
        if name in (TABLE, "wall"):
            return
        if recorder.about is not None:
            origin: Any = recorder.about
            of = number
        else:
            traced = {column: value for column, value in values.items() if isinstance(value, Traced)}
            if not traced:
                return
            origin = {column: value.formula for column, value in traced.items()}
            of = next(iter(traced.values())).recorder.simulation
        text = json.dumps(origin, separators=(",", ":"))
        table.append({"simulation": of, "task": 0, "kind": ROW, "object": row, "node": name, "text": text})

    folder.watch(appended)
    return recorder


def _keep_scenario(folder: RunFolder, scenario: Any) -> None:
    """Copy the source of a user's scenario into the run folder, once: it may be edited after the run."""
    if not isinstance(scenario, str) or not scenarios.is_path(scenario):
        return
    source = Path(scenario)
    copy = folder.path / source.name
    if source.suffix in (*scenarios.SUFFIXES, ".py") and source.is_file() and not copy.exists():
        write_atomically(copy, source.read_bytes())


def read(path: Path) -> tuple[dict[int, list[Operation]], dict[str, dict[int, tuple[int, Any]]]]:
    """Return the operations of each simulation, and {table: {row: (simulation, origin)}}."""
    operations: dict[int, list[Operation]] = defaultdict(list)
    rows: dict[str, dict[int, tuple[int, Any]]] = defaultdict(dict)
    table = tables.read_arrow(path, TABLE)
    if not table.num_rows:
        return operations, rows
    names = ("simulation", *Operation._fields)
    for simulation, *fields in zip(*(table[name].to_pylist() for name in names), strict=True):
        operation = Operation(*fields)
        if operation.kind == ROW:
            rows[operation.node][operation.object] = (simulation, json.loads(operation.text))
        else:
            operations[simulation].append(operation)
    return operations, rows
