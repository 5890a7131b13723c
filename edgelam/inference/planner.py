# SPDX-License-Identifier: GPL-2.0-only
"""Decides where services run: at a node, from what the others have reported, at a cost.

Every host sends its state to the deciding node (free memory, seconds it has computed, and calls that it has not ended:
4 bytes each), the solver's operations take this node's processor, and each host is told what it gets (4 bytes for each
service). All of this is a transfer or a computation. Operations are those that the solver states or that PyTorch's
counter saw, never wall time. With `charge` False, states are known at once and deciding takes no time, which shows
what deciding costs.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError
from edgelam.inference.dispatch import BYTES_AN_OPERATION
from edgelam.inference.problem import Plan, Problem

if TYPE_CHECKING:
    from edgelam.cosim.node import Node
    from edgelam.inference.serving import Serving


@dataclasses.dataclass(frozen=True)
class Decision:
    """A decision, for tables; times are simulated seconds of the run."""

    start_s: float
    measured_s: float
    """When all states were known."""
    end_s: float
    """When all hosts knew what they get."""
    operations: int
    plan: Plan
    problem: Problem


async def decide(
    serving: Serving,
    at: str,
    hosts: Sequence[str],
    problem: Callable[[], Problem],
    solver: Callable[[Problem], Plan],
    *,
    charge: bool = True,
) -> Decision:
    """Collect states, solve, and tell the hosts.

    Args:
        serving: the services, and the simulation.
        at: the node that decides.
        hosts: the nodes that report, and that are told.
        problem: makes the problem when all states are known.
        solver: solves it.
        charge: whether states, the decision and the plan take time.

    Raises ConfigurationError if no plan is possible.
    """
    sim, node = serving.sim, serving.sim.node(at)
    if not hosts:
        raise ConfigurationError("a decision needs at least one host")
    start_s = sim.now_s
    others = [sim.node(name) for name in hosts if name != at]
    if charge:
        await _all(serving, [(host, node, _state(serving, host), "state") for host in others])
    measured_s = sim.now_s
    asked = problem()
    plan = solver(asked)
    if charge:
        traffic = BYTES_AN_OPERATION * plan.operations if plan.bytes is None else plan.bytes
        work = Work(plan.operations, traffic)
        async with node.compute("decide deployment", work=work):
            pass
        told = np.zeros(len(asked.services), np.uint32)
        await _all(serving, [(node, host, told, "plan") for host in others])
    return Decision(start_s, measured_s, sim.now_s, plan.operations, plan, asked)


async def _all(serving: Serving, ways: Sequence[tuple[Node, Node, np.ndarray, str]]) -> None:
    async with asyncio.TaskGroup() as group:
        for source, to, data, what in ways:
            group.create_task(serving.transport.carry(source, to, data, what), name=f"{what} to {to.name}")


def _state(serving: Serving, host: Node) -> np.ndarray:
    """Return what a host reports, float32 [3]."""
    waiting = sum(serving.outstanding(service, host.name) for service in serving.services_on(host.name))
    return np.array([host.memory.capacity_bytes - host.memory.used_bytes, host.busy_s, waiting], np.float32)
