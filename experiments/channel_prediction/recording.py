# SPDX-License-Identifier: GPL-2.0-only
"""From what jobs report to the tables of the run folder."""

from __future__ import annotations

import dataclasses
import functools
import time

import pyarrow as pa

from edgelam.cosim.records import TransferRecord
from edgelam.runs import RunFolder
from edgelam.runs.tables import schema_of

from .records import NAMES, Cost, Job, Row, Stale


class Recorder:
    """Writes to the tables epochs, scores, models, costs, stale (see records.py), transfers and wall."""

    def __init__(self, folder: RunFolder) -> None:
        """Write to `folder`."""
        self.folder = folder

    def add(self, job: Job, record: Row) -> None:
        """One row of a job."""
        self._append(record, dataclasses.asdict(job))

    def add_of_seed(self, seed: int, record: Cost | Stale) -> None:
        """One row that belongs to a seed, not to a job."""
        self._append(record, {"seed": seed})

    def transfer(self, job: Job, record: TransferRecord) -> None:
        """What cosim knows of a finished transfer."""
        row = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
        row["transfer"] = row.pop("id")
        self.folder.table("transfers", _transfers()).append(dataclasses.asdict(job) | row)

    def wall(self, job: Job, began: float) -> None:
        """How long a job took, wall clock."""
        table = self.folder.table("wall", {"job": str, "wall_s": float})
        table.append({"job": job.key, "wall_s": time.monotonic() - began})

    def _append(self, record: Row | Cost | Stale, first: dict[str, object]) -> None:
        kind: type = type(record)
        self.folder.table(NAMES[kind], _schema(kind)).append(first | dataclasses.asdict(record))


_JOB = {"method": str, "servers": int, "server": int, "seed": int}


@functools.cache
def _schema(kind: type) -> pa.Schema:
    return schema_of(kind, **({"seed": int} if kind in (Cost, Stale) else _JOB))


@functools.cache
def _transfers() -> pa.Schema:
    schema = schema_of(TransferRecord, **_JOB)
    return pa.schema([field.with_name("transfer") if field.name == "id" else field for field in schema])
