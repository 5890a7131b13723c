# SPDX-License-Identifier: GPL-2.0-only
"""What a router knows about a call that it has to route, with the numbers of the queueing model (routing_model.py).

Rules that look further than the queue of a replica share it: they know the problem (what calls and transfers take), the
places of users, the queues that nodes have reported, and what they have decided for the request so far.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgelam.inference.routing.rule import Replica
from edgelam.inference.routing_model import SMOOTHING, Tables, View, view

if TYPE_CHECKING:
    from edgelam.inference.requests import Request

Queues = Callable[[str], Mapping[str, float]]
"""Node -> {service: calls there that have not ended, as far as the router knows} (`Dispatcher.queues`)."""


@dataclasses.dataclass
class _Path:
    """The decisions for a request."""

    at: dict[int, int]
    """Call -> node."""
    done: dict[int, float]
    """Call -> seconds after its arrival at which it would end."""


class Knowledge:
    """Keeps it up to date."""

    def __init__(self, tables: Tables, queues: Queues, place: Callable[[str], int] | None = None) -> None:
        """place: where a user is now, a number of `tables.places`; None: all are at home."""
        self.tables, self.queues = tables, queues
        self.place = place or (lambda user: tables.places.home[user])
        flows = tables.problem.flows
        self._flows = {(flow.user, flow.graph): f for f, flow in enumerate(flows)}
        self._calls = [
            {tables.problem.services[s]: k for k, s in enumerate(flow.calls)} for flow in flows
        ]  # fmt: skip
        self._node = {name: n for n, name in enumerate(tables.problem.nodes)}
        self._service = {name: s for s, name in enumerate(tables.problem.services)}
        self._paths: dict[int, _Path] = {}
        self._last_s = 0.0
        self._interval_s = 1 / float(tables.rates.sum())
        self._now: tuple[int, int, _Path, np.ndarray, np.ndarray]

    def view(self, service: str, replicas: Sequence[Replica], request: Request) -> View:
        """Return what is known about this call, of one copy: rows [1, N, ...]. Afterwards, say `chosen`."""
        tables = self.tables
        f = self._flows[request.user, request.graph]
        k = self._calls[f][service]
        if k == 0 or request.id not in self._paths:
            self._begin(request)
        path, place = self._paths[request.id], self.place(request.user)
        legal = np.zeros(len(tables.problem.nodes), dtype=bool)
        legal[[self._node[replica.node] for replica in replicas]] = True
        backlog = np.zeros(len(legal))
        for n in np.flatnonzero(legal):
            for name, calls in self.queues(tables.problem.nodes[n]).items():
                s = self._service.get(name)
                backlog[n] += 0.0 if s is None else calls * tables.problem.seconds[s, n]
        there = self._there(f, k, path, place)
        wait = np.maximum(backlog - there, 0)
        self._now = (f, k, path, there, wait)
        row = lambda each: np.asarray(each, dtype=float)[None]  # noqa: E731
        return view(
            legal=legal[None], transfer_s=row(there), seconds=row(tables.seconds[f, k]), backlog_s=row(backlog),
            onward_s=row(tables.onward[f, k, place]), elapsed_s=row(max(path.done.values(), default=0.0)),
            left=row(tables.num_calls[f] - k), demand=row(1 / (self._interval_s * tables.rates.sum())),
            deadline_s=row(tables.deadline[f]),
        )  # fmt: skip

    def chosen(self, node: int, replicas: Sequence[Replica]) -> int:
        """Note the node that was chosen for the call of the last view; return the number of its replica."""
        f, k, path, there, wait = self._now
        path.at[k] = node
        path.done[k] = float(there[node] + wait[node] + self.tables.seconds[f, k, node])
        return [replica.node for replica in replicas].index(self.tables.problem.nodes[node])

    def _begin(self, request: Request) -> None:
        """A request comes, or begins again."""
        self._interval_s += SMOOTHING * (max(request.arrive_s - self._last_s, 0.0) - self._interval_s)
        self._last_s = max(request.arrive_s, self._last_s)
        self._paths = {request.id: _Path({}, {})}  # all its calls are routed before another request's

    def _there(self, f: int, k: int, path: _Path, place: int) -> np.ndarray:
        """Seconds after the request's arrival at which the inputs of a call could be at each node, [N]."""
        tables, problem, places = self.tables, self.tables.problem, self.tables.places
        found = np.zeros(len(problem.nodes))
        for source, size, visits, there in zip(*(each[f, k].tolist() for each in tables.inputs), strict=True):
            if not there:
                continue
            if source < 0:
                begin, way = 0.0, places.up_latency_s[place] + size * places.up_byte_s[place]
            elif source in path.at:
                at = path.at[source]
                begin, way = path.done[source], problem.latency_s[at] + size * problem.byte_s[at]
            else:
                continue
            found = np.maximum(found, begin + visits * way)
        return found
