# SPDX-License-Identifier: GPL-2.0-only
"""A node of the network, as a coroutine sees it: send, receive, compute, memory, energy."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Unpack, overload

from edgelam.cosim.analog import AnalogTransfer
from edgelam.cosim.battery import Battery
from edgelam.cosim.compute import ComputeBlock, Processor
from edgelam.cosim.devices import DeviceProfile, MemoryPool, StoragePool
from edgelam.cosim.records import Message, TransferRecord
from edgelam.cosim.transfer_spec import TransferOptions, TransferSpec
from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam.cosim.core import Core


class Node:
    """A device, base station or server of the simulated network.

    Nodes come from the scenario: ``sim.node("ue0")``, ``sim.nodes_with_role("ue")``. A device's life is an ordinary
    coroutine::

        async def device(ue, edge, batches):
            for x, y in batches:
                async with ue.compute("embed", key=x.shape):
                    z = embed(x)                                # real PyTorch; its FLOPs take simulated time
                await ue.send(edge, z, tag="embedding", encoding="fp16")
                reply = await ue.receive(edge, tag="representation")
                use(reply.data)

    Attributes: `name`; `role` (`ue`, `gnb`, `edge`, `cloud`, ...); `id` (its number in the scenario); `device` (its
    `DeviceProfile`); `memory` (its `MemoryPool`: ``allocate(label, bytes)``, ``free(label)``, ``peak_bytes``);
    `storage` (its `StoragePool`: ``store(name, bytes)``, ``free(name)``, ``peak_bytes``); `battery` (its `Battery`:
    ``used_j``, ``lifetime_s``; None: it has mains power);
    `flops` (floating-point operations so far); `busy_s` (seconds of computing so far); `energy_j` (joules so far);
    `sent_bytes` (payload it asked to send so far, once for each receiver).
    """

    def __init__(self, core: Core, id: int, name: str, role: str, device: DeviceProfile) -> None:
        """Nodes are made by the simulation."""
        self._core = core
        self.id = id
        self.name = name
        self.role = role
        self.device = device
        self.memory = MemoryPool(name, device.memory_bytes)
        self.storage = StoragePool(name, device.storage_bytes)
        self.battery = None if device.battery_j is None else Battery(core.loop, name, device, device.battery_j)
        self.sent_bytes = 0
        self._processor = Processor(core.loop, name, device.ways)

    def __repr__(self) -> str:
        """Name, role and device."""
        return f"Node({self.name!r}, role={self.role!r}, device={self.device.name!r})"

    @property
    def roles_around(self) -> frozenset[str]:
        """The roles of all nodes of the network."""
        return frozenset(node.role for node in self._core.nodes.values())

    @property
    def flops(self) -> int:
        """Floating-point operations so far."""
        return self._processor.flops

    @property
    def busy_s(self) -> float:
        """Simulated seconds of computing so far."""
        return self._processor.busy_s

    @property
    def energy_j(self) -> float:
        """Joules so far, without its radio: idle power at all times (of a node with a battery: until it is empty), and
        the difference to busy power while it computes."""
        lifetime_s = None if self.battery is None else self.battery.lifetime_s
        on_s = self._core.loop.now_ns / 1e9 if lifetime_s is None else lifetime_s
        joules = self.device.idle_w * on_s + self._processor.energy_j
        if self.battery is not None:
            joules = min(joules, self.battery.capacity_j)
        return self._core.observer.read_energy(self.name, joules)

    @overload
    async def send(self, to: Node, data: Any, **how: Unpack[TransferOptions]) -> TransferRecord: ...

    @overload
    async def send(self, to: Sequence[Node], data: Any, **how: Unpack[TransferOptions]) -> list[TransferRecord]: ...

    async def send(
        self, to: Node | Sequence[Node], data: Any, **how: Unpack[TransferOptions]
    ) -> TransferRecord | list[TransferRecord]:
        """Send `data` over the simulated network; return when this node knows that the transfer has ended.

        Args:
            to: the receiving node, or several (one request; each receiver has its own losses and its own record).
            data: a tensor, an array, a number, text, bytes, or dicts, lists and tuples of these (see encoding.py),
                of at least one byte. The values are taken now; changing a tensor in place afterwards does not change
                what arrives. Gradients do not travel.
            how: how it crosses the network: the fields of `TransferSpec` (transfer_spec.py), by name, as in
                ``tag="embedding", protocol="udp", give_up_s=0.2``; a field that is not given has its default.

        Returns:
            The `TransferRecord`; with several receivers a list of them in the order of `to`. With udp the status may
            be `partial`, which is no error.

        Raises:
            TransferError: cancelled, expired (deadline) or failed (socket); has the `records`.
            TransferRefused: no route, or the scenario does not accept it.
            BatteryEmpty: this node's battery is empty, or becomes empty before the transfer has ended.
            ConfigurationError: a value that is not legal.

        Cancelling the task that awaits `send` (also by ``asyncio.timeout``) withdraws what is still queued; what is
        in the socket already still crosses the network.
        """
        single = isinstance(to, (Node, str))  # text is not a node: refused as one
        receivers = [to] if isinstance(to, (Node, str)) else list(to)
        async with nullcontext() if self.battery is None else self.battery.lasting():
            outgoing = self._core.transfers.start(self, receivers, data, TransferSpec(**how))
            records = await self._core.transfers.finish(outgoing)
        return records[0] if single else records

    async def receive(self, source: Node | None = None, *, tag: str | None = None) -> Message:
        """Wait for a message and return it; if several fit, the one that arrived first.

        Args:
            source: the sending node; None for any.
            tag: the tag it was sent with; None for any.

        If nothing at all of a udp transfer arrives, the receiver never learns of it: limit the wait.

        Returns:
            A `Message`: `data` (in the structure and dtypes that were sent, rounded by the encoding; lost bytes are
            zeros), `source`, `tag`, `lost` (byte ranges), `size_bytes`, `queued_s`, `last_byte_s`.

        Time-outs are asyncio's, in simulated time: ``async with asyncio.timeout(0.5): m = await ue.receive()``. A
        message that arrives at the instant of the time-out is not lost: the next `receive` gets it.
        """
        core = self._core
        if source is not None and source is not core.nodes.get(getattr(source, "name", "")):
            raise ConfigurationError(
                f"{self.name} receives from {source!r}: a sender must be a node of this simulation; there are: "
                f"{', '.join(core.nodes)}"
            )
        if not core.may_be_mine(self):
            raise ConfigurationError(
                f"participant {core.participant} receives at {self.name}, which it has not claimed: "
                f"call sim.claim(node) first"
            )
        if self.battery is not None:
            self.battery.check()
        arrival = await core.transfers.take(self, source, tag)
        if self.battery is not None:
            self.battery.check()
        core.observer.message_received(self, source, tag, arrival)
        return arrival.open(core.observer)

    async def over_the_air(
        self, senders: Sequence[Node], elements: int, *, most_prbs: int | None = None
    ) -> AnalogTransfer:
        """Have `senders` send at once, uncoded, on the same resource elements to this node; return what became of it.

        Only a gNB of an NR cell can receive so, from UEs of one of its cells. Symbols stay in the program: what is
        returned says how they arrive (analog.py). The transfer takes resource blocks of uplink slots before all data,
        with the delay of a grant; a sender sends no data beside it.

        Args:
            senders: UEs of one cell of this gNB, each once.
            elements: resource elements that are needed, 1 to 1e8; each carries one complex symbol of each sender.
            most_prbs: resource blocks that it takes in a slot at most, at least a group of the scheduler; None: all.

        Raises:
            TransferRefused: this node is no gNB, a sender no UE of its cell, or there is no cell at all.
            ConfigurationError: a value that is not legal.

        It waits while none of the senders hears a grant. Cancelling the task (also by ``asyncio.timeout``) ends it;
        resource blocks that are granted stay taken.
        """
        return await self._core.analog.run(self, senders, elements, most_prbs)

    def compute(
        self, label: str, *, key: Hashable = None, work: Work | None = None, wall_s: float = 0.0
    ) -> ComputeBlock:
        """Return a block of computing, ``async with node.compute("forward", key=x.shape): y = model(x)``.

        The block waits for the node's turn, runs your code, and is left when the simulated time that it takes on this
        node's device has passed (see compute.py). There must be no `await` inside.

        Args:
            label: its name in records.
            key: anything hashable that says what is computed, for example the shapes. The work is counted the first
                time for each (label, key) and kept: put everything that changes it into the key (an optimiser's first
                step counts as a later one). Without a key it is counted every time, which costs wall time.
            work: the work, if you know it; then nothing is counted. ``Work(flops=..., bytes=...)``.
            wall_s: wall time of work that was done before; it counts if computing is `measured`.

        Returns:
            A context manager; after the block its `work` and `record` (`ComputeRecord`) are set.
        """
        return ComputeBlock(self._core, self, self._processor, label, key=key, work=work, wall_s=wall_s)
