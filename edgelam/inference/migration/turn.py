# SPDX-License-Identifier: GPL-2.0-only
"""A turn of a session while it goes on: its request, its computing, and its tokens, which are sent one by one.

If a node fails under it, it begins again at the node where the session then is. Keys and values that were lost with a
node are computed anew there: the user sends the conversation along, and the turn reads it first.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.errors import EdgelamError, TransferError
from edgelam.inference.attempt import NodeLost
from edgelam.inference.instance import Call
from edgelam.inference.migration.records import TurnRecord
from edgelam.inference.module import values_hash
from edgelam.inference.moments import Moment
from edgelam.inference.requests import Request

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.cosim.node import Node
    from edgelam.cosim.records import TransferRecord
    from edgelam.inference.migration.hosting import Hosting

GIVE_UP_S = 0.25
"""Seconds after which a token that has not arrived is lost."""


@dataclasses.dataclass(eq=False)
class Session:
    """A session."""

    user: Node
    node: Node
    state: dict[str, Tensor]
    lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    target: Node | None = None
    """Where it is moving."""
    turns: list[dict[str, Tensor]] = dataclasses.field(default_factory=list)
    """Inputs and outputs of its turns, without states: the conversation, as its user knows it."""
    begins_again: bool = False
    """Its state is lost, so the next turn has to read the conversation."""
    lost_tokens: int = 0
    """Tokens of the state that was lost."""
    lost: str = ""
    """Why it cannot go on."""

    @property
    def label(self) -> str:
        """The name under which its state takes memory."""
        return f"session of {self.user.name}"

    @property
    def size(self) -> int:
        """Bytes of its state."""
        return size(self.state)


class Turn:
    """A turn."""

    def __init__(self, hosting: Hosting, session: Session, number: int, inputs: dict[str, Tensor]) -> None:
        """number: of the turn, among all of them."""
        self.hosting, self.session, self.number, self._inputs = hosting, session, number, inputs
        self.start_s = hosting.sim.now_s
        self.attempts = 0
        self._reset()

    async def run(self) -> None:
        """Serve the turn. Raises EdgelamError if there is no answer."""
        while True:
            self._reset()
            if self.session.lost:
                raise EdgelamError(self.session.lost)
            self.attempts += 1
            try:
                await self._attempt()
                return
            except NodeLost:
                if self.hosting.failures.is_down(self.session.user.name):
                    raise

    def _reset(self) -> None:
        self.node = self.session.node
        self.waited_s = self.compute_s = 0.0
        self.sent: list[asyncio.Task[TransferRecord]] = []
        self.records: list[TransferRecord] = []
        self._outputs: dict[str, Tensor] = {}
        self.answer, self.session_tokens, self.prefilled_tokens, self._added = "", 0, 0, 0

    async def _attempt(self) -> None:
        hosting, session, what = self.hosting, self.session, f"turn {self.number}"
        again = session.begins_again
        inputs = hosting.with_conversation(session, self._inputs) if again else self._inputs
        await self._surviving(hosting.transport.carry(session.user, self.node, inputs, what), session.user, self.node)
        try:
            begin_s = hosting.sim.now_s
            async with session.lock:
                self.waited_s = hosting.sim.now_s - begin_s
                if session.begins_again is not again:  # the state was lost, or computed anew, in the meantime
                    raise NodeLost("the state of the session has changed")
                if session.node is not self.node:
                    forward = hosting.transport.carry(self.node, session.node, inputs, f"{what}, forwarded")
                    await self._surviving(forward, self.node, session.node)
                    self.node = session.node
                await self._surviving(self._compute(inputs), self.node)
                mine = self._inputs | self._outputs
                session.turns.append(mine)
                session.begins_again = False
            await self._deliver(mine)
        finally:
            for task in self.sent:
                task.cancel()
            await asyncio.gather(*self.sent, return_exceptions=True)

    async def _deliver(self, mine: dict[str, Tensor]) -> None:
        """Wait until all tokens have arrived or are given up."""
        session, failures = self.session, self.hosting.failures
        try:
            self.records = await self._surviving(_results(self.sent), session.user, self.node)
        except NodeLost:
            if failures.is_down(session.user.name):
                raise
            if session.begins_again and session.turns[-1] is mine:  # its keys and values are lost with its node
                session.turns.pop()
                session.lost_tokens -= self._added
                raise
            self.records = [task.result() for task in self.sent if task.done() and not task.cancelled()]

    async def _surviving(self, work: Any, *nodes: Node) -> Any:
        return await self.hosting.failures.surviving(work, [node.name for node in nodes])

    async def _compute(self, inputs: dict[str, Tensor]) -> None:
        hosting, session = self.hosting, self.session
        begin_s = hosting.sim.now_s
        call = Call(
            Request(self.number, session.user.name, "", 0.0, inputs), {**session.state, **inputs},
            Moment(hosting.sim.now_ns), asyncio.get_running_loop().create_future(),
            on_step=lambda part, _: self.sent.append(asyncio.create_task(self._token(part, len(self.sent)))),
        )  # fmt: skip
        hosting.instance(self.node.name).submit(call)
        try:
            outputs, _ = await call.future
        finally:
            call.future.cancel()
        self.compute_s = hosting.sim.now_s - begin_s
        state = {name: outputs[name] for name in hosting.state_names}
        self._outputs = {name: value for name, value in outputs.items() if name not in state}
        self.answer = values_hash(self._outputs)
        session.node.memory.allocate(session.label, size(state))
        self._added = tokens(state) - tokens(session.state)
        session.state = state
        self.session_tokens = tokens(state)
        self.prefilled_tokens = session.lost_tokens if session.begins_again else 0

    async def _token(self, part: dict[str, Tensor], number: int) -> TransferRecord:
        user, tag = self.session.user, f"turn {self.number}, token {number}"
        taking = asyncio.create_task(user.receive(self.node, tag=tag))
        try:
            return await self.node.send(user, part, tag=tag, protocol="udp", encoding="exact", give_up_s=GIVE_UP_S)
        except TransferError as error:
            if error.record is None:
                raise
            return error.record
        finally:
            await asyncio.sleep(0)
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    def record(self, status: str, reason: str) -> TurnRecord:
        """Return the record of the turn."""
        there = [each for each in self.records if each.delivered_bytes == each.size_bytes]
        transits = np.array([each.last_byte_s - each.queued_s for each in there])
        last_s = max((each.last_byte_s for each in there), default=math.nan)
        return TurnRecord(
            turn=self.number, user=self.session.user.name, node=self.node.name, start_s=self.start_s,
            end_s=self.hosting.sim.now_s, latency_s=last_s - self.start_s,
            first_token_s=min((each.last_byte_s for each in there), default=math.nan) - self.start_s,
            waited_s=self.waited_s, compute_s=self.compute_s, tokens=len(self.sent), lost=len(self.sent) - len(there),
            jitter_s=float(np.abs(np.diff(transits)).mean()) if len(transits) > 1 else math.nan,
            session_tokens=self.session_tokens, attempts=self.attempts, prefilled_tokens=self.prefilled_tokens,
            answer=self.answer, status=status, reason=reason,
        )  # fmt: skip


async def _results(tasks: Sequence[asyncio.Task[TransferRecord]]) -> list[TransferRecord]:
    return [await task for task in tasks]


def size(state: Mapping[str, Tensor]) -> int:
    """Return the bytes of a state."""
    return sum(value.numel() * value.element_size() for value in state.values())


def tokens(state: Mapping[str, Any]) -> int:
    """Return of how many tokens a state has keys; 0 if it is another kind of state."""
    keys = state.get("keys")
    return int(keys.shape[2]) if keys is not None and keys.dim() == 4 else 0
