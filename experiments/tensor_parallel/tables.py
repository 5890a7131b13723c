# SPDX-License-Identifier: GPL-2.0-only
"""The tables of a run of tensor-parallel, beside those that every run has.

metrics    one row a step: method, devices, seed, step, time_s, step_s, loss_nats, extrapolated (beyond the steps that
           were run over the network: the loss of the learned curve, and the mean time of a step)
refused    one row a method that does not fit the devices' memory, with the reason; ran: it ran all the same
decisions  one row a decision of widths and shares: when, how long, operations, what was predicted and what came of it
shares     one row a device of a decision: its state, rates, widths and share
attacks    recipe encoding: one row an attack, with who sees how many columns under which remedy, and what is recovered
faults     recipe faults: one row a fault: device (to which it happens), hit_s, noticed_s (when the server knows),
           reason, heads and columns (that the device had), steps_lost, next_step_s (when training has gone one step
           further than it was), moved_bytes (shards of the new plans), step_before_s and step_after_s (medians),
           participants before and after, end_s, loss_error (greatest difference to the losses of one device)
fault_steps  one row a step that was done, also of those whose result was lost: step, attempt, end_s, loss_nats
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgelam.parallel.looped_records import StepRecord
from edgelam.parallel.widths.planner import Decision
from edgelam.runs import RunFolder

from .methods import Step

CASE: dict[str, type] = {"method": str, "devices": int, "seed": int}
METRICS = CASE | {"step": int, "time_s": float, "step_s": float, "loss_nats": float, "extrapolated": bool}
REFUSED = CASE | {"ran": bool, "reason": str}
DECISIONS = CASE | {
    "step": int, "start_s": float, "measuring_s": float, "deciding_s": float, "operations": int,
    "participants": int, "predicted_s": float, "fluid_s": float, "simulated_s": float,
}  # fmt: skip
SHARES = CASE | {
    "step": int, "device": str, "rate_up_bps": float, "rate_down_bps": float, "latency_s": float, "cqi": float,
    "load": float, "free_bytes": float, "heads": int, "column_groups": int, "share": float,
}  # fmt: skip
FAULTS: dict[str, type] = {"fault": str, "devices": int, "seed": int} | {
    "device": str, "hit_s": float, "noticed_s": float, "reason": str, "heads": int, "columns": int, "steps_lost": int,
    "next_step_s": float, "moved_bytes": int, "step_before_s": float, "step_after_s": float,
    "participants_before": int, "participants_after": int, "end_s": float, "loss_error": float,
}  # fmt: skip
FAULT_STEPS: dict[str, type] = {"fault": str, "devices": int, "seed": int} | {
    "step": int, "attempt": int, "end_s": float, "loss_nats": float,
}  # fmt: skip
BENCH: dict[str, type] = {
    "scenario": str, "algorithm": str, "chosen": str, "size_bytes": int, "simulated_s": float,
}  # fmt: skip
FACTS: dict[str, type] = {"heads": int, "columns": int}
"""Columns added to the ledger."""


def write_steps(
    folder: RunFolder, case: dict[str, Any], steps: Sequence[Step], curve: Sequence[float]
) -> None:  # fmt: skip
    """The steps over the network, and what follows by the learned curve."""
    table = folder.table("metrics", METRICS)
    for number, step in enumerate(steps):
        row: dict[str, Any] = {
            "step": number,
            "time_s": step.end_s,
            "step_s": step.end_s - step.start_s,
            "loss_nats": step.loss,
        }
        table.append(case | row | {"extrapolated": False})
    each, last = float(np.mean([step.end_s - step.start_s for step in steps])), steps[-1].end_s
    for number in range(len(steps), len(curve)):
        row = {"step": number, "time_s": last + each * (number + 1 - len(steps)), "step_s": None}
        table.append(case | row | {"loss_nats": curve[number], "extrapolated": True})


def write_decisions(
    folder: RunFolder, case: dict[str, Any], decisions: Sequence[Decision], steps: Sequence[Step]
) -> None:  # fmt: skip
    """Decisions, each with the median time of the steps until the next one."""
    table, shares = folder.table("decisions", DECISIONS), folder.table("shares", SHARES)
    ends = [*(decision.step for decision in decisions[1:]), len(steps)][: len(decisions)]
    for decision, end in zip(decisions, ends, strict=True):
        taken = [step.end_s - step.start_s for step in steps[decision.step : end]]
        table.append(
            case
            | {
                "step": decision.step,
                "start_s": decision.start_s,
                "measuring_s": decision.measured_s - decision.start_s,
                "deciding_s": decision.end_s - decision.measured_s,
                "operations": decision.operations,
                "participants": len(decision.plan.participants),
                "predicted_s": decision.plan.predicted_s,
                "fluid_s": decision.fluid_s,
                "simulated_s": float(np.median(taken)) if taken else None,
            }
        )
        measured, plan = decision.measured, decision.plan
        for k, device in enumerate(measured.devices):
            state = dataclasses.asdict(measured.states[k])
            shares.append(
                case
                | {"step": decision.step, "device": device}
                | {name: state[name] for name in ("cqi", "load", "free_bytes")}
                | {"rate_up_bps": measured.rate_up_bps[k], "rate_down_bps": measured.rate_down_bps[k]}
                | {"latency_s": measured.latency_s[k], "share": plan.shares[k]}
                | {"heads": plan.widths[0][k], "column_groups": plan.widths[1][k]}
            )


def write_refused(folder: RunFolder, case: dict[str, Any], reason: str, *, ran: bool) -> None:
    """A method that fits the devices in no way; ran: it ran all the same, as if they had the memory."""
    folder.table("refused", REFUSED).append(case | {"ran": ran, "reason": reason})


def write_fault(folder: RunFolder, row: dict[str, Any]) -> None:
    """What a fault has cost."""
    folder.table("faults", FAULTS).append(row)


def write_fault_steps(folder: RunFolder, case: dict[str, Any], steps: Sequence[StepRecord]) -> None:
    """The steps that were done, in their order."""
    table = folder.table("fault_steps", FAULT_STEPS)
    for record in steps:
        table.append(
            case | {"step": record.step, "attempt": record.attempt, "end_s": record.end_s, "loss_nats": record.loss}
        )


def write_bench(folder: RunFolder, cases: Sequence[Mapping[str, Any]]) -> None:
    """All-reduces, without their wall times, which are no result of the network."""
    table = folder.table("bench", BENCH)
    for case in cases:
        table.append({name: case[name] for name in BENCH})
