# SPDX-License-Identifier: GPL-2.0-only
"""A node's battery: the instant at which it is empty, and what that ends.

The node always draws idle power, and in addition its share of busy power for each compute block in progress. So the
energy falls along straight lines, and the instant is computed, to the nanosecond. At that instant, every compute block
and every `send` of the node that is in progress raises `BatteryEmpty` in its coroutine (what is in a socket by then
still crosses the network). Each later one, and each `receive`, raises it at once. A coroutine that only waits or sleeps
gets the error when it next asks for something: nothing in the simulation waits for a battery. What others send to the
node still arrives there, since the network does not know. The radio's energy is not counted.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from edgelam.errors import BatteryEmpty

if TYPE_CHECKING:
    from edgelam.cosim.devices import DeviceProfile
    from edgelam.cosim.loop import SimLoop


class Battery:
    """The battery of one node, full at simulated time 0."""

    def __init__(self, loop: SimLoop, node: str, device: DeviceProfile, capacity_j: float) -> None:
        """`capacity_j`: the energy that it holds when full, joules."""
        self.capacity_j = capacity_j
        self._loop, self._node = loop, node
        self._idle_w, self._block_w = device.idle_w, (device.busy_w - device.idle_w) / device.ways
        self._ended_j = 0.0  # above idle power, of compute blocks that have ended
        self._begun_ns: list[int] = []  # of those in progress
        self._limits: dict[asyncio.Timeout, None] = {}
        self._empty_ns: int | None = None

    @property
    def used_j(self) -> float:
        """Joules drawn so far."""
        now_ns = self._loop.now_ns
        blocks_s = sum(now_ns - begun_ns for begun_ns in self._begun_ns) / 1e9
        return min(self.capacity_j, self._idle_w * now_ns / 1e9 + self._ended_j + self._block_w * blocks_s)

    @property
    def lifetime_s(self) -> float | None:
        """The simulated time at which it became empty, s; None: it is not empty yet."""
        if self._empty_ns is None and not self._begun_ns:  # in an idle time that nobody was told the end of
            idle_ns = math.ceil(1e9 * (self.capacity_j - self._ended_j) / self._idle_w) if self._idle_w else None
            if idle_ns is not None and idle_ns <= self._loop.now_ns:
                self._empty_ns = idle_ns
        return None if self._empty_ns is None else self._empty_ns / 1e9

    def check(self) -> None:
        """Raise BatteryEmpty if the battery is empty."""
        if self.lifetime_s is not None:
            raise BatteryEmpty(
                f"{self._node}: its battery of {self.capacity_j:g} J is empty since simulated time "
                f"{self.lifetime_s:.9f} s; it computes, sends and receives no more"
            )

    @asynccontextmanager
    async def lasting(self) -> AsyncIterator[None]:
        """Return a context whose body ends with BatteryEmpty at the instant at which the battery is empty."""
        self.check()
        limit = asyncio.Timeout(None)
        try:
            async with limit:
                self._limits[limit] = None
                self._set_limits()
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            if self._empty_ns is None:
                self._empty_ns = self._loop.now_ns
            self._loop.observer.depends_on_network(f"the battery of {self._node} is empty")
            self.check()
        finally:
            self._limits.pop(limit, None)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Return a context for the simulated time of a compute block."""
        begun_ns = self._loop.now_ns
        self._begun_ns.append(begun_ns)
        self._set_limits()
        try:
            yield
        finally:
            self._begun_ns.remove(begun_ns)
            self._ended_j += self._block_w * (self._loop.now_ns - begun_ns) / 1e9
            self._set_limits()

    def _set_limits(self) -> None:
        """Compute again when it will be empty, because the power, or who must be told, has changed."""
        power_w = self._idle_w + self._block_w * len(self._begun_ns)
        left_j = self.capacity_j - self.used_j
        for limit in self._limits:
            if power_w > 0 and not limit.expired() and self._empty_ns is None:
                with self._loop.observer.looking_on():
                    limit.reschedule(self._loop.time() + left_j / power_w)
