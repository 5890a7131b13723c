# SPDX-License-Identifier: GPL-2.0-only
"""Star: everything goes to one node, which reduces it and sends the result to those who want it.

The node is a server of no rank, such as an edge server (`Group.server`), or else that of rank 0. Each device then sends
its tensor once and receives one, whereas in a ring it sends and receives nearly two: fewer bytes on the air. Where the
protocol is udp and the network has multicast, one result goes to all at once.

A tensor goes whole, and comes back when the node has all of it: no link carries much in both directions at the same
time (pipelined_star.py is the other way).

A server is told what to do with a tensor by the key of the message, a `Request`, which is free of charge as the
structure of every message is (cosim/encoding.py). `serve` runs at the server, in the process that hosts its node; it
reduces in the order of ranks, whatever comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.parallel.call import as_bytes
from edgelam.parallel.compression import Compression
from edgelam.parallel.messages import Messages, Wire
from edgelam.parallel.reduction import Reduction

if TYPE_CHECKING:
    from edgelam.cosim import Node, Simulation
    from edgelam.cosim.transfer_spec import TransferOptions
    from edgelam.learning.compressors import CompressionSettings
    from edgelam.parallel.call import Call

TO_SERVER = "star"
"""Tag of all messages to servers."""


class _Part(NamedTuple):
    """A tensor or a segment of it: what it is called, where it lies, which ranks give to it, which get the result."""

    step: Any
    values: Tensor
    givers: Sequence[int]
    takers: Sequence[int]


async def all_reduce(call: Call, flat: Tensor, reduction: Reduction, segment_bytes: int | None = None) -> None:
    """All give, all take."""
    everybody = range(call.size)
    await _relay(call, [_Part(*each, everybody, everybody) for each in _segments(flat, segment_bytes)], reduction)


async def reduce(call: Call, flat: Tensor, root: int, reduction: Reduction, segment_bytes: int | None = None) -> None:
    """All give, the root takes."""
    await _relay(call, [_Part(*each, range(call.size), [root]) for each in _segments(flat, segment_bytes)], reduction)


async def broadcast(call: Call, flat: Tensor, root: int, segment_bytes: int | None = None) -> None:
    """The root gives, the others take."""
    await _relay(call, [_Part(*each, [root], _others(call, root)) for each in _segments(flat, segment_bytes)], None)


async def all_gather(call: Call, flats: list[Tensor], segment_bytes: int | None = None) -> None:
    """Of each place one rank gives and the others take."""
    await _relay(
        call,
        [
            _Part((place, step), values, [place], _others(call, place))
            for place, flat in enumerate(flats)
            for step, values in _segments(flat, segment_bytes)
        ],
        None,
    )


async def reduce_scatter(
    call: Call, flats: list[Tensor], reduction: Reduction, segment_bytes: int | None = None
) -> None:
    """Of each place all give and one rank takes."""
    everybody = range(call.size)
    await _relay(
        call,
        [
            _Part((place, step), values, everybody, [place])
            for place, flat in enumerate(flats)
            for step, values in _segments(flat, segment_bytes)
        ],
        reduction,
    )


async def barrier(call: Call) -> None:
    """One byte from all to all."""
    await all_reduce(call, torch.zeros(1, dtype=torch.uint8), Reduction("max"))


def _others(call: Call, rank: int) -> list[int]:
    return [each for each in range(call.size) if each != rank]


def _segments(flat: Tensor, segment_bytes: int | None) -> list[tuple[int, Tensor]]:
    if flat.numel() == 0:
        return []
    length = flat.numel() if segment_bytes is None else max(1, segment_bytes // flat.element_size())
    return list(enumerate(flat.split(length)))


async def _relay(call: Call, parts: list[_Part], reduction: Reduction | None) -> None:
    """Carry out this rank's share; without a reduction each segment has one giver."""
    if call.size == 1:
        for part in parts if reduction is not None else ():
            reduction.finish(part.values, 1)  # type: ignore[union-attr]
    elif call.group.server is not None:
        await _through_server(call, call.group.server, parts, reduction)
    elif call.rank == 0:
        for part in parts:
            await _at_rank_0(call, part, reduction)
    else:
        await _through_rank_0(call, parts, reduction)


async def _through_rank_0(call: Call, parts: list[_Part], reduction: Reduction | None) -> None:
    for part in parts:
        if call.rank in part.givers:
            wire = call.pack(part.values, ("up", part.step))
            if reduction is None:
                call.unpack(wire, part.values)
            await call.send_wire(0, ("up", part.step), wire, sharing=max(1, len(part.givers) - 1))
    for part in parts:
        if call.rank in part.takers:
            await call.receive(0, ("down", part.step), part.values)


