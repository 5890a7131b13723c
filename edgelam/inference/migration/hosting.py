# SPDX-License-Identifier: GPL-2.0-only
"""Sessions on the nodes of a simulation: turns are served where a session is, and a session can move.

A turn is a request of the user (tcp), computed by the node's instance of the session's module, and an answer whose
tokens are sent one by one as datagrams (udp), since a token that comes late is of no use in a conversation. The state
of the session (keys and values) stays at the node and takes its memory.

A move carries the state as it is, byte by byte, and the session goes on from what has arrived. If the target has no
instance, the weights cross the network first, from the node where the session is, and are written to memory. Then the
keys and values are copied. Meanwhile, the session still serves turns at its old place: they add keys and values, and
change none. Only then is the session paused, until what was added has moved, too, and resumed at the target. Turns that
come during the pause wait; if their request went to the old place, it is forwarded. Weights at a node without sessions
are dropped. A state whose module does not say what of it can be copied before (`copied`, `rest`, `joined`, as
`SessionTurn` has them) moves during the pause.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.errors import ConfigurationError, EdgelamError, RunEnded, TransferError, first_cause
from edgelam.inference.computing import Computing
from edgelam.inference.instance import Call, Instance, Site
from edgelam.inference.module import values_hash
from edgelam.inference.moments import Moment
from edgelam.inference.records import CallRecord, InstanceRecord
from edgelam.inference.requests import Request
from edgelam.inference.service import Service
from edgelam.inference.transport import Transport
from edgelam.text import suggest

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.cosim.node import Node
    from edgelam.cosim.records import TransferRecord
    from edgelam.cosim.simulation import Simulation

GIVE_UP_S = 0.25
"""Seconds after which a token that has not arrived is lost."""
UNENDED = "it has not ended"
"""Reason in the record of a turn that goes on."""


@dataclasses.dataclass(frozen=True, slots=True)
class TurnRecord:
    """One turn of a session. Times are simulated seconds of the run."""

    turn: int
    user: str
    node: str
    start_s: float
    end_s: float
    """When the last token was there, or was given up."""
    latency_s: float
    """From the request to the last token that arrived; NaN: none did."""
    first_token_s: float
    """From the request to the first token that arrived."""
    waited_s: float
    """For how long it waited because its session moved."""
    compute_s: float
    """From the beginning of its computing to the end."""
    tokens: int
    lost: int
    jitter_s: float
    """Mean difference of the transit times of successive tokens (RFC 3393); NaN: fewer than two arrived."""
    session_tokens: int
    """Tokens of which the session then has keys and values."""
    answer: str
    """SHA-256 of the tokens as they were computed."""
    status: str
    """``complete`` or ``failed``."""
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class MigrationRecord:
    """One move of a session. Times are simulated seconds of the run."""

    user: str
    source: str
    target: str
    start_s: float
    paused_s: float
    """When the session was paused; NaN: it was not."""
    end_s: float
    """When it was resumed at the target, or was given up."""
    state_bytes: int
    """Bytes of the state that crossed the network."""
    weight_bytes: int
    """Bytes of weights that crossed the network for it."""
    session_tokens: int
    status: str
    """``complete`` or ``failed``: then the session is where it was."""
    reason: str

    @property
    def interruption_s(self) -> float:
        """For how long the session was paused; 0 if it was not."""
        return 0.0 if math.isnan(self.paused_s) else self.end_s - self.paused_s


@dataclasses.dataclass(eq=False)
class _Session:
    user: Node
    node: Node
    state: dict[str, Tensor]
    lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    target: Node | None = None
    """Where it is moving."""

    @property
    def label(self) -> str:
        return f"session of {self.user.name}"

    @property
    def size(self) -> int:
        return _size(self.state)


class Hosting:
    """Hosts sessions of one service."""

    def __init__(self, sim: Simulation, service: Service, *, computing: Computing | None = None) -> None:
        """service: its module takes and gives the tensors of the state, by the same names.

        Raises ConfigurationError if it has no state.
        """
        self.sim, self.service = sim, service
        module = service.module
        self.state_names = tuple(name for name in module.takes if name in module.gives)
        if not self.state_names:
            raise ConfigurationError(
                f"service {service.name!r} has no state that could move: no value of its module is taken and given "
                f"(takes {', '.join(module.takes)}; gives {', '.join(module.gives)})"
            )
        self._module: Any = module
        self.computing = computing or Computing()
        self.transport = Transport()
        self.turns: list[TurnRecord] = []
        self.moves: list[MigrationRecord] = []
        self.calls: list[CallRecord] = []
        self.removed: list[InstanceRecord] = []
        self._sites: dict[str, Site] = {}
        self._instances: dict[str, Instance] = {}
        self._sessions: dict[str, _Session] = {}
        self._changing = asyncio.Lock()  # held while an instance starts or stops

    # ---- sessions ------------------------------------------------------------------------------------------------

    def begin(self, user: str, node: str, state: Mapping[str, Tensor]) -> None:
        """Begin the session of a user at a node, or begin it anew where it is. The weights are there at once.

        Raises ConfigurationError for an unknown node or a state that lacks a tensor, OutOfDeviceMemory.
        """
        missing = [name for name in self.state_names if name not in state]
        if missing:
            raise ConfigurationError(f"the state of a session lacks {', '.join(missing)}")
        session = _Session(self.sim.node(user), self.sim.node(node), {name: state[name] for name in self.state_names})
        if user in self._sessions:
            raise ConfigurationError(f"{user} has a session already")
        if node not in self._instances:
            self._start(session.node, None)
        session.node.memory.allocate(session.label, session.size)
        self._sessions[user] = session

    async def renew(self, user: str, state: Mapping[str, Tensor]) -> None:
        """Give a session another state where it is, such as that of a conversation that begins."""
        session = self._session(user)
        async with session.lock:
            self._set(session, {name: state[name] for name in self.state_names})

    def where(self, user: str) -> str:
        """Return the node at which the session of a user is."""
        return self._session(user).node.name

    def moving_to(self, user: str) -> str | None:
        """Return the node to which a session is moving; None: it is not."""
        target = self._session(user).target
        return None if target is None else target.name

    def state_bytes(self, user: str) -> int:
        """Return the bytes of a session's state."""
        return self._session(user).size

    def nodes_with_weights(self) -> list[str]:
        """Return the nodes that have the weights, or are loading them."""
        return list(self._instances)

    def held_bytes(self) -> int:
        """Return what weights and states take of all nodes' memory, in bytes."""
        return len(self._instances) * self.service.weight_bytes + sum(each.size for each in self._sessions.values())

    # ---- turns ---------------------------------------------------------------------------------------------------

    async def turn(self, user: str, inputs: Mapping[str, Tensor]) -> TurnRecord:
        """Serve a turn: `inputs` are those of the module that are no state. A failure is in the record.

        Raises ConfigurationError for a user without a session, or if an input is missing.
        """
        session = self._session(user)
        missing = [name for name in self.service.module.takes if name not in (*self.state_names, *inputs)]
        if missing:
            raise ConfigurationError(f"a turn of {user} lacks {', '.join(missing)}")
        number = len(self.turns)
        turn = _Turn(self, session, number, dict(inputs))
        self.turns.append(turn.record("failed", UNENDED))
        try:
            await turn.run()
            record = turn.record("complete", "")
        except (EdgelamError, BaseExceptionGroup) as group:
            error = first_cause(group)
            if not isinstance(error, EdgelamError) or isinstance(error, RunEnded):
                raise
            record = turn.record("failed", str(error))
        self.turns[number] = record
        return record

    # ---- moves ---------------------------------------------------------------------------------------------------

    async def move(self, user: str, target: str) -> MigrationRecord:
        """Move a session, with weights if the target has none. A failure is in the record, and the session stays.

        Raises ConfigurationError for an unknown user or node, and if the session is there, or moving, already.
        """
        session, to = self._session(user), self.sim.node(target)
        if session.node is to or session.target is not None:
            place = session.target or session.node
            raise ConfigurationError(f"the session of {user} is at {place.name}, or on its way there, already")
        source, start_s = session.node, self.sim.now_s
        session.target = to
        paused_s, tokens, crossed, weights = math.nan, 0, 0, 0
        try:
            weights = await self._have_weights(source, to)
            copy = await self._copied(session, to)
            crossed += _size(copy)
            async with session.lock:
                paused_s, tokens = self.sim.now_s, _tokens(session.state)
                to.memory.allocate(session.label, session.size)
                rest = self._module.rest(copy, session.state) if copy else None
                message = await self.transport.message(
                    source, to, session.state if rest is None else rest, f"state of {user}"
                )  # fmt: skip
                crossed += message.size_bytes
                source.memory.free(session.label)
                session.node = to
                session.state = dict(message.data) if rest is None else self._module.joined(copy, message.data)
                resumed_s = self.sim.now_s
            status, reason = "complete", ""
        except EdgelamError as error:
            if isinstance(error, RunEnded):
                raise
            status, reason, resumed_s = "failed", str(error), self.sim.now_s
        finally:
            session.target = None
            if session.node is not to and session.label in to.memory.held():
                to.memory.free(session.label)
        record = MigrationRecord(
            user, source.name, target, start_s, paused_s, resumed_s, crossed, weights, tokens, status, reason
        )  # fmt: skip
        self.moves.append(record)
        await self._drop_idle()
        return record

    async def close(self) -> None:
        """Wait for acknowledgements; stop all instances; give all memory back."""
        await self.transport.close()
        for session in self._sessions.values():
            session.node.memory.free(session.label)
        self._sessions.clear()
        await self._drop_idle()

    async def _copied(self, session: _Session, to: Node) -> dict[str, Tensor]:
        """Copy what can be copied while the session goes on; return what has arrived: nothing if nothing can be."""
        if not hasattr(self._module, "copied"):
            return {}
        part: dict[str, Tensor] = self._module.copied(session.state)
        if not _size(part):
            return {}
        to.memory.allocate(session.label, _size(part))
        message = await self.transport.message(session.node, to, part, f"state of {session.user.name}, copied")
        return dict(message.data)

    # ---- weights -------------------------------------------------------------------------------------------------

    async def _have_weights(self, source: Node, to: Node) -> int:
        """Have the weights at a node; return how many of their bytes this call has moved there."""
        async with self._changing:
            instance, mine = self._instances.get(to.name), False
            if instance is None:
                instance, mine = self._start(to, source), True
        try:
            await instance.loaded()
        except EdgelamError:
            async with self._changing:
                if self._instances.get(to.name) is instance:
                    del self._instances[to.name]
                    await instance.stop()
            raise
        return instance.record().file_bytes if mine else 0

    def _start(self, node: Node, repository: Node | None) -> Instance:
        instance = Instance(
            self.sim, self._sites.setdefault(node.name, Site(node)), self.service, computing=self.computing,
            transport=self.transport, note=self.calls.append, begin_ns=0,
        )  # fmt: skip
        instance.start(repository)
        self._instances[node.name] = instance
        return instance

    async def _drop_idle(self) -> None:
        async with self._changing:
            for name in list(self._instances):
                if name not in self._needed():  # looked at anew each time: a move may have begun in the meantime
                    instance = self._instances.pop(name)
                    await instance.stop()
                    self.removed.append(instance.record())

    def _needed(self) -> set[str]:
        places = {each.node.name for each in self._sessions.values()}
        return places | {each.target.name for each in self._sessions.values() if each.target is not None}

    def instance(self, node: str) -> Instance:
        """Return the instance at a node. Raises EdgelamError if there is none."""
        if node not in self._instances:
            raise EdgelamError(f"{node} does not have the weights of {self.service.name}")
        return self._instances[node]

    def _session(self, user: str) -> _Session:
        if user not in self._sessions:
            raise ConfigurationError(f"{user!r} has no session; {suggest(user, self._sessions)}")
        return self._sessions[user]

    def _set(self, session: _Session, state: dict[str, Tensor]) -> None:
        session.node.memory.allocate(session.label, _size(state))
        session.state = state


