# SPDX-License-Identifier: GPL-2.0-only
"""What a method reports while it runs: flat records for tables, with times in simulated seconds.

A method calls its `report` argument with each record as soon as it is known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar


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


@dataclass(frozen=True)
class LabelLeakRecord:
    """What the Jacobians that the server has got tell about labels, by grouping them (attacks.py).

    samples: whose Jacobians were grouped, of all devices; labels: different ones among them; largest: share of the most
    frequent one; recovered: share of the samples whose label is that of their group, 0 to 1.
    """

    method: str
    samples: int
    labels: int
    largest: float
    recovered: float


@dataclass(frozen=True)
class DecisionRecord:
    """One decision of `allocation`: who takes part in a round.

    asked_s, in_force_s: when reports were asked for, and when the shares held (control_slot: from this slot of the cell
    on; -1: the scheduler was left alone); operations: of the decision; reports: devices that answered in time; cost,
    energy_j: of the round (energy of all devices for sending and computing, from one report to the next); cost_queue,
    energy_queue: virtual queues after it, in budgets of a round; cost_given, energy_given: the part of them with which
    they began.
    """

    method: str
    round: int
    asked_s: float
    in_force_s: float
    control_slot: int
    operations: int
    reports: int
    admitted: int
    cost: float
    energy_j: float
    cost_queue: float
    energy_queue: float
    cost_given: float
    energy_given: float


@dataclass(frozen=True)
class AllocationRecord:
    """One device in one decision, with all that the decision knew of it.

    share: of its cell's band, and cap; predicted_s, simulated_s: its seconds in the round, waiting for others not
    counted (NaN: no prediction, not finished); predicted_j: of sending and computing; units: into which the band is
    divided; measured: whether the device's own efficiency was known. The columns of `OF_PROBLEM` are those of
    RoundProblem (edgelam/federated/allocation/problem.py).
    """

    OF_PROBLEM: ClassVar[tuple[str, ...]] = (
        "weights", "prices", "samples", "fixed_s", "up_fixed_s", "up_s", "down_s", "up_layers", "up_snr", "down_bits",
        "compute_j", "up_w",
    )  # fmt: skip

    method: str
    round: int
    device: str
    cell: int
    admitted: bool
    share: float
    predicted_s: float
    simulated_s: float
    predicted_j: float
    units: int
    measured: bool
    weights: float
    prices: float
    samples: float
    fixed_s: float
    up_fixed_s: float
    up_s: float
    down_s: float
    up_layers: float
    up_snr: float
    down_bits: float
    compute_j: float
    up_w: float


@dataclass(frozen=True)
class CutRecord:
    """How a device's model was cut in a round of `decomposed`, and what a round was predicted to take then.

    blocks: that the device runs; rank: of its adapters; activation: encoding of what it sends; ``predicted_*``: of this
    device in this round, without waiting for others and without the download of missing blocks (flops, memory_bytes: on
    the device).
    """

    method: str
    round: int
    device: str
    blocks: int
    rank: int
    activation: str
    predicted_s: float
    predicted_j: float
    predicted_bytes: float
    predicted_flops: float
    predicted_memory_bytes: float


@dataclass(frozen=True)
class UpdateRecord:
    """What the server made of a device's update in a round, with a robust rule.

    norm: L2, of what it has sent minus what it had got; finite: whether it is no NaN or infinite; kept: whether the
    next weights depend on it.
    """

    method: str
    round: int
    device: str
    norm: float
    finite: bool
    kept: bool


@dataclass(frozen=True)
class StalenessRecord:
    """An update that has come in, of `fedbuff`: by how many versions its model was behind, and what it weighed.

    update: 0-based, in the order of arrival; version: of the server's model when it came in; weight: of the update, by
    its staleness; time_s: when it came in.
    """

    method: str
    update: int
    device: str
    version: int
    staleness: int
    weight: float
    time_s: float


@dataclass(frozen=True)
class UserPrivacyRecord:
    """What `dp-fed-lora` or `air-fed-lora` has spent of each device's privacy: a release of the Gaussian mechanism in
    each round.

    rounds: that were asked for; fewer releases: the budget ended the run. epsilon_rdp, epsilon_pld: infinite without
    noise, and NaN for pld where it takes too much memory. neighbours: of which data sets epsilon speaks; against: who
    cannot tell them apart.
    """

    method: str
    clip: float
    noise_multiplier: float
    releases: int
    rounds: int
    delta: float
    epsilon_rdp: float
    epsilon_pld: float
    neighbours: str
    against: str


@dataclass(frozen=True)
class AirRecord:
    """A round of `air-fed-lora`: what its sum over the air took and brought.

    elements, slots: resource elements for symbols, and uplink slots; silent: share of (device, resource block) in which
    a device did not send. Sums of squares over all values of the mean: error: of what arrived, to the mean of what was
    sent; noise_error: expected, of noise and interference alone; signal: of the mean of the clipped updates;
    added_error: of the noise that devices added. Noise multipliers: wanted; supplied by the receiver's thermal noise;
    added by devices.
    """

    method: str
    round: int
    start_s: float
    end_s: float
    elements: int
    slots: int
    silent: float
    error: float
    noise_error: float
    signal: float
    added_error: float
    noise_multiplier: float
    supplied: float
    added: float


Record = (
    RoundRecord
    | DeviceRoundRecord
    | EvaluationRecord
    | DeviceRecord
    | PrivacyRecord
    | LeakRecord
    | LabelLeakRecord
    | DecisionRecord
    | AllocationRecord
    | CutRecord
    | UpdateRecord
    | StalenessRecord
    | UserPrivacyRecord
    | AirRecord
)
Report = Callable[[Record], None]


def ignore(record: Record) -> None:
    """The `report` that keeps nothing."""
