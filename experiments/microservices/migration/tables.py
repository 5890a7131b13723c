# SPDX-License-Identifier: GPL-2.0-only
"""The tables of the study migration, beside those that every run has.

All have the columns method, policy, seed, v (weight of the penalty) and charged (whether decisions take time). Times
are simulated seconds.

metrics     one row a simulation: latency, jitter and loss of all turns, interruptions, bytes that moved, energy of the
            servers, penalty (mean over slots), mean use / budget (use_*), Q / T (allowance_*), half the mean of the sum
            of (use / budget - 1)^2 over slots (drift_b: B of the bound B / V); of full knowledge, the penalty of its
            path on the model, and the bound below which no path can be (path_*)
turns       one row a turn (edgelam/inference/migration/records.py); user_turn: its number among the user's turns
migrations  one row a move of a session
losses      one row a session whose server has failed, if any did
slots       one row a decision: when, what was used (NaN: nothing was measured), queues at its end
"""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

from edgelam.inference.migration.problem import RESOURCES
from edgelam.inference.migration.records import FailureRecord, MigrationRecord, TurnRecord

CASE: dict[str, type] = {"method": str, "policy": str, "seed": int, "v": float, "charged": bool}


def _columns(kind: type) -> dict[str, type]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


METRICS = CASE | {
    "turns": int, "completed": int, "latency_mean_s": float, "latency_p95_s": float, "jitter_mean_s": float,
    "loss": float, "lost_sessions": int, "prefilled_tokens": int, "interruption_s": float,
    "interruption_longest_s": float, "moves": int, "failed_moves": int,
    "state_bytes": int, "weight_bytes": int, "migration_bytes": int, "energy_j": float, "energy_above_idle_j": float,
    "penalty_s": float, "handovers": int, "decided_s": float, "operations": int, "drift_b": float,
    **{f"use_{name}": float for name in RESOURCES}, **{f"allowance_{name}": float for name in RESOURCES},
    "path_penalty_s": float, "path_bound_s": float,
}  # fmt: skip
TURNS = CASE | {"user_turn": int} | _columns(TurnRecord)
LOSSES = CASE | _columns(FailureRecord)
MIGRATIONS = CASE | _columns(MigrationRecord) | {"interruption_s": float}
SLOT: dict[str, type] = {
    "slot": int, "start_s": float, "decided_s": float, "operations": int, "moves": int, "turns": int,
    "penalty_s": float,
}  # fmt: skip
SLOTS = CASE | SLOT | {f"used_{name}": float for name in RESOURCES} | {f"queue_{name}": float for name in RESOURCES}


def plain(record: Any) -> dict[str, Any]:
    """Return a record as a row."""
    row = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return row | ({"interruption_s": record.interruption_s} if isinstance(record, MigrationRecord) else {})
