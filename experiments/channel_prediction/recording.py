# SPDX-License-Identifier: GPL-2.0-only
"""From what jobs report to the tables of the run folder."""

from __future__ import annotations

import time

from edgelam.cosim.records import TransferRecord
from edgelam.runs import RunFolder
from edgelam.runs.tables import schema_of

from .records import NAMES, Job, Row, row_of

_JOB = {"method": str, "servers": int, "server": int, "seed": int}


class Recorder:
    """Writes to the tables epochs, scores, models, costs, stale (see records.py), transfers and wall."""

    def __init__(self, folder: RunFolder) -> None:
        """Write to `folder`."""
        self._folder = folder

    def add(self, job: Job | None, record: Row) -> None:
        """One row; without a job for what is not of one."""
        kind = type(record)
        schema = schema_of(kind, **(_JOB if job else {"seed": int}))
        self._folder.table(NAMES[kind], schema).append(row_of(job, record))

    def add_of_seed(self, seed: int, record: Row) -> None:
        """One row that belongs to a seed."""
        schema = schema_of(type(record), seed=int)
        self._folder.table(NAMES[type(record)], schema).append({"seed": seed} | row_of(None, record))

    def transfer(self, job: Job, record: TransferRecord) -> None:
        """What cosim knows of a finished transfer."""
        row = {field: getattr(record, field) for field in record.__dataclass_fields__}
        row["transfer"] = row.pop("id")
        schema = schema_of(TransferRecord, **_JOB)
        schema = schema.set(schema.get_field_index("id"), schema.field("id").with_name("transfer"))
        self._folder.table("transfers", schema).append(row_of(job, None) | row)

    def wall(self, job: Job, began: float) -> None:
        """How long a job took, wall clock."""
        table = self._folder.table("wall", {"job": str, "wall_s": float})
        table.append({"job": job.key, "wall_s": time.monotonic() - began})
