# SPDX-License-Identifier: GPL-2.0-only
"""What begins a download in the situation in which a model is needed: an application, a place, or a time."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.text import suggest

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation

LOOK_S = 0.05
"""Seconds between two looks at where a user is."""


class Trigger(Protocol):
    """Something that begins a download."""

    async def wait(self, sim: Simulation, user: str) -> str:
        """Return, in words, what has happened, when it has."""


@dataclasses.dataclass(frozen=True)
class At:
    """At a time of the simulation, at once if it has passed."""

    at_s: float
    """Seconds, 0 or more."""

    def __post_init__(self) -> None:
        """Check."""
        if not 0 <= self.at_s < math.inf:
            raise ConfigurationError(f"at_s is {self.at_s!r}; it must be 0 or more, and finite")

    async def wait(self, sim: Simulation, user: str) -> str:
        """See `Trigger`."""
        await asyncio.sleep(max(0.0, self.at_s - sim.now_s))
        return f"time {self.at_s:g} s"


class Application:
    """When an application of the user asks for the model (`start`)."""

    def __init__(self, name: str) -> None:
        """name: of the application, for records."""
        self.name = name
        self._started = asyncio.Event()

    def start(self) -> None:
        """Say that the application has started."""
        self._started.set()

    async def wait(self, sim: Simulation, user: str) -> str:
        """See `Trigger`."""
        await self._started.wait()
        return f"application {self.name}"


@dataclasses.dataclass(frozen=True)
class Area:
    """When the user is within a circle on the ground (observable ue_position); at once if it is there already."""

    x_m: float
    y_m: float
    radius_m: float

    def __post_init__(self) -> None:
        """Check."""
        if not (math.isfinite(self.x_m) and math.isfinite(self.y_m) and 0 < self.radius_m < math.inf):
            raise ConfigurationError(f"{self}: places must be finite, and the radius above 0")

    async def wait(self, sim: Simulation, user: str) -> str:
        """See `Trigger`."""
        number = _number(sim, user)

        def inside(value: np.ndarray) -> bool:
            x, y = (float(each) for each in value[number][:2])
            return math.hypot(x - self.x_m, y - self.y_m) <= self.radius_m

        await _until(sim, "ue_position", inside)
        return f"area of {self.radius_m:g} m around ({self.x_m:g}, {self.y_m:g})"


@dataclasses.dataclass(frozen=True)
class Cell:
    """When the user enters a cell (observable serving_cell); at once if it is in it already."""

    cells: tuple[int, ...]
    """Numbers of cells, any of them."""

    def __post_init__(self) -> None:
        """Check."""
        if not self.cells or min(self.cells) < 0:
            raise ConfigurationError(f"cells are {self.cells}; legal are numbers from 0, at least one")

    async def wait(self, sim: Simulation, user: str) -> str:
        """See `Trigger`."""
        number = _number(sim, user)
        await _until(sim, "serving_cell", lambda value: int(value[number]) in self.cells)
        return f"cell {int((await sim.observable('serving_cell').read()).value[number])}"


async def first(sim: Simulation, user: str, triggers: Sequence[Trigger]) -> str:
    """Return what has happened when the first of several triggers has; of those at one instant, the first in order.

    Raises ConfigurationError without a trigger, for a user who is no UE, and for a scenario that does not say where
    users are.
    """
    if not triggers:
        raise ConfigurationError(f"the download of {user} has no trigger; give at least one")
    tasks = [asyncio.create_task(each.wait(sim, user), name=f"trigger {i:03d}") for i, each in enumerate(triggers)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task.result() for task in tasks if task.done())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def nearest_site(sim: Simulation, user: str) -> str:
    """Return the edge server that is nearest to a user now (observable nearest_edge); where a scenario does not say,
    the first one. Raises ConfigurationError for a user who is no UE, and without an edge server."""
    number, edges = _number(sim, user), [node.name for node in sim.nodes_with_role("edge")]
    if not edges:
        raise ConfigurationError(f"scenario {sim.scenario!r} has no edge server to ask")
    if "nearest_edge" not in sim.observables:
        return edges[0]
    return edges[max(0, int((await sim.observable("nearest_edge").read()).value[number]))]


def _number(sim: Simulation, user: str) -> int:
    users = [node.name for node in sim.nodes_with_role("ue")]
    if user not in users:
        raise ConfigurationError(f"{user!r} is no UE; {suggest(user, users)}")
    return users.index(user)


async def _until(sim: Simulation, name: str, holds: Callable[[np.ndarray], bool]) -> None:
    """Wait until a function of an observable's value holds."""
    if name not in sim.observables:
        raise ConfigurationError(
            f"scenario {sim.scenario!r} has no observable {name!r}, by which a place is known; it has: "
            f"{', '.join(sim.observables) or 'none'}"
        )
    while True:
        reading = await sim.observable(name).read()
        if holds(reading.value):
            return
        await asyncio.sleep(LOOK_S)