async def _at_rank_0(call: Call, part: _Part, reduction: Reduction | None) -> None:
    result = part.values
    if reduction is None and part.givers[0] != 0:
        wire = await call.take(part.givers[0], ("up", part.step), result)
        call.unpack(wire, result, part.givers[0])
    else:
        result = part.values.clone()
        for rank in part.givers[1:] if reduction is not None else ():
            given = torch.empty_like(result)
            await call.receive(rank, ("up", part.step), given)
            reduction.combine(result, given)  # type: ignore[union-attr]
        if reduction is not None:
            reduction.finish(result, call.size)
        wire = call.pack(result, ("down", part.step))
        call.unpack(wire, result)
        if 0 in part.takers or reduction is None:
            part.values.copy_(result)
    if takers := [rank for rank in part.takers if rank]:
        await call.send_wire(takers, ("down", part.step), wire)


# ---- through a server --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """What a server is to do with a message: to reduce what all givers send, and to send the result to the takers."""

    group: str
    key: tuple[Any, ...]
    """Of the message with the result."""
    givers: tuple[str, ...]
    """Names of their nodes, in the order of ranks."""
    takers: tuple[str, ...]
    reduction: Reduction | None
    """None: there is one giver."""
    dtype: torch.dtype
    numel: int
    how: tuple[tuple[str, Any], ...]
    """How the result crosses the network."""
    compression: tuple[CompressionSettings, int, str] | None
    """Settings, seed, and name of the tensor."""


async def _through_server(call: Call, server: Node, parts: list[_Part], reduction: Reduction | None) -> None:
    group = call.group
    how = tuple(call.how().items())
    for part in parts:
        if call.rank in part.givers:
            compressed = call.compressed
            request = Request(
                group.name,
                call.key(part.step),
                tuple(call.node(rank).name for rank in part.givers),
                tuple(call.node(rank).name for rank in part.takers),
                reduction,
                part.values.dtype,
                part.values.numel(),
                how,
                None
                if compressed is None
                else (compressed.compression.settings, compressed.compression.seed, compressed.name),
            )
            wire = call.pack(part.values, ("up", part.step))
            if reduction is None:
                call.unpack(wire, part.values)
            up: TransferOptions = {**call.how(), "tag": TO_SERVER}
            await group.messages.begin_send(server, request, wire, up)
    for part in parts:
        if call.rank in part.takers:
            wire = await group.messages.take(server, group.tag(call.operation), call.key(part.step))
            call.unpack_from(wire, part.values, server.name)


async def serve(sim: Simulation, node: Node) -> None:
    """Serve the stars of all groups whose `server` is `node`; runs until it is cancelled.

    Raises ConfigurationError where ranks do not agree on a tensor.
    """
    messages = Messages(node)
    waiting: dict[tuple[str, tuple[Any, ...]], dict[str, tuple[Request, Wire]]] = {}
    owed: dict[tuple[str, CompressionSettings, int], Compression] = {}
    with messages.operation():
        while True:
            name, request, wire = await messages.take_any(TO_SERVER, lambda name, key: True)
            given = waiting.setdefault((request.group, request.key), {})
            given[name] = request, wire
            if len(given) == len(request.givers):
                del waiting[request.group, request.key]
                _check(node, given)
                result = _result(request, [given[giver][1] for giver in request.givers], owed)
                how: Any = dict(request.how)
                await messages.begin_send([sim.node(taker) for taker in request.takers], request.key, result, how)


def _check(node: Node, given: dict[str, tuple[Request, Wire]]) -> None:
    (first, (request, _)), *others = given.items()
    for name, (other, _) in others:
        if other != request:
            raise ConfigurationError(
                f"the star of group {request.group!r} through {node.name}: {name} gives {other.numel:,} values of "
                f"{other.dtype} to {other.key} ({other.reduction}), and {first} {request.numel:,} of {request.dtype} "
                f"({request.reduction}): operation, shape and dtype must agree on all ranks"
            )


def _result(request: Request, wires: list[Wire], owed: dict[tuple[str, CompressionSettings, int], Compression]) -> Wire:
    """The reduction of what was given, as it is sent."""
    if request.reduction is None:
        return wires[0]
    like = torch.empty(request.numel, dtype=request.dtype)
    if request.compression is None:
        values = [wire.view(request.dtype) for wire in wires]
    else:
        settings, seed, name = request.compression
        key = (request.group, settings, seed)
        compressed = owed.setdefault(key, Compression(settings, seed=seed)).of(name)
        values = [compressed.unpack(wire, like) for wire in wires]
    result = values[0].clone()
    for value in values[1:]:
        request.reduction.combine(result, value)
    request.reduction.finish(result, len(request.givers))
    return as_bytes(result) if request.compression is None else compressed.pack(result, request.key[1:])
