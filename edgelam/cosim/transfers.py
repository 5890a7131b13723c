# SPDX-License-Identifier: GPL-2.0-only
"""Transfers in progress: from a node's `send` to the records, and from a delivery to the receiver's mailbox.

If the receiver's node is ours, a payload stays in this process, and only its size crosses the simulated network. For a
node that another participant claims, the encoded bytes travel with the request (beside the simulated wire).
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgelam.cosim import encoding as codec
from edgelam.cosim.clock import Delivered, Finished
from edgelam.cosim.incoming import broken
from edgelam.cosim.mailbox import Mailbox
from edgelam.cosim.observer import Observer
from edgelam.cosim.records import Message, TransferRecord
from edgelam.cosim.tasks import SimFuture
from edgelam.cosim.transfer_spec import TransferSpec
from edgelam.cosim.units import NOT_YET_NS
from edgelam.errors import ConfigurationError, RunEnded, TransferError, TransferRefused

if TYPE_CHECKING:
    from edgelam.cosim.core import Core
    from edgelam.cosim.node import Node

INLINE_BYTES = 4096  # a payload up to this size travels in the message itself, not as an array in shared memory


@dataclass(slots=True)
class Outgoing:
    """A transfer that has not ended at every receiver yet."""

    id: int
    source: Node
    receivers: dict[int, str]
    spec: TransferSpec
    encoded: codec.Encoded | None
    size_bytes: int
    future: SimFuture
    queued_ns: int
    payload: Any = None  # keeps an array in shared memory until everybody has been told
    undelivered: int = 0
    delivered: set[int] = field(default_factory=set)
    records: dict[int, TransferRecord] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """Describe the transfer in words."""
        to = ", ".join(self.receivers.values())
        return f"{self.spec.protocol} transfer {self.spec.tag!r} from {self.source.name} to {to}"


@dataclass(slots=True)
class Arrival:
    """A delivered payload, decoded when somebody receives it."""

    source: Node
    receiver: Node
    spec: TransferSpec
    encoded: codec.Encoded
    wire: Any
    copy: bool
    lost: list[tuple[int, int]]
    size_bytes: int
    queued_ns: int
    last_byte_ns: int
    transfer: int

    def open(self, observer: Observer) -> Message:
        """Decode the payload, for the node's program."""
        queued_s, last_byte_s = observer.read_times(self, self.queued_ns / 1e9, self.last_byte_ns / 1e9)
        return Message(
            data=decode(self.encoded, self.lost, self.wire, copy=self.copy, sender=self.source.name),
            source=self.source,
            tag=self.spec.tag,
            lost=self.lost,
            size_bytes=self.size_bytes,
            protocol=self.spec.protocol,
            encoding=self.spec.encoding,
            queued_s=queued_s,
            last_byte_s=last_byte_s,
        )


def read_facts(data: bytes, sender: int, *types: Any) -> tuple[Any, ...]:
    """Return what participant `sender` has sent beside its payload: values of these types.

    It is pickled, which is safe only between the processes of one run (docs/security.md).
    """
    try:
        facts = pickle.loads(data)  # noqa: S301
        if not isinstance(facts, tuple) or not all(
            isinstance(fact, type) for fact, type in zip(facts, types, strict=True)
        ):
            raise TypeError(f"{facts!r:.100}")
    except Exception as error:  # a damaged pickle may raise anything
        raise broken(f"what participant {sender} is to have said, which cannot be read: {error}") from None
    return facts


def wire_of(payload: Any, inline: bytes | None, size_bytes: int, sender: int) -> Any:
    """Return the encoded bytes from another participant, uint8[size_bytes]."""
    wire = payload if inline is None else codec.as_wire(inline)
    if wire is None or wire.size != size_bytes:
        size = "no" if wire is None else wire.size
        raise broken(f"a payload of {size} bytes from participant {sender}, not of {size_bytes}")
    return wire


def decode(encoded: codec.Encoded, lost: Sequence[tuple[int, int]], wire: Any, *, copy: bool, sender: str) -> Any:
    """Decode data from the bridge as `encoding.decode` does."""
    try:
        return codec.decode(encoded, lost, wire, copy=copy)
    except (ValueError, TypeError, AttributeError, IndexError, KeyError, RuntimeError) as error:
        raise broken(f"a payload from {sender} that cannot be decoded: {error}") from None


