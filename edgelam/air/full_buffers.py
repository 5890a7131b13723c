# SPDX-License-Identifier: GPL-2.0-only
"""Full buffers: a server sends to UEs as much as a cell can carry, for as long as it is asked to."""

from __future__ import annotations

import asyncio

from edgelam import cosim

FILL_EVERY_S = 5e-3  # buffers are looked at
FILL_BPS = 1e9
LEAST_BYTES = 1000  # that are worth a transfer


async def fill(
    sim: cosim.Simulation, server: cosim.Node, ues: list[cosim.Node], *, prbs: int, slot_s: float, first: int = 0
) -> None:
    """Keep the buffers of the UEs from number `first` on full, but not much fuller, until cancelled.

    prbs: resource blocks of the cell; slot_s: of a slot, seconds.
    """
    backlog = sim.observable("ue_backlog_bytes")
    full = int(12 * 14 * prbs / slot_s * 3 * FILL_EVERY_S)  # three times what a layer can carry meanwhile
    async with asyncio.TaskGroup() as group:
        while True:
            waiting = (await backlog.read()).value[0]
            for ue, there in list(zip(ues, waiting[: len(ues)].tolist(), strict=True))[first:]:
                if full - there > LEAST_BYTES:
                    group.create_task(server.send(ue, bytes(full - there), protocol="udp", rate_bps=FILL_BPS))
            await asyncio.sleep(FILL_EVERY_S)
