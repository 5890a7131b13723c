# SPDX-License-Identifier: GPL-2.0-only
"""A group of ranks whose tensors cross the simulated network: messages between two ranks, and collectives.

Each rank has a `Group` of its own, in one process with the others or in a process for each rank::

    group = Group([sim.node(f"ue{i}") for i in range(4)], rank)
    await group.all_reduce(gradient, "avg")

Collectives of one group go one after another, in the order in which they are called, which must be the same on all
ranks. What they are is the same whatever algorithm carries them out (edgelam/parallel/collectives): results that are
common to all ranks are equal bit for bit. A collective is over on a rank when that rank has its result; what it still
sends goes on, until `drain`.

The wire carries the bytes of the tensors and nothing else: number, operation, dtype and shape of a message are known
to both sides, or travel free of charge as the structure of every message does (cosim/encoding.py).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.parallel.call import Call, as_bytes, write_bytes
from edgelam.parallel.collectives import algorithm_of
from edgelam.parallel.collectives.low_rank import low_rank
from edgelam.parallel.flats import flat as as_flat
from edgelam.parallel.flats import flats as as_flats
from edgelam.parallel.flats import write
from edgelam.parallel.messages import Messages
from edgelam.parallel.reduction import Reduction

if TYPE_CHECKING:
    from edgelam.cosim import Node
    from edgelam.cosim.transfer_spec import TransferOptions
    from edgelam.parallel.collectives.auto import Times
    from edgelam.parallel.compression import Compressed


@dataclass(frozen=True, slots=True)
class CollectiveRecord:
    """One rank's share of one collective."""

    group: str
    """Name of the group."""
    number: int
    """Of the collective in its group, from 0."""
    operation: str
    """all_reduce, broadcast, ..."""
    algorithm: str
    """How it was carried out."""
    rank: int
    """The rank whose times these are."""
    size_bytes: int
    """Bytes of this rank's tensors that take part."""
    start_s: float
    """Simulated time at which this rank began with it."""
    end_s: float
    """Simulated time at which this rank had its result."""


