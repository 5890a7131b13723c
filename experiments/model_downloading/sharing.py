# SPDX-License-Identifier: GPL-2.0-only
"""Part sharing: several users want the model, in different sizes, at the same time; multicast against unicast."""

from __future__ import annotations

from collections.abc import Callable

from edgelam import cosim
from edgelam.downloading import Device, Lattice, Point, distribute
from edgelam.runs import RunFolder

from . import needs
from .config import Config
from .models import load

SHARING = {
    "seed": int, "users": int, "mode": str, "union_bytes": int, "sum_bytes": int, "sent_bytes": int,
    "multicast_bytes": int, "unicast_bytes": int, "repair_bytes": int, "lost_bytes": int, "first_s": float,
    "last_s": float, "failed": int,
}  # fmt: skip
"""One row a simulation. union_bytes, sum_bytes: what users want, each block once, and once for each user; lost_bytes:
that did not come by multicast, over all users; first_s, last_s: when the first and the last user had everything."""
MODES = ("multicast", "unicast")


def simulations(config: Config) -> int:
    """Return how many simulations this part runs."""
    return config.num_seeds * len(config.sharers) * len(MODES)


def points_of(lattice: Lattice, users: int) -> list[Point]:
    """Return the sizes that users want: the whole depth and width, in turn with all bits, and with the third and second
    fewest."""
    depth, width, _ = lattice.whole.depth, lattice.whole.width, lattice.whole.bits
    bits = (lattice.bits[-1], lattice.bits[min(2, len(lattice.bits) - 1)], lattice.bits[min(1, len(lattice.bits) - 1)])
    return [Point(depth, width, bits[k % 3]) for k in range(users)]


def run(config: Config, folder: RunFolder, step: Callable[[], object]) -> None:
    """Run all numbers of users."""
    lattice = load(config.model).lattice
    for seed in range(config.seed, config.seed + config.num_seeds):
        for users in config.sharers:
            for mode in MODES:
                _simulate(config, lattice, seed, users, mode, folder)
                step()


def _simulate(config: Config, lattice: Lattice, seed: int, users: int, mode: str, folder: RunFolder) -> None:  # noqa: PLR0917
    manifest = lattice.manifest_block
    wants = {
        f"ue{k}": {manifest.digest: manifest.size_bytes} | lattice.blocks(point)
        for k, point in enumerate(points_of(lattice, users))
    }

    async def main(sim: cosim.Simulation) -> None:
        nodes, edges, _ = needs(config).nodes(sim)
        devices = {node.name: Device(node) for node in nodes[:users]}
        found = await distribute(
            sim, edges[0], wants, devices, reliable={manifest.digest}, rate_bps=config.shared_mbps * 1e6,
            multicast=mode == "multicast",
        )  # fmt: skip
        union = {block: size for blocks in wants.values() for block, size in blocks.items()}
        ends = list(found.end_s.values())
        folder.table("sharing", SHARING).append(
            {"seed": seed, "users": users, "mode": mode, "union_bytes": sum(union.values()),
             "sum_bytes": sum(sum(blocks.values()) for blocks in wants.values()), "sent_bytes": found.sent_bytes,
             "multicast_bytes": found.multicast_bytes, "unicast_bytes": found.unicast_bytes,
             "repair_bytes": found.repair_bytes, "lost_bytes": found.lost_bytes,
             "first_s": min(ends, default=float("nan")), "last_s": max(ends, default=float("nan")),
             "failed": len(found.failed)}
        )  # fmt: skip

    label = f"{mode} to {users}, seed {seed}"
    config.network.simulate(main, needs(config), folder, label, seed=seed)
