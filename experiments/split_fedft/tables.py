# SPDX-License-Identifier: GPL-2.0-only
"""Write the reports of cosim and of the learning into the tables of the run folder.

metrics         one row an evaluation, with what had been spent by then
rounds          one row a round, as the server sees it
device_rounds   one row a device and round: where its time went
decisions       with allocation: one row a decision
allocations     with allocation: one row a device and decision, with all that the decision knew
staleness       with fedbuff: one row an update that has come in
updates         with a robust rule: one row a device and round, what the server made of its update
cuts            with decomposed: one row a device and round, where its model was cut
privacy         with privacy: one row a device, what was released about its samples, and epsilon
air             with air-fed-lora: one row a round, what its sum over the air took and brought
user_privacy    with dp-fed-lora and air-fed-lora: one row, what was spent of each device's privacy
leaks           with privacy: one row a device, how many of its tokens the embeddings told
label_leaks     with privacy.attack: one row, how many labels the Jacobians told
resumed         with checkpoints: one row for each method that went on where an earlier run was
devices         the ledger (edgelam.runs.ledger), with each node's training samples, energy and arithmetic
simulations, nodes, transfers, compute, positions, wall: see edgelam.runs.recording
"""

import dataclasses
import functools
from typing import Any

import pyarrow as pa

from edgelam.federated.controls import ControlRow
from edgelam.federated.records import (
    AirRecord,
    AllocationRecord,
    CutRecord,
    DecisionRecord,
    DeviceRecord,
    DeviceRoundRecord,
    EvaluationRecord,
    LabelLeakRecord,
    LeakRecord,
    PrivacyRecord,
    Record,
    RoundRecord,
    StalenessRecord,
    UpdateRecord,
    UserPrivacyRecord,
)
from edgelam.learning.course import Course
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder
from edgelam.runs.folders.tables import TableWriter, schema_of
from edgelam.runs.recording import SimulationRecorder

# What a record calls in the context of its class needs its unit in a table.
RENAMED = {"loss": "loss_nats"}
TABLES: dict[type, tuple[str, dict[str, type]]] = {
    EvaluationRecord: ("metrics", {"uplink_bytes": int, "downlink_bytes": int}),
    RoundRecord: ("rounds", {}),
    DeviceRoundRecord: ("device_rounds", {}),
    PrivacyRecord: ("privacy", {}),
    LeakRecord: ("leaks", {}),
    LabelLeakRecord: ("label_leaks", {}),
    DecisionRecord: ("decisions", {}),
    AllocationRecord: ("allocations", {}),
    CutRecord: ("cuts", {}),
    UpdateRecord: ("updates", {}),
    StalenessRecord: ("staleness", {}),
    UserPrivacyRecord: ("user_privacy", {}),
    AirRecord: ("air", {}),
}
COSTS = {"num_train_samples": int, "energy_j": float, "flops": int}  # of a DeviceRecord, beside the ledger's own


TIMES = ("start_s", "end_s", "time_s", "asked_s", "in_force_s")
"""Columns that are points of time; all other seconds are durations."""
RESUMED = {"method": str, "round": int, "offset_s": float}


