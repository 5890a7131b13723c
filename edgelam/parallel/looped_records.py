# SPDX-License-Identifier: GPL-2.0-only
"""What looped tensor parallelism reports while it runs: flat records, times in simulated seconds, made for tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class StepRecord:
    """One step as the server sees it, from its beginning until every device has been told that it is done.

    attempt: number of the attempt, which counts steps that were begun again too; merge_s: the server's computing (with
    waiting for its processor); num_devices: those that took part.
    """

    step: int
    attempt: int
    start_s: float
    end_s: float
    loss: float
    merge_s: float
    num_devices: int


@dataclass(frozen=True)
class DeviceStepRecord:
    """Where one device's time went, from hearing that a step is done to hearing that the next one is: the four parts
    add up to end_s - start_s.

    heads and columns: its share; compute_s: with waiting for its processor; uplink_s: from handing a payload to the
    network until its last byte is acknowledged; downlink_s: while something was on its way to this device; waiting_s:
    the rest (for the server and for other devices).
    """

    step: int
    device: str
    heads: int
    columns: int
    start_s: float
    end_s: float
    compute_s: float
    uplink_s: float
    downlink_s: float
    waiting_s: float


@dataclass(frozen=True)
class PlanRecord:
    """A split that was put to use: one for each device that has something of it.

    step: the first step with it; reason: why there is a new one; memory_bytes: what training takes there by the ledger;
    plan_bytes: what was sent to it.
    """

    step: int
    time_s: float
    reason: str
    device: str
    heads: int
    columns: int
    memory_bytes: int
    plan_bytes: int


@dataclass(frozen=True)
class DepartureRecord:
    """A device that left. step: the one at which it was noticed; resumed_from: the step that is done next; steps_lost:
    steps whose result was thrown away; heads and columns: what it had, which the others take over."""

    step: int
    time_s: float
    device: str
    reason: str
    heads: int
    columns: int
    resumed_from: int
    steps_lost: int


Record = StepRecord | DeviceStepRecord | PlanRecord | DepartureRecord
Report = Callable[[Record], None]


def ignore(record: Record) -> None:
    """The `report` that keeps nothing."""
