# SPDX-License-Identifier: GPL-2.0-only
"""A queueing model of routing: requests of users that move come to replicas of services, many copies at a time.

What a call and a transfer take is what the `Problem` says. Beyond it, nodes have queues: a node does one call at a
time, in the order in which their inputs are there. Simplified: a call that is routed later and is there earlier waits
for no later one, but does not delay those whose end is known already; there are no batches, and a call takes its mean
seconds. It is what learners practise on; scores come from the network.

A user is at a place, and each place has its own delays to the nodes: its users' ways in the Problem are those of the
place. Users go to other places at random times. Demand and places can be shifted while the model runs (`Shift`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.inference.problem import AT_USER, Problem
from edgelam.random_streams import derive_seed, from_numbers
from edgelam.text import suggest

RECENT = 48
"""Newest calls of each node that its queue is worked out from; of older ones, only the last end is known."""
SMOOTHING = 0.1
"""Weight of the newest interval in the router's estimate of demand."""
MOST = 20.0
"""Largest value in a row or a context."""
WORST = 5.0
"""Delays count as this many deadlines at most, where they are costs."""
ROWS = ("replica", "transfer", "compute", "backlog", "wait", "onward")
"""Columns of a node's row: whether the service is there, and, in units of the flow's deadline, seconds until the call's
inputs can be there, its seconds, seconds of what waits there as the router knows, how long the call would wait by that,
and the least seconds of its output's onward way."""
EXPECTED = tuple(ROWS.index(name) for name in ("transfer", "wait", "compute", "onward"))
"""Columns whose sum is the delay that is expected of a node, by mean rates."""
CONTEXT = ("elapsed", "left", "demand")
"""Deadlines that have gone by on the longest way so far, calls that are left (of 10), and demand relative to the
nominal one, minus 1, as the router has seen it."""


@dataclasses.dataclass(frozen=True)
class Places:
    """Delays between places of users and nodes. P stands for places, N for nodes, U for users."""

    up_latency_s: np.ndarray
    """[P, N]."""
    up_byte_s: np.ndarray
    down_latency_s: np.ndarray
    down_byte_s: np.ndarray
    home: Mapping[str, int]
    """User -> the place where it is at first."""


def places_of(problem: Problem) -> Places:
    """Return one place for each user of a problem: where this user was when the links were measured."""
    first: dict[str, int] = {}
    for f, flow in enumerate(problem.flows):
        first.setdefault(flow.user, f)
    rows = list(first.values())
    return Places(
        problem.up_latency_s[rows], problem.up_byte_s[rows], problem.down_latency_s[rows], problem.down_byte_s[rows],
        {user: p for p, user in enumerate(first)},
    )  # fmt: skip


