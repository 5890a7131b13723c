# SPDX-License-Identifier: GPL-2.0-only
"""Write the reports of jobs into the tables of the run folder."""

from __future__ import annotations

import dataclasses
import functools

import pyarrow as pa

from edgelam.runs import RunFolder
from edgelam.runs.folders.tables import schema_of
from edgelam.runs.recording import SimulationRecorder

from .records import NAMES, Cost, Job, Row, Stale


class Tables:
    """Writes to the tables epochs, scores, models, costs, stale (see records.py)."""

    def __init__(self, folder: RunFolder) -> None:
        """Write to `folder`."""
        self.folder = folder

    def add(self, job: Job, record: Row) -> None:
        """One row of a job."""
        self._append(record, dataclasses.asdict(job))

    def add_of_seed(self, seed: int, record: Cost | Stale) -> None:
        """One row that belongs to a seed, not to a job."""
        self._append(record, {"seed": seed})

    def simulation(self, job: Job) -> SimulationRecorder:
        """Return the recorder of a job's simulation."""
        return SimulationRecorder(self.folder, job.label, dataclasses.asdict(job))

    def _append(self, record: Row | Cost | Stale, first: dict[str, object]) -> None:
        kind: type = type(record)
        self.folder.table(NAMES[kind], _schema(kind)).append(first | dataclasses.asdict(record))


_JOB = {"method": str, "servers": int, "server": int, "seed": int}


@functools.cache
def _schema(kind: type) -> pa.Schema:
    return schema_of(kind, **({"seed": int} if kind in (Cost, Stale) else _JOB))
