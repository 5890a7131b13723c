# SPDX-License-Identifier: GPL-2.0-only
"""The tables of a run of microservices, beside those that every run has.

All have the columns method and seed; times are simulated seconds from the time at which serving began.

metrics    one row a simulation: what edgelam/inference/metrics.py says, the solver's predicted mean latency, errors of
           the solver's model on the latency of requests and of the calibrated links on their transfers, energy of the
           hosts while they served, quality of answers
requests   one row a request, with its delay taken apart (edgelam/inference/records.py), and the quality of its answer
calls      one row a call of a service
moves      one row a transfer of a request
instances  one row an instance
hosts      one row a node that may run services: its share of busy time, and memory that weights take
decisions  one row a decision: when, operations, and the plan's guaranteed gap
refused    one row a method that found no plan, with the reason
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

from edgelam.inference.records import CallRecord, InstanceRecord, MoveRecord
from edgelam.runs import RunFolder

CASE: dict[str, type] = {"method": str, "seed": int}
METRICS = CASE | {
    "requests": int, "completed": int, "on_time_ratio": float, "goodput_rps": float, "e2e_mean_s": float,
    "e2e_p50_s": float, "e2e_p95_s": float, "e2e_p99_s": float, "ttft_p50_s": float, "ttft_p95_s": float,
    "tpot_p50_s": float, "memory_bytes": int, "instances": int, "wan_bytes": int, "raw_wan_bytes": int, "cost": float,
    "energy_j": float, "quality": float, "predicted_s": float, "model_error_p50": float,
    "model_error_p95": float, "link_error_p50": float, "link_error_p95": float, "declared": bool,
}  # fmt: skip
HOSTS = CASE | {"node": str, "busy_share": float, "weight_bytes": int, "energy_j": float}
DECISIONS = CASE | {"start_s": float, "measured_s": float, "end_s": float, "operations": int, "gap": float}
REFUSED = CASE | {"reason": str}


def write_records(
    folder: RunFolder, name: str, kind: type, rows: Sequence[Mapping[str, Any]], more: Mapping[str, type] | None = None
) -> None:  # fmt: skip
    """Write rows with the columns of a case and of a record's class; more: further columns."""
    hints = get_type_hints(kind)
    columns = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    table = folder.table(name, CASE | columns | dict(more or {}))
    for row in rows:
        table.append(row)


def plain(record: Any) -> dict[str, Any]:
    """Return a record as a row."""
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


KINDS = {"calls": CallRecord, "moves": MoveRecord, "instances": InstanceRecord}
"""Table -> class of its records."""
