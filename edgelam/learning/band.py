# SPDX-License-Identifier: GPL-2.0-only
"""Shares of the band of 5G cells: told to the base station, and kept to from then on.

A share is a minimum (`prb_share`); with a cap (`prb_cap`) it is also the most that a device gets, so that others'
traffic changes nothing for it. Both hold in uplink and downlink. In a network of several cells, each share is of the
cell in which a device is, and each base station is told about its own devices.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam import cosim

Floats = NDArray[np.float64]
OBSERVABLES = ("cell",)
CONTROLS = ("prb_share", "prb_cap")
OPTIONS = {"scheduler": "external"}
"""What a scenario must have, and must be told."""
SERVING, GNB_OF_CELL = "serving_cell", "gnb_of_cell"
"""Observables of a network of several cells."""


def refuse_without(sim: cosim.Simulation, observables: tuple[str, ...], controls: tuple[str, ...]) -> None:
    """Raise ConfigurationError if the scenario has no 5G cell whose band can be divided."""
    for kind, wanted, there in (
        ("observable", observables, sim.observables), ("control", controls, sim.controls),
    ):  # fmt: skip
        for name in wanted:
            if name not in there:
                raise ConfigurationError(
                    f"scenario {sim.scenario!r} has no {kind} {name!r}: shares of a band are planned and enforced "
                    f"in a 5G cell (nr-urban-micro, nr-indoor) with the option scheduler=external"
                )


class Band:
    """The band of the cells of a scenario, as a server divides it."""

    def __init__(self, sim: cosim.Simulation, server: cosim.Node) -> None:
        """server: who tells the base stations."""
        self.sim, self.server = sim, server
        self.ues = [node.name for node in sim.nodes.values() if node.role == "ue"]
        self.gnbs = [node for node in sim.nodes.values() if node.role == "gnb"]
        self._capped = False

    async def cells(self) -> NDArray[np.int64]:
        """Return the cell of each UE, int [ue]; -1: in none."""
        if SERVING not in self.sim.observables:
            return np.zeros(len(self.ues), dtype=np.int64)
        return np.asarray((await self.sim.observable(SERVING).read()).value, dtype=np.int64)

    async def size(self) -> tuple[int, int]:
        """Return the resource blocks of a cell's band, and those of a group, in which a slot's band is divided."""
        cell = np.ravel((await self.sim.observable("cell").read()).value)[0]
        return int(cell["prbs"]), int(cell["prbs_per_group"])

    async def keep(self, shares: Floats, *, capped: bool, tell: bool = True) -> None:
        """Tell the base stations, which keep to it from then on.

        shares: of the band of its cell, for each UE, [ue]; 0: no share, and no cap. capped: also as caps, in whole
        resource blocks. tell: as a transfer; False: at once.
        """
        both = np.stack([shares, shares])
        if tell:
            await self._tell(both)
        # the last digit of a sum of 1 may be above it
        await self.sim.control("prb_share").set(np.floor((await self._fitting(both)) * 2**32) / 2**32)
        if capped or self._capped:
            prbs, _ = await self.size()
            caps = np.where(capped & (both > 0), np.maximum(1, np.round(both * prbs)), prbs)
            await self.sim.control("prb_cap").set(caps.astype(np.uint32))
        self._capped = capped

    async def slot(self) -> int:
        """Return the first slot in which the newest shares and caps hold."""
        return int(np.max((await self.sim.observable("control_slot").read()).value))

    async def _fitting(self, both: Floats) -> Floats:
        """Return shares of at most 1 in each cell: a device may have changed its cell since they were decided."""
        if SERVING not in self.sim.observables:
            return both
        cells, fitting = await self.cells(), both.copy()
        for cell in np.unique(cells):
            members = cells == cell
            fitting[:, members] /= max(1.0, float(both[0, members].sum()))
        return fitting

    async def _tell(self, both: Floats) -> None:
        if SERVING not in self.sim.observables:
            parts = [both] * min(1, len(self.gnbs))
        else:
            cells = await self.cells()
            owner = np.ravel(np.asarray((await self.sim.observable(GNB_OF_CELL).read()).value, dtype=np.int64))
            at = np.where(cells >= 0, owner[np.maximum(cells, 0)], -1)
            parts = [both[:, at == number] for number in range(len(self.gnbs))]
        await _all(
            [
                self.server.send(gnb, torch.from_numpy(part).float(), tag="shares")
                for gnb, part in zip(self.gnbs, parts, strict=False)
                if part.size
            ]
        )


async def _all(sending: list[Any]) -> None:
    if len(sending) == 1:
        await sending[0]
    elif sending:
        await asyncio.gather(*sending)
