# SPDX-License-Identifier: GPL-2.0-only
"""Analog transfers: several nodes send at once on the same resource elements, and a receiver gets their sum.

The scenario takes the resource elements and says what the channel does to them; symbols stay with the program. In a
resource element of block b, port m of the receiver gets

    y[m] = sum over senders k of gains[k, m, b] * symbol[k]  +  noise,

with noise of mean |n|^2 = noise_w + interference_w[b] at each port, for symbols in square roots of watts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgelam.cosim.clock import Summed
from edgelam.cosim.incoming import broken
from edgelam.cosim.tasks import SimFuture
from edgelam.errors import ConfigurationError, TransferRefused

if TYPE_CHECKING:
    from edgelam.cosim.core import Core
    from edgelam.cosim.node import Node

MOST_ELEMENTS = 100_000_000


@dataclass(frozen=True, slots=True, eq=False)
class AnalogTransfer:
    """What the channel made of an analog transfer. A block is one resource block in one slot."""

    receiver: str
    senders: tuple[str, ...]
    """[K] in the order in which they were given."""
    begin_s: float
    """Simulated time at which the first slot began."""
    end_s: float
    """Simulated time at which the receiver had the last one."""
    noise_w: float
    """Thermal noise power of a resource element at a port of the receiver, W: k T B F, B the subcarrier spacing."""
    noise_figure_db: float
    """F in it, dB, as the receiver states it."""
    power_w: float
    """The most that a sender sends at a time, W, on all its subcarriers together (12 in each resource block)."""
    start_s: NDArray[np.float64]
    """[B] when the slot of each block begins."""
    prb: NDArray[np.int64]
    """[B] the number of the resource block in the carrier."""
    elements: NDArray[np.int64]
    """[B] resource elements for symbols: those without pilots and overhead. Together as many as were asked for, or
    more, since whole groups of resource blocks are taken."""
    interference_w: NDArray[np.float64]
    """[B] interference power of a resource element at a port, W, from other cells, as a mean over ports."""
    gains: NDArray[np.complex64]
    """[K, M, B] received amplitude at each of M ports for a sent one of 1, in the middle of the block; 0: the sender
    had no grant for the slot."""
    known: NDArray[np.complex64]
    """[K, M, B] the same when the grant was decided on: what a sender can know of its channel."""

    @property
    def num_elements(self) -> int:
        """All resource elements for symbols."""
        return int(self.elements.sum())

    @property
    def num_slots(self) -> int:
        """The slots in which blocks were taken."""
        return int(np.unique(self.start_s).size)


class AnalogTransfers:
    """The analog transfers of one participant."""

    def __init__(self, core: Core) -> None:
        """Begin without transfers."""
        self._core = core
        self._running: dict[int, tuple[Node, tuple[Node, ...], SimFuture]] = {}

    async def run(
        self, receiver: Node, senders: Sequence[Node], elements: int, most_prbs: int | None
    ) -> AnalogTransfer:
        """Ask for a transfer and wait for its end; see `Node.over_the_air`."""
        core = self._core
        self._check(receiver, senders, elements, most_prbs)
        core.observer.depends_on_network(f"an analog transfer to {receiver.name}: another network has other channels")
        id, future = core.loop.next_sequence(), core.loop.create_future()
        future.why = ("analog transfer of", ", ".join(node.name for node in senders), "to", receiver.name)
        self._running[id] = receiver, tuple(senders), future
        core.clock.analog(id, receiver.id, [node.id for node in senders], elements, most_prbs or 0)
        try:
            event: Summed = await future
        except asyncio.CancelledError:
            if id in self._running:
                core.clock.cancel(id)
            raise
        return _made(receiver, tuple(senders), event)

    def ended(self, event: Summed) -> None:
        """Take the record of a transfer."""
        running = self._running.pop(event.id, None)
        if running is None or event.num_senders != len(running[1]):
            raise broken(f"a record of analog transfer {event.id} of {event.num_senders} nodes, which is not under way")
        future = running[2]
        if not future.done():
            if event.num_blocks == 0:
                raise broken(f"the end of analog transfer {event.id}, which nobody has cancelled, without blocks")
            future.set_result(event)

    def refused(self, id: int, reason: str) -> None:
        """Take the refusal of a transfer."""
        if id not in self._running:
            raise broken(f"a refusal of analog transfer {id}, which is not under way")
        receiver, senders, future = self._running.pop(id)
        if not future.done():
            to = ", ".join(node.name for node in senders)
            future.set_exception(TransferRefused(f"analog transfer of {to} to {receiver.name}: {reason}"))

    def _check(self, receiver: Node, senders: Sequence[Any], elements: Any, most_prbs: Any) -> None:
        what = f"an analog transfer to {receiver.name}"
        self._core.check_others(receiver, senders, f"{what} of", "senders")
        if type(elements) is not int or not 1 <= elements <= MOST_ELEMENTS:
            raise ConfigurationError(f"{what} of {elements!r} resource elements; legal are 1 to {MOST_ELEMENTS}")
        if most_prbs is not None and (type(most_prbs) is not int or most_prbs < 1):
            raise ConfigurationError(f"{what} with most_prbs {most_prbs!r}; legal are 1 or more, or None for all")


def _made(receiver: Node, senders: tuple[Node, ...], event: Summed) -> AnalogTransfer:
    blocks, shape = event.num_blocks, (event.num_senders, event.num_ports, event.num_blocks)
    whole = event.data[: 24 * blocks].view(np.int64).reshape(3, blocks)
    interference = event.data[24 * blocks : 32 * blocks].view(np.float64)
    gains, known = event.data[32 * blocks :].view(np.complex64).reshape(2, *shape)
    return AnalogTransfer(
        receiver.name, tuple(node.name for node in senders), event.begin_ns / 1e9, event.end_ns / 1e9, event.noise_w,
        event.noise_figure_db, event.power_w, whole[0] / 1e9, whole[1], whole[2], interference, gains, known,
    )  # fmt: skip
