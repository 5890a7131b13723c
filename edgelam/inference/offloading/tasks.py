# SPDX-License-Identifier: GPL-2.0-only
"""Tasks that come in slots are sent to servers one after the other: the environment of LAD-TS and FDEdge.

All tasks of a slot are there when it begins, and each is sent to a server before the next one is looked at. A server
works through its queue at its capacity, and what it has not done at the end of a slot it keeps. A task's delay is its
transfer, the work before it at its server, its own work, and the transfer of its result. The settings are in lad_ts.py
and fdedge.py, each beside the numbers that were published.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, from_numbers

SLOT_S = 1.0


class Task(NamedTuple):
    """A task."""

    origin: int
    """The server at whose station it comes, to which its transfer takes no time; -1: none."""
    mbit: float
    gcycles: float
    result_mbit: float


@dataclasses.dataclass(frozen=True)
class Setting:
    """Servers and tasks. In shapes, B stands for servers, and I for the most tasks of a station in a slot."""

    name: str
    capacities: np.ndarray
    """Gcycle/s, [B]."""
    rates: np.ndarray
    """Of transfers to a server, and of results from it, Mbit/s, [B]."""
    gcycles: np.ndarray
    """Work of the i-th task of a station in a slot, [I]."""
    gcycles_per_mbit: np.ndarray
    """Work for each Mbit of it, [I]."""
    results_mbit: np.ndarray
    """[I]."""
    mbit: tuple[float, float]
    """Range of a task's size."""
    stations: tuple[int, ...]
    """The servers at which tasks come; (-1,): they come at a master, which is no server."""
    most_tasks: int
    """A station has 1 to this many tasks in a slot, each number as likely as the others."""
    slots: int

    def __post_init__(self) -> None:
        """Refuse a number of tasks for which there is no work."""
        if not 1 <= self.most_tasks <= len(self.gcycles):
            raise ConfigurationError(f"most_tasks is {self.most_tasks}; legal is 1 to {len(self.gcycles)}")

    @property
    def load(self) -> float:
        """Work that comes in a second, relative to all capacities."""
        count = np.arange(self.most_tasks)
        there = 1 - count / self.most_tasks  # the probability of a task with this number
        work = self.gcycles[count] + self.gcycles_per_mbit[count] * np.mean(self.mbit)
        return float(len(self.stations) * (there * work).sum() / self.capacities.sum() / SLOT_S)

    @cached_property
    def mean_gcycles(self) -> float:
        """Mean work of a task."""
        tasks = len(self.stations) * (self.most_tasks + 1) / 2
        return self.load * float(self.capacities.sum()) * SLOT_S / tasks

    def slot(self, rng: np.random.Generator) -> list[Task]:
        """Draw the tasks of a slot, station by station."""
        tasks = []
        for origin in self.stations:
            sizes = rng.uniform(*self.mbit, size=int(rng.integers(1, self.most_tasks + 1)))
            work = self.gcycles[: len(sizes)] + self.gcycles_per_mbit[: len(sizes)] * sizes
            tasks += [Task(origin, *numbers) for numbers in zip(sizes, work, self.results_mbit, strict=False)]
        return tasks


class Servers:
    """The queues of an episode."""

    def __init__(self, setting: Setting) -> None:
        """Begin with empty queues."""
        self.setting = setting
        self.queued = np.zeros(len(setting.capacities))
        """Work that was there when the slot began, Gcycle, [B]."""
        self.sent = np.zeros(len(setting.capacities))
        """Work that this slot has sent, [B]."""

    def delays(self, task: Task) -> np.ndarray:
        """Return the delay that a task would have at each server, seconds, [B]."""
        return self.transfers(task) + (self.queued + self.sent + task.gcycles) / self.setting.capacities

    def transfers(self, task: Task) -> np.ndarray:
        """Return the seconds of a task's transfers for each server, [B]."""
        seconds: np.ndarray = (task.mbit + task.result_mbit) / self.setting.rates
        if task.origin >= 0:
            seconds[task.origin] = task.result_mbit / self.setting.rates[task.origin]
        return seconds

    def send(self, task: Task, server: int) -> float:
        """Send a task to a server; return its delay there, seconds."""
        setting = self.setting
        mbit = task.result_mbit if server == task.origin else task.mbit + task.result_mbit
        work = self.queued[server] + self.sent[server] + task.gcycles
        self.sent[server] += task.gcycles
        return float(mbit / setting.rates[server] + work / setting.capacities[server])

    def end_slot(self) -> None:
        """Work for a slot."""
        self.queued = np.maximum(self.queued + self.sent - self.setting.capacities * SLOT_S, 0)
        self.sent = np.zeros_like(self.sent)


def episode(setting: Setting, seed: int, number: int) -> Iterator[list[Task]]:
    """Return the slots of an episode; seed: of the stream ``offloading episode NUMBER``."""
    rng = from_numbers(derive_seed(seed, f"offloading episode {number}"))
    return (setting.slot(rng) for _ in range(setting.slots))
