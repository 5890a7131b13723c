# SPDX-License-Identifier: GPL-2.0-only
"""Checks what the scenario sends: makes events of the bridge's frames, and errors of what the protocol does not allow.

`bridge/include/edgelam/bridge/protocol.h` says what each message means. The bridge itself has checked that a message
exists and has its size; this file checks counts, numbers, times and text. What a number refers to at this participant
(a transfer in progress, an open request) is checked where that is kept: transfers.py and observables.py.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Collection, Iterable
from itertools import pairwise
from typing import Any

import msgspec

from edgelam.cosim.clock import STATUSES, Applied, Delivered, Event, Finished, Posted, Refused, Summed, Value
from edgelam.cosim.messages import MessageType, Protocol, dtype_of
from edgelam.cosim.units import NOT_YET_NS
from edgelam.errors import AttachError, ProtocolError

REQUESTS = (
    "TransferRequest", "CancelTransfer", "AnalogRequest", "ClaimNode", "ReadObservable", "Unsubscribe", "SetControl",
    "Post",
)  # fmt: skip


def broken(what: str) -> ProtocolError:
    """Return the error about what has come, which `what` describes."""
    return ProtocolError(f"the scenario has sent what the protocol does not allow: {what}")


class Incoming:
    """Makes events of frames. `latest_ns` is the latest time in any of them; nothing happens after a Resume."""

    def __init__(
        self, protocol: Protocol, participants: int, nodes: Collection[int], view: Callable[[bytes], Any]
    ) -> None:
        """nodes: the numbers of the catalogue; view: returns the array of an ArrayRef that is not empty."""
        self.latest_ns = 0
        self._participants = participants
        self._nodes = frozenset(nodes)
        self._view = view
        self._names = {protocol[name].number: name for name in REQUESTS}
        array_ref = protocol["Post"].dtype["payload"]
        self._size_at = array_ref.fields["size_bytes"][1]  # type: ignore[index]
        readers: dict[str, Callable[[Any, bytes], Event]] = {
            "TransferRecord": self._finished,
            "Delivery": self._delivered,
            "Refused": self._refused,
            "ObservableValue": self._value,
            "ControlApplied": self._applied,
            "Posted": self._posted,
            "AnalogRecord": self._summed,
        }
        self._readers: dict[int, tuple[MessageType, Callable[[Any, bytes], Event]]] = {
            protocol[name].number: (protocol[name], read) for name, read in readers.items()
        }
        self._all = {message.number: message.name for message in protocol.by_name.values()}

    def event(self, number: int, body: bytes, tail: bytes) -> Event:
        """Return the event that a frame reports. Raises ProtocolError."""
        try:
            message, read = self._readers[number]
        except KeyError:
            raise broken(f"a {self._all.get(number, number)}, which is no event") from None
        return read(message.unpack(body), tail)

    def _time(self, what: str, ns: int, earliest_ns: int = 0) -> None:
        if ns < earliest_ns:
            raise broken(f"{what} at {ns} ns, before {earliest_ns} ns")
        self.latest_ns = max(self.latest_ns, ns)

    def _node(self, what: str, node: int) -> None:
        if node not in self._nodes:
            raise broken(f"{what} of node {node}, which is not in its catalogue")

    def _array(self, ref: bytes) -> Any:
        return self._view(ref) if any(ref[self._size_at : self._size_at + 8]) else None

    def _finished(self, fields: Any, tail: bytes) -> Event:
        id, receiver, status, size, delivered, queued, first, last, acknowledged, retransmissions, num_lost = fields
        what = f"a record of transfer {id}"
        self._node(what, receiver)
        if not 0 <= status < len(STATUSES):
            raise broken(f"{what} with status {status}; there are 0 to {len(STATUSES) - 1}")
        if delivered > size:
            raise broken(f"{what} with {delivered} of {size} bytes delivered")
        self._time(what, queued)
        for ns in (first, last, acknowledged):
            if ns != NOT_YET_NS:
                self._time(what, ns, queued)
        name = STATUSES[status]
        failed = name == "failed"
        lost = _lost(what, b"" if failed else tail, num_lost, size)
        if not failed and len(tail) != 16 * num_lost:
            raise broken(f"{what} with {len(tail)} bytes for {num_lost} lost ranges")
        reason = tail.decode(errors="replace") if failed else ""
        return Finished(
            id, receiver, name, size, delivered, queued, first, last, acknowledged, retransmissions, lost, reason
        )

    def _delivered(self, fields: Any, tail: bytes) -> Event:
        id, sender, source, receiver, num_lost, meta_bytes, _, size_bytes, last_byte_ns, ref = fields
        what = f"a delivery of transfer {id}"
        self._participant(what, sender)
        self._node(what, source)
        self._node(what, receiver)
        self._time(what, last_byte_ns)
        if len(tail) != 16 * num_lost + meta_bytes:
            raise broken(f"{what} with {len(tail)} bytes for {num_lost} lost ranges and {meta_bytes} bytes of others")
        lost = _lost(what, tail, num_lost, size_bytes)
        payload = self._array(ref)
        if payload is not None and payload.size != size_bytes:
            raise broken(f"{what} of {size_bytes} bytes with an array of {payload.size}")
        return Delivered(id, sender, source, receiver, lost, tail[16 * num_lost :], size_bytes, last_byte_ns, payload)

    def _refused(self, fields: Any, tail: bytes) -> Event:
        id, number, _ = fields
        if number not in self._names:
            raise broken(f"a refusal of a {self._all.get(number, number)}, which is no request")
        return Refused(id, self._names[number], tail.decode(errors="replace") or "the scenario gives no reason")

    def _value(self, fields: Any, tail: bytes) -> Event:
        request, time_ns, num_dims, _, ref = fields
        what = f"the value that request {request} asked for"
        self._time(what, time_ns)
        if 8 * num_dims > len(tail):
            raise broken(f"{what} with {num_dims} dimensions in {len(tail)} bytes")
        shape = struct.unpack_from(f"<{num_dims}q", tail)
        if any(n < 0 for n in shape):
            raise broken(f"{what} with shape {shape}")
        array, rest = self._array(ref), tail[8 * num_dims :]
        if array is not None and rest:
            raise broken(f"{what} as an array and as {len(rest)} bytes")
        return Value(request, time_ns, shape, rest if array is None else array)

    def _applied(self, fields: Any, tail: bytes) -> Event:
        request, applied_at_ns = fields
        self._time(f"the setting that request {request} asked for", applied_at_ns)
        return Applied(request, applied_at_ns)

    def _posted(self, fields: Any, tail: bytes) -> Event:
        sender, _, ref = fields
        self._participant("a post", sender)
        return Posted(sender, tail, self._array(ref))

    def _summed(self, fields: Any, tail: bytes) -> Event:
        id, begin_ns, end_ns, noise_w, figure_db, power_w, num_senders, num_ports, num_blocks, _, ref = fields
        what = f"a record of analog transfer {id}"
        data = self._array(ref)
        size = num_blocks * (4 * 8 + 2 * 8 * num_senders * num_ports)
        if (0 if data is None else data.size) != size:
            raise broken(f"{what} with {0 if data is None else data.size} bytes for {num_blocks} blocks, not {size}")
        if num_blocks > 0:
            self._time(what, begin_ns)
            self._time(what, end_ns, begin_ns)
            if not (0.0 < noise_w < 1.0 and 0.0 < power_w < 1e6):
                raise broken(f"{what} with noise of {noise_w} W and power of {power_w} W")
        return Summed(id, begin_ns, end_ns, noise_w, figure_db, power_w, num_senders, num_ports, num_blocks, data)

    def _participant(self, what: str, participant: int) -> None:
        if participant >= self._participants:
            raise broken(f"{what} of participant {participant}; there are 0 to {self._participants - 1}")


def _lost(what: str, tail: bytes, num_lost: int, size_bytes: int) -> list[tuple[int, int]]:
    """Return the lost byte ranges at the start of a tail: ordered, separate, and within the transfer."""
    if num_lost == 0:
        return []
    if 16 * num_lost > len(tail):
        raise broken(f"{what} with {num_lost} lost ranges in {len(tail)} bytes")
    flat = struct.unpack_from(f"<{2 * num_lost}Q", tail)
    if flat[-1] > size_bytes or any(a >= b for a, b in pairwise(flat)):
        raise broken(f"{what} of {size_bytes} bytes with lost ranges that are none: {flat[:8]}")
    return list(zip(flat[::2], flat[1::2], strict=True))


# ---- the catalogue -----------------------------------------------------------------------------------------------


class _Node(msgspec.Struct):
    id: int
    name: str
    role: str


class _Described(msgspec.Struct):
    id: int
    name: str
    dtype: Any
    shape: list[int] = []
    axes: Any = ""
    unit: str = ""
    help: str = ""
    period_ns: int = 0


class _Catalogue(msgspec.Struct):
    scenario: str
    nodes: list[_Node]
    observables: list[_Described] = []
    controls: list[_Described] = []


def catalogue_of(text: str) -> dict[str, Any]:
    """Return what a scenario publishes, from its JSON text. Raises AttachError if it is not a catalogue."""
    try:
        plain: dict[str, Any] = json.loads(text)
        catalogue = msgspec.convert(plain, _Catalogue)
        _unique("node number", (node.id for node in catalogue.nodes))
        _unique("node", (node.name for node in catalogue.nodes))
        for kind, entries in (("observable", catalogue.observables), ("control", catalogue.controls)):
            _unique(kind, (entry.name for entry in entries))
            for entry in entries:
                if entry.period_ns < 0 or any(n < -1 for n in entry.shape):
                    raise ValueError(f"{kind} {entry.name!r}: period {entry.period_ns} ns, shape {entry.shape}")
                dtype_of(entry.dtype)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise AttachError(f"the scenario's catalogue is not one: {error}") from None
    return plain


def _unique(what: str, names: Iterable[Any]) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name!r} is there twice")
        seen.add(name)
