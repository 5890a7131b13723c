# SPDX-License-Identifier: GPL-2.0-only
"""Chooses the cut, the number format and the exit of a request: all are compared, since there are a few dozen.

    seconds = near stages and packing + uplink line(bytes at the cut)
              + waiting at the server + unpacking and far stages + downlink line(answer)

With an exit at the cut, the device answers itself if the exit is confident enough; what comes behind it then counts by
the share of inputs that go on, so that the sum is the mean over inputs. A stage takes what its work takes on the
machine (roofline). Lines are latency and seconds per byte (`calibration.Line`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from edgelam.cosim.devices import DeviceProfile
from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError
from edgelam.inference.calibration import Line
from edgelam.inference.split.chain import ANSWER_BYTES, Chain


@dataclasses.dataclass(frozen=True)
class Choice:
    """Stages before `cut` run on the device."""

    cut: int
    format: str
    confidence: float | None = None
    """From which the device answers itself, by the exit at the cut; None: it does not."""


@dataclasses.dataclass(frozen=True)
class Side:
    """A machine, with what is going on there."""

    device: DeviceProfile
    waiting_s: float = 0.0
    """Until it begins with what comes now."""

    def seconds(self, work: Work) -> float:
        """Return how long it computes."""
        return self.device.seconds(work.flops, work.bytes)

    def holds(self, chain: Chain, first: int, last: int) -> bool:
        """Return whether the weights of stages `first` to `last` - 1 fit its memory."""
        return sum(stage.weight_bytes for stage in chain.stages[first:last]) <= self.device.memory_bytes


@dataclasses.dataclass(frozen=True)
class Route:
    """A device, a server, and the lines between them."""

    near: Side
    far: Side
    up: Line
    down: Line


def predicted_s(chain: Chain, choice: Choice, route: Route) -> float:
    """Return how long a request takes on average; infinite if a side cannot hold its weights.

    Raises ConfigurationError for a confidence at a cut without an exit, or one that was not measured.
    """
    last = len(chain.stages)
    if not (route.near.holds(chain, 0, choice.cut) and route.far.holds(chain, choice.cut, last)):
        return math.inf
    near, far = chain.work(0, choice.cut), chain.work(choice.cut, last)
    if choice.cut == last:
        return route.near.waiting_s + route.near.seconds(near)
    packing = chain.packing[choice.format][choice.cut]
    far_s = route.far.waiting_s + route.far.seconds(chain.unpacking[choice.format][choice.cut] + far)
    up_s = route.up.seconds(chain.crossing[choice.format][choice.cut])
    beyond_s = up_s + far_s + route.down.seconds(ANSWER_BYTES)
    if choice.confidence is None:
        return route.near.waiting_s + route.near.seconds(near + packing) + beyond_s
    work, leaving = _exit(chain, choice)
    near_s = route.near.waiting_s + route.near.seconds(near + work)
    return near_s + (1 - leaving) * (route.near.seconds(packing) + beyond_s)


def _exit(chain: Chain, choice: Choice) -> tuple[Work, float]:
    """Return the work of the exit, and the share of inputs that it answers."""
    there = chain.exits.get(choice.cut)
    if there is None or choice.confidence is None or choice.confidence not in there.leaving:
        legal = {cut: list(each.leaving) for cut, each in chain.exits.items()}
        raise ConfigurationError(
            f"an exit of {chain.name} at cut {choice.cut} with confidence {choice.confidence}; legal are {legal}"
        )
    return there.work, there.leaving[choice.confidence]


def choices_of(chain: Chain, formats: Sequence[str], cuts: Sequence[int] | None = None) -> list[Choice]:
    """Return every cut (by default all there are) in every number format, with every confidence of its exit."""
    legal = range(len(chain.stages) + 1) if cuts is None else cuts
    return [
        Choice(cut, form, confidence) for form in formats for cut in legal
        for confidence in (None, *(chain.exits[cut].leaving if cut in chain.exits else ()))
    ]  # fmt: skip


def best(chain: Chain, route: Route, choices: Sequence[Choice]) -> tuple[Choice, float]:
    """Return the fastest choice and its predicted seconds; of equal ones, the first.

    Raises ConfigurationError if no choice fits both memories.
    """
    seconds = [predicted_s(chain, choice, route) for choice in choices]
    least = min(range(len(choices)), key=seconds.__getitem__)
    if not math.isfinite(seconds[least]):
        total = sum(stage.weight_bytes for stage in chain.stages)
        raise ConfigurationError(
            f"no cut of {chain.name} fits: its weights are {total} bytes, the device has "
            f"{route.near.device.memory_bytes} and the server {route.far.device.memory_bytes}"
        )
    return choices[least], seconds[least]


class Planner:
    """Chooses for each request, and changes its mind only for a gain that is worth it (hysteresis)."""

    def __init__(self, chain: Chain, choices: Sequence[Choice], *, margin: float = 0.1) -> None:
        """choices: those whose quality is good enough. margin: share by which a new choice must be predicted to be
        faster than the present one; at least 0, below 1."""
        if not choices or not 0 <= margin < 1:
            raise ConfigurationError(f"{len(choices)} choices, margin {margin!r}; legal are one or more, and 0 to 1")
        self.chain, self.choices, self.margin = chain, tuple(choices), margin
        self.choice: Choice | None = None
        self.changes = 0

    def choose(self, route: Route) -> Choice:
        """Return the choice for a request that begins now."""
        found, seconds = best(self.chain, route, self.choices)
        if self.choice is None or seconds < (1 - self.margin) * predicted_s(self.chain, self.choice, route):
            self.changes += self.choice is not None and found != self.choice
            self.choice = found
        return self.choice
