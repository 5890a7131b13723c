# SPDX-License-Identifier: GPL-2.0-only
"""A model is downloaded onto a device block by block, and what to download is planned again whenever a block has come.

First comes the manifest (the topology). Then the device asks for blocks in the order in which they compute, as many
ahead as keep the link busy, from the tier that is nearest (edgelam/caching/delivery.py). A size is usable when all its
blocks are there with their hashes. A download that ends early (the device leaves, its battery is empty, a link fails)
keeps what came, and goes on from there when it is begun again on the same `Device`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from edgelam.caching.delivery import FAILS, EdgeCaches
from edgelam.downloading.device import Device
from edgelam.downloading.lattice import Lattice, Point
from edgelam.downloading.selector import Limits, Plan, Selector
from edgelam.errors import ConfigurationError, OutOfDeviceStorage
from edgelam.files.storage import StorageError

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation

Site = Callable[[], Awaitable[str]]
FORGET = 0.5
"""Of what the predicted rate rests on, this share stays when `ahead_bytes` have come."""
TRIES = 3
"""How often a block is asked for whose bytes do not have its hash."""


@dataclasses.dataclass(frozen=True)
class Step:
    """A size that became usable."""

    point: Point
    at_s: float
    """Simulated time."""
    bytes: int
    """That had come until then, with the manifest."""


@dataclasses.dataclass
class Progress:
    """What has come of a download so far, and how it ended."""

    begin_s: float
    steps: list[Step] = dataclasses.field(default_factory=list)
    bytes: int = 0
    plans: list[tuple[float, Plan]] = dataclasses.field(default_factory=list)
    """(time, plan) whenever the target changed."""
    status: str = "coming"
    """``coming``; ``complete``: the target is there; ``late``: the deadline came first; ``failed``."""
    reason: str = ""
    """Why it failed."""
    end_s: float = math.nan

    @property
    def usable(self) -> Point | None:
        """The best size that is there."""
        return self.steps[-1].point if self.steps else None


@dataclasses.dataclass(frozen=True)
class Way:
    """How a download chooses. Raises ConfigurationError for what is not legal."""

    deadline_s: float
    """Seconds from the beginning; what has not come by then is withdrawn."""
    predicted_bps: float
    """Rate that is predicted before anything has come, bits per second."""
    only: Point | None = None
    """A size that is fixed; None: the selector's."""
    progressive: bool = True
    """Whether smaller sizes are passed on the way to the target, so that there is an answer early."""
    replan: bool = True
    """Whether the target is chosen again when blocks have come; if not, the first choice stays."""
    learn: bool = True
    """Whether the predicted rate follows what comes; if not, `predicted_bps` stays."""
    ahead_bytes: int = 400_000
    """Blocks are asked for until so many bytes are on their way."""
    margin: float = 0.9
    """Share of the time left that a plan uses, more than 0 to 1."""

    def __post_init__(self) -> None:
        """Check."""
        for name in ("deadline_s", "predicted_bps", "ahead_bytes"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name} is {getattr(self, name)!r}; it must be above 0 and finite")
        if not 0 < self.margin <= 1:
            raise ConfigurationError(f"margin is {self.margin!r}; legal is more than 0, up to 1")


