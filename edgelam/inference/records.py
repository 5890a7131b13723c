# SPDX-License-Identifier: GPL-2.0-only
"""Records of requests, calls of services, moves of values, and instances: flat, so that a list of them is a table.

Times are simulated seconds from the time at which serving began, unless a name says that it is a length of time. A time
is NaN if that did not happen.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request, with its delay taken apart: the eight parts before `bytes` add up to `e2e_s`."""

    request: int
    user: str
    task: str
    graph: str
    declared: bool
    """Whether a service of its graph is declared: it has a work and sizes, but no weights and no meaning."""
    arrive_s: float
    end_s: float
    """When the whole answer was at the user, or when it was given up."""
    deadline_s: float
    """Seconds after its arrival; infinite: none."""
    status: str
    """``complete`` or ``failed``."""
    reason: str
    """Why it failed."""
    on_time: bool
    attempts: int
    """1, and one more for each time that a node failed under it."""
    e2e_s: float
    """End-to-end latency: from its arrival to the whole answer."""
    ttft_s: float
    """Time to first token: from its arrival to the first part of the answer at the user (all of it, if the answer is
    not streamed)."""
    tpot_s: float
    """Time per output token: mean time between two parts of a streamed answer at the user."""
    tokens: int
    """Parts in which the answer came."""
    decision_s: float
    uplink_s: float
    backhaul_s: float
    downlink_s: float
    load_s: float
    queue_s: float
    compute_s: float
    retry_s: float
    bytes: int
    """Payload bytes of all transfers of the last attempt, those beside the critical path included."""
    answer: str
    """SHA-256 of the answer."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call of a service by a request."""

    request: int
    service: str
    node: str
    declared: bool
    asked_s: float
    start_s: float
    """When its first batch began."""
    end_s: float
    steps: int
    """Batches of which it was part: 1, or, of a module that generates, one for each token."""
    batch: int
    """The largest of these batches, in requests."""
    flops: int
    memory_bytes: int
    """What it held on the node while it was computed, without weights."""


@dataclass(frozen=True, slots=True)
class MoveRecord:
    """One transfer of values of a request: an edge of its graph, a part of its answer, or a question to the router."""

    request: int
    what: str
    source: str
    receiver: str
    part: str
    """``uplink``, ``backhaul``, ``downlink`` or ``decision``."""
    bytes: int
    start_s: float
    end_s: float
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """One instance of a service."""

    service: str
    node: str
    declared: bool
    weight_bytes: int
    asked_s: float
    """When it was deployed, or first called if it loads on demand."""
    ready_s: float
    """When its weights were there."""
    file_bytes: int
    """Bytes of weights that crossed the network for it."""
    calls: int
    batches: int
    end_s: float
    """When it was removed, or failed; NaN: it was there at the end."""
