# SPDX-License-Identifier: GPL-2.0-only
"""A small model in pieces, qualities that grow with size, and a star of devices and tiers that have it."""

import functools
import sys
from pathlib import Path

from edgelam import cosim
from edgelam.caching import BlockCache, BlockStore, FixedCache
from edgelam.caching.delivery import EdgeCaches
from edgelam.caching.policies import Lru
from edgelam.downloading import Device, encode, keep, library_of

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
import small_nested

STAR = {"numUe": 3, "numEdge": 3, "rate": "2Mbps", "delay": "2ms"}
TIERS = {"edge0": "edge1", "edge1": "edge2"}


@functools.cache
def model():
    """Lattice and blocks."""
    return encode(small_nested.text(), "small", group=16)


def quality():
    lattice, _ = model()
    return {p: 0.3 + 0.08 * p.depth + 0.05 * p.width + 0.02 * p.bits for p in lattice.points}


def library_store(folder):
    store = BlockStore(folder)
    keep(*model(), store)
    return store


def simulate(main, *, store=None, stores=None, at="edge0", options=None, **more):
    """Run main(sim, edge, devices): tiers from `at` on have the model; the others are empty caches."""
    library = library_of([model()[0]])
    tiers = ["edge0", "edge1", "edge2"]

    async def run(sim):
        devices = {node.name: Device(node, (stores or {}).get(node.name)) for node in sim.nodes_with_role("ue")}
        full = FixedCache(library.blocks)
        caches = {
            name: full if tiers.index(name) >= tiers.index(at) else BlockCache(10**7, Lru()) for name in tiers[:2]
        }
        edge = EdgeCaches(sim, library, caches | devices, TIERS, store=store,
                          user_stores={n: d.store for n, d in devices.items() if d.store is not None})  # fmt: skip
        found = await main(sim, edge, devices)
        return found

    return cosim.simulate(run, scenario="wired-star", options=STAR | (options or {}), seed=1, **more)