class Tables:
    """A problem, replicas and places as arrays. S: services, F: flows, C: most calls of a flow, I: most inputs."""

    def __init__(self, problem: Problem, replicas: Mapping[str, Sequence[str]], places: Places | None = None) -> None:
        """replicas: service -> names of nodes. Raises ConfigurationError if a called service has none."""
        self.problem, self.places = problem, places or places_of(problem)
        num_s, num_n = problem.seconds.shape
        self.legal = np.zeros((num_s, num_n), dtype=bool)
        for service, nodes in replicas.items():
            if service in problem.services:
                for node in nodes:
                    if node not in problem.nodes:
                        raise ConfigurationError(
                            f"{service} is to be on {node!r}, which is no node of the problem; "
                            f"{suggest(node, problem.nodes)}"
                        )
                    self.legal[problem.services.index(service), problem.nodes.index(node)] = True
        for flow in problem.flows:
            for s in flow.calls:
                if not self.legal[s].any():
                    raise ConfigurationError(
                        f"service {problem.services[s]!r} has no replica: requests cannot be routed"
                    )
        flows = problem.flows
        self.users = tuple(self.places.home)
        self.user = np.array([self.users.index(flow.user) for flow in flows])
        self.home = np.array([self.places.home[user] for user in self.users])
        self.rates = np.array([flow.rate for flow in flows])
        finite = [flow.deadline_s for flow in flows if np.isfinite(flow.deadline_s)]
        usual = float(np.mean(finite)) if finite else 1.0
        self.deadline = np.array([flow.deadline_s if np.isfinite(flow.deadline_s) else usual for flow in flows])
        self.num_calls = np.array([len(flow.calls) for flow in flows])
        most = int(self.num_calls.max())
        self.service = np.zeros((len(flows), most), dtype=int)
        self.seconds = np.zeros((len(flows), most, num_n))
        inputs: list[list[list[tuple[int, float, float]]]] = []
        outputs: list[list[tuple[int, float, float]]] = []
        for f, flow in enumerate(flows):
            number = {s: k for k, s in enumerate(flow.calls)} | {AT_USER: -1}
            inputs.append([[] for _ in range(most)])
            outputs.append([])
            for k, (s, visits) in enumerate(flow.calls.items()):
                self.service[f, k] = s
                self.seconds[f, k] = visits * problem.seconds[s]
            for edge in flow.edges:
                way = (number[edge.source], edge.bytes, edge.visits)
                if edge.target != AT_USER:
                    inputs[f][number[edge.target]].append(way)
                elif edge.source != AT_USER:
                    outputs[f].append(way)
        self.inputs = _padded([each for row in inputs for each in row], (len(flows), most))
        self.outputs = _padded(outputs, (len(flows),))
        self.onward = self._onward()

    def _onward(self) -> np.ndarray:
        """Least seconds of the onward way of a call's output from each node, [F, C, P, N]."""
        problem, places = self.problem, self.places
        found = np.zeros((*self.service.shape, len(places.up_latency_s), len(problem.nodes)))
        for f, flow in enumerate(problem.flows):
            number = {s: k for k, s in enumerate(flow.calls)}
            for edge in flow.edges:
                if edge.source == AT_USER:
                    continue
                if edge.target == AT_USER:
                    way = places.down_latency_s + edge.bytes * places.down_byte_s
                else:
                    to = self.legal[edge.target]
                    way = (problem.latency_s + edge.bytes * problem.byte_s)[:, to].min(axis=1)[None]
                k = number[edge.source]
                found[f, k] = np.maximum(found[f, k], edge.visits * way)
        return found


