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

A node can fail (`fail`), also in the middle of a move. If the source of a move fails, so does the move, and the session
begins again; if the target fails, the session goes on where it was. A session whose node has failed has lost its keys
and values. It begins again at a node with weights, or at a spare one that gets them, and its next turn reads the
conversation anew, which its user sends along (a token that was lost on its way counts as known). A session without such
a node is lost. Either is a record, and so is each of its turns.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgelam.cosim.transport import Transport
from edgelam.errors import ConfigurationError, EdgelamError, RunEnded, first_cause
from edgelam.inference.attempt import NodeLost
from edgelam.inference.computing import Computing
from edgelam.inference.instance import Instance, Site
from edgelam.inference.migration.failures import Failures
from edgelam.inference.migration.records import UNENDED, FailureRecord, MigrationRecord, TurnRecord
from edgelam.inference.migration.turn import Session, Turn, size, tokens
from edgelam.inference.records import CallRecord, InstanceRecord
from edgelam.inference.service import Service
from edgelam.text import suggest

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.cosim.node import Node
    from edgelam.cosim.simulation import Simulation


class Hosting:
    """Hosts sessions of one service."""

    def __init__(
        self, sim: Simulation, service: Service, *, computing: Computing | None = None, spare: Sequence[str] = (),
        repository: str | None = None, detect_s: float = 0.1,
    ) -> None:  # fmt: skip
        """service: its module takes and gives the tensors of the state, by the same names; spare: nodes to which the
        weights may be brought if nodes with sessions fail, from a node that has them or from `repository`; detect_s:
        time from a failure until others know it.

        Raises ConfigurationError if it has no state, for an unknown node, or a time that is not legal.
        """
        self.sim, self.service = sim, service
        if not 0 <= detect_s < math.inf:
            raise ConfigurationError(f"detect_s is {detect_s!r}; it must be finite and not negative")
        self.detect_s, self.spare = detect_s, [sim.node(name).name for name in spare]
        self.repository = None if repository is None else sim.node(repository).name
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
        self.losses: list[FailureRecord] = []
        """A record for each session of a node that has failed."""
        self.failures = Failures()
        self.calls: list[CallRecord] = []
        self.removed: list[InstanceRecord] = []
        self._sites: dict[str, Site] = {}
        self._instances: dict[str, Instance] = {}
        self._sessions: dict[str, Session] = {}
        self._changing = asyncio.Lock()  # held while an instance starts or stops

    # ---- sessions ------------------------------------------------------------------------------------------------

    def begin(self, user: str, node: str, state: Mapping[str, Tensor]) -> None:
        """Begin the session of a user at a node, or begin it anew where it is. The weights are there at once.

        Raises ConfigurationError for an unknown node or a state that lacks a tensor, OutOfDeviceMemory.
        """
        missing = [name for name in self.state_names if name not in state]
        if missing:
            raise ConfigurationError(f"the state of a session lacks {', '.join(missing)}")
        session = Session(self.sim.node(user), self.sim.node(node), {name: state[name] for name in self.state_names})
        if user in self._sessions:
            raise ConfigurationError(f"{user} has a session already")
        if self.failures.is_down(node):
            raise ConfigurationError(f"{node} has failed: no session can begin there")
        if node not in self._instances:
            self._start(session.node, None)
        session.node.memory.allocate(session.label, session.size)
        self._sessions[user] = session

    async def renew(self, user: str, state: Mapping[str, Tensor]) -> None:
        """Give a session another state where it is, such as that of a conversation that begins."""
        session = self._session(user)
        async with session.lock:
            session.turns.clear()
            session.begins_again = False
            if not session.lost:
                self._set(session, {name: state[name] for name in self.state_names})

    def where(self, user: str) -> str:
        """Return the node at which the session of a user is."""
        return self._session(user).node.name

    def is_lost(self, user: str) -> bool:
        """Return whether a session cannot go on, since its node has failed."""
        return bool(self._session(user).lost)

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
        turn = Turn(self, session, number, dict(inputs))
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

        Raises ConfigurationError for an unknown user or node, and if the session is there, or moving, already, or lost.
        """
        session, to = self._session(user), self.sim.node(target)
        if session.lost:
            raise ConfigurationError(session.lost)
        if session.node is to or session.target is not None:
            place = session.target or session.node
            raise ConfigurationError(f"the session of {user} is at {place.name}, or on its way there, already")
        source, start_s = session.node, self.sim.now_s
        session.target = to
        carried = _Carried()
        try:
            await self.failures.surviving(self._carry(session, source, to, carried), (source.name, to.name))
            status, reason = "complete", ""
        except EdgelamError as error:
            if isinstance(error, RunEnded):
                raise
            status, reason = "failed", str(error)
        finally:
            session.target = None
            if session.node is not to and session.label in to.memory.held():
                to.memory.free(session.label)
        record = MigrationRecord(
            user, source.name, target, start_s, carried.paused_s, self.sim.now_s, carried.state_bytes,
            carried.weight_bytes, carried.session_tokens, status, reason,
        )  # fmt: skip
        self.moves.append(record)
        await self._drop_idle()
        return record

    async def _carry(self, session: Session, source: Node, to: Node, carried: _Carried) -> None:
        """Bring weights, a copy, and, while the session is paused, the rest; then the session is at the target."""
        carried.weight_bytes = await self._have_weights(source, to)
        copy = await self._copied(session, to)
        carried.state_bytes += size(copy)
        async with session.lock:
            carried.paused_s, carried.session_tokens = self.sim.now_s, tokens(session.state)
            to.memory.allocate(session.label, session.size)
            rest = self._module.rest(copy, session.state) if copy else None
            what = f"state of {session.user.name}"
            message = await self.transport.message(source, to, session.state if rest is None else rest, what)
            carried.state_bytes += message.size_bytes
            if self.failures.is_down(source.name) or self.failures.is_down(to.name):
                await asyncio.Event().wait()  # until the failure is known, which ends the move
            source.memory.free(session.label)
            session.node = to
            session.state = dict(message.data) if rest is None else self._module.joined(copy, message.data)

    async def close(self) -> None:
        """Wait for acknowledgements; stop all instances; give all memory back."""
        await self.transport.close()
        for session in self._sessions.values():
            if not session.lost:
                session.node.memory.free(session.label)
        self._sessions.clear()
        await self._drop_idle()

    async def _copied(self, session: Session, to: Node) -> dict[str, Tensor]:
        """Copy what can be copied while the session goes on; return what has arrived: nothing if nothing can be."""
        if not hasattr(self._module, "copied"):
            return {}
        part: dict[str, Tensor] = self._module.copied(session.state)
        if not size(part):
            return {}
        to.memory.allocate(session.label, size(part))
        message = await self.transport.message(session.node, to, part, f"state of {session.user.name}, copied")
        return dict(message.data)

    def with_conversation(self, session: Session, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return inputs of a turn that also reads all turns before it."""
        found: dict[str, Tensor] = self._module.again(session.turns, inputs)
        return found

    # ---- failures ------------------------------------------------------------------------------------------------

    async def fail(self, node: str) -> None:
        """Have a node fail now, for good; return when that is known and its sessions begin again elsewhere, or are
        lost. Raises ConfigurationError for an unknown node."""
        self.sim.node(node)
        if self.failures.is_down(node):
            return
        self.failures.add(node)
        failed_s = self.sim.now_s
        gone = self._instances.pop(node, None)
        if gone is not None:
            await gone.stop()
            self.removed.append(gone.record())
        loading = {name: each for name, each in self._instances.items() if each.loads_from(node)}
        for instance in loading.values():
            await instance.stop()
        await asyncio.sleep(self.detect_s)
        self.failures.tell(node)
        if node in self._instances:  # a move that did not know it has brought weights
            loading[node] = self._instances[node]
            await loading[node].stop()
        for name, instance in loading.items():
            if self._instances.get(name) is instance:
                del self._instances[name]
            instance.refuse(NodeLost(f"{node} has failed"))
            self.removed.append(instance.record())
        for session in self._sessions.values():
            if session.node.name in {node, *loading} and not session.lost:
                self._begin_again(session, node, failed_s)

    def _begin_again(self, session: Session, node: str, failed_s: float) -> None:
        """Find a node at which a session begins again, and record it."""
        lost_tokens = session.lost_tokens if session.begins_again else tokens(session.state)
        session.node.memory.free(session.label)
        target, reason = self._other_place(session.size), ""
        if not hasattr(self._module, "again"):
            target, reason = None, f"a lost state of {self._module.name} cannot be computed again"
        elif target is None:
            reason = "no node that is up has the weights, or memory for them and the state"
        if target is None:
            session.lost = f"the session of {session.user.name} was lost: {node} has failed, and {reason}"
            session.state = {}
        else:
            session.node, session.state = target, self._module.empty_state()
            session.begins_again, session.lost_tokens = bool(session.turns), lost_tokens
            target.memory.allocate(session.label, session.size)
        self.losses.append(
            FailureRecord(
                session.user.name, node, "" if target is None else target.name, failed_s, self.sim.now_s, lost_tokens,
                "lost" if target is None else "prefilled", reason,
            )
        )  # fmt: skip

    def _other_place(self, state_bytes: int) -> Node | None:
        """Return the node with weights that has the most free memory, or else the spare one, which then gets them."""
        there = list(self._instances)
        sources = [name for name in there if self._instances[name].ready]
        if self.repository is not None and not self.failures.is_known(self.repository):
            sources.append(self.repository)
        bring = [name for name in self.spare if name not in there and not self.failures.is_known(name)]
        for names, more in ((there, 0), (bring if sources else [], self.service.weight_bytes)):
            free = {}
            for name in names:
                memory = self.sim.node(name).memory
                free[name] = memory.capacity_bytes - memory.used_bytes - more - state_bytes
            found = max(free, key=lambda name: free[name], default=None)
            if found is not None and free[found] >= 0:
                if more:
                    self._start(self.sim.node(found), self.sim.node(sources[0]))
                return self.sim.node(found)
        return None

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
        places = {each.node.name for each in self._sessions.values() if not each.lost}
        return places | {each.target.name for each in self._sessions.values() if each.target is not None}

    def instance(self, node: str) -> Instance:
        """Return the instance at a node. Raises EdgelamError if there is none."""
        if node not in self._instances:
            raise EdgelamError(f"{node} does not have the weights of {self.service.name}")
        return self._instances[node]

    def _session(self, user: str) -> Session:
        if user not in self._sessions:
            raise ConfigurationError(f"{user!r} has no session; {suggest(user, self._sessions)}")
        return self._sessions[user]

    def _set(self, session: Session, state: dict[str, Tensor]) -> None:
        session.node.memory.allocate(session.label, size(state))
        session.state = state


@dataclasses.dataclass
class _Carried:
    """How far a move has come."""

    paused_s: float = math.nan
    state_bytes: int = 0
    weight_bytes: int = 0
    session_tokens: int = 0
