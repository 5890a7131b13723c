# SPDX-License-Identifier: GPL-2.0-only
"""What a method reports while it runs: flat records for tables, with times in simulated seconds.

A method calls its `report` argument with each record as soon as it is known.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RoundRecord:
    """One round (one exchange with the server), as the server sees it.

    round: 0-based; step: optimiser steps done at its end; loss: mean training loss over the samples that counted
    (NaN if none did); num_dropped: devices whose gradient was left out; num_late: devices that missed the deadline
    but were waited for.
    """

    method: str
    round: int
    step: int
    start_s: float
    end_s: float
    loss: float
    num_samples: int
    num_devices: int
    num_dropped: int
    num_late: int


@dataclass(frozen=True)
class DeviceRoundRecord:
    """How one device spent its time in one round: the four parts add up to end_s - start_s.

    compute_s: forward and backward on the device, including waiting for its processor; uplink_s: from passing a payload
    to the network until its last byte is acknowledged; downlink_s: while something was on its way to this device;
    waiting_s: the rest (for the server and for other devices); counted: whether its gradient was used.
    """

    method: str
    round: int
    device: str
    start_s: float
    end_s: float
    compute_s: float
    uplink_s: float
    downlink_s: float
    waiting_s: float
    loss: float
    num_samples: int
    counted: bool


@dataclass(frozen=True)
class EvaluationRecord:
    """Accuracy and loss of one head on one test set after `step` steps, at `time_s`.

    head: "average" (the sample-weighted average of the heads) or a device's name (its own head); test_set: "global"
    (the global test set) or "local" (the same samples, weighted so that class shares are those of the device's
    training shard). Evaluation is outside the simulation: it takes no simulated time and sends nothing.
    """

    method: str
    step: int
    time_s: float
    head: str
    test_set: str
    accuracy: float
    loss: float
    num_samples: int


@dataclass(frozen=True)
class DeviceRecord:
    """The cost of a run for one node: peak memory, energy and arithmetic in the whole run, its share of the data."""

    method: str
    node: str
    role: str
    num_train_samples: int
    peak_memory_bytes: int
    energy_j: float
    flops: int


@dataclass(frozen=True)
class PrivacyRecord:
    """What a device has released about the sample of which it has released most, and what that costs.

    releases: of the Gaussian mechanism; epsilon_rdp, epsilon_pld: by Renyi differential privacy, and by the tighter
    privacy loss distribution (NaN where that takes too much memory); infinite without noise. Neighbours: one sample has
    another label (edgelam/federated/private.py).
    """

    method: str
    node: str
    clip: float
    head_clip: float
    noise_multiplier: float
    releases: int
    delta: float
    epsilon_rdp: float
    epsilon_pld: float


@dataclass(frozen=True)
class LeakRecord:
    """What a device's embeddings tell about its tokens, with privacy: by the nearest row of the public table.

    embedding_eta: of the noise, per unit of distance (None: no noise); noise_length: its mean length; token_distance:
    mean distance of the attacked tokens from the nearest other token; tokens: that were attacked; recovered: share of
    them that was named rightly, 0 to 1.
    """

    method: str
    node: str
    embedding_eta: float | None
    noise_length: float
    token_distance: float
    tokens: int
    recovered: float


Record = RoundRecord | DeviceRoundRecord | EvaluationRecord | DeviceRecord | PrivacyRecord | LeakRecord
Report = Callable[[Record], None]


def ignore(record: Record) -> None:
    """The `report` that keeps nothing."""