def _padded(rows: list[list[tuple[int, float, float]]], shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Return source, bytes, visits and whether there is such an edge, each [*shape, most edges of a row]."""
    most = max(1, *map(len, rows))
    source, size, visits = (np.zeros((len(rows), most), dtype=kind) for kind in (int, float, float))
    there = np.zeros((len(rows), most), dtype=bool)
    for i, row in enumerate(rows):
        for j, (a, b, c) in enumerate(row):
            source[i, j], size[i, j], visits[i, j], there[i, j] = a, b, c, True
    return tuple(each.reshape(*shape, most) for each in (source, size, visits, there))


@dataclasses.dataclass(frozen=True)
class Shift:
    """How demand and places differ from the nominal ones, for each copy of the model."""

    demand: np.ndarray
    """Factor of each flow's rate, [E, F]."""
    attraction: np.ndarray
    """Places are drawn with a probability that is proportional to exp of this, [E, P]."""

    @staticmethod
    def none(tables: Tables, copies: int) -> Shift:
        """Return the nominal demand and places."""
        return Shift(np.ones((copies, len(tables.rates))), np.zeros((copies, len(tables.places.up_latency_s))))


@dataclasses.dataclass(frozen=True)
class View:
    """What the router knows when it routes a call."""

    rows: np.ndarray
    """float32 [E, N, `ROWS`]."""
    context: np.ndarray
    """float32 [E, `CONTEXT`]."""
    legal: np.ndarray
    """bool [E, N]."""


def view(
    *, legal: np.ndarray, transfer_s: np.ndarray, seconds: np.ndarray, backlog_s: np.ndarray, onward_s: np.ndarray,
    elapsed_s: np.ndarray, left: np.ndarray, demand: np.ndarray, deadline_s: np.ndarray,
) -> View:  # fmt: skip
    """Return what a policy sees; the first five are [E, N], the others [E]."""
    wait = np.maximum(backlog_s - transfer_s, 0)
    rows = np.stack([transfer_s, seconds, backlog_s, wait, onward_s], axis=-1) / deadline_s[:, None, None]
    rows = np.concatenate([legal[..., None], rows], axis=-1)
    context = np.stack([elapsed_s / deadline_s, left / 10, demand - 1], axis=-1)
    return View(
        np.clip(rows, -MOST, MOST).astype(np.float32), np.clip(context, -MOST, MOST).astype(np.float32), legal
    )  # fmt: skip


def check_behaviour(**values: float) -> None:
    """Raise ConfigurationError for moves_per_s or report_every_s that is not legal."""
    for name, value in values.items():
        if not 0 <= value < np.inf:
            raise ConfigurationError(f"{name} is {value!r}; it must be finite and not negative")


class Model:
    """E copies of the model. Each routes one call at a time (`view`, `step`)."""

    def __init__(
        self, tables: Tables, rng: np.random.Generator, *, copies: int, moves_per_s: float, report_every_s: float = 0.1,
        shift: Shift | None = None,
    ) -> None:  # fmt: skip
        """Begin with empty queues, and everybody at home.

        Args:
            tables: the problem.
            rng: everything random is drawn from it.
            copies: E.
            moves_per_s: how often a user goes to another place.
            report_every_s: how often nodes tell the router what they have ended; 0: it knows at once.
            shift: at first; None: nominal demand and places.

        Raises ConfigurationError for numbers that are not legal.
        """
        check_behaviour(moves_per_s=moves_per_s, report_every_s=report_every_s)
        if copies < 1:
            raise ConfigurationError(f"copies are {copies!r}; there must be at least one")
        self.tables, self.rng, self.copies = tables, rng, copies
        self.moves_per_s, self.report_every_s = moves_per_s, report_every_s
        num_n, most = len(tables.problem.nodes), tables.service.shape[1]
        self.every = np.arange(copies)
        self.shift = shift or Shift.none(tables, copies)
        self.now = np.zeros(copies)
        self.flow = np.zeros(copies, dtype=int)
        self.call = np.zeros(copies, dtype=int)
        self.place = np.tile(tables.home, (copies, 1))
        self.at = np.zeros((copies, most), dtype=int)
        self.done = np.zeros((copies, most))
        self.older = np.full((copies, num_n), -np.inf)
        self.came = np.full((copies, num_n, RECENT), -np.inf)
        self.ends = np.full((copies, num_n, RECENT), -np.inf)
        self.each = np.zeros((copies, num_n, RECENT))
        self.next = np.zeros((copies, num_n), dtype=int)
        self.interval = np.full(copies, 1 / tables.rates.sum())
        self._arrive(self.every)

    def view(self) -> View:
        """Return what the router knows about the call that it has to route now."""
        tables, f, k = self.tables, self.flow, self.call
        reported = self.now if not self.report_every_s else self.now // self.report_every_s * self.report_every_s
        backlog = np.where(self.ends > reported[:, None, None], self.each, 0).sum(axis=2)
        longest = np.where(np.arange(self.done.shape[1]) < k[:, None], self.done, self.now[:, None]).max(axis=1)
        place = self.place[self.every, tables.user[f]]
        demand = 1 / (self.interval * tables.rates.sum())
        return view(
            legal=tables.legal[tables.service[f, k]], transfer_s=self._there() - self.now[:, None],
            seconds=tables.seconds[f, k], backlog_s=backlog, onward_s=tables.onward[f, k, place],
            elapsed_s=longest - self.now, left=tables.num_calls[f] - k, demand=demand, deadline_s=tables.deadline[f],
        )  # fmt: skip

    def step(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Route the call of each copy to a node; a node without a replica stands for the first one that has it.

        Returns the delay of each request that is complete by this, in seconds (NaN: it is not complete), and its flow.
        The copies whose request is complete have the next one.
        """
        tables, f, k, every = self.tables, self.flow.copy(), self.call.copy(), self.every
        legal = tables.legal[tables.service[f, k]]
        nodes = np.where(legal[every, nodes], nodes, legal.argmax(axis=1))
        seconds = tables.seconds[f, k, nodes]
        there = self._there()[every, nodes]
        end = np.maximum(there, self._busy_until(nodes, there)) + seconds
        self.at[every, k], self.done[every, k] = nodes, end
        slot = self.next[every, nodes]
        self.older[every, nodes] = np.maximum(self.older[every, nodes], self.ends[every, nodes, slot])
        self.came[every, nodes, slot], self.ends[every, nodes, slot] = there, end
        self.each[every, nodes, slot] = seconds
        self.next[every, nodes] = (slot + 1) % RECENT
        complete = k + 1 == tables.num_calls[f]
        delays = np.where(complete, self._answered() - self.now, np.nan)
        self.call += 1
        self._arrive(np.flatnonzero(complete))
        return delays, f

    def _busy_until(self, nodes: np.ndarray, time: np.ndarray) -> np.ndarray:
        """When each copy's node has done all calls that were there by a time, in their order; both [E], in seconds.

        That is the largest, over these calls, of when one came and all work from it on (Lindley's recursion).
        """
        came, work, ends = (each[self.every, nodes] for each in (self.came, self.each, self.ends))
        older = self.older[self.every, nodes]
        work = np.where(came <= time[:, None], work, 0)
        order = came.argsort(axis=1, kind="stable")
        sorted_work = np.take_along_axis(work, order, axis=1)
        left = sorted_work[:, ::-1].cumsum(axis=1)[:, ::-1]  # work of a call and all after it
        begins = np.where(sorted_work > 0, np.take_along_axis(came, order, axis=1), -np.inf)
        after_older = older + np.where(ends > older[:, None], work, 0).sum(axis=1)
        busy: np.ndarray = np.maximum((begins + left).max(axis=1), after_older)
        return busy

    def _there(self) -> np.ndarray:
        """When the inputs of the present call could be at each node, [E, N]."""
        tables, f, k, problem = self.tables, self.flow, self.call, self.tables.problem
        source, size, visits, there = (each[f, k] for each in tables.inputs)
        place = self.place[self.every, tables.user[f]]
        found = np.tile(self.now[:, None], (1, len(problem.nodes)))
        for i in range(source.shape[1]):
            begin = source[:, i]
            from_user = begin < 0
            before = self.at[self.every, begin]
            latency = np.where(from_user[:, None], tables.places.up_latency_s[place], problem.latency_s[before])
            byte = np.where(from_user[:, None], tables.places.up_byte_s[place], problem.byte_s[before])
            way = visits[:, i, None] * (latency + size[:, i, None] * byte)
            base = np.where(from_user, self.now, self.done[self.every, begin])
            found = np.where(there[:, i, None], np.maximum(found, base[:, None] + way), found)
        return found

    def _answered(self) -> np.ndarray:
        """When the answer of the present request is at its user, [E]."""
        tables, f = self.tables, self.flow
        source, size, visits, there = (each[f] for each in tables.outputs)
        place, places = self.place[self.every, tables.user[f]], tables.places
        mine = np.arange(self.done.shape[1]) < tables.num_calls[f][:, None]
        found = np.where(mine, self.done, -np.inf).max(axis=1)
        for i in range(source.shape[1]):
            node = self.at[self.every, source[:, i]]
            way = places.down_latency_s[place, node] + size[:, i] * places.down_byte_s[place, node]
            arrival = self.done[self.every, source[:, i]] + visits[:, i] * way
            found = np.where(there[:, i], np.maximum(found, arrival), found)
        return found

    def _arrive(self, which: np.ndarray) -> None:
        """The next request comes to these copies; before it, users may have moved."""
        if not len(which):
            return
        tables, rng = self.tables, self.rng
        rates = tables.rates * self.shift.demand[which]
        total = rates.sum(axis=1)
        waited = rng.exponential(size=len(which)) / total
        self.now[which] += waited
        self.interval[which] += SMOOTHING * (waited - self.interval[which])
        self.flow[which] = (rng.random((len(which), 1)) * total[:, None] > rates.cumsum(axis=1)).sum(axis=1)
        self.call[which] = 0
        attraction = np.exp(self.shift.attraction[which])
        cumulative = attraction.cumsum(axis=1)
        shape = (len(which), len(tables.users))
        moves = rng.random(shape) < 1 - np.exp(-self.moves_per_s * waited)[:, None]
        drawn = rng.random(shape) * cumulative[:, -1:]
        to = (drawn[:, :, None] > cumulative[:, None, :]).sum(axis=2)
        self.place[which] = np.where(moves, to, self.place[which])


@dataclasses.dataclass(frozen=True)
class Routed:
    """A request of a run, and how it was routed."""

    begin_s: float
    """When it was routed."""
    flow: int
    place: int
    """Where its user was then."""
    nodes: tuple[int, ...]
    """Where its calls went, in the order of the flow's."""


def replayed(tables: Tables, requests: Sequence[Routed]) -> np.ndarray:
    """Return how long the model says that requests took from when they were routed, seconds, float64 [requests].

    requests: in the order in which they were routed. They have the queues of those before them, and nothing is drawn:
    what differs from the run that they are of is what the model does not know.
    """
    model = Model(tables, from_numbers(derive_seed(0, "replay")), copies=1, moves_per_s=0.0, report_every_s=0.0)
    found = []
    for request in requests:
        model.now[:], model.flow[:], model.call[:] = request.begin_s, request.flow, 0
        model.place[0, tables.user[request.flow]] = request.place
        delays = np.zeros(1)
        for node in request.nodes:
            delays, _ = model.step(np.array([node]))
        found.append(delays[0])
    return np.array(found)
