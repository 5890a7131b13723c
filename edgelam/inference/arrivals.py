# SPDX-License-Identifier: GPL-2.0-only
"""When requests come: Poisson, diurnal and burst processes, and traces. All times are simulated seconds."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Protocol

from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np


class Arrivals(Protocol):
    """A process of arrivals."""

    @property
    def mean_rate(self) -> float:
        """Requests per second in the long run."""

    def times(self, duration_s: float, rng: np.random.Generator) -> list[float]:
        """Return the times of arrivals in [0, duration_s), in order."""


@dataclasses.dataclass(frozen=True)
class Poisson:
    """Independent arrivals at a constant rate."""

    rate: float
    """Requests per second."""

    def __post_init__(self) -> None:
        """Refuse a rate that is not legal."""
        _positive("rate of Poisson arrivals", self.rate)

    @property
    def mean_rate(self) -> float:
        """Requests per second in the long run."""
        return self.rate

    def times(self, duration_s: float, rng: np.random.Generator) -> list[float]:
        """Draw exponential intervals."""
        found: list[float] = []
        now = rng.exponential(1 / self.rate)
        while now < duration_s:
            found.append(now)
            now += rng.exponential(1 / self.rate)
        return found


@dataclasses.dataclass(frozen=True)
class Diurnal:
    """A Poisson process whose rate follows a sine: rate * (1 + swing * sin(2 pi (t / period_s + phase)))."""

    rate: float
    """Mean, requests per second."""
    swing: float = 0.8
    """0 to 1."""
    period_s: float = 86400.0
    phase: float = 0.0
    """Of a period, 0 to 1."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        _positive("rate of diurnal arrivals", self.rate)
        _positive("period_s of diurnal arrivals", self.period_s)
        if not 0 <= self.swing <= 1:
            raise ConfigurationError(f"swing of diurnal arrivals is {self.swing!r}; legal is 0 to 1")
        if not 0 <= self.phase <= 1:
            raise ConfigurationError(f"phase of diurnal arrivals is {self.phase!r}; legal is 0 to 1")

    @property
    def mean_rate(self) -> float:
        """Requests per second in the long run."""
        return self.rate

    def times(self, duration_s: float, rng: np.random.Generator) -> list[float]:
        """Draw at the highest rate, and thin (Lewis and Shedler, Naval Research Logistics 26(3), 1979)."""
        highest = self.rate * (1 + self.swing)
        return [time for time in Poisson(highest).times(duration_s, rng) if rng.random() * highest < self._at(time)]

    def _at(self, time_s: float) -> float:
        return self.rate * (1 + self.swing * math.sin(2 * math.pi * (time_s / self.period_s + self.phase)))


@dataclasses.dataclass(frozen=True)
class Burst:
    """A Poisson process that is switched on and off at exponential times (a Markov-modulated Poisson process)."""

    rate: float
    """Requests per second while it is on."""
    on_s: float
    """Mean time for which it is on."""
    off_s: float
    """Mean time for which it is off."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name in ("rate", "on_s", "off_s"):
            _positive(f"{name} of burst arrivals", getattr(self, name))

    @property
    def mean_rate(self) -> float:
        """Requests per second in the long run."""
        return self.rate * self.on_s / (self.on_s + self.off_s)

    def times(self, duration_s: float, rng: np.random.Generator) -> list[float]:
        """Draw phases, and the arrivals in those that are on. The first phase is on as often as in the long run."""
        found: list[float] = []
        on = bool(rng.random() < self.on_s / (self.on_s + self.off_s))
        begin = 0.0
        while begin < duration_s:
            length = rng.exponential(self.on_s if on else self.off_s)
            if on:
                times = Poisson(self.rate).times(min(length, duration_s - begin), rng)
                found += [begin + time for time in times]
            begin += length
            on = not on
        return found


def _positive(what: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ConfigurationError(f"{what} is {value!r}; it must be above 0 and finite")
