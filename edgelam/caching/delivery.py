# SPDX-License-Identifier: GPL-2.0-only
"""Models are delivered to users over the simulated network, block by block, from the nearest cache that has them.

A user asks the cache node of its site for the blocks that it lacks (32 bytes each, their digests). The node sends what
it holds, and asks the next node on the way to the origin for the rest, and so on; the origin has every block. A block
goes on as soon as it has arrived as a whole. A node that already waits for a block does not ask for it again. All of
this is transfers (tcp) over the network.

What has not arrived by the deadline is late: its transfers to the user are withdrawn, and a model is never half
delivered. Blocks on their way to a cache still come and are kept there. A block that a request has found at a node is
sent also if the node gives it up in the meantime.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edgelam.caching.blocks import BlockStore
from edgelam.caching.library import Library
from edgelam.cosim.transport import Transport
from edgelam.errors import BatteryEmpty, ConfigurationError, EdgelamError, TransferError
from edgelam.files.storage import StorageError
from edgelam.text import suggest

if TYPE_CHECKING:
    from collections.abc import Collection

    from edgelam.cosim.simulation import Simulation

DIGEST_BYTES = 32
AT_USER = "user"
FAILS = (TransferError, BatteryEmpty, StorageError)
"""Errors with which a request fails, and the others go on. StorageError: a block's bytes do not have its hash."""


class Cache(Protocol):
    """What a node holds (edgelam.caching.cache)."""

    def look(self, blocks: Mapping[str, int]) -> list[str]:
        """Take note of a request; return what is not here."""

    def admit(self, block: str, size_bytes: int, keep: Collection[str] = ()) -> bool:
        """Take a block if there is room; return whether it is here."""


@dataclasses.dataclass(frozen=True)
class Delivery:
    """One request for a model."""

    request: int
    user: str
    model: str
    site: str
    """The cache node that was asked."""
    asked_s: float
    deadline_s: float
    """Seconds after `asked_s`."""
    status: str
    """``complete``; ``late``: not there at the deadline; ``failed``: a transfer failed, or a block was damaged."""
    reason: str
    """Why it failed."""
    e2e_s: float
    """From the request to the last byte of the last block at the user; NaN if it did not come."""
    fill_s: float
    """From the request to the arrival of the last block at the site; NaN if it did not come before the end."""
    bytes: int
    """Of the whole model."""
    found: Mapping[str, int]
    """Node -> bytes that it held when it was asked; ``user``: those that the user had. Without those not yet found."""

    @property
    def on_time(self) -> bool:
        """Whether the whole model came within the deadline."""
        return self.status == "complete"


