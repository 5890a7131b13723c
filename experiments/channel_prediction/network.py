# SPDX-License-Identifier: GPL-2.0-only
"""The cost of CSI on its way to the aggregator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import torch

from edgelam import cosim
from edgelam.air import csi
from edgelam.air.prediction import Windows

from .config import needs
from .context import Context
from .records import Cost, Stale


async def send_csi(node: cosim.Node, aggregator: cosim.Node, windows: Windows) -> cosim.TransferRecord:
    """All samples, 8 bytes a coefficient."""
    data = {name: torch.view_as_real(torch.from_numpy(getattr(windows, name))) for name in ("past", "future")}
    record = await node.send(aggregator, data, tag="CSI", encoding="fp32")
    await aggregator.receive(node, tag="CSI")
    return record


def costs(context: Context) -> None:
    """What CSI costs on the way to the aggregator: one sample of each server, and all of them.

    The first with the error of CSI that is as old as it takes, for each test speed.
    """
    config, data = context.config, context.data
    if not context.networked:
        return
    most = max(config.servers)
    measured: list[Cost] = []

    async def main(sim: cosim.Simulation) -> None:
        nodes, (aggregator,) = needs(config).nodes(sim)

        async def at_once(what: str, servers: int, send: Callable[[int], Coroutine[Any, Any, Any]]) -> Cost:
            start_s = sim.now_s
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(send(i)) for i in range(servers)]
            duration_s = sim.now_s - start_s
            await asyncio.sleep(1.0)
            return Cost(what, servers, sum(task.result().size_bytes for task in tasks), 0, duration_s)

        async def one(server: int) -> cosim.TransferRecord:
            past = torch.view_as_real(torch.from_numpy(data.shards[server].past[:1]))
            record = await nodes[server].send(aggregator, past, tag="CSI", encoding="fp32")
            await aggregator.receive(nodes[server], tag="CSI")
            return record

        async def everything(server: int) -> cosim.TransferRecord:
            return await send_csi(nodes[server], aggregator, data.shards[server])

        await at_once("", most, one)  # opens the connections
        measured.append(await at_once("one sample", 1, one))  # alone in the cell
        if most > 1:
            measured.append(await at_once("one sample", most, one))
        for servers in sorted(config.servers):
            measured.append(await at_once("all samples", servers, everything))

    config.network.simulate(main, needs(config), seed=context.seed, compute="free")
    for cost in measured:
        context.tables.add_of_seed(context.seed, cost)
        if cost.what != "one sample":
            continue
        for speed, rays in data.doppler.items():
            errors = [csi.closed_form(gain, doppler, cost.transfer_s, horizon=1) for gain, doppler in rays]
            stale = Stale(cost.what, cost.servers, cost.transfer_s, speed, sum(errors) / len(errors))
            context.tables.add_of_seed(context.seed, stale)
