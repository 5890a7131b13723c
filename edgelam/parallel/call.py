# SPDX-License-Identifier: GPL-2.0-only
"""One collective under way on one rank: what its algorithm sees of the group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.parallel.flats import write
from edgelam.parallel.messages import Wire

if TYPE_CHECKING:
    from edgelam.cosim import Node
    from edgelam.cosim.transfer_spec import TransferOptions
    from edgelam.parallel.compression import Compressed
    from edgelam.parallel.group import Group


class Call:
    """What the algorithm of a collective sends and receives.

    `rank`, `size`: of the ranks that take part. A message is known by the rank that sends it and by its `step`, any
    value that is used once for each pair of ranks. An empty tensor is no message: both sides know how long it is.

    Values that all ranks are to have alike are packed once, by one rank, which unpacks them itself, and everybody
    passes on what was packed: so all have the same bits, also where packing rounds.
    """

    def __init__(
        self,
        group: Group,
        operation: str,
        number: int,
        compressed: Compressed | None = None,
        *,
        ranks: Sequence[int] | None = None,
        part: tuple[Any, ...] = (),
    ) -> None:
        """Of `group`; number: of the collective; ranks: those that take part, all if None; part: of the collective."""
        self.group, self.operation, self.number, self.compressed = group, operation, number, compressed
        self.ranks = tuple(range(group.size)) if ranks is None else tuple(ranks)
        self.rank, self.size = self.ranks.index(group.rank), len(self.ranks)
        self._part = part
        self.chosen: str | None = None
        """The algorithm that was chosen, where another one is chosen for each call."""

    def among(self, ranks: Sequence[int], part: Any) -> Call:
        """A part of the collective, of which only these ranks take part; this one must be among them."""
        return Call(
            self.group, self.operation, self.number, self.compressed,
            ranks=[self.ranks[rank] for rank in ranks], part=(*self._part, part),
        )  # fmt: skip

    # ---- messages ------------------------------------------------------------------------------------------------

    async def send(self, to: int, step: Any, tensor: Tensor, *, sharing: int = 1) -> None:
        """Begin to send a tensor to rank `to`; afterwards it may change."""
        await self.send_wire(to, step, self.pack(tensor, ("to", to, step)), sharing=sharing)

    async def receive(self, source: int, step: Any, into: Tensor) -> None:
        """Receive a tensor from rank `source` into `into`, which is contiguous."""
        self.unpack(await self.take(source, step, into), into, source)

    async def send_wire(
        self, to: int | Sequence[int], step: Any, wire: Wire, *, sharing: int = 1, protocol: str | None = None
    ) -> None:
        """Begin to send what was packed to a rank, or to several; protocol: another than the group's."""
        if wire is not None:
            nodes = [self.node(rank) for rank in ([to] if isinstance(to, int) else to)]
            how = self.how(sharing=sharing)
            if protocol is not None:
                how["protocol"] = protocol
            await self.group.messages.begin_send(nodes, self.key(step), wire, how)

    async def deliver(self, to: int, step: Any, wire: Wire) -> None:
        """Send what was packed to a rank; returns when it is there."""
        if wire is not None:
            await self.group.messages.send([self.node(to)], self.key(step), wire, self.how())

    async def take(self, source: int, step: Any, like: Tensor) -> Wire:
        """What rank `source` has packed of a tensor like that."""
        if like.numel() == 0:
            return None
        return await self.group.messages.take(self.node(source), self.group.tag(self.operation), self.key(step))

    def node(self, rank: int) -> Node:
        """The node of a rank that takes part."""
        return self.group.nodes[self.ranks[rank]]

    def key(self, step: Any) -> tuple[Any, ...]:
        """What a message of that step is known by."""
        return (self.number, *self._part, step)

    def how(self, *, sharing: int = 1) -> TransferOptions:
        """How messages of this collective cross the network."""
        return self.group.how(self.operation, sharing=sharing)

    # ---- what messages carry -------------------------------------------------------------------------------------

    def pack(self, tensor: Tensor, part: Any) -> Wire:
        """What a message carries of a tensor, None of an empty one.

        part: names the tensor among those that this rank packs in this collective, for what a compressor still owes.
        """
        if tensor.numel() == 0:
            return None
        if self.compressed is None:
            return as_bytes(tensor)
        return self.compressed.pack(tensor, (*self._part, part))

    def unpack(self, wire: Wire, into: Tensor, source: int | None = None) -> None:
        """Write what a message carries to a tensor like the one that was packed; source: the rank it came from."""
        self.unpack_from(wire, into, None if source is None else self.node(source).name)

    def unpack_from(self, wire: Wire, into: Tensor, source: str | None) -> None:
        """The same, by the name of the node it came from."""
        if wire is None:
            return
        if self.compressed is not None:
            into.copy_(self.compressed.unpack(wire, into))
        elif source is not None:  # what this rank has packed itself is the tensor's own memory
            write_bytes(into, wire, source, self.operation)


def as_bytes(tensor: Tensor) -> Tensor:
    """A tensor's values in their own format, uint8 [bytes]: the tensor's memory where it is contiguous."""
    return tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8)


def write_bytes(into: Tensor, wire: Tensor, source: str, tag: str) -> None:
    """Write the values that came from node `source` to a tensor."""
    if wire.numel() != into.numel() * into.element_size():
        raise ConfigurationError(
            f"{tag}: {wire.numel():,} bytes came from {source} for a tensor {tuple(into.shape)} of {into.dtype}, which "
            f"has {into.numel() * into.element_size():,}: shapes and dtypes must agree on all ranks"
        )
    write(into.detach(), wire.view(into.dtype).reshape(into.shape))
