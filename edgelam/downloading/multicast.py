# SPDX-License-Identifier: GPL-2.0-only
"""Blocks that several users want are sent once to all of them, the rest to each, and what was lost is sent again.

Blocks are ordered by the set of users who want them. For a set of several users, they are one udp transfer to all
(real multicast where the network has it), whose lost byte ranges each user reports; the source sends these bytes again
by tcp to those who lack them. For a single user, they are one tcp transfer. So the bytes that leave the source follow
the union of what users want, not the sum.

The manifest of a model, its topology, can be sent by tcp before everything else (`reliable`).
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgelam.caching.delivery import FAILS
from edgelam.cosim.transfer_spec import TransferOptions
from edgelam.cosim.transport import Transport
from edgelam.downloading.device import Device
from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam.cosim.node import Node
    from edgelam.cosim.simulation import Simulation

RANGE_BYTES = 8
"""Of a report, for each lost range: two 32-bit numbers."""
GIVE_UP_S = 0.1
"""After the last datagram, what has not come within so many seconds counts as lost."""
BATCH_BYTES = 1_000_000
"""A transfer to several users has at most about so many bytes."""

Ranges = list[tuple[int, int]]


@dataclasses.dataclass
class Shared:
    """What a distribution has cost."""

    multicast_bytes: int = 0
    """Sent once to several users."""
    unicast_bytes: int = 0
    """Sent to one user each, without repair."""
    repair_bytes: int = 0
    """Sent again."""
    lost_bytes: int = 0
    """That did not come by multicast, over all users."""
    end_s: dict[str, float] = dataclasses.field(default_factory=dict)
    """User -> when it had everything."""
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    """User -> why it did not get everything."""

    @property
    def sent_bytes(self) -> int:
        """All bytes that left the source."""
        return self.multicast_bytes + self.unicast_bytes + self.repair_bytes


async def distribute(
    sim: Simulation, source: Node, wants: Mapping[str, Mapping[str, int]], devices: Mapping[str, Device], *,
    content: Callable[[str], bytes] | None = None, reliable: Collection[str] = (), rate_bps: float | None = None,
    multicast: bool = True,
) -> Shared:  # fmt: skip
    """Send blocks to users; a user's `Device` has each block when all its bytes are there.

    wants: user -> blocks (name -> bytes), in the order in which they are wanted; what a device has already is not sent;
    content: the bytes of a block, which devices with a store keep after their hash was checked (None: zeros are sent);
    reliable: blocks that always go by tcp; rate_bps: pace of multicast, by default the scenario's; multicast: if False,
    everything goes by tcp to each user.
    Raises ConfigurationError for a user without a device. A user whose transfer fails, or who gets a block whose hash
    differs, is in `failed`, and the others go on.
    """
    if absent := sorted(set(wants) - set(devices)):
        raise ConfigurationError(f"user {absent[0]!r} has no device; give one for each user")
    sizes: dict[str, int] = {}
    users_of: dict[str, list[str]] = {}
    for user, blocks in wants.items():
        for block in devices[user].look(blocks):
            sizes[block] = blocks[block]
            users_of.setdefault(block, []).append(user)
    alone: dict[str, list[str]] = {user: [] for user in wants}
    together: dict[tuple[str, ...], list[str]] = {}
    for block, users in users_of.items():
        if multicast and len(users) > 1 and block not in reliable:
            together.setdefault(tuple(users), []).append(block)
        else:
            for user in users:
                alone[user].append(block)
    found, transport = Shared(), Transport()
    left = {user: sum(1 for users in users_of.values() if user in users) for user in wants}

    def came(user: str, block: str, data: bytes) -> None:
        store = devices[user].store
        if store is not None and content is not None:
            store.receive(data, expected=block)
        devices[user].admit(block, sizes[block])
        left[user] -= 1
        if not left[user]:
            found.end_s[user] = sim.now_s

    for user, count in left.items():
        if not count:
            found.end_s[user] = sim.now_s
    work = _Work(sim, source, sizes, found, transport, came, content, rate_bps)
    first = [work.unicast(user, [b for b in blocks if b in reliable]) for user, blocks in alone.items()]
    await asyncio.gather(*first)
    repairs = await work.all_together(together)  # before the rest: tcp would take its place in queues
    rest = [work.unicast(user, [b for b in blocks if b not in reliable]) for user, blocks in alone.items()]
    await asyncio.gather(*repairs, *rest)
    await transport.close()
    return found


class _Work:
    """The transfers of one distribution."""

    def __init__(  # noqa: PLR0917
        self, sim: Simulation, source: Node, sizes: Mapping[str, int], found: Shared, transport: Transport,
        came: Callable[[str, str, bytes], None], content: Callable[[str], bytes] | None, rate_bps: float | None,
    ) -> None:  # fmt: skip
        self.sim, self.source, self.sizes, self.found = sim, source, sizes, found
        self.transport, self.came, self.content, self.rate_bps = transport, came, content, rate_bps
        self.count = 0

    async def unicast(self, user: str, blocks: Sequence[str]) -> None:
        """Send blocks to one user by tcp, one after the other."""
        if user in self.found.failed:
            return
        try:
            for batch in _batches(blocks, self.sizes):
                size = sum(self.sizes[block] for block in batch)
                self.found.unicast_bytes += size
                message = await self.transport.message(
                    self.source, self.sim.node(user), self._payload(batch), f"blocks {user}"
                )
                self._deliver(user, batch, message.data)
        except FAILS as error:
            self.found.failed[user] = str(error)

    async def all_together(self, together: Mapping[tuple[str, ...], Sequence[str]]) -> list[asyncio.Task[None]]:
        """Send blocks to sets of users, one transfer after the other; return the repairs, which go on meanwhile."""
        repairs: list[asyncio.Task[None]] = []
        for users, blocks in together.items():
            for batch in _batches(blocks, self.sizes):
                repairs += await self._multicast([user for user in users if user not in self.found.failed], batch)
        return repairs

    async def _multicast(self, users: Sequence[str], batch: Sequence[str]) -> list[asyncio.Task[None]]:
        if not users:
            return []
        size = sum(self.sizes[block] for block in batch)
        self.count += 1
        tag = f"blocks to all #{self.count}"
        nodes = [self.sim.node(user) for user in users]
        self.found.multicast_bytes += size
        how: TransferOptions = {"tag": tag, "protocol": "udp", "encoding": "exact", "give_up_s": GIVE_UP_S}
        if self.rate_bps is not None:
            how["rate_bps"] = self.rate_bps
        try:
            records = await self.source.send(nodes, self._payload(batch), **how)
        except FAILS as error:
            self.found.failed |= dict.fromkeys(users, str(error))
            return []
        return [
            asyncio.create_task(
                self._repair(user, batch, size, record.delivered_bytes, tag), name=f"repair {user} {tag}"
            )
            for user, record in zip(users, records, strict=True)
        ]

    async def _repair(self, user: str, batch: Sequence[str], size: int, delivered: int, tag: str) -> None:
        node = self.sim.node(user)
        lost: Ranges = [(0, size)]
        data = np.zeros(size, np.uint8)
        if delivered:
            message = await node.receive(self.source, tag=tag)
            lost, data = list(message.lost), np.array(message.data)
        missing = sum(end - begin for begin, end in lost)
        try:
            if missing:
                self.found.lost_bytes += missing
                self.found.repair_bytes += missing
                await self.transport.carry(
                    node, self.source, np.zeros(RANGE_BYTES * len(lost), np.uint8), f"lost {user}"
                )
                sent = self._payload(batch)
                again = np.concatenate([sent[begin:end] for begin, end in lost])
                repaired = (await self.transport.message(self.source, node, again, f"repair {user}")).data
                at = 0
                for begin, end in lost:
                    data[begin:end] = repaired[at : at + end - begin]
                    at += end - begin
            self._deliver(user, batch, data)
        except FAILS as error:
            self.found.failed[user] = str(error)

    def _payload(self, batch: Sequence[str]) -> np.ndarray:
        """Return the bytes of blocks, one after another."""
        if self.content is None:
            return np.zeros(sum(self.sizes[block] for block in batch), np.uint8)
        return np.frombuffer(b"".join(self.content(block) for block in batch), np.uint8)

    def _deliver(self, user: str, batch: Sequence[str], data: np.ndarray) -> None:
        """Hand blocks over."""
        at = 0
        for block in batch:
            end = at + self.sizes[block]
            self.came(user, block, data[at:end].tobytes())
            at = end


def _batches(blocks: Sequence[str], sizes: Mapping[str, int]) -> list[list[str]]:
    found: list[list[str]] = []
    room = 0
    for block in blocks:
        if not found or room < sizes[block]:
            found.append([])
            room = BATCH_BYTES
        found[-1].append(block)
        room -= sizes[block]
    return found
