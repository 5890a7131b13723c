# SPDX-License-Identifier: GPL-2.0-only
"""What takes the place of a node that has failed: services of which no instance is left start somewhere else.

The largest comes first, each on the node with the most free memory (worst fit). They start cold: their weights cross
the network from the repository, or are there if the node is the repository. The choice itself is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgelam.inference.serving import Serving


def lost(serving: Serving, hosts: Sequence[str], node: str) -> dict[str, list[str]]:
    """Return where services that only a failed node had are to start.

    hosts: nodes that may run services. A service that fits none of those that are left is not in the result.
    """
    free = {}
    for host in hosts:
        if not serving.is_down(host):
            memory = serving.sim.node(host).memory
            # weights that instances which are still cold will take count as taken
            cold = sum(serving.services[name].weight_bytes for name in serving.cold_on(host))
            free[host] = memory.capacity_bytes - memory.used_bytes - cold
    found: dict[str, list[str]] = {}
    alone = [name for name in serving.services_on(node) if not serving.replicas(name)]
    for name in sorted(alone, key=lambda name: (-serving.services[name].weight_bytes, name)):
        size = serving.services[name].weight_bytes
        place = max(free, key=lambda host: free[host], default=None)
        if place is not None and size <= free[place]:
            found[name] = [place]
            free[place] -= size
    return found
