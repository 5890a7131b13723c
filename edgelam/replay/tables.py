# SPDX-License-Identifier: GPL-2.0-only
"""The tables of a replayed run: those of the run, with the times (and energies) of the replay.

- a row about a transfer or a computation gets the values of the replay's record of it;
- in a row with times that were traced (traced.py), these are computed from the replay's readings; a time in such a
  row that was not traced is null;
- a row without a time is copied; a row with times that nobody recorded is left out, since they are not this network's;
- the ledger has the costs of the replay's network and devices, and from the run what does not depend on them (memory).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from edgelam.replay.player import ProgramPlayer
from edgelam.replay.programs import TABLE
from edgelam.replay.traced import evaluate
from edgelam.runs import ledger
from edgelam.runs.folders import tables
from edgelam.runs.folders.folder import RunFolder
from edgelam.runs.folders.load import Run

_OWN = ("id", "bytes", "participant")  # numbers of the recording, or columns that have another name in tables
OWN = ("wall", "simulations", "nodes", "positions")  # tables that the replay writes itself
Row = dict[str, Any]
Origins = Mapping[int, tuple[int, Any]]


def write(
    run: Run,
    folder: RunFolder,
    origins: Mapping[str, Origins],
    players: Mapping[int, ProgramPlayer],
    ledgers: Mapping[str, Sequence[Row]],
) -> None:
    """Write into `folder` every table of `run` that a replay has.

    origins: {table: {row: (simulation, origin)}}; ledgers: of the replay, by the name of the simulation.
    """
    for name in run:
        if name in (TABLE, *OWN) or name.startswith("trace_"):
            continue
        table = tables.read_arrow(run.path, name)
        if table.num_columns:
            known = origins.get(name, {})
            is_ledger = name == ledger.TABLE and ledger.is_ledger(table.column_names)
            rows = _costs(table, known, players, ledgers) if is_ledger else _rows(table, known, players)
            writer = folder.table(name, table.schema)
            if rows:
                writer.extend({column: [row[column] for row in rows] for column in table.column_names})


def ledger_nodes(run: Run, simulation: str) -> list[str]:
    """Return the nodes in the ledger of one simulation of a run; none if it has no ledger."""
    if ledger.TABLE not in run:
        return []
    table = tables.read_arrow(run.path, ledger.TABLE)
    rows = table.to_pylist() if ledger.is_ledger(table.column_names) else []
    return [row["node"] for row in rows if row["simulation"] == simulation]


def _costs(
    table: pa.Table, origins: Origins, players: Mapping[int, ProgramPlayer], ledgers: Mapping[str, Sequence[Row]]
) -> list[Row]:
    own = {(name, row["node"]): row for name, rows in ledgers.items() for row in rows}
    found: list[Row] = []
    for index, row in enumerate(table.to_pylist()):
        new = row
        if index in origins:
            simulation, origin = origins[index]
            new = _worked_out(row, origin, players[simulation])
        mine = own.get((row["simulation"], row["node"]))
        if mine is not None:  # None: of a simulation that is not replayed
            found.append(new | {column: mine.get(column) for column in ledger.OF_THE_NETWORK})
    return found


def _rows(table: pa.Table, origins: Origins, players: Mapping[int, ProgramPlayer]) -> list[Row]:
    ranks = {number: _ranks(player) for number, player in players.items()}
    found: list[Row] = []
    ordered: dict[int, list[tuple[int, Row]]] = {}  # simulation -> rows about records, with their place
    places: dict[int, list[int]] = {}
    for index, row in enumerate(table.to_pylist()):
        if index not in origins:
            if not any(_is_time(column) and value for column, value in row.items()):
                found.append(row)
            continue
        simulation, origin = origins[index]
        player = players[simulation]
        if isinstance(origin, dict):
            found.append(_worked_out(row, origin, player))
            continue
        what, number, where = origin
        record: Any = player.transfers.get((number, where)) if what == "transfer" else player.blocks.get(number)
        if record is not None:  # None: it had not ended when the replay ended
            rank = ranks[simulation][what, number, where]
            ordered.setdefault(simulation, []).append((rank, row | _facts(record, row)))
            places.setdefault(simulation, []).append(len(found))
            found.append(row)
    for simulation, ranked in ordered.items():
        for place, (_, row) in zip(places[simulation], sorted(ranked, key=lambda pair: pair[0]), strict=True):
            found[place] = row
    return found


def _ranks(player: ProgramPlayer) -> dict[tuple[str, int, str], int]:
    """Return the order in which transfers and computations ended."""
    transfers = {("transfer", *key): rank for rank, key in enumerate(player.transfers)}
    return transfers | {("compute", number, block.node): i for i, (number, block) in enumerate(player.blocks.items())}


def _facts(record: Any, row: Row) -> Row:
    names = [field.name for field in dataclasses.fields(record)]
    return {name: getattr(record, name) for name in names if name in row and name not in _OWN}


def _worked_out(row: Row, formulas: Mapping[str, Any], player: ProgramPlayer) -> Row:
    new: Row = {}
    for column, value in row.items():
        if column in formulas:
            try:
                new[column] = evaluate(formulas[column], player.value)
            except KeyError:  # not reached when the replay ended
                new[column] = None
        else:
            new[column] = None if _is_time(column) and value else value
    return new


def _is_time(column: str) -> bool:
    return column.endswith("_s") or column == "energy_j"
