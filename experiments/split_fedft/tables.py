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
user_privacy    with dp-fed-lora: one row, what was spent of each device's privacy
leaks           with privacy: one row a device, how many of its tokens the embeddings told
devices         the ledger (edgelam.runs.ledger), with each node's training samples, energy and arithmetic
simulations, nodes, transfers, compute, positions, wall: see edgelam.runs.recording
"""

import dataclasses
import functools
from typing import Any

import pyarrow as pa

from edgelam.federated.controls import ControlRow
from edgelam.federated.records import (
    AllocationRecord,
    CutRecord,
    DecisionRecord,
    DeviceRecord,
    DeviceRoundRecord,
    EvaluationRecord,
    LeakRecord,
    PrivacyRecord,
    Record,
    RoundRecord,
    StalenessRecord,
    UpdateRecord,
    UserPrivacyRecord,
)
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
    DecisionRecord: ("decisions", {}),
    AllocationRecord: ("allocations", {}),
    CutRecord: ("cuts", {}),
    UpdateRecord: ("updates", {}),
    StalenessRecord: ("staleness", {}),
    UserPrivacyRecord: ("user_privacy", {}),
}
COSTS = {"num_train_samples": int, "energy_j": float, "flops": int}  # of a DeviceRecord, beside the ledger's own


class MethodTables(SimulationRecorder):
    """Takes the reports of one method and writes them under `label`, the method's name in the tables."""

    def __init__(self, folder: RunFolder, label: str, progress: Progress | None = None) -> None:
        """Write to `folder`; show rounds on `progress`."""
        super().__init__(folder, label, {"method": label}, facts=COSTS)
        self.label, self.progress = label, progress
        self.final: EvaluationRecord | None = None
        self._rounds_done = 0

    def report(self, record: Record) -> None:
        """What the learning knows: `Report` of edgelam.federated.records."""
        if isinstance(record, DeviceRecord):
            costs = {name: getattr(record, name) for name in ("peak_memory_bytes", *COSTS)}
            self.ledger.note(record.node, **costs)
            return
        record = dataclasses.replace(record, method=self.label)
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

    def _sent_bytes(self, by_devices: bool) -> int:
        return sum(node.sent_bytes for node in self.nodes.values() if (node.role == "ue") == by_devices)

    def _report(self, record: Record, extra: dict[str, Any]) -> None:
        row = {RENAMED.get(name, name): value for name, value in _fields(record).items()}
        _table(self.folder, type(record)).append(row | extra)


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
