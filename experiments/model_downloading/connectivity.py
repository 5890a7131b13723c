# SPDX-License-Identifier: GPL-2.0-only
"""Part needs: what TS 22.261 7.10 wants of a network, and what cells at 3.5, 28 and 140 GHz deliver.

Each transfer is made in a simulation of its own, twice over one connection: the first opens it and begins with a small
window, the second finds it open and its window grown. And once by udp at a pace near what the air carries, which has
neither. So what TCP's slow start costs is shown apart. Probes of other sizes say how much comes in a given time.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable

import numpy as np

from edgelam import cosim
from edgelam.errors import TransferError
from edgelam.runs import RunFolder
from edgelam.runs.needs import Needs
from edgelam.runs.network import Network

from .config import Config, Model
from .models import is_kept, load

_NEAR = ("minDistance=30", "maxDistance=60", "speed=0", "los=Always", "numUpfEdge=0")


@dataclasses.dataclass(frozen=True)
class Link:
    """A network, and the pace of udp in it, bits of payload per second: a little below what its air carries."""

    network: Network
    down_bps: float
    up_bps: float


NETWORKS = {
    "3.5 GHz, 100 MHz": Link(Network("nr-urban-micro", options=(*_NEAR, "joined=5")), 1.5e9, 1.1e8),
    "28 GHz, 400 MHz": Link(
        Network("nr-urban-micro", options=(*_NEAR, "frequency=28e9", "numerology=3", "bandwidth=400",
                                           "edgeRate=10Gbps", "joined=5")), 3.4e9, 4.2e8,
    ),
    "140 GHz, 2 GHz": Link(
        Network("nr-subthz-hotspot", options=("speed=0", "blockers=0", "edgeRate=40Gbps", "joined=5")), 9.6e9, 2.3e9
    ),
}  # fmt: skip
"""One UE in line of sight, near; the server at the site."""


@dataclasses.dataclass(frozen=True)
class Want:
    """A row of TS 22.261 7.10."""

    what: str
    direction: str
    """``down`` or ``up``."""
    bytes: int
    seconds: float

    said_mbps: float = math.nan
    """Rate that the standard gives beside size and time, Mbit/s; NaN: not noted here."""

    @property
    def rate_bps(self) -> float:
        """8 x size / T."""
        return 8 * self.bytes / self.seconds


PROBE = "probe"
WANTS = (
    Want("split inference: image recognition", "up", 270_000, 0.015, 144),
    Want("split inference: media recognition", "down", 1_500_000, 0.1, 150),
    Want("split inference: robot control", "down", 40_000, 0.012, 320),
    Want("model download, 138 MB", "down", 138_000_000, 1.0, 1100),
    Want("model download, 80 MB", "down", 80_000_000, 1.0, 640),
    Want("model download, 64 MB", "down", 64_000_000, 1.0, 512),
    Want("model download, 2.4 MB", "down", 2_400_000, 1.0, 22),
    Want("model download, 170 MB", "down", 170_000_000, 3.0),
    Want("federated learning, 132 MB", "down", 132_000_000, 1.0),
    Want("federated learning, 132 MB", "up", 132_000_000, 1.0),
    Want("federated learning, 10 MB", "up", 10_000_000, 1.0),
)
"""Rows of TS 22.261 clause 7.10. Where its rate is more than 8 x size / T, it leaves time for other things."""
PROBES = tuple(Want(PROBE, "down", size, 1.0) for size in (10_000, 100_000, 1_000_000, 10_000_000, 40_000_000))
NEEDS = {
    "network": str, "seed": int, "what": str, "direction": str, "bytes": int, "within_s": float, "needed_bps": float,
    "mode": str, "seconds": float, "delivered": float,
}  # fmt: skip
"""One row a transfer. mode: ``tcp, first``, ``tcp, again`` or ``udp``; seconds: NaN if it was given up after ten times
what is allowed; delivered: share of the bytes that came."""
SIZES = {"model": str, "depth": int, "width": int, "bits": int, "bytes": int, "accuracy": float}
"""One row a size of a model that no smaller one is as good as."""
GIVE_UP = 10


def simulations(config: Config) -> int:
    """Return how many simulations this part runs."""
    return config.num_seeds * len(NETWORKS) * (len(WANTS) + len(PROBES))


def run(config: Config, folder: RunFolder, step: Callable[[], object]) -> None:
    """Run all networks."""
    for model in typing.get_args(Model):
        if is_kept(model):
            _sizes(model, folder)
    for seed in range(config.seed, config.seed + config.num_seeds):
        for name, link in NETWORKS.items():
            for want in (*WANTS, *PROBES):
                _simulate(name, link, want, seed, folder)
                step()


def _sizes(model: Model, folder: RunFolder) -> None:
    known = load(model)
    best = -1.0
    for point in sorted(known.lattice.points, key=lambda p: (known.lattice.size_bytes(p), -known.quality[p])):
        if known.quality[point] > best:
            best = known.quality[point]
            folder.table("sizes", SIZES).append(
                {"model": model, "depth": point.depth, "width": point.width, "bits": point.bits,
                 "bytes": known.lattice.size_bytes(point), "accuracy": best}
            )  # fmt: skip


def _simulate(name: str, link: Link, want: Want, seed: int, folder: RunFolder) -> None:
    async def main(sim: cosim.Simulation) -> None:
        for mode, seconds, delivered in await measured(sim, link, want):
            folder.table("needs", NEEDS).append(
                {"network": name, "seed": seed, "what": want.what, "direction": want.direction, "bytes": want.bytes,
                 "within_s": want.seconds, "needed_bps": want.rate_bps, "mode": mode, "seconds": seconds,
                 "delivered": delivered}
            )  # fmt: skip

    link.network.simulate(main, Needs(roles={"ue": 1, "edge": 1}), seed=seed)


async def measured(sim: cosim.Simulation, link: Link, want: Want) -> list[tuple[str, float, float]]:
    """Return (mode, seconds, share delivered) of the three transfers of a row."""
    ue, edge = sim.nodes_with_role("ue")[0], sim.nodes_with_role("edge")[0]
    source, to = (edge, ue) if want.direction == "down" else (ue, edge)
    data, found = np.zeros(want.bytes, np.uint8), []
    for mode in ("tcp, first", "tcp, again"):
        begin_s = sim.now_s
        try:
            record = await source.send(to, data, tag=mode, encoding="exact", deadline_s=GIVE_UP * want.seconds)
            await to.receive(source, tag=mode)
            found.append((mode, record.last_byte_s - begin_s, 1.0))
        except TransferError as error:
            found.append((mode, math.nan, error.records[0].delivered_bytes / want.bytes if error.records else 0.0))
    begin_s = sim.now_s
    pace = link.down_bps if want.direction == "down" else link.up_bps
    record = await source.send(to, data, tag="udp", encoding="exact", protocol="udp", give_up_s=0.2, rate_bps=pace)
    found.append(("udp", record.last_byte_s - begin_s, record.delivered_bytes / want.bytes))
    return found
