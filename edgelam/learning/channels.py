# SPDX-License-Identifier: GPL-2.0-only
"""The newest report of the channel of each UE of a 5G scenario, as the trace `csi` has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgelam import cosim

OBSERVABLE = "trace_csi"


class Channels:
    """Arrays over UEs, float64 [ue]: of a UE that has not reported yet, 0."""

    def __init__(self, sim: cosim.Simulation, every_s: float) -> None:
        """every_s: how often new reports are looked at."""
        self._sim, self._every_s = sim, every_s
        count = sum(node.role == "ue" for node in sim.nodes.values())
        self.reported = np.zeros(count, dtype=bool)
        self.cqi = np.zeros(count)
        self.rank = np.zeros(count)
        self.uplink_sinr_db = np.zeros(count)
        """With the power that a UE would have on a quarter of the band."""
        self.uplink_rank = np.zeros(count)

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Keep to the newest reports while the body goes on."""
        task = asyncio.create_task(self._follow(), name="CQI of the devices")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        async with self._sim.observable(OBSERVABLE).subscribe(self._every_s, aside=True) as readings:
            async for reading in readings:
                for report in reading.value:
                    ue = report["ue"]
                    self.reported[ue] = True
                    self.cqi[ue], self.rank[ue] = report["cqi"], report["rank"]
                    self.uplink_sinr_db[ue], self.uplink_rank[ue] = report["uplink_sinr_db"], report["uplink_rank"]