class _Turn:
    """A turn while it goes on."""

    def __init__(self, hosting: Hosting, session: _Session, number: int, inputs: dict[str, Tensor]) -> None:
        self.hosting, self.session, self.number, self.inputs = hosting, session, number, inputs
        self.start_s = hosting.sim.now_s
        self.node = session.node
        self.waited_s = self.compute_s = 0.0
        self.sent: list[asyncio.Task[TransferRecord]] = []
        self.records: list[TransferRecord] = []
        self.answer, self.session_tokens = "", 0

    async def run(self) -> None:
        hosting, session, what = self.hosting, self.session, f"turn {self.number}"
        await hosting.transport.carry(session.user, self.node, self.inputs, what)
        try:
            begin_s = hosting.sim.now_s
            async with session.lock:
                self.waited_s = hosting.sim.now_s - begin_s
                if session.node is not self.node:
                    await hosting.transport.carry(self.node, session.node, self.inputs, f"{what}, forwarded")
                    self.node = session.node
                await self._compute()
            for task in self.sent:
                self.records.append(await task)
        finally:
            for task in self.sent:
                task.cancel()
            await asyncio.gather(*self.sent, return_exceptions=True)

    async def _compute(self) -> None:
        hosting, session = self.hosting, self.session
        begin_s = hosting.sim.now_s
        call = Call(
            Request(self.number, session.user.name, "", 0.0, self.inputs), {**session.state, **self.inputs},
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
        self.answer = values_hash({name: value for name, value in outputs.items() if name not in state})
        hosting._set(session, state)  # noqa: SLF001  (same module)
        self.session_tokens = _tokens(state)

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
        there = [each for each in self.records if each.delivered_bytes == each.size_bytes]
        transits = np.array([each.last_byte_s - each.queued_s for each in there])
        last_s = max((each.last_byte_s for each in there), default=math.nan)
        return TurnRecord(
            turn=self.number, user=self.session.user.name, node=self.node.name, start_s=self.start_s,
            end_s=self.hosting.sim.now_s, latency_s=last_s - self.start_s,
            first_token_s=min((each.last_byte_s for each in there), default=math.nan) - self.start_s,
            waited_s=self.waited_s, compute_s=self.compute_s, tokens=len(self.sent), lost=len(self.sent) - len(there),
            jitter_s=float(np.abs(np.diff(transits)).mean()) if len(transits) > 1 else math.nan,
            session_tokens=self.session_tokens, answer=self.answer, status=status, reason=reason,
        )  # fmt: skip


def _size(state: Mapping[str, Tensor]) -> int:
    return sum(value.numel() * value.element_size() for value in state.values())


def _tokens(state: Mapping[str, Any]) -> int:
    """Return of how many tokens a state has keys; 0 if it is another kind of state."""
    keys = state.get("keys")
    return int(keys.shape[2]) if keys is not None and keys.dim() == 4 else 0
