# SPDX-License-Identifier: GPL-2.0-only
"""The server's plan for each device before a round: its cut, rank and encoding, from what the device has measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edgelam.federated.decomposition.choice import OPERATIONS, Option, Predicted, choose, refuse_too_large
from edgelam.federated.decomposition.costs import Costs, Measured
from edgelam.federated.decomposition.settings import of_device
from edgelam.federated.decomposition.together import (
    Candidate,
    Cell,
    Contended,
    choose_together,
    evaluations,
    seconds,
)
from edgelam.federated.setup import Setup

if TYPE_CHECKING:
    from edgelam import cosim


FORWARD = 1 / 3
"""Of a device's arithmetic, before it sends activations: the way back takes about twice as much."""


@dataclass
class Known:
    """What the server knows of a device."""

    option: Option | None = None
    held: int = 0
    measured: Measured = field(default_factory=Measured)
    predicted: Predicted | None = None
    sent: tuple[float, float] = (0.0, 0.0)
    """Bytes up and down in the round in which `measured` was measured."""
    sent_from_s: float = 0.0
    """When it began to send in that round."""
    probed: bool = False


class Planner:
    """The server's choices."""

    def __init__(self, setup: Setup, costs: Costs, server: cosim.Node, names: Sequence[str]) -> None:
        """names: the devices, in the order of their shards."""
        self.setup, self.costs, self.server = setup, costs, server
        self.settings = setup.settings.decomposition
        self.settings.check(costs.count, setup.settings.lora.rank)
        self.known = {name: Known(held=self.settings.installed_blocks) for name in names}
        self._options = costs.options()
        self._number = {name: k for k, name in enumerate(names)}

    def operations(self, count: int) -> int:
        """Of the choices for so many devices."""
        if self.settings.rule == "fixed":
            return 0
        if self.settings.objective == "time":
            return OPERATIONS * count * evaluations([len(self._options)] * count)
        return OPERATIONS * count * len(self._options)

    def probed(self, name: str, measured: Measured, num_bytes: int) -> None:
        """Note what a device has measured before its first round, with so many bytes in each direction."""
        known = self.known[name]
        known.measured, known.sent, known.probed = measured, (num_bytes, num_bytes), True

    def plan(self, devices: Sequence[cosim.Node], round_number: int) -> dict[str, Predicted]:
        """Choose for all devices of a round."""
        together = self.settings.rule == "adaptive" and self.settings.objective == "time"
        left = self.setup.settings.rounds - round_number
        if together:
            plans = self._together(devices, left)
        else:
            plans = {device.name: self._alone(device, left) for device in devices}
        for name, chosen in plans.items():
            known = self.known[name]
            known.option, known.predicted = chosen.option, chosen
            up, down = self._messages(known, chosen.option)
            known.sent = (sum(up), sum(down))
        return plans

    def _alone(self, device: cosim.Node, rounds_left: int) -> Predicted:
        """Choose for a device, whatever the others do."""
        known = self.known[device.name]
        fixed = self.settings.rule == "fixed"
        options = [self._fixed(self._number[device.name])] if fixed else self._options
        predictions = [self._predict(each, known, device) for each in options]
        return choose(
            predictions, known.option, objective=self.settings.objective, rounds_left=rounds_left,
            memory_bytes=device.device.memory_bytes, deadline_s=self.settings.deadline_s,
            hysteresis=self.settings.hysteresis,
        )  # fmt: skip

    def _together(self, devices: Sequence[cosim.Node], rounds_left: int) -> dict[str, Predicted]:
        """Choose so that the slowest device of the round is fastest."""
        predicted, candidates, measured = [], [], []
        for device in devices:
            known = self.known[device.name]
            told = known.measured
            own = refuse_too_large([self._predict(each, known, device) for each in self._options],
                                   device.device.memory_bytes)  # fmt: skip
            predicted.append(own)
            alone = Known(held=known.held, measured=replace(told, up_s_a_byte=0.0, down_s_a_byte=0.0))
            candidates.append([self._candidate(each, alone, known, device) for each in own])
            up, down = known.sent
            measured.append(Contended(up, up * told.up_s_a_byte, down, down * told.down_s_a_byte, known.sent_from_s))
        numbers = [[each.option for each in own] for own in predicted]
        options = [self.known[device.name].option for device in devices]
        present = None
        if all(option in own for option, own in zip(options, numbers, strict=True)):
            present = [own.index(option) for option, own in zip(options, numbers, strict=True) if option is not None]
        cell = Cell(measured)
        chosen = choose_together(
            candidates, cell, present, rounds_left=rounds_left, hysteresis=self.settings.hysteresis
        )
        took = seconds([own[k] for own, k in zip(candidates, chosen, strict=True)], cell)
        for device, ready, k in zip(devices, candidates, chosen, strict=True):
            self.known[device.name].sent_from_s = ready[k].starts_s
        return {
            device.name: replace(own[k], seconds=each)
            for device, own, k, each in zip(devices, predicted, chosen, took, strict=True)
        }

    def _candidate(self, predicted: Predicted, alone: Known, known: Known, device: cosim.Node) -> Candidate:
        """alone: the device, if no byte took time."""
        up, down = self._messages(known, predicted.option)
        own_s = self._predict(predicted.option, alone, device).seconds
        starts_s = self.costs.computing_s(predicted.option, known.measured, device.device)
        if predicted.option.blocks < self.costs.count:
            starts_s *= FORWARD
        return Candidate(own_s, sum(up), sum(down), predicted.before_s, starts_s)

    def _predict(self, option: Option, known: Known, device: cosim.Node) -> Predicted:
        return self.costs.predict(option, known.measured, device.device, self.server.device, known.held)

    def _messages(self, known: Known, option: Option) -> tuple[list[float], list[float]]:
        tokens, samples = known.measured.tokens or self.costs.tokens, known.measured.samples or self.costs.samples
        return self.costs.messages(option, tokens, samples)

    def _fixed(self, device: int) -> Option:
        settings = self.settings
        blocks, activation = int(of_device(settings.blocks, device)), str(of_device(settings.activations, device))
        full = self.costs.rank
        rank = int(of_device(settings.ranks, device)) if settings.ranks and blocks else full
        return Option(blocks, rank, activation)
