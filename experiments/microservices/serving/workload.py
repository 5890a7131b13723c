# SPDX-License-Identifier: GPL-2.0-only
"""What users ask: kinds of users, their tasks, deadlines, and the services and graphs behind them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgelam.errors import ConfigurationError
from edgelam.inference import Burst, Diurnal, Graph, Poisson, Request, Service, Task, drawn, from_trace
from edgelam.inference.arrivals import Arrivals
from edgelam.inference.problem import Demand
from edgelam.inference.requests import TraceRow, read_trace

from .settings import ServingSettings

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.inference.requests import Inputs

Worth = Callable[[Mapping[str, "Tensor"]], float]
"""What an answer is worth: 1 for a right one."""

JOINED = {"image-question+speech": ("image-question", "image-speech")}
"""Graphs that do two tasks for one request: what both compute from the same values is computed once."""

KINDS: dict[str, tuple[tuple[str, Callable[[float], Arrivals], float, int], ...]] = {
    # graph, process of arrivals for a load, deadline in seconds, priority
    "driving": (("image-speech", lambda load: Burst(2.0 * load, 2.0, 4.0), 0.2, 4),),
    "robotics": (
        ("image-question", lambda load: Poisson(0.6 * load), 0.1, 3),
        ("image-question+speech", lambda load: Poisson(0.3 * load), 0.2, 3),
    ),
    "healthcare": (("sensor-text", lambda load: Diurnal(0.8 * load, 0.8, 10.0), 0.3, 2),),
    "assistant": (
        ("spoken-question", lambda load: Poisson(0.5 * load), 0.5, 0),
        ("image-text", lambda load: Poisson(0.5 * load), 0.5, 0),
    ),
}
"""Kinds of users: a car that asks about what its camera sees, in bursts; a robot that also hears questions about it; a
watch; a person with a phone."""


@dataclasses.dataclass(frozen=True)
class Workload:
    """Services, graphs, and what requests bring."""

    services: dict[str, Service]
    graphs: dict[str, Graph]
    samples: Mapping[str, Sequence[tuple[dict[str, Tensor], Worth | None]]]
    """Graph -> inputs that requests may bring, and what an answer to them is worth."""

    def inputs(self, graph: str) -> Inputs:
        """Return what draws inputs of a graph."""
        samples = self.samples[graph]
        return lambda rng: samples[int(rng.integers(len(samples)))][0]

    def worth(self, request: Request, answer: Mapping[str, Tensor]) -> float | None:
        """Return what an answer is worth; None if nobody can say."""
        for given, worth in self.samples[request.graph]:
            if given is request.inputs:
                return None if worth is None else worth(answer)
        return None


def tasks(settings: ServingSettings, users: Sequence[str], workload: Workload) -> dict[str, list[Task]]:
    """Return user -> tasks."""
    found: dict[str, list[Task]] = {}
    for i, user in enumerate(users):
        kind = list(KINDS)[i % len(KINDS)]
        found[user] = [
            Task(f"{kind}: {graph}", graph, arrivals(settings.load), deadline_s, workload.inputs(graph), priority)
            for graph, arrivals, deadline_s, priority in KINDS[kind]
        ]
    return found


def requests(settings: ServingSettings, users: Sequence[str], workload: Workload, seed: int) -> list[Request]:
    """Return the requests of a simulation. Raises ConfigurationError for a trace that is not legal."""
    if not settings.trace:
        return drawn(tasks(settings, users, workload), settings.duration_s, seed, settings.max_requests)
    _trace(settings, users, workload)
    inputs = {name: workload.inputs(name) for name in workload.graphs}
    return from_trace(Path(settings.trace), workload.graphs, inputs, users, seed)


def demand(settings: ServingSettings, users: Sequence[str], workload: Workload) -> list[Demand]:
    """Return how often each user asks for each graph, as solvers are told: in the mean over time, or over a trace.

    The time of a trace is that of its last request, and at least 1 s. Raises ConfigurationError as `requests` does.
    """
    if not settings.trace:
        return [
            Demand(user, task.graph, task.arrivals.mean_rate, task.deadline_s)
            for user, mine in tasks(settings, users, workload).items()
            for task in mine
        ]
    rows = _trace(settings, users, workload)
    deadlines: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        deadlines.setdefault((row.user, row.graph), []).append(row.deadline_s)
    span_s = max(rows[-1].arrive_s, 1.0)
    return [Demand(*key, len(each) / span_s, min(each)) for key, each in deadlines.items()]


def middle_s(settings: ServingSettings, asked: Sequence[Request]) -> float:
    """Return the middle of the time in which requests come, from the time at which serving begins."""
    return asked[-1].arrive_s / 2 if settings.trace else settings.duration_s / 2


def _trace(settings: ServingSettings, users: Sequence[str], workload: Workload) -> list[TraceRow]:
    rows = read_trace(Path(settings.trace), workload.graphs, users)
    if len(rows) > settings.max_requests:
        raise ConfigurationError(
            f"{settings.trace} has {len(rows)} requests, and max_requests is {settings.max_requests}: give "
            f"--max-requests {len(rows)}, or a shorter trace"
        )
    return rows


def graph_names() -> list[str]:
    """Return the names of all graphs that users ask for."""
    return list(dict.fromkeys(graph for kind in KINDS.values() for graph, *_ in kind))
