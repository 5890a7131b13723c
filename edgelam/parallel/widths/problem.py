# SPDX-License-Identifier: GPL-2.0-only
r"""The problem of widths: which devices take part in a step of looped tensor parallelism, how many attention heads and
feed-forward columns each has, and which share of the band.

A step is a sequence of merges. Before a merge, each participant receives what the server has sent, computes with its
shard, and sends its part; the server merges when it has the parts of all. For a merge of kind p (heads: the attention;
columns: the feed-forward layer), device k with n units and the share b of the band needs

    t(k, p, n) = latency + seconds_fixed + seconds_per_unit * n + w / b,
    w = (up_fixed + up_per_unit * n) / rate_up + (down_fixed + down_per_unit * n) / rate_down.

The share holds in both directions and for the whole step. A device without units of a kind is not in its merges. The
step takes

    T = sum over kinds of merges * (server_s + max over devices of t).

`up_fixed` is the charge that makes the choice of participants combinatorial: a partial sum is full width whatever n is.

Two simplifications: a kind has one merge time, so the forward and the backward pass of a kind are two merges with the
mean of their bytes and seconds; and shares are exact and hard, whereas a scheduler gives resource blocks to others
while their owner has nothing to send (fluid.py).

The closest published problem is PABA (arXiv 2003.04544): parameter load and bandwidth, without the fixed charge.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgelam.errors import ConfigurationError, OutOfDeviceMemory

Floats = NDArray[np.float64]
Widths = tuple[tuple[int, ...], ...]
"""[kind][device] units."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """Units of one kind and the merges in which they take part."""

    name: str
    """``heads``, ``columns``."""
    units: int
    """How many there are to divide, at least 1."""
    seconds_per_unit: tuple[float, ...]
    """[device] seconds of computing for each unit and merge."""
    up_fixed_bytes: float
    """What each participant sends in a merge, whatever its width."""
    up_bytes_per_unit: float = 0.0
    """What it sends beside for each unit."""
    down_fixed_bytes: float = 0.0
    """What each participant receives before a merge, whatever its width."""
    down_bytes_per_unit: float = 0.0
    """What it receives beside for each unit."""
    memory_bytes_per_unit: int = 0
    """What a unit needs of a device's memory: weights, gradients, state of the optimiser, activations."""
    seconds_fixed: tuple[float, ...] = ()
    """[device] seconds of computing of a participant for each merge, whatever its width; empty: none."""
    server_s: float = 0.0
    """Seconds of the server for each merge."""
    merges: int = 1
    """Merges of this kind in a step."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """Devices, what is to be divided among them, and what a plan costs. Tuples over devices are in one order."""

    devices: tuple[str, ...]
    """Their names."""
    kinds: tuple[Kind, ...]
    """One or two kinds of units."""
    rate_up_bps: tuple[float, ...]
    """[device] goodput with the whole band, upwards, bit/s."""
    rate_down_bps: tuple[float, ...]
    """[device] goodput with the whole band, downwards, bit/s."""
    memory_bytes: tuple[int, ...]
    """[device] memory that is free for its shard."""
    latency_s: tuple[float, ...] = ()
    """[device] seconds of a merge that depend neither on bytes nor on the share; empty: none."""
    memory_base_bytes: int = 0
    """What a participant needs whatever its widths."""
    band: float = 1.0
    """Sum of the shares, above 0 and at most 1."""
    multicast: bool = False
    """Whether what is the same for all goes down once, at the rate of the slowest participant, with the whole band
    (the kinds' `down_fixed_bytes`; the latency of a merge is paid once all the same)."""

    def __post_init__(self) -> None:
        """Refuse what is no problem. Raises ConfigurationError with the value and what is legal."""
        count = len(self.devices)
        if not count or len(set(self.devices)) < count:
            raise ConfigurationError(f"devices are {list(self.devices)!r}; at least one, each once, is legal")
        if not 1 <= len(self.kinds) <= 2:
            raise ConfigurationError(f"{len(self.kinds)} kinds of units; one or two are legal")
        if not self.latency_s:
            object.__setattr__(self, "latency_s", (0.0,) * count)
        if not 0.0 < self.band <= 1.0:
            raise ConfigurationError(f"band is {self.band!r}; it must be above 0 and at most 1")
        _numbers("memory_base_bytes", [self.memory_base_bytes], 1)
        for name, least in (("rate_up_bps", "positive"), ("rate_down_bps", "positive"), ("latency_s", ""),
                            ("memory_bytes", "")):  # fmt: skip
            _numbers(name, getattr(self, name), count, positive=bool(least))
        for kind in self.kinds:
            if not isinstance(kind.units, int) or kind.units < 1 or not isinstance(kind.merges, int) or kind.merges < 1:
                raise ConfigurationError(
                    f"{kind.name}: {kind.units!r} units in {kind.merges!r} merges; whole numbers from 1 are legal"
                )
            _numbers(f"{kind.name}: seconds_per_unit", kind.seconds_per_unit, count)
            if kind.seconds_fixed:
                _numbers(f"{kind.name}: seconds_fixed", kind.seconds_fixed, count)
            for name in (
                "up_fixed_bytes", "up_bytes_per_unit", "down_fixed_bytes", "down_bytes_per_unit",
                "memory_bytes_per_unit", "server_s",
            ):  # fmt: skip
                _numbers(f"{kind.name}: {name}", [getattr(kind, name)], 1)

    @property
    def totals(self) -> tuple[int, ...]:
        """[kind] units to divide."""
        return tuple(kind.units for kind in self.kinds)

    def compute_s(self, p: int, widths: Floats) -> Floats:
        """[device] seconds of a merge of kind p beside the air; widths: [device, ...] units."""
        kind = self.kinds[p]
        fixed = np.array(self.latency_s) + np.array(kind.seconds_fixed or (0.0,) * len(self.devices))
        seconds = self._over(fixed, widths) + self._over(np.array(kind.seconds_per_unit), widths) * widths
        return np.where(widths > 0, seconds, 0.0)

    def up_s(self, p: int, widths: Floats) -> Floats:
        """[device] seconds of what goes up in a merge of kind p, with the whole band; widths: [device, ...] units."""
        kind = self.kinds[p]
        bits = (kind.up_fixed_bytes + kind.up_bytes_per_unit * widths) * 8
        return np.where(widths > 0, bits / self._over(np.array(self.rate_up_bps), widths), 0.0)

    def down_s(self, p: int, widths: Floats) -> Floats:
        """[device] seconds of what goes down to each alone in a merge of kind p, with the whole band."""
        kind = self.kinds[p]
        fixed = 0.0 if self.multicast else kind.down_fixed_bytes
        bits = (fixed + kind.down_bytes_per_unit * widths) * 8
        return np.where(widths > 0, bits / self._over(np.array(self.rate_down_bps), widths), 0.0)

    def air_s(self, p: int, widths: Floats) -> Floats:
        """[device] seconds of a merge of kind p on the air with the whole band, both directions."""
        return self.up_s(p, widths) + self.down_s(p, widths)

    def _over(self, values: Floats, widths: Floats) -> Floats:
        """Values [device] in the shape of widths [device, ...]."""
        return values.reshape((len(self.devices),) + (1,) * (np.ndim(widths) - 1))

    def common_s(self, p: int, widths: Floats) -> float:
        """Seconds of a merge of kind p that are common to all: the server's, and a multicast's; widths: [device]."""
        seconds = self.kinds[p].server_s
        if self.multicast:
            slowest = np.array(self.rate_down_bps)[np.asarray(widths) > 0].min()
            seconds += self.kinds[p].down_fixed_bytes * 8 / float(slowest)
        return seconds

    def memory_needed(self, widths: Sequence[int]) -> int:
        """Bytes that a device with these units [kind] needs; a device without units needs nothing."""
        if not any(widths):
            return 0
        units = (kind.memory_bytes_per_unit * n for kind, n in zip(self.kinds, widths, strict=True))
        return self.memory_base_bytes + int(sum(units))

    def most_units(self, p: int, k: int) -> int:
        """Units of kind p alone that fit device k, at most all there are."""
        kind, free = self.kinds[p], self.memory_bytes[k] - self.memory_base_bytes
        if free < 0:
            return 0
        return (
            kind.units if not kind.memory_bytes_per_unit else min(int(free // kind.memory_bytes_per_unit), kind.units)
        )

    def without(self, names: Sequence[str]) -> Problem:
        """The same without these devices."""
        kept = [k for k, name in enumerate(self.devices) if name not in names]
        if not kept:
            raise ConfigurationError(f"without {', '.join(names)} no device is left")

        def part(values: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(values[k] for k in kept)

        kinds = tuple(
            dataclasses.replace(
                kind,
                seconds_per_unit=part(kind.seconds_per_unit),
                seconds_fixed=part(kind.seconds_fixed) if kind.seconds_fixed else (),
            )
            for kind in self.kinds
        )
        return dataclasses.replace(
            self, devices=tuple(self.devices[k] for k in kept), kinds=kinds, rate_up_bps=part(self.rate_up_bps),
            rate_down_bps=part(self.rate_down_bps), latency_s=part(self.latency_s),
            memory_bytes=tuple(self.memory_bytes[k] for k in kept),
        )  # fmt: skip

    def refuse_if_too_large(self) -> None:
        """Raise OutOfDeviceMemory, with both numbers, if even all devices together have no room for what there is."""
        for p, kind in enumerate(self.kinds):
            room = sum(self.most_units(p, k) for k in range(len(self.devices)))
            if room < kind.units:
                needed = self.memory_base_bytes + kind.memory_bytes_per_unit
                raise OutOfDeviceMemory(
                    f"{kind.units} {kind.name} are to be divided, but the memory of all {len(self.devices)} devices "
                    f"together has room for {room}: one of the {kind.name} needs {kind.memory_bytes_per_unit:,} bytes "
                    f"beside {self.memory_base_bytes:,} of each device ({needed:,} in all), and the largest device "
                    f"has {max(self.memory_bytes):,} bytes free"
                )

    def no_room(self) -> OutOfDeviceMemory:
        """The error, with both numbers, where each kind has room, but the kinds together have not."""
        needed = " and ".join(
            f"{kind.units} {kind.name} of {kind.memory_bytes_per_unit:,} bytes each" for kind in self.kinds
        )
        return OutOfDeviceMemory(
            f"no division of {needed}, beside {self.memory_base_bytes:,} bytes of each participant, fits the memory of "
            f"the devices: {sum(kind.units * kind.memory_bytes_per_unit for kind in self.kinds):,} bytes are needed, "
            f"and the devices have {', '.join(f'{free:,}' for free in self.memory_bytes)} bytes free"
        )


@dataclasses.dataclass(frozen=True)
class Plan:
    """Who takes part with which widths and which share of the band."""

    widths: Widths
    """[kind][device] units; 0 in all kinds: the device takes no part."""
    shares: tuple[float, ...]
    """[device] share of the band, in both directions; 0 for a device that takes no part."""
    predicted_s: float
    """Seconds of a step, as the problem predicts them."""

    @property
    def participants(self) -> tuple[int, ...]:
        """The numbers of the devices that take part."""
        return tuple(k for k in range(len(self.shares)) if any(row[k] for row in self.widths))


def check_widths(problem: Problem, widths: Widths) -> None:
    """Refuse widths that are none of this problem: ConfigurationError; OutOfDeviceMemory, with both numbers."""
    for kind, row in zip(problem.kinds, widths, strict=True):
        if len(row) != len(problem.devices) or sum(row) != kind.units or min(row) < 0:
            raise ConfigurationError(
                f"{kind.name} {row!r} of {len(problem.devices)} devices; whole numbers from 0 with the sum "
                f"{kind.units} are legal"
            )
    for k, name in enumerate(problem.devices):
        mine = tuple(row[k] for row in widths)
        needed = problem.memory_needed(mine)
        if needed > problem.memory_bytes[k]:
            parts = " and ".join(f"{n} {kind.name}" for n, kind in zip(mine, problem.kinds, strict=True))
            raise OutOfDeviceMemory(
                f"{name}: {parts} need {needed:,} bytes, and {problem.memory_bytes[k]:,} bytes are free"
            )


def step_s(problem: Problem, widths: Widths, shares: Sequence[float]) -> float:
    """Seconds of a step with these widths and shares. A participant without a share needs for ever (inf)."""
    total, given = 0.0, np.array(shares, dtype=float)
    for p, kind in enumerate(problem.kinds):
        row = np.array(widths[p], dtype=float)
        air = problem.air_s(p, row)
        with np.errstate(divide="ignore", invalid="ignore"):
            times = problem.compute_s(p, row) + np.where(air > 0, air / given, 0.0)
        total += kind.merges * (problem.common_s(p, row) + float(times.max()))
    return total


def plan_of(problem: Problem, widths: Widths, shares: Sequence[float]) -> Plan:
    """The plan of these widths and shares, checked, with its predicted time."""
    check_widths(problem, widths)
    return Plan(widths, tuple(float(share) for share in shares), step_s(problem, widths, shares))


def _numbers(name: str, values: Sequence[float], count: int, *, positive: bool = False) -> None:
    legal = "positive and finite" if positive else "finite and not negative"
    if len(values) != count:
        raise ConfigurationError(f"{name} has {len(values)} values; {count} are needed, one for each device")
    for value in values:
        if not (math.isfinite(value) and (value > 0 if positive else value >= 0)):
            raise ConfigurationError(f"{name} is {value!r}; it must be {legal}")