class Group:
    """One rank's view of a group.

    Attributes: `name`, `rank`, `size`, `nodes` (of all ranks, in their order), `node` (this rank's), `protocol`,
    `algorithm`, `server` (the node through which the algorithm star goes; None: that of rank 0), `clusters` (of ranks,
    for the algorithm hierarchical).
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        rank: int,
        *,
        name: str = "",
        protocol: str = "tcp",
        rate_bps: float | None = None,
        paced: bool | None = None,
        priority: int = 0,
        algorithm: str = "ring",
        server: Node | None = None,
        clusters: Sequence[Sequence[int]] | None = None,
        on_collective: Callable[[CollectiveRecord], object] | None = None,
    ) -> None:
        """Make the view of `rank`.

        Args:
            nodes: the node of every rank, in their order; each at most once.
            rank: which of them is this process's.
            name: tells the messages of one group from those of another; the same on all ranks.
            protocol: tcp or udp.
            rate_bps: udp: pace of transfers, bits of payload a second, which algorithms divide where several share a
                link. None: the scenario's for each transfer; what is lost where several share a link is repaired.
            paced: tcp: segments are spread over a round trip, so that messages in opposite directions do not hold up
                one another's acknowledgements. None: unless there is a gNB, in whose cell pacing costs time.
            priority: class of traffic, 0 to 7.
            algorithm: of collectives that name none; see edgelam/parallel/collectives.
            server: the node through which the algorithm star goes: of no rank, and at which `serve` runs
                (collectives/star.py); None: the node of rank 0.
            clusters: which ranks are near one another, for the algorithm hierarchical; each rank in one of them. None:
                blocks of about the square root of their number, in their order.
            on_collective: is told of every collective of this rank as it ends.

        Raises ConfigurationError for a value that is not legal.
        """
        if not nodes or len({node.name for node in nodes}) != len(nodes):
            raise ConfigurationError(
                f"the ranks of group {name!r} are at {', '.join(node.name for node in nodes) or 'no node'}: there must "
                "be at least one, and each rank needs a node of its own"
            )
        if rank not in range(len(nodes)):
            raise ConfigurationError(f"rank {rank!r} of group {name!r}; legal are 0 to {len(nodes) - 1}")
        if protocol not in ("tcp", "udp"):
            raise ConfigurationError(f"protocol {protocol!r} of group {name!r}; legal are tcp and udp")
        self.name, self.rank, self.size = name, rank, len(nodes)
        self.nodes, self.node = tuple(nodes), nodes[rank]
        self.protocol, self.rate_bps, self.priority = protocol, rate_bps, priority
        in_a_cell = "gnb" in self.node.roles_around
        self.paced = not in_a_cell if paced is None else paced
        self.algorithm, self.server = algorithm, server
        self.clusters = _clusters(clusters, len(nodes), name)
        if server is not None and server.name in {node.name for node in nodes}:
            raise ConfigurationError(
                f"the server {server.name} of group {name!r} is the node of a rank; legal are nodes of no rank, or "
                "None for the node of rank 0"
            )
        algorithm_of("all_reduce", algorithm)
        self.on_collective = on_collective
        self.messages = Messages(self.node)
        self.measured: dict[str, dict[str, Times]] = {}
        """Of each operation how long each algorithm takes (collectives/auto.py)."""
        self._in_order = asyncio.Lock()
        self._number = 0
        self._sent: dict[tuple[int, str], int] = {}
        self._received: dict[tuple[int, str], int] = {}

    def __repr__(self) -> str:
        """Name, rank and nodes."""
        return f"Group({self.name!r}, rank {self.rank} of {', '.join(node.name for node in self.nodes)})"

    # ---- messages between two ranks ------------------------------------------------------------------------------

    async def send(self, to: int, tensor: Tensor, *, tag: str = "send") -> None:
        """Send a tensor to rank `to`; returns when it is acknowledged. An empty tensor is no message.

        Messages of one tag arrive in the order in which they were sent.
        """
        self._check_peer(to)
        if tensor.numel() == 0:
            return
        number = self._sent.get((to, tag), 0)
        self._sent[to, tag] = number + 1
        await self.messages.send([self.nodes[to]], number, as_bytes(tensor), self.how(tag))

    async def receive(self, source: int | None, into: Tensor, *, tag: str = "send") -> int:
        """Receive the next tensor of that tag from rank `source` (None: from any) into `into`; returns the source.

        An empty `into` receives nothing. Raises ConfigurationError if what was sent has another number of bytes.
        """
        if source is not None:
            self._check_peer(source)
        if into.numel() == 0:
            if source is None:
                raise ConfigurationError("an empty tensor is no message: it cannot be received from any rank")
            return source
        ranks = {node.name: rank for rank, node in enumerate(self.nodes)} if source is None else {
            self.nodes[source].name: source
        }  # fmt: skip

        received = self._received  # counted when a message is matched: several may come in the same instant

        def is_next(name: str, number: int) -> bool:
            if name not in ranks or number != received.get((ranks[name], tag), 0):
                return False
            received[ranks[name], tag] = number + 1
            return True

        def given_back(name: str, number: int) -> None:
            received[ranks[name], tag] = number

        words = "any rank" if source is None else self.nodes[source].name
        name, _, wire = await self.messages.take_any(self.tag(tag), is_next, words, given_back)
        write_bytes(into, wire, name, tag)
        return ranks[name]

    def _check_peer(self, rank: int) -> None:
        if rank not in range(self.size) or rank == self.rank:
            raise ConfigurationError(
                f"rank {self.rank} of group {self.name!r} exchanges a message with rank {rank!r}; legal are "
                f"0 to {self.size - 1}, apart from itself"
            )

    def tag(self, tag: str) -> str:
        """What messages of the group with that tag are called."""
        return f"{self.name}/{tag}" if self.name else tag

    def how(self, tag: str, *, sharing: int = 1) -> TransferOptions:
        """How messages of that tag cross the network; sharing: how many share a link at the same time."""
        how: TransferOptions = {
            "tag": self.tag(tag), "protocol": self.protocol, "encoding": "exact", "priority": self.priority,
            "paced": self.paced,
        }  # fmt: skip
        if self.rate_bps is not None:
            how["rate_bps"] = self.rate_bps / sharing
        return how

    async def drain(self) -> None:
        """Wait until everything that this rank has sent is over. Raises TransferError if something did not arrive."""
        await self.messages.drain()

    # ---- collectives ---------------------------------------------------------------------------------------------

    async def all_reduce(
        self,
        tensor: Tensor,
        reduction: str | Reduction = "sum",
        *,
        algorithm: str | None = None,
        compression: Compressed | None = None,
    ) -> None:
        """Make `tensor`, in place, the reduction of all ranks' tensors: of one shape and dtype on all ranks."""
        reduction = _reduction("all_reduce", reduction, tensor, compression)
        async with self._turn("all_reduce", algorithm, [tensor], compression) as carry_out, as_flat(tensor) as flat:
            reduction.prepare(flat)
            await carry_out(flat, reduction)

    async def broadcast(
        self,
        tensor: Tensor,
        root: int = 0,
        *,
        algorithm: str | None = None,
        compression: Compressed | None = None,
    ) -> None:
        """Make `tensor`, in place, what it is on rank `root`; with compression, on all ranks what comes of it."""
        self._check_root(root)
        if compression is not None:
            compression.check("broadcast", tensor, None)
        async with self._turn("broadcast", algorithm, [tensor], compression) as carry_out, as_flat(tensor) as flat:
            await carry_out(flat, root)

    async def reduce(
        self,
        tensor: Tensor,
        root: int = 0,
        reduction: str | Reduction = "sum",
        *,
        algorithm: str | None = None,
        compression: Compressed | None = None,
    ) -> None:
        """Make `tensor` on rank `root`, in place, the reduction of all ranks'; on the others it stays as it is."""
        self._check_root(root)
        reduction = _reduction("reduce", reduction, tensor, compression)
        async with (
            self._turn("reduce", algorithm, [tensor], compression) as carry_out,
            as_flat(tensor if self.rank == root else tensor.detach().clone()) as flat,
        ):
            reduction.prepare(flat)
            await carry_out(flat, root, reduction)

    async def all_gather(self, outputs: Sequence[Tensor], tensor: Tensor, *, algorithm: str | None = None) -> None:
        """Make each of `outputs` what `tensor` is on the rank of its place; ranks may have different sizes."""
        self._check_list("all_gather", outputs)
        _check_pair("all_gather", outputs[self.rank], tensor)
        async with self._turn("all_gather", algorithm, outputs) as carry_out, as_flats(outputs) as flats:
            flats[self.rank].copy_(tensor.detach().reshape(-1))
            await carry_out(flats)

    async def reduce_scatter(
        self,
        output: Tensor,
        inputs: Sequence[Tensor],
        reduction: str | Reduction = "sum",
        *,
        algorithm: str | None = None,
        compression: Compressed | None = None,
    ) -> None:
        """Make `output` the reduction of what all ranks have at this rank's place of `inputs`; those do not change."""
        self._check_list("reduce_scatter", inputs)
        _check_pair("reduce_scatter", output, inputs[self.rank])
        reduction = _reduction("reduce_scatter", reduction, output, compression)
        async with self._turn("reduce_scatter", algorithm, inputs, compression) as carry_out, as_flat(output) as flat:
            flats = [tensor.detach().clone(memory_format=torch.contiguous_format).reshape(-1) for tensor in inputs]
            for each in flats:
                reduction.prepare(each)
            await carry_out(flats, reduction)
            flat.copy_(flats[self.rank])

    async def gather(
        self, outputs: Sequence[Tensor] | None, tensor: Tensor, root: int = 0, *, algorithm: str | None = None
    ) -> None:
        """On rank `root`, make each of `outputs` what `tensor` is on the rank of its place; others give None."""
        self._check_root(root)
        places = [tensor]
        if self.rank == root:
            places = self._check_list("gather", outputs)
            _check_pair("gather", places[root], tensor)
        async with self._turn("gather", algorithm, places) as carry_out, as_flats(places) as flats:
            if self.rank == root:
                flats[root].copy_(tensor.detach().reshape(-1))
            await carry_out(flats, root)

    async def scatter(
        self, output: Tensor, inputs: Sequence[Tensor] | None, root: int = 0, *, algorithm: str | None = None
    ) -> None:
        """Make `output` what rank `root` has at this rank's place of `inputs`; others give None."""
        self._check_root(root)
        places = [output]
        if self.rank == root:
            places = self._check_list("scatter", inputs)
            _check_pair("scatter", output, places[root])
        async with self._turn("scatter", algorithm, places) as carry_out, as_flats(places) as flats:
            await carry_out(flats, root)
            if self.rank == root:
                write(output.detach(), flats[root].reshape(output.shape))

    async def all_to_all(
        self, outputs: Sequence[Tensor], inputs: Sequence[Tensor], *, algorithm: str | None = None
    ) -> None:
        """Send each of `inputs` to the rank of its place, and make each of `outputs` what came from that rank."""
        self._check_list("all_to_all", outputs)
        self._check_list("all_to_all", inputs)
        _check_pair("all_to_all", outputs[self.rank], inputs[self.rank])
        async with self._turn("all_to_all", algorithm, inputs) as carry_out, as_flats(outputs) as flats:
            sent = [tensor.detach().reshape(-1) for tensor in inputs]
            flats[self.rank].copy_(sent[self.rank])
            await carry_out(flats, sent)

    async def barrier(self, *, algorithm: str | None = None) -> None:
        """Wait until all ranks are here. The messages are of 1 byte and cross the network."""
        async with self._turn("barrier", algorithm, ()) as carry_out:
            await carry_out()

    @asynccontextmanager
    async def _turn(
        self, operation: str, algorithm: str | None, tensors: Sequence[Tensor], compressed: Compressed | None = None
    ) -> AsyncIterator[Callable[..., Awaitable[None]]]:
        """Within the block it is the collective's turn; gives what carries it out."""
        name, function = algorithm_of(operation, algorithm or self.algorithm)
        call = Call(self, operation, self._number, compressed)
        self._number += 1
        carry_out: Callable[..., Awaitable[None]] = partial(function, call)
        if compressed is not None and operation == "all_reduce" and compressed.is_low_rank:
            carry_out = low_rank(function, call, tensors[0].shape)
        async with self._in_order:
            loop = asyncio.get_running_loop()
            start_s = loop.time()
            with self.messages.operation():
                yield carry_out
            if self.on_collective is not None:
                size_bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
                by = call.chosen or name
                self.on_collective(
                    CollectiveRecord(self.name, call.number, operation, by, self.rank, size_bytes, start_s, loop.time())
                )

    def _check_root(self, root: int) -> None:
        if root not in range(self.size):
            raise ConfigurationError(f"root {root!r} of group {self.name!r}; legal are 0 to {self.size - 1}")

    def _check_list(self, operation: str, tensors: Sequence[Tensor] | None) -> list[Tensor]:
        if tensors is None or len(tensors) != self.size:
            raise ConfigurationError(
                f"{operation} in group {self.name!r} of {self.size} ranks got "
                f"{'no tensors' if tensors is None else f'{len(tensors)} tensors'}: give one for each rank"
            )
        return list(tensors)


def _clusters(asked: Sequence[Sequence[int]] | None, size: int, name: str) -> list[list[int]]:
    if asked is None:
        width = max(1, round(math.sqrt(size)))
        return [list(range(first, min(first + width, size))) for first in range(0, size, width)]
    clusters = [list(cluster) for cluster in asked]
    if sorted(rank for cluster in clusters for rank in cluster) != list(range(size)) or not all(clusters):
        raise ConfigurationError(
            f"clusters {clusters} of group {name!r}: each of the ranks 0 to {size - 1} in one of them"
        )
    return clusters


def _reduction(
    operation: str, asked: str | Reduction, tensor: Tensor, compressed: Compressed | None = None
) -> Reduction:
    reduction = Reduction(asked) if isinstance(asked, str) else asked
    reduction.check(tensor.dtype)
    if compressed is not None:
        compressed.check(operation, tensor, reduction)
    return reduction


def _check_pair(operation: str, one: Tensor, other: Tensor) -> None:
    if one.numel() != other.numel() or one.dtype != other.dtype:
        raise ConfigurationError(
            f"{operation}: this rank's own tensors are {tuple(one.shape)} of {one.dtype} and {tuple(other.shape)} of "
            f"{other.dtype}; they must have the same number of values and dtype"
        )
