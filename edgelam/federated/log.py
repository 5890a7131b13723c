# SPDX-License-Identifier: GPL-2.0-only
"""Makes records from what the coroutines of a method know. Nothing here changes the learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edgelam.federated.private import Releases
from edgelam.federated.records import DeviceRecord, DeviceRoundRecord, PrivacyRecord, Report, RoundRecord
from edgelam.federated.setup import Setup
from edgelam.learning.conversation import Parts
from edgelam.learning.privacy import accounting
from edgelam.learning.rounds import FinishedRound

if TYPE_CHECKING:
    from edgelam import cosim


@dataclass
class RoundResult:
    """The result of a round at the server: samples that counted, by device name, and their summed loss."""

    samples: dict[str, int]
    loss_sum: float

    @property
    def num_samples(self) -> int:
        """Number of samples that counted, over all devices."""
        return sum(self.samples.values())


@dataclass
class Log:
    """Shared between the coroutines of one run, for its records only."""

    method: str
    report: Report
    rounds: dict[int, FinishedRound[RoundResult]] = field(default_factory=dict)

    def round(self, done: FinishedRound[RoundResult], step: int) -> None:
        """Report a round; step: optimiser steps done at its end."""
        self.rounds[done.number] = done
        samples = done.result.num_samples
        self.report(
            RoundRecord(
                self.method, done.number, step, done.start_s, done.end_s,
                done.result.loss_sum / samples if samples else float("nan"),
                samples, done.num_devices, len(done.dropped), len(done.late),
            )
        )  # fmt: skip

    def device_round(self, round_number: int, device: str, parts: Parts) -> None:
        """Report a device's round; the time that it has not accounted for is waiting."""
        done = self.rounds[round_number]
        left = done.end_s - done.start_s
        spent = []
        # the server may finish before the device knows: never account for more time than the round lasted
        for seconds in (parts.downlink_s, parts.compute_s, parts.uplink_s):
            spent.append(np.minimum(seconds, left))
            left -= spent[-1]
        counted = device not in done.dropped
        loss = parts.loss_sum / parts.num_samples if parts.num_samples else float("nan")
        self.report(
            DeviceRoundRecord(
                self.method, round_number, device, done.start_s, done.end_s,
                spent[1], spent[2], spent[0], left, loss, parts.num_samples, counted,
            )
        )  # fmt: skip

    def nodes(self, setup: Setup, devices: Sequence[cosim.Node], server: cosim.Node | None) -> None:
        """Report what the run cost each node."""
        for index, node in enumerate([*devices, *([server] if server else [])]):
            held = len(setup.shards[index]) if index < len(devices) else 0
            self.report(
                DeviceRecord(
                    self.method, node.name, node.role, held, int(node.memory.peak_bytes), node.energy_j, int(node.flops)
                )
            )  # fmt: skip

    def privacy(self, node: str, releases: Releases) -> None:
        """Report what a device has released about its samples."""
        noise, most, settings = releases.noise_multiplier, releases.most(), releases.settings
        assert settings.clip is not None
        self.report(
            PrivacyRecord(
                self.method, node, settings.clip, settings.head_clip, noise, most, settings.delta,
                accounting.epsilon(noise, most, settings.delta, "rdp"),
                accounting.epsilon(noise, most, settings.delta, "pld"),
            )
        )  # fmt: skip
