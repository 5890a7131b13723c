# SPDX-License-Identifier: GPL-2.0-only
"""Which option a device gets, whatever the others have: all of them are tried, which is exact.

For the objective time, which the slowest device decides and in which each is in the way of others, options of all
devices are chosen together (together.py).

    seconds(o) = F_dev(o) / f_dev + up + F_srv(o) / f_srv + down,     memory(o) <= that of the device
    score(o)   = what the objective counts for all rounds that are left, with the download of blocks that are missing

An option with another cut, rank or encoding is taken only if its score is better than that of the present one by the
share `hysteresis`, so that a choice does not follow every change of the channel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgelam.errors import ConfigurationError
from edgelam.federated.decomposition.settings import Objective

BITS = {"fp64": 64, "fp32": 32, "fp16": 16, "int8": 8, "int4": 4}
OPERATIONS = 40
"""Floating-point operations and comparisons for one option."""


@dataclass(frozen=True)
class Option:
    """One way to cut the model of a device."""

    blocks: int
    rank: int
    activation: str


@dataclass(frozen=True)
class Predicted:
    """What an option is predicted to take in a round, and before it."""

    option: Option
    seconds: float
    energy_j: float
    num_bytes: float
    flops: float
    """On the device."""
    memory_bytes: float
    """On the device."""
    before_s: float = 0.0
    """To download the blocks that are missing."""
    before_bytes: float = 0.0
    before_j: float = 0.0


def choose(
    options: Sequence[Predicted], present: Option | None, *, objective: Objective, rounds_left: int,
    memory_bytes: float, deadline_s: float = math.inf, hysteresis: float = 0.0,
) -> Predicted:  # fmt: skip
    """Return the option that a device uses next. present: the one in use, if any.

    Raises ConfigurationError if none fits into the memory of the device.
    """
    fitting = refuse_too_large(options, memory_bytes)
    best = min(fitting, key=lambda each: score(each, objective, rounds_left, deadline_s))
    now = next((each for each in fitting if each.option == present), None)
    if now is None:
        return best
    better, worse = (score(each, objective, rounds_left, deadline_s) for each in (best, now))
    if better[:-1] != worse[:-1]:  # one is more accurate or more private, or misses the deadline
        return best if _beyond(now, best, deadline_s, hysteresis) else now
    return best if better[-1] * (1 + hysteresis) < worse[-1] else now


def refuse_too_large(options: Sequence[Predicted], memory_bytes: float) -> list[Predicted]:
    """Return those that fit into the memory of a device. Raises ConfigurationError if none does."""
    fitting = [each for each in options if each.memory_bytes <= memory_bytes]
    if not fitting:
        least = min(options, key=lambda each: each.memory_bytes)
        raise ConfigurationError(
            f"no cut of the model fits into {memory_bytes:.4g} bytes of memory; the smallest takes "
            f"{least.memory_bytes:.4g} with {least.option.blocks} blocks; legal are devices with more memory"
        )
    return fitting


def score(
    predicted: Predicted, objective: Objective, rounds_left: int, deadline_s: float = math.inf
) -> tuple[float, ...]:
    """Return what is least for the best option, compared number after number."""
    seconds = rounds_left * predicted.seconds + predicted.before_s
    if objective == "energy":
        return (rounds_left * predicted.energy_j + predicted.before_j,)
    if objective == "bytes":
        return (rounds_left * predicted.num_bytes + predicted.before_bytes,)
    if objective == "arithmetic":
        return (rounds_left * predicted.flops,)
    if objective == "time":
        return (seconds,)
    if predicted.seconds > deadline_s:
        return 1.0, 0.0, 0.0, seconds
    if objective == "accuracy":
        return 0.0, -float(predicted.option.rank), -float(BITS[predicted.option.activation]), seconds
    return 0.0, -float(predicted.option.blocks), 0.0, seconds


def _beyond(now: Predicted, best: Predicted, deadline_s: float, hysteresis: float) -> bool:
    """Whether to leave the present option for one that is more accurate or more private, or that meets the deadline."""
    return now.seconds > deadline_s or best.seconds * (1 + hysteresis) <= deadline_s
