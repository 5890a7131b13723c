# SPDX-License-Identifier: GPL-2.0-only
"""Data and barriers between participants, over the bridge and in zero simulated time.

A participant that blocks in a socket, a store or a lock of its own would hold the clock for ever; these do not.
"""

from __future__ import annotations

import pickle
from collections import Counter
from typing import TYPE_CHECKING, Any

from edgelam.cosim import encoding as codec
from edgelam.cosim.clock import Posted
from edgelam.cosim.mailbox import Mailbox
from edgelam.cosim.transfers import INLINE_BYTES, decode, read_facts, wire_of
from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam.cosim.core import Core
    from edgelam.cosim.tasks import SimFuture


class Participants:
    """What this participant exchanges with the others."""

    def __init__(self, core: Core) -> None:
        """Begin without messages."""
        self._core = core
        self._mailbox: Mailbox[tuple[codec.Encoded, Any]] = Mailbox(core.loop, f"participant {core.participant}")
        self._generation: Counter[str] = Counter()
        self._arrived: Counter[tuple[str, int]] = Counter()
        self._barriers: dict[tuple[str, int], SimFuture] = {}

    def post(self, to: int, tag: str, data: Any) -> None:
        """Hand `data` to participant `to`."""
        self._check(to)
        encoded = codec.encode(data, "exact", copy=to == self._core.participant)
        if to == self._core.participant:
            self._mailbox.deliver(to, tag, (encoded, None))
            return
        inline = encoded.tobytes() if encoded.nbytes <= INLINE_BYTES else None
        facts = pickle.dumps(("post", tag, encoded.tree, encoded.nbytes, inline), protocol=pickle.HIGHEST_PROTOCOL)
        self._core.clock.post(to, facts, encoded if inline is None else None)

    async def collect(self, sender: int, tag: str) -> Any:
        """Return the oldest data that `sender` has posted with `tag`."""
        self._check(sender)
        encoded, wire = await self._mailbox.take(sender, tag, f"participant {sender}")
        return decode(encoded, (), wire, copy=False, sender=f"participant {sender}")

    async def barrier(self, name: str) -> None:
        """Tell everybody, then wait for everybody."""
        core = self._core
        key = (name, self._generation[name])
        self._generation[name] += 1
        note = pickle.dumps(("barrier", name, None, key[1], None), protocol=pickle.HIGHEST_PROTOCOL)
        for other in range(core.participants):
            if other != core.participant:
                core.clock.post(other, note)
        if self._arrived[key] < core.participants - 1:
            future = self._barriers[key] = core.loop.create_future()
            future.why = ("the others at barrier", repr(name))
            try:
                await future
            finally:
                del self._barriers[key]
        del self._arrived[key]

    def posted(self, event: Posted) -> None:
        """Take what has come from another participant."""
        kind, tag, tree, nbytes, inline = read_facts(event.data, event.sender, str, str, object, int, bytes | None)
        if kind == "barrier":
            key = (tag, nbytes)
            self._arrived[key] += 1
            future = self._barriers.get(key)
            if future is not None and self._arrived[key] == self._core.participants - 1 and not future.done():
                future.set_result(None)
            return
        wire = wire_of(event.payload, inline, nbytes, event.sender)
        self._mailbox.deliver(event.sender, tag, (codec.Encoded("exact", nbytes, (), tree), wire))

    def _check(self, participant: int) -> None:
        if participant not in range(self._core.participants):
            raise ConfigurationError(f"no participant {participant!r}: this run has 0 to {self._core.participants - 1}")
