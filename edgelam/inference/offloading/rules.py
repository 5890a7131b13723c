# SPDX-License-Identifier: GPL-2.0-only
"""Rules that learn nothing, with the tasks of tasks.py: those of `edgelam.inference.routing`, and four more.

Queues of the rules of routing are counted in tasks of mean work. `greedy` is what both papers call optimal; it is not:
it looks at no other task.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from edgelam.inference.offloading.tasks import Servers, Setting, Task, episode
from edgelam.inference.requests import Request
from edgelam.inference.routing import RULES, Replica
from edgelam.random_streams import derive_seed, from_numbers

Chooser = Callable[[Servers, Task, np.random.Generator], int]


def greedy(servers: Servers, task: Task, rng: np.random.Generator) -> int:
    """Where the delay of this task is least."""
    return int(np.argmin(servers.delays(task)))


def greedy_by_slot(servers: Servers, task: Task, rng: np.random.Generator) -> int:
    """The same with the queues of the slot's beginning, which is all that the papers' learners see: tasks herd."""
    known = Servers(servers.setting)
    known.queued = servers.queued
    return int(np.argmin(known.delays(task)))


def uniform(servers: Servers, task: Task, rng: np.random.Generator) -> int:
    """Any server."""
    return int(rng.integers(len(servers.queued)))


def local(servers: Servers, task: Task, rng: np.random.Generator) -> int:
    """The server of the task's station. Only where tasks come at servers."""
    return task.origin


def by_rule(name: str) -> Chooser:
    """Return a rule of `edgelam.inference.routing.RULES`; it begins anew."""
    rule, request = RULES[name](), Request(0, "", "", 0.0, {})
    replicas: list[Replica] = []

    def choose(servers: Servers, task: Task, rng: np.random.Generator) -> int:
        nonlocal replicas
        if rule.needs_queues or not replicas:
            capacities = servers.setting.capacities.tolist()
            queues = ((servers.queued + servers.sent) / servers.setting.mean_gcycles).tolist()
            replicas = [Replica(str(b), *both) for b, both in enumerate(zip(capacities, queues, strict=True))]
        return rule.choose("", replicas, request, rng)

    return choose


CHOOSERS: dict[str, Callable[[], Chooser]] = {
    "greedy": lambda: greedy,
    "greedy-by-slot": lambda: greedy_by_slot,
    **{name: partial(by_rule, name) for name in RULES},
    "uniform": lambda: uniform,
    "local": lambda: local,
}
"""By name: make a rule for an episode."""


def mean_delay(setting: Setting, name: str, seed: int, number: int) -> float:
    """Return the mean delay in seconds of all tasks of an episode under a rule."""
    choose, servers = CHOOSERS[name](), Servers(setting)
    rng = from_numbers(derive_seed(seed, f"rule {name}, episode {number}"))
    total, count = 0.0, 0
    for tasks in episode(setting, seed, number):
        for task in tasks:
            total += servers.send(task, choose(servers, task, rng))
        servers.end_slot()
        count += len(tasks)
    return total / count
