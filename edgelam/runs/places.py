# SPDX-License-Identifier: GPL-2.0-only
"""Where the nodes of a simulation are: the table `positions`, which is kept short.

At first the positions are read every 0.1 simulated seconds, and after every 256 readings the period is doubled, so a
run of any length has a bounded number of readings. A reading is kept if it is not on a straight walk at constant speed
between its neighbours: a node that stands still has two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.runs.folders.folder import RunFolder
from edgelam.runs.folders.tables import schema_from

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation

OBSERVABLE = "node_position"
FIRST_PERIOD_S = 0.1  # simulated seconds
READINGS_PER_PERIOD = 256
TOLERANCE_M = 0.01  # largest distance between a reading that was left out and the straight walk

_COLUMNS = {"time_s": float, "node": str, "x_m": float, "y_m": float, "z_m": float}


@dataclass
class _Walk:
    """The walk of a node: the last place that was kept, and those after it (places are (time_s, x, y, z))."""

    kept: np.ndarray[Any, Any]
    last: np.ndarray[Any, Any] | None = None
    speed: np.ndarray[Any, Any] | None = None

    def add(self, place: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
        """Add a reading; return the one before if the node turned there, so that it must be kept."""
        turned = None
        if self.last is not None and self.speed is not None:
            expected = self.kept[1:] + (place[0] - self.kept[0]) * self.speed
            if np.abs(place[1:] - expected).max() > TOLERANCE_M:
                turned = self.kept = self.last
                self.last = None
        if self.last is None:
            self.speed = (place[1:] - self.kept[1:]) / (place[0] - self.kept[0])
        self.last = place
        return turned


class Walks:
    """Takes readings of the positions of all nodes, and returns those to keep."""

    def __init__(self, names: list[str]) -> None:
        """names: of the nodes, in the order of the readings."""
        self._names = names
        self._walks: dict[str, _Walk] = {}
        self._time_s = -1.0

    def add(self, time_s: float, places: np.ndarray[Any, Any]) -> Iterator[dict[str, Any]]:
        """Add a reading, metres [node, xyz] (NaN: no place), and return rows of the table. A reading at the time of the
        last one is ignored."""
        if time_s <= self._time_s:
            return
        self._time_s = time_s
        for name, xyz in zip(self._names, places, strict=True):
            if np.isnan(xyz).any():
                continue
            place = np.array([time_s, *xyz])
            if name not in self._walks:
                self._walks[name] = _Walk(place)
                yield _row(name, place)
            elif (turned := self._walks[name].add(place)) is not None:
                yield _row(name, turned)

    def end(self) -> Iterator[dict[str, Any]]:
        """Return the last place of each node."""
        for name, walk in self._walks.items():
            if walk.last is not None:
                yield _row(name, walk.last)


async def follow_places(
    sim: Simulation,
    folder: RunFolder,
    labels: Mapping[str, Any],
    types: Mapping[str, type],
    on_time: Callable[[float], object],
) -> None:
    """Write the table `positions`, whose rows have `labels` (of `types`), until cancelled; `on_time` gets the times."""
    walks = Walks(list(sim.nodes))
    table = folder.table("positions", schema_from({**types, **_COLUMNS}))
    period_s = FIRST_PERIOD_S
    try:
        while True:
            async with sim.observable(OBSERVABLE).subscribe(period_s, aside=True) as readings:
                for _ in range(READINGS_PER_PERIOD):
                    reading = await anext(readings)
                    for row in walks.add(reading.time_s, reading.value):
                        table.append({**labels, **row})
                    on_time(reading.time_s)
            period_s *= 2
    finally:
        for row in walks.end():
            table.append({**labels, **row})


def _row(node: str, place: np.ndarray[Any, Any]) -> dict[str, Any]:
    time_s, x, y, z = place.tolist()
    return {"time_s": time_s, "node": node, "x_m": x, "y_m": y, "z_m": z}
