# SPDX-License-Identifier: GPL-2.0-only
"""What the ranks of a run report, in the tables of its run folder.

Transfers and computations get the tables that every simulation has (edgelam/runs/recording.py). The table
`collectives` has one row for each collective of each group: `group`, `number` (of the collective in its group),
`operation`, `algorithm`, `ranks` (how many), `size_bytes` (of one rank's tensors that take part; the largest),
`start_s` (when the first rank began with it), `last_start_s` (when the last rank did), `end_s` (when the last rank had
its result) and `slowest` (the node of that rank; the first of several).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgelam.cosim.records import ComputeRecord, TransferRecord
from edgelam.runs.folders.tables import schema_from

if TYPE_CHECKING:
    from edgelam.runs.folders.tables import TableWriter
    from edgelam.runs.recording import SimulationRecorder

TABLE = "collectives"
COLUMNS: dict[str, type] = {
    "group": str, "number": int, "operation": str, "algorithm": str, "ranks": int, "size_bytes": int,
    "start_s": float, "last_start_s": float, "end_s": float, "slowest": str,
}  # fmt: skip


class RankRecorder:
    """Writes what ranks report: `launch(..., on_record=RankRecorder(recorder).record)`."""

    def __init__(self, recorder: SimulationRecorder) -> None:
        """Into the tables of `recorder`."""
        self._recorder = recorder
        self._open: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self._table: TableWriter | None = None

    def record(self, record: Any) -> None:
        """A rank reports a TransferRecord, a ComputeRecord or, as a dict, its share of a collective."""
        if isinstance(record, TransferRecord):
            self._recorder.on_transfer(record)
        elif isinstance(record, ComputeRecord):
            self._recorder.on_compute(record)
        else:
            key = (record["group"], record["number"])
            shares = self._open.setdefault(key, [])
            shares.append(record)
            if len(shares) == record["size"]:
                self._write(self._open.pop(key))

    def _write(self, shares: list[dict[str, Any]]) -> None:
        first, last = shares[0], max(shares, key=lambda share: (share["end_s"], -share["rank"]))
        row = {
            "group": first["group"],
            "number": first["number"],
            "operation": first["operation"],
            "algorithm": first["algorithm"],
            "ranks": len(shares),
            "size_bytes": max(share["size_bytes"] for share in shares),
            "start_s": min(share["start_s"] for share in shares),
            "last_start_s": max(share["start_s"] for share in shares),
            "end_s": last["end_s"],
            "slowest": last["node"],
        }
        labels = {"simulation": self._recorder.name, **self._recorder.labels}
        if self._table is None:
            kinds = {column: type(value) for column, value in labels.items()}
            self._table = self._recorder.folder.table(TABLE, schema_from(kinds | COLUMNS))
        self._table.append(labels | row)