class Download:
    """One model on its way to one device."""

    def __init__(  # noqa: PLR0917
        self, sim: Simulation, edge: EdgeCaches, device: Device, site: str | Site, lattice: Lattice,
        quality: Mapping[Point, float], way: Way, limits: Limits | None = None,
    ) -> None:  # fmt: skip
        """Prepare.

        Args:
            sim: the simulation.
            edge: the tiers; their library has the model (`lattice.library_of`), and `device` is the cache of its user.
            device: where blocks come to.
            site: the cache node that is asked, or a coroutine function that says which one now, for a user who moves
                (`triggers.nearest_site`).
            lattice: the model.
            quality: of each point.
            way: how it chooses.
            limits: of the device; by default what its profile says, with no limit of time.

        Raises ConfigurationError if the library lacks a block of the model, or the device fits no size of it.
        """
        known = set(edge.library.blocks)
        wanted = [lattice.manifest_block, *lattice.pieces.values()]
        if absent := [block for block in wanted if block.digest not in known]:
            raise ConfigurationError(
                f"the library lacks {len(absent)} of {len(wanted)} blocks of model {lattice.name!r} "
                f"({absent[0].digest[:12]}, ...): it is not offered"
            )
        if edge.caches.get(device.node.name) is not device:
            raise ConfigurationError(
                f"the cache of {device.node.name} is not the device that downloads: give it to EdgeCaches"
            )
        self.sim, self.edge, self.device, self.lattice, self.way = sim, edge, device, lattice, way
        self._site = site
        profile, limits = device.node.device, limits or Limits()
        storage_bytes = min(limits.storage_bytes, profile.storage_bytes)
        if storage_bytes <= lattice.manifest_block.size_bytes:
            raise ConfigurationError(
                f"a storage of {storage_bytes:,.0f} bytes has no room for model {lattice.name!r}, whose manifest alone "
                f"has {lattice.manifest_block.size_bytes:,}"
            )
        self.selector = Selector(lattice, quality, dataclasses.replace(
            limits, flops_per_s=min(limits.flops_per_s, profile.flops_per_s),
            bytes_per_s=min(limits.bytes_per_s, profile.memory_bandwidth_bytes_per_s),
            storage_bytes=storage_bytes - lattice.manifest_block.size_bytes,
            memory_bytes=min(limits.memory_bytes, profile.memory_bytes),
        ))  # fmt: skip
        self.rate_bps = way.predicted_bps
        self.progress = Progress(sim.now_s)
        self.on_usable: list[Callable[[Step], object]] = []
        """Called with each size that becomes usable."""
        self._target: Point | None = way.only
        self._last_s = sim.now_s
        # as if so much had come at the predicted rate
        self._seen_bytes, self._seen_s = way.ahead_bytes / 2, 4 * way.ahead_bytes / way.predicted_bps

    async def run(self) -> Progress:
        """Download until the target is there or the deadline has come; return what happened. Raises nothing for faults
        of the network or of blocks: these are its status."""
        progress = self.progress
        self.device.on_block.append(self._came)
        try:
            async with asyncio.timeout(self.way.deadline_s):
                await self._run()
            progress.status = "complete"
        except TimeoutError:
            progress.status = "late"
            if not progress.bytes:
                progress.reason = f"no block came within {self.way.deadline_s:g} s: is the library reachable?"
        except (*FAILS, OutOfDeviceStorage) as error:
            progress.status, progress.reason = "failed", str(error)
        finally:
            self.device.on_block.remove(self._came)
            progress.end_s = self.sim.now_s
        return progress

    async def _run(self) -> None:
        manifest = self.lattice.manifest_block
        await self._ask({manifest.digest: manifest.size_bytes})
        self.device.look({block.digest: block.size_bytes for block in self.lattice.pieces.values()})  # kept from before
        self._seen()
        coming: dict[str, int] = {}
        asks: set[asyncio.Task[None]] = set()
        try:
            while True:
                batch = self._next(coming)
                if not batch and not asks:
                    return
                if batch:
                    coming |= batch
                    asks.add(
                        asyncio.create_task(self._ask(batch, coming), name=f"ask {self.device.node.name} {min(batch)}")
                    )
                room = sum(coming.values()) < self.way.ahead_bytes
                if asks and (not batch or not room):
                    done, asks = await asyncio.wait(asks, return_when=asyncio.FIRST_COMPLETED)
                    for task in sorted(done, key=lambda task: task.get_name()):
                        task.result()
        finally:
            for task in asks:
                task.cancel()
            await asyncio.gather(*asks, return_exceptions=True)

    def _next(self, coming: Mapping[str, int]) -> dict[str, int]:
        """Return the blocks to ask for now, about half of what may be on its way."""
        way, held = self.way, {**self.device.held, **coming}
        left_s = (self.progress.begin_s + way.deadline_s - self.sim.now_s) * way.margin
        left_s -= 8 * sum(coming.values()) / self.rate_bps
        if sum(coming.values()) >= way.ahead_bytes:
            return {}
        plan = self.selector.plan(held, self.rate_bps, left_s, only=self._target)
        if not way.replan:
            self._target = plan.target
        if not self.progress.plans or self.progress.plans[-1][1].target != plan.target:
            self.progress.plans.append((self.sim.now_s, plan))
        found: dict[str, int] = {}
        for point in plan.path if way.progressive else (plan.target,):
            for block, size in self.lattice.blocks(point, held).items():
                found.setdefault(block, size)
                if sum(found.values()) >= way.ahead_bytes // 2:
                    return found
        return found

    async def _ask(self, blocks: Mapping[str, int], coming: dict[str, int] | None = None) -> None:
        """Bring blocks; a block with another hash is asked for again."""
        try:
            for left in reversed(range(TRIES)):
                try:
                    site = self._site if isinstance(self._site, str) else await self._site()
                    await self.edge.bring(self.device.node.name, blocks, site)
                    return
                except StorageError:
                    if not left:
                        raise
        finally:
            for block in blocks if coming is not None else ():
                coming.pop(block, None)  # type: ignore[union-attr]

    def _came(self, block: str, size_bytes: int) -> None:
        """Take note of a block: the rate, and whether another size is usable."""
        now_s = self.sim.now_s
        self.progress.bytes += size_bytes
        if self.way.learn:
            stays = FORGET ** (size_bytes / self.way.ahead_bytes)
            self._seen_bytes = self._seen_bytes * stays + size_bytes
            self._seen_s = self._seen_s * stays + now_s - self._last_s
            self.rate_bps = 8 * self._seen_bytes / self._seen_s
        self._last_s = now_s
        self._seen()

    def _seen(self) -> None:
        usable = self.selector.usable(self.device.held)
        if usable is None or self.lattice.manifest_block.digest not in self.device.held:
            return
        before = self.progress.usable
        if before is None or self.selector.quality_of(usable) > self.selector.quality_of(before):
            step = Step(usable, self.sim.now_s, self.progress.bytes)
            self.progress.steps.append(step)
            for call in self.on_usable:
                call(step)
