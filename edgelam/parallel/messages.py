# SPDX-License-Identifier: GPL-2.0-only
"""Messages of one node: sends that go on while the program does, and messages that are asked for by a key.

A message is known to its receiver by the node that sent it, its tag and its key, in whatever order messages come. The
key travels with the structure of the message, which costs nothing (cosim/encoding.py).

What is sent by udp and lost is repaired. The receiver tells the sender which byte ranges are missing (16 bytes for
each), and gets them; both cross the network by tcp. Of a message that is lost whole the receiver cannot tell: the
sender sends all of it again, by tcp. That a message has come whole is not acknowledged: the sender knows, at no cost.

A send that fails interrupts the operations that are under way, of which one raises its error; where none is, the next
operation does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from edgelam.cosim import Message, Node, TransferRecord
    from edgelam.cosim.transfer_spec import TransferOptions

Wire = Any
"""What a message carries: a tensor uint8 [bytes], or lists and dicts of arrays."""


class Messages:
    """What one node has begun to send, and what has come and nobody has asked for yet."""

    def __init__(self, node: Node) -> None:
        """Of `node`; nothing yet."""
        self.node = node
        self._under_way: dict[asyncio.Task[None], None] = {}
        self._operations: dict[asyncio.Task[Any], None] = {}
        self._error: BaseException | None = None
        self._early: dict[str, list[Message]] = {}
        self._waiting: dict[str, dict[asyncio.Future[Message], Callable[[str, Any], bool]]] = {}
        self._readers: dict[str, asyncio.Task[None]] = {}

    # ---- sending -------------------------------------------------------------------------------------------------

    async def begin_send(self, to: Node | Sequence[Node], key: Any, wire: Wire, how: TransferOptions) -> None:
        """Begin to send; the values have been taken when this returns."""
        receivers = list(to) if isinstance(to, Sequence) else [to]
        task = asyncio.create_task(self.send(receivers, key, wire, how))
        self._under_way[task] = None
        task.add_done_callback(self._ended)
        await asyncio.sleep(0)  # the task runs until the transfer is under way

    async def send(self, receivers: Sequence[Node], key: Any, wire: Wire, how: TransferOptions) -> None:
        """Send; returns when all of it is at every receiver."""
        if how["protocol"] == "udp":
            wire = _copy(wire)  # it may be wanted again when the sender has gone on
        records = await self.node.send(receivers, {key: wire}, **how)
        for receiver, record in zip(receivers, records, strict=True):
            if record.status == "partial":
                await self._send_again(receiver, key, wire, how, record)

    async def _send_again(
        self, receiver: Node, key: Any, wire: Wire, how: TransferOptions, record: TransferRecord
    ) -> None:
        """Send what was lost."""
        tag, by_tcp = how["tag"], _by_tcp(how)
        if record.delivered_bytes == 0:
            await self.node.send(receiver, {key: wire}, **by_tcp)
            return
        lost = await self.take(receiver, f"{tag}/lost", key)
        missing = np.concatenate([_bytes(wire)[begin:end] for begin, end in lost.tolist()])
        await self.node.send(receiver, {key: missing}, **by_tcp | {"tag": f"{tag}/again"})

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = self._error or error
            for operation in self._operations:
                operation.cancel()

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Within the block the current task is in an operation that fails if a send does."""
        self._check()
        current = asyncio.current_task()
        assert current is not None
        self._operations[current] = None
        try:
            yield
        except asyncio.CancelledError:
            if self._error is None:
                raise
            current.uncancel()
            self._check()
        finally:
            self._operations.pop(current, None)

    def _check(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    async def drain(self) -> None:
        """Wait until everything that was sent is over. Raises the error of a send that failed."""
        while self._under_way:
            await asyncio.wait(list(self._under_way))
        self._check()

    # ---- receiving -----------------------------------------------------------------------------------------------

    async def take(self, source: Node, tag: str, key: Any) -> Wire:
        """Wait for the message of that tag and key from `source`."""
        return (await self.take_any(tag, lambda name, its_key: name == source.name and its_key == key, source.name))[2]

    async def take_any(
        self,
        tag: str,
        wanted: Callable[[str, Any], bool],
        source: str = "anybody",
        given_back: Callable[[str, Any], object] | None = None,
    ) -> tuple[str, Any, Wire]:
        """Wait for a message of that tag of which ``wanted(node's name, key)``; returns these two and what it carries.

        Of several the one that came first is taken; of several that wait for the same, the one that has waited longest.
        `wanted` is not asked again once it has said yes: it may count what it has got. source: in words, for a report
        of a deadlock; given_back: is told if what it got is not taken after all.
        """
        message = self._early_one(tag, wanted)
        if message is None:
            message = await self._wait(tag, wanted, source, given_back)
        ((key, wire),) = message.data.items()
        if message.lost:
            wire = await self._repaired(message, key, wire)
        return message.source.name, key, wire

    def _early_one(self, tag: str, wanted: Callable[[str, Any], bool]) -> Message | None:
        """A message that has come before it was asked for."""
        early = self._early.get(tag, [])
        for place, message in enumerate(early):
            if wanted(message.source.name, next(iter(message.data))):
                return early.pop(place)
        return None

    async def _wait(
        self,
        tag: str,
        wanted: Callable[[str, Any], bool],
        source: str,
        given_back: Callable[[str, Any], object] | None,
    ) -> Message:
        future: Any = asyncio.get_running_loop().create_future()
        future.why = ("receive on", self.node.name, "from", source, "with tag", repr(tag))
        waiting = self._waiting.setdefault(tag, {})
        waiting[future] = wanted
        if tag not in self._readers:
            self._readers[tag] = asyncio.create_task(self._read(tag, waiting))
        try:
            return await future
        except asyncio.CancelledError:
            waiting.pop(future, None)
            if future.done() and not future.cancelled():  # it came in the same instant: the next who asks has it
                message = future.result()
                if given_back is not None:
                    given_back(message.source.name, next(iter(message.data)))
                self._deliver(message, tag, first=True)
            if not waiting and (reader := self._readers.pop(tag, None)) is not None:
                reader.cancel()
            raise

    async def _read(self, tag: str, waiting: dict[Any, Any]) -> None:
        """Hand out the messages of that tag, as long as somebody waits for one."""
        try:
            while waiting:
                self._deliver(await self.node.receive(tag=tag), tag)
            del self._readers[tag]
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            del self._readers[tag]
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
            waiting.clear()

    def _deliver(self, message: Message, tag: str, first: bool = False) -> None:
        """Give a message to the first who waits for it, or put it by; it may be what others had to wait for first."""
        early = self._early.setdefault(tag, [])
        early.insert(0 if first else len(early), message)
        while self._give_one(early, self._waiting[tag]):
            pass

    @staticmethod
    def _give_one(early: list[Message], waiting: dict[Any, Any]) -> bool:
        """Whether one of the messages was wanted and has been given."""
        for place, message in enumerate(early):
            key = next(iter(message.data))
            for future, wanted in waiting.items():
                if not future.done() and wanted(message.source.name, key):
                    del early[place], waiting[future]
                    future.set_result(message)
                    return True
        return False

    async def _repaired(self, message: Message, key: Any, wire: Wire) -> Wire:
        """What a message carries, with what was lost of it asked for again."""
        how = _by_tcp({"tag": f"{message.tag}/lost", "encoding": "exact"})
        lost = np.array(message.lost, np.int64)
        await self.begin_send(message.source, key, lost, how)
        missing = await self.take(message.source, f"{message.tag}/again", key)
        return _patched(wire, lost, missing)


def _by_tcp(how: TransferOptions) -> TransferOptions:
    return {"tag": "", **how, "protocol": "tcp", "rate_bps": None}


def _parts(wire: Wire) -> list[Any]:
    """The arrays of a message in the order in which they cross the network."""
    if isinstance(wire, dict):
        return [part for value in wire.values() for part in _parts(value)]
    if isinstance(wire, (list, tuple)):
        return [part for value in wire for part in _parts(value)]
    return [wire.numpy() if isinstance(wire, torch.Tensor) else wire]


def _bytes(wire: Wire) -> np.ndarray[Any, Any]:
    """All of it, uint8 [bytes]."""
    return np.concatenate([np.ascontiguousarray(part).reshape(-1).view(np.uint8) for part in _parts(wire)])


def _copy(wire: Wire) -> Wire:
    """The same with values of its own."""
    if isinstance(wire, dict):
        return {key: _copy(value) for key, value in wire.items()}
    if isinstance(wire, (list, tuple)):
        return type(wire)(_copy(value) for value in wire)
    return wire.clone() if isinstance(wire, torch.Tensor) else wire.copy()


def _patched(wire: Wire, lost: np.ndarray[Any, Any], missing: np.ndarray[Any, Any]) -> Wire:
    """The message with what was missing in the byte ranges `lost`."""
    whole, at = _bytes(wire), 0
    for begin, end in lost.tolist():
        whole[begin:end] = missing[at : at + end - begin]
        at += end - begin
    return _like(wire, iter(_split(whole, [part.nbytes for part in _parts(wire)])))


def _split(whole: np.ndarray[Any, Any], lengths: Sequence[int]) -> list[np.ndarray[Any, Any]]:
    return np.split(whole, np.cumsum(lengths)[:-1])


def _like(wire: Wire, parts: Iterator[np.ndarray[Any, Any]]) -> Wire:
    """A message of this structure, of these bytes."""
    if isinstance(wire, dict):
        return {key: _like(value, parts) for key, value in wire.items()}
    if isinstance(wire, (list, tuple)):
        return type(wire)(_like(value, parts) for value in wire)
    part = next(parts).copy()
    if isinstance(wire, torch.Tensor):
        return torch.from_numpy(part).view(wire.dtype).reshape(wire.shape)
    return part.view(wire.dtype).reshape(wire.shape)