class Transfers:
    """All transfers of one participant."""

    def __init__(self, core: Core) -> None:
        """Begin without transfers."""
        self._core = core
        self._outgoing: dict[int, Outgoing] = {}
        self._mailboxes: dict[int, Mailbox[Arrival]] = {
            node.id: Mailbox(core.loop, node.name) for node in core.nodes.values()
        }

    def start(self, source: Node, receivers: Sequence[Node], data: Any, asked: TransferSpec) -> Outgoing:
        """Check the request, and pass it to the clock."""
        core = self._core
        core.check_others(source, receivers, f"{source.name} sends {asked.tag!r} to", "receivers")
        delivered_here = any(core.is_mine(node) for node in receivers)
        encoded = codec.encode(data, asked.encoding, copy=delivered_here)
        if encoded.nbytes == 0:
            raise ConfigurationError(
                f"{source.name} sends 0 bytes (tag {asked.tag!r}, {codec.shown(data)}): a transfer has at least one; "
                "to send only a signal, send True (1 byte)"
            )
        now = core.loop.now_ns
        spec = asked if core.network is None else dataclasses.replace(asked, protocol=core.network)
        outgoing = Outgoing(
            id=core.loop.next_sequence(),
            source=source,
            receivers={node.id: node.name for node in receivers},
            spec=spec,
            encoded=encoded if delivered_here else None,
            size_bytes=encoded.nbytes,
            future=core.loop.create_future(),
            queued_ns=now,
            undelivered=len(receivers),
        )
        to = ", ".join(outgoing.receivers.values())
        outgoing.future.why = ("send of", repr(spec.tag), "from", source.name, "to", to)
        meta, payload = b"", None
        if not all(core.is_mine(node) for node in receivers):
            inline = encoded.tobytes() if encoded.nbytes <= INLINE_BYTES else None
            facts = (spec, now, encoded.tree, inline)
            meta = pickle.dumps(facts, protocol=pickle.HIGHEST_PROTOCOL)
            payload = encoded if inline is None else None
        self._outgoing[outgoing.id] = outgoing
        try:
            outgoing.payload = core.clock.transfer(
                outgoing.id, source.id, list(outgoing.receivers), encoded.nbytes, spec, meta=meta, payload=payload
            )
        except BaseException:
            del self._outgoing[outgoing.id]
            raise
        source.sent_bytes += encoded.nbytes * len(receivers)
        core.observer.transfer_started(outgoing, asked)
        return outgoing

    async def finish(self, outgoing: Outgoing) -> list[TransferRecord]:
        """Wait until the transfer has ended at every receiver; if the task is cancelled, the transfer is withdrawn."""
        try:
            await outgoing.future
        except asyncio.CancelledError:
            if outgoing.id in self._outgoing:
                self._core.clock.cancel(outgoing.id)
            raise
        records = [outgoing.records[node] for node in outgoing.receivers]
        bad = [r for r in records if r.status not in ("complete", "partial")]
        if bad:
            raise TransferError(_failure(outgoing, bad), records)
        return records

    async def take(self, node: Node, source: Node | None, tag: str | None) -> Arrival:
        """Wait for the oldest message for `node` that fits, from `source` (None: anybody) with `tag` (None: any)."""
        id, name = (None, "anybody") if source is None else (source.id, source.name)
        return await self._mailboxes[node.id].take(id, tag, name)

    # ---- what the clock reports -----------------------------------------------------------------------------

    def delivered(self, event: Delivered) -> None:
        """Put what arrived into the receiver's mailbox."""
        core = self._core
        source, receiver = core.by_id[event.source], core.by_id[event.receiver]
        outgoing = self._outgoing.get(event.id) if event.sender_participant == core.participant else None
        if event.sender_participant == core.participant:
            self._check_delivery(event, outgoing)
        if outgoing is not None and outgoing.encoded is not None:
            encoded, wire = outgoing.encoded, None
            spec, queued_ns = outgoing.spec, outgoing.queued_ns
            copy = len(outgoing.receivers) > 1
            outgoing.undelivered -= 1
            if outgoing.undelivered == 0 and outgoing.payload is None:
                outgoing.encoded = None
        else:
            if not event.meta:
                raise RunEnded(
                    f"a transfer from {source.name} (participant {event.sender_participant}) arrived at "
                    f"{receiver.name} without its payload: claim a node before others send to it"
                )
            spec, queued_ns, tree, inline = read_facts(
                event.meta, event.sender_participant, TransferSpec, int, object, bytes | None
            )
            encoded = codec.Encoded(spec.encoding, event.size_bytes, (), tree)
            wire = wire_of(event.payload, inline, event.size_bytes, event.sender_participant)
            copy = False
        arrival = Arrival(
            source, receiver, spec, encoded, wire, copy, event.lost, event.size_bytes, queued_ns, event.last_byte_ns,
            event.id,
        )  # fmt: skip
        self._mailboxes[receiver.id].deliver(source.id, spec.tag, arrival)

    def finished(self, event: Finished) -> None:
        """Note one receiver's record; with the last one, the sender goes on."""
        outgoing = self._outgoing.get(event.id)
        if outgoing is None or event.receiver not in outgoing.receivers or event.receiver in outgoing.records:
            raise broken(f"a record of transfer {event.id} to node {event.receiver}, which is not under way")
        if event.size_bytes != outgoing.size_bytes:
            raise broken(f"a record of transfer {event.id} of {event.size_bytes} bytes, not {outgoing.size_bytes}")
        record = _record(outgoing, event, self._core.participant)
        outgoing.records[event.receiver] = record
        if event.reason:
            outgoing.reasons.append(event.reason)
        self._report(outgoing, record)
        if len(outgoing.records) == len(outgoing.receivers):
            del self._outgoing[event.id]
            if not outgoing.future.done():
                outgoing.future.set_result(None)

    def _report(self, outgoing: Outgoing, record: TransferRecord) -> None:
        core = self._core
        core.observer.transfer_ended(outgoing, record)
        if core.on_transfer is not None:
            core.on_transfer(record)
        core.observer.told()

    def refused(self, id: int, reason: str) -> None:
        """Take the refusal of a transfer by the network."""
        outgoing = self._outgoing.pop(id, None)
        if outgoing is None or outgoing.records:
            raise broken(f"a refusal of transfer {id}, which is not about to begin")
        if not outgoing.future.done():
            outgoing.future.set_exception(TransferRefused(f"{outgoing.describe()}: {reason}"))

    def _check_delivery(self, event: Delivered, outgoing: Outgoing | None) -> None:
        """Check a delivery of data that this participant has sent itself."""
        if (
            outgoing is None
            or outgoing.source.id != event.source
            or event.receiver not in outgoing.receivers
            or event.receiver in outgoing.delivered
        ):
            raise broken(f"a delivery of transfer {event.id} to node {event.receiver}, which is not under way")
        if event.size_bytes != outgoing.size_bytes:
            raise broken(f"a delivery of transfer {event.id} of {event.size_bytes} bytes, not {outgoing.size_bytes}")
        outgoing.delivered.add(event.receiver)


