# SPDX-License-Identifier: GPL-2.0-only
"""Shared by the tests of edgelam.parallel: ranks as tasks of one process."""

import asyncio

from edgelam import cosim
from edgelam.parallel.collectives import ALGORITHMS
from edgelam.parallel.collectives.star import serve
from edgelam.parallel.group import Group

NAMED = sorted(set(ALGORITHMS) - {"auto"})
"""Algorithms; auto chooses among them."""


def run_ranks(program, size, *, scenario=None, options=None, server=None, seed=1, on_transfer=None, **of_group):
    """The results of ``program(group, sim)`` for each rank; without a scenario transfers take no time."""

    async def main(sim):
        nodes = [sim.node(f"ue{rank}") for rank in range(size)]
        if server is not None:
            serving = asyncio.create_task(serve(sim, sim.node(server)))
        centre = None if server is None else sim.node(server)
        groups = [Group(nodes, rank, server=centre, **of_group) for rank in range(size)]
        results = await asyncio.gather(*(program(group, sim) for group in groups))
        await asyncio.gather(*(group.drain() for group in groups))
        if server is not None:
            serving.cancel()
        return results

    if scenario is None:
        names = {f"ue{rank}": "ue" for rank in range(size)} | {"edge0": "edge"}
        return cosim.simulate(main, nodes=names, seed=seed)
    options = {"numUe": size, **(options or {})}
    return cosim.simulate(main, scenario, options=options, seed=seed, on_transfer=on_transfer)