class MethodTables(SimulationRecorder):
    """Takes the reports of one method and writes them under `label`, the method's name in the tables.

    If the method goes on where an earlier run was, the rows of that run come first, and what is reported from now on
    has its times and bytes after them.
    """

    def __init__(self, folder: RunFolder, label: str, progress: Progress | None = None, course: Course | None = None,
                 ) -> None:  # fmt: skip
        """Write to `folder`; show rounds on `progress`. course: of the method, which gets its rows from here."""
        super().__init__(folder, label, {"method": label}, facts=COSTS)
        self.label, self.progress = label, progress
        self.final: EvaluationRecord | None = None
        self._rounds_done = 0
        self._offset_s, self._sent_before = 0.0, {"up": 0, "down": 0}
        self._rows: list[tuple[str, dict[str, Any]]] = []
        self._devices: list[dict[str, Any]] = []
        if course is not None and course.path is not None:
            self._go_on(course)

    def _go_on(self, course: Course) -> None:
        """Write the rows of an earlier run, and keep all rows for the next one."""
        self._offset_s = course.clock_s
        self._sent_before = {name: course.marked.get(name, 0) for name in ("up", "down")}
        kinds = {kind.__name__: kind for kind in TABLES}
        for name, row in course.kept:
            self._append_row(kinds[name], row)
        if course.first:
            offset = {"method": self.label, "round": course.first, "offset_s": course.clock_s}
            self.folder.table("resumed", RESUMED).append(offset)
        course.mark, course.rows = self._mark, self._rows_of
        if course.complete:
            self.write_devices(course.marked["devices"])

    def report(self, record: Record) -> None:
        """What the learning knows: `Report` of edgelam.federated.records."""
        if isinstance(record, DeviceRecord):
            costs = {name: getattr(record, name) for name in ("peak_memory_bytes", *COSTS)}
            self.ledger.note(record.node, **costs)
            return
        moved = {name: getattr(record, name) + self._offset_s for name in TIMES if hasattr(record, name)}
        record = dataclasses.replace(record, method=self.label, **moved)
        extra: dict[str, Any] = {}
        if isinstance(record, EvaluationRecord):
            extra = {"uplink_bytes": self._sent_bytes(by_devices=True), "downlink_bytes": self._sent_bytes(False)}
            if record.head == "average" and record.test_set == "global":
                self.final = record
        self._report(record, extra)
        # a method whose devices go on independently has no rounds of a server: the furthest device counts
        if isinstance(record, RoundRecord | DeviceRoundRecord) and record.round >= self._rounds_done:
            self._rounds_done = record.round + 1
            self.wall("round", record.round, record.end_s)
            if self.progress is not None:
                accuracy = self.final.accuracy if self.final is not None else None
                self.progress.step(self._rounds_done, simulated_s=record.end_s, loss=record.loss, accuracy=accuracy)

    def write_devices(self, rows: list[dict[str, Any]]) -> None:
        """Write the ledger, of the simulation that has gone on."""
        super().write_devices(rows)
        self._devices = rows

    def _mark(self) -> dict[str, Any]:
        sent = {"up": self._sent_bytes(by_devices=True), "down": self._sent_bytes(False)}
        return sent | {"devices": self._devices}

    def _sent_bytes(self, by_devices: bool) -> int:
        before = self._sent_before["up" if by_devices else "down"]
        return before + sum(node.sent_bytes for node in self.nodes.values() if (node.role == "ue") == by_devices)

    def _report(self, record: Record, extra: dict[str, Any]) -> None:
        row = {RENAMED.get(name, name): value for name, value in _fields(record).items()}
        self._append_row(type(record), row | extra)

    def _append_row(self, kind: type, row: dict[str, Any]) -> None:
        _table(self.folder, kind).append(row)
        self._rows.append((kind.__name__, row))

    def _rows_of(self, rounds: int | None) -> list[tuple[str, dict[str, Any]]]:
        """Return what was reported of the first rounds, or (None) of all."""
        if rounds is None:
            return self._rows
        done = [row["step"] for kind, row in self._rows if kind == "RoundRecord" and row["round"] < rounds]
        steps = max(done, default=0)
        return [
            (kind, row) for kind, row in self._rows
            if ("round" in row and row["round"] < rounds) or ("round" not in row and row.get("step", 0) <= steps)
        ]  # fmt: skip


def write_control(folder: RunFolder, row: ControlRow, num_samples: int) -> None:
    """A row of metrics for a classifier that is no federated method and knows no time, bytes or steps."""
    scores = {"accuracy": row.accuracy, "loss_nats": row.loss, "num_samples": num_samples}
    _table(folder, EvaluationRecord).append({"method": row.name, "head": "average", "test_set": "global"} | scores)


def _fields(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _table(folder: RunFolder, kind: type) -> TableWriter:
    return folder.table(TABLES[kind][0], _schema(kind))


@functools.cache
def _schema(kind: type) -> pa.Schema:
    schema = schema_of(kind, **TABLES[kind][1])
    return pa.schema([field.with_name(RENAMED.get(field.name, field.name)) for field in schema])