def _record(outgoing: Outgoing, event: Finished, participant: int) -> TransferRecord:
    took_ns = event.last_byte_ns - event.queued_ns
    if event.delivered_bytes == 0 or event.last_byte_ns == NOT_YET_NS:
        goodput = math.nan
    else:
        goodput = event.delivered_bytes * 8e9 / took_ns if took_ns > 0 else math.inf
    return TransferRecord(
        id=event.id,
        source=outgoing.source.name,
        receiver=outgoing.receivers[event.receiver],
        tag=outgoing.spec.tag,
        protocol=outgoing.spec.protocol,
        encoding=outgoing.spec.encoding,
        status=event.status,
        size_bytes=event.size_bytes,
        delivered_bytes=event.delivered_bytes,
        queued_s=_seconds(event.queued_ns),
        first_byte_s=_seconds(event.first_byte_ns),
        last_byte_s=_seconds(event.last_byte_ns),
        acknowledged_s=_seconds(event.acknowledged_ns),
        retransmissions=event.retransmissions,
        goodput_bps=goodput,
        lost_bytes=sum(end - begin for begin, end in event.lost),
        participant=participant,
        priority=outgoing.spec.priority,
    )


def _seconds(ns: int) -> float:
    return math.nan if ns == NOT_YET_NS else ns / 1e9


def _failure(outgoing: Outgoing, bad: Sequence[TransferRecord]) -> str:
    each = "; ".join(
        f"{r.receiver}: {r.status}, {r.delivered_bytes:,} of {r.size_bytes:,} bytes delivered" for r in bad
    )
    return f"{outgoing.describe()} ({each})" + "".join(f"; {reason}" for reason in outgoing.reasons)
