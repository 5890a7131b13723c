# SPDX-License-Identifier: GPL-2.0-only
"""A node's battery: the instant at which it is empty, and what that ends.

The node always draws idle power, and in addition its share of busy power for each compute block in progress. So the
energy falls along straight lines, and the instant is computed, to the nanosecond. Where the scenario knows what the
radio of a UE draws (radio_energy.py), its battery supplies that too, and the instant is found to half a millisecond, by
looking at the radio's energy before any radio could have used up what is left. At that instant, every compute block
and every `send` of the node that is in progress raises `BatteryEmpty` in its coroutine (what is in a socket by then
still crosses the network). Each later one, and each `receive`, raises it at once. A coroutine that only waits or sleeps
gets the error when it next asks for something: nothing in the simulation waits for a battery. What others send to the
node still arrives there, since the network does not know.
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
        self._idle_w, self._busy_w = device.idle_w, max(device.idle_w, device.busy_w)
        self._block_w = (device.busy_w - device.idle_w) / device.ways
        self._ended_j = 0.0  # above idle power, of compute blocks that have ended
        self._begun_ns: list[int] = []  # of those in progress
        self._limits: dict[asyncio.Timeout, None] = {}
        self._empty_ns: int | None = None
        self._radio_j: float | None = None  # as last looked at; None: it does not supply the radio

    @property
    def used_j(self) -> float:
        """Joules drawn so far; what the radio drew counts as it was last looked at."""
        now_ns = self._loop.now_ns
        blocks_s = sum(now_ns - begun_ns for begun_ns in self._begun_ns) / 1e9
        computing_j = self._ended_j + self._block_w * blocks_s
        return min(self.capacity_j, self._idle_w * now_ns / 1e9 + computing_j + (self._radio_j or 0.0))

    @property
    def lifetime_s(self) -> float | None:
        """The simulated time at which it became empty, s; None: it is not empty yet."""
        if (
            self._empty_ns is None and not self._begun_ns and self._radio_j is None
        ):  # in an idle time that nobody was told the end of
            idle_ns = math.ceil(1e9 * (self.capacity_j - self._ended_j) / self._idle_w) if self._idle_w else None
            if idle_ns is not None and idle_ns <= self._loop.now_ns:
                self._empty_ns = idle_ns
        return None if self._empty_ns is None else self._empty_ns / 1e9

    def supplies_radio(self) -> None:
        """Note that the battery supplies a radio, too: `radio` will be called in time."""
        self._radio_j = 0.0

    def radio(self, joules: float) -> None:
        """Take what the radio has drawn so far, at the present instant."""
        if self._empty_ns is not None:
            return
        self._radio_j = joules
        if self.used_j >= self.capacity_j:
            self._empty_ns = self._loop.now_ns
            for limit in self._limits:
                if not limit.expired():
                    limit.reschedule(self._loop.time())

    def shortest_s(self, radio_w: float) -> float:
        """Seconds for which what is left lasts at least, if the radio takes no more than `radio_w`."""
        power_w = self._busy_w + radio_w
        return (self.capacity_j - self.used_j) / power_w if power_w > 0 else math.inf

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
        if self._radio_j is not None:
            return  # `radio` says when
        power_w = self._idle_w + self._block_w * len(self._begun_ns)
        left_j = self.capacity_j - self.used_j
        for limit in self._limits:
            if power_w > 0 and not limit.expired() and self._empty_ns is None:
                with self._loop.observer.looking_on():
                    limit.reschedule(self._loop.time() + left_j / power_w)
