# SPDX-License-Identifier: GPL-2.0-only
"""From what cosim and the learning report to the tables of the run folder.

metrics         one row an evaluation, with what had been spent by then
rounds          one row a round, as the server sees it
device_rounds   one row a device and round: where its time went
devices         one row a node: peak memory, energy, arithmetic
transfers       one row a transfer and receiver
compute         one row a computation on a node
wall            wall-clock readings; everything above is in simulated time
"""

import dataclasses
import functools
import time
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from edgelam.cosim.records import ComputeRecord, TransferRecord
from edgelam.federated.controls import ControlRow
from edgelam.federated.records import DeviceRecord, DeviceRoundRecord, EvaluationRecord, Record, RoundRecord
from edgelam.runs import RunFolder
from edgelam.runs.progress import Progress
from edgelam.runs.tables import TableWriter, schema_of

# What a record calls in the context of its class needs its unit in a table.
RENAMED = {"loss": "loss_nats", "bytes": "traffic_bytes", "id": "transfer"}
TABLES: dict[type, tuple[str, dict[str, type]]] = {
    EvaluationRecord: ("metrics", {"uplink_bytes": int, "downlink_bytes": int}),
    RoundRecord: ("rounds", {}),
    DeviceRoundRecord: ("device_rounds", {}),
    DeviceRecord: ("devices", {}),
    TransferRecord: ("transfers", {"method": str, "direction": str}),
    ComputeRecord: ("compute", {"method": str}),
}


class Recorder:
    """Takes the reports of one method and writes them under `label`.

    label: the method's name in the tables; nodes: the simulation's nodes by name (to be filled when it has started), of
    which the roles tell uplink from downlink, and `sent_bytes` what was sent by then.
    """

    def __init__(self, folder: RunFolder, label: str, progress: Progress | None = None) -> None:
        """Write to `folder`; show rounds on `progress`."""
        self.folder, self.label, self.progress = folder, label, progress
        self.nodes: Mapping[str, Any] = {}
        self.final: EvaluationRecord | None = None
        self._rounds_done = 0
        self._begun = time.monotonic()

    def report(self, record: Record) -> None:
        """What the learning knows: `Report` of edgelam.federated.records."""
        record = dataclasses.replace(record, method=self.label)
        extra: dict[str, Any] = {}
        if isinstance(record, EvaluationRecord):
            extra = {"uplink_bytes": self._sent_bytes(by_devices=True), "downlink_bytes": self._sent_bytes(False)}
            if record.head == "average" and record.test_set == "global":
                self.final = record
        self._append(record, extra)
        # a method whose devices go on independently has no rounds of a server: the furthest device counts
        if isinstance(record, RoundRecord | DeviceRoundRecord) and record.round >= self._rounds_done:
            self._rounds_done = record.round + 1
            self._wall("round", record.round)
            if self.progress is not None:
                accuracy = self.final.accuracy if self.final is not None else None
                self.progress.step(self._rounds_done, simulated_s=record.end_s, loss=record.loss, accuracy=accuracy)

    def on_transfer(self, record: TransferRecord) -> None:
        """What cosim knows of a finished transfer."""
        self._append(record, {"method": self.label, "direction": self.direction(record)})

    def on_compute(self, record: ComputeRecord) -> None:
        """What cosim knows of a finished computation."""
        self._append(record, {"method": self.label})

    def direction(self, record: TransferRecord) -> str:
        """``uplink`` from a user device, ``downlink`` to one, ``other`` between servers."""
        if self.nodes[record.source].role == "ue":
            return "uplink"
        return "downlink" if self.nodes[record.receiver].role == "ue" else "other"

    def _sent_bytes(self, by_devices: bool) -> int:
        return sum(node.sent_bytes for node in self.nodes.values() if (node.role == "ue") == by_devices)

    def done(self) -> None:
        """The method has ended: note its wall time."""
        self._wall("method", None)

    def _append(self, record: Any, extra: dict[str, Any]) -> None:
        row = {RENAMED.get(name, name): value for name, value in _fields(record).items()}
        _table(self.folder, type(record)).append(row | extra)

    def _wall(self, what: str, round_number: int | None) -> None:
        table = self.folder.table("wall", {"method": str, "what": str, "round": int, "wall_s": float})
        wall_s = time.monotonic() - self._begun
        table.append({"method": self.label, "what": what, "round": round_number, "wall_s": wall_s})


def record_control(folder: RunFolder, row: ControlRow, num_samples: int) -> None:
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