class EdgeCaches:
    """The cache nodes of a simulation."""

    def __init__(
        self, sim: Simulation, library: Library, caches: Mapping[str, Cache], parents: Mapping[str, str], *,
        store: BlockStore | None = None, user_stores: Mapping[str, BlockStore] | None = None,
    ) -> None:  # fmt: skip
        """Prepare to deliver the models of a library.

        Args:
            sim: has all nodes that are named here.
            library: the models.
            caches: what nodes hold, by name; also users, if they keep blocks.
            parents: cache node -> the node that it asks for what it lacks. All ways end at one node that asks nobody:
                the origin, which has every block.
            store: has the blocks' bytes; None: zeros are sent, of the library's sizes.
            user_stores: with `store`, where users keep the blocks that they get, by their names. Each block's hash is
                checked when it arrives.

        Raises ConfigurationError for an unknown node, a way that ends nowhere or goes in a circle, and for several
        origins.
        """
        self.sim, self.library, self.caches, self.parents = sim, library, dict(caches), dict(parents)
        self.deliveries: list[Delivery] = []
        self.carried: dict[tuple[str, str], int] = {}
        """(source, receiver) -> bytes of blocks that have arrived."""
        self._store, self._user_stores = store, dict(user_stores or {})
        self._transport = Transport()
        self._coming: dict[tuple[str, str], asyncio.Future[str]] = {}  # (node, block) -> where it was found
        self._filling: set[asyncio.Task[None]] = set()
        self._numbers = {model: i for i, model in enumerate(library.models)}
        self._requests = self._fills = 0
        for name in {*self.caches, *self.parents, *self.parents.values(), *self._user_stores}:
            sim.node(name)
        if not self.parents:
            raise ConfigurationError("parents are empty; legal is at least one cache node, with the node that it asks")
        origins = {self._origin_of(node) for node in self.parents}
        if len(origins) != 1:
            raise ConfigurationError(
                f"parents lead to {len(origins)} origins ({', '.join(sorted(origins))}); legal is 1"
            )
        (self.origin,) = origins
        if store is not None and (absent := [b for b in library.blocks if not store.has(b)]):
            raise ConfigurationError(
                f"the origin's store {store.folder} lacks {len(absent)} blocks ({absent[0][:12]}, ...)"
            )

    async def deliver(
        self, user: str, model: str, site: str, deadline_s: float, *, withdraw: bool = True
    ) -> Delivery:  # fmt: skip
        """Deliver a model to a user by way of a cache node; what happened is also appended to `deliveries`.

        withdraw: at the deadline, withdraw what has not come; if False, the model still comes, late.
        Raises ConfigurationError for an unknown model, site or user, and for a deadline that is not above 0.
        """
        if model not in self._numbers:
            raise ConfigurationError(f"no model is called {model!r}; {suggest(model, self._numbers)}")
        self._check_site(site)
        if not 0 < deadline_s < math.inf:
            raise ConfigurationError(f"deadline_s is {deadline_s!r}; it must be above 0 and finite")
        self.sim.node(user)
        blocks = self.library.of(self._numbers[model])
        begin_s, number = self.sim.now_s, self._requests
        self._requests += 1
        progress = _Progress()
        status, reason, came_s = "complete", "", math.nan
        try:
            async with asyncio.timeout(deadline_s if withdraw else None):
                await self._bring(user, blocks, site, progress)
            came_s = self.sim.now_s - begin_s
            status = "complete" if came_s <= deadline_s else "late"
        except TimeoutError:
            status = "late"
        except FAILS as error:
            status, reason = "failed", str(error)
        delivery = Delivery(
            number, user, model, site, begin_s, deadline_s, status, reason, came_s, progress.filled_s - begin_s,
            sum(blocks.values()), progress.found,
        )  # fmt: skip
        self.deliveries.append(delivery)
        return delivery

    async def bring(self, user: str, blocks: Mapping[str, int], site: str) -> dict[str, int]:
        """Bring some blocks (name -> bytes) to a user by way of a cache node, those first that are named first; return
        where they were found, as in `Delivery.found`.

        For those who want parts of a model, or one after the other. Nobody counts it as a delivery. Raises one of
        `FAILS` if a block does not come; those that came before stay. Raises ConfigurationError for an unknown site.
        """
        self._check_site(site)
        progress = _Progress()
        await self._bring(user, blocks, site, progress)
        return progress.found

    async def close(self) -> None:
        """Wait until all blocks on their way to caches have come."""
        while self._filling:
            await asyncio.gather(*sorted(self._filling, key=lambda task: task.get_name()))
        await self._transport.close()

    async def _bring(self, user: str, blocks: Mapping[str, int], site: str, progress: _Progress) -> None:
        """Bring blocks to a user, and note what becomes known on the way."""
        missing = self.caches[user].look(blocks) if user in self.caches else list(blocks)
        progress.count(AT_USER, sum(size for block, size in blocks.items() if block not in missing))
        if not missing:
            progress.filled_s = self.sim.now_s
            return
        await self._ask(user, site, len(missing))
        waiting = self._look(site, {block: blocks[block] for block in missing})

        async def bring(block: str) -> None:
            at = site if block not in waiting else await asyncio.shield(waiting[block])
            progress.count(at, blocks[block])
            progress.filled_s = self.sim.now_s
            await self._send(site, user, block)
            if user in self.caches:
                self.caches[user].admit(block, blocks[block], blocks)

        tasks = [asyncio.create_task(bring(block)) for block in missing]
        try:
            await asyncio.gather(*tasks)
        finally:  # an error, or the deadline, ends the others
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _look(self, node: str, blocks: Mapping[str, int]) -> dict[str, asyncio.Future[str]]:
        """Let a node look for blocks; return those that it waits for. It asks its parent for new ones."""
        if node == self.origin:
            return {}
        lacking = self.caches[node].look(blocks) if node in self.caches else list(blocks)
        new = {block: blocks[block] for block in lacking if (node, block) not in self._coming}
        for block in new:
            self._coming[node, block] = asyncio.get_running_loop().create_future()
        waiting = {block: self._coming[node, block] for block in lacking}
        if new:
            self._fills += 1
            task = asyncio.create_task(self._fill(node, new, blocks), name=f"fill {self._fills:06d} of {node}")
            self._filling.add(task)
            task.add_done_callback(self._filling.discard)
        return waiting

    async def _fill(self, node: str, new: Mapping[str, int], keep: Mapping[str, int]) -> None:
        """Bring blocks to a node from its parent. keep: blocks of the request for which they come."""
        parent = self.parents[node]

        async def bring(block: str, waiting: Mapping[str, asyncio.Future[str]]) -> None:
            coming = self._coming[node, block]
            try:
                at = parent if block not in waiting else await asyncio.shield(waiting[block])
                await self._send(parent, node, block)
            except FAILS as error:
                self._end(node, block, error)
                return
            if node in self.caches:
                self.caches[node].admit(block, new[block], keep)
            del self._coming[node, block]
            coming.set_result(at)

        try:
            await self._ask(node, parent, len(new))
        except FAILS as error:
            for block in new:
                self._end(node, block, error)
            return
        waiting = self._look(parent, new)
        await asyncio.gather(*(bring(block, waiting) for block in new))

    def _end(self, node: str, block: str, error: EdgelamError) -> None:
        """Tell all who wait for a block at a node that it does not come."""
        coming = self._coming.pop((node, block))
        coming.set_exception(error)
        coming.exception()  # it may be that nobody waits any more

    def _check_site(self, site: str) -> None:
        if site not in self.parents and site != self.origin:
            raise ConfigurationError(f"{site!r} is no cache node; {suggest(site, [*self.parents, self.origin])}")

    def _origin_of(self, node: str) -> str:
        """Follow parents to their end."""
        passed = [node]
        while passed[-1] in self.parents:
            passed.append(self.parents[passed[-1]])
            if len(set(passed)) < len(passed):
                raise ConfigurationError(f"parents go in a circle: {' -> '.join(passed)}")
        return passed[-1]

    async def _ask(self, source: str, to: str, count: int) -> None:
        await self._transport.carry(
            self.sim.node(source), self.sim.node(to), np.zeros(DIGEST_BYTES * count, np.uint8), "ask"
        )  # fmt: skip

    async def _send(self, source: str, to: str, block: str) -> None:
        """Carry a block; a user with a store keeps it, after its hash was checked."""
        if self._store is None:
            size = int(self.library.block_bytes[self.library.blocks.index(block)])
            content: Any = np.zeros(size, np.uint8)
        else:
            content = self._store.content(block)
        message = await self._transport.message(
            self.sim.node(source), self.sim.node(to), content, f"block {block[:12]}"
        )
        self.carried[source, to] = self.carried.get((source, to), 0) + message.size_bytes
        if to in self._user_stores:
            self._user_stores[to].receive(bytes(message.data), expected=block)


class _Progress:
    """What is known of a request so far."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}
        self.filled_s = math.nan

    def count(self, node: str, size: int) -> None:
        if size:
            self.found[node] = self.found.get(node, 0) + size
