# SPDX-License-Identifier: GPL-2.0-only
"""Tables over many runs: reads the rows of each run, and keeps the rows of all in one Parquet file for each table.

The file is a cache (of edgelam.runs.many). Beside the rows, it holds the names of the runs that were read, and a text,
`reader`, that says what has read them. If it is damaged, or if its reader is another one, it is not used, and it is
written again.
"""

import contextlib
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from edgelam.errors import EdgelamError
from edgelam.files import digests
from edgelam.files.storage import StorageError, write_atomically
from edgelam.runs import experiments, results
from edgelam.runs.campaigns.inputs import short_name
from edgelam.runs.configuration import leaves
from edgelam.runs.configuration.settings import plain_text, settings_of
from edgelam.runs.folders import tables
from edgelam.runs.folders.load import Run

_KEY = b"edgelam"
_RESULTS = "2"  # how edgelam itself computes results: increase this if that changes


def read_index(file: Path, reader: str) -> tuple[list[str], pa.Table | None]:
    """Return the names of the runs that the file has read, and their rows; none if another reader wrote it."""
    try:
        content = file.read_bytes()
        if not digests.check_seal(content, file):
            return [], None
        table = tables.parsed(content)
        facts = json.loads(table.schema.metadata[_KEY])
        runs, made_by = [str(run) for run in facts["runs"]], facts["reader"]
    except (
        OSError,
        StorageError,
        pa.ArrowException,
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
    ):  # none, or damaged
        return [], None
    return (runs, table.replace_schema_metadata(None)) if made_by == reader else ([], None)


def write_index(file: Path, table: pa.Table, runs: list[str], reader: str) -> None:
    """Keep the rows of these runs in the file, if it can be written."""
    facts = json.dumps({"reader": reader, "runs": runs})
    sink = pa.BufferOutputStream()
    table = table.replace_schema_metadata({_KEY: facts, digests.KEY.encode(): digests.BLANK})
    pq.write_table(table, sink, compression=tables.COMPRESSION)
    with contextlib.suppress(StorageError):  # a read-only folder: nothing is kept
        write_atomically(file, digests.sealed(sink.getvalue().to_pybytes()))


def concatenate(parts: Sequence[pa.Table]) -> pa.Table:
    """Return all rows of these tables. A column that a table lacks is null in its rows.

    Whole numbers become floating point if the column has floating point in another table. Raises EdgelamError if the
    columns do not fit together.
    """
    # columns without rows (of a run that failed at once) have no types of their own
    filled = [part for part in parts if part.num_rows] or [part for part in parts if part.num_columns][:1]
    try:
        return pa.concat_tables(filled, promote_options="permissive").combine_chunks() if filled else pa.table({})
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise EdgelamError(f"the tables of these runs do not fit together: {error}") from error


def facts_of(path: Path) -> pa.Table:
    """Return the row of a run in the table `runs`: seed, state, experiment and so on, then its settings."""
    run = Run(path)
    manifest = run.manifest
    of_campaign = manifest.get("campaign") or {}
    row: dict[str, Any] = {
        "seed": manifest["seeds"]["root"],
        "state": run.state,
        "experiment": manifest["experiment"],
        "version": of_campaign.get("version"),
        "inputs": short_name(of_campaign.get("inputs") or {}) or None,
        "started": manifest["started"],
        "wall_s": run.wall_s,
        "node": manifest["process"]["node"],
    }
    columns = _option_names(manifest["experiment"])
    for place, value in leaves(manifest["configuration"]):
        name = columns.get(place, ".".join(place))
        if name != "seed":
            row[name] = plain_text(value) if isinstance(value, list) else value
    return pa.Table.from_pylist([row])


@functools.cache
def _option_names(experiment: str) -> dict[tuple[str, ...], str]:
    """Return place in the configuration -> the setting's name on the command line; empty for unknown experiments."""
    try:
        kind = experiments.find(experiment).config
    except EdgelamError:
        return {}
    return {setting.path: setting.column for setting in settings_of(kind).values()}


def scores_of(path: Path) -> pa.Table:
    """Return the results of a run, as its experiment gives them."""
    return pa.Table.from_pandas(results.results_of(Run(path)), preserve_index=False, nthreads=1)


def result_readers(runs: pd.DataFrame) -> str:
    """Return a text that changes when the code that computes the results of these runs changes."""
    from edgelam.runs.campaigns.identity import experiment_sources

    found: dict[str, Any] = {"": _RESULTS}
    for name in runs["experiment"].unique() if len(runs) else []:
        with contextlib.suppress(EdgelamError):
            found[str(name)] = experiment_sources(experiments.find(str(name)))
    return json.dumps(found, sort_keys=True)


def table_of(path: Path, name: str) -> pa.Table:
    """Return the run's table of that name; an empty one if it has none."""
    return tables.read_arrow(path, name) if name in tables.table_names(path) else pa.table({})


def with_run_name(table: pa.Table, name: str) -> pa.Table:
    """Return the table with the run's name as its first column, `run`."""
    if not table.num_columns:
        return table
    if "run" in table.schema.names:
        table = table.drop_columns("run")
    names = pa.array([name] * table.num_rows, pa.string())
    return table.replace_schema_metadata(None).add_column(0, pa.field("run", pa.string()), names)
